"""What runs live of a duet_match: the player with its database, or with the networks that learned it.

A database travels inside the file: `contains_recordings` says so, and its manifest with it. Networks hold none.
"""

from __future__ import annotations

from exporters.graphs import ports
from motion.manifest import Manifest, Param
from training.match.learned_player import LearnedPlayer
from training.match.player import Player
from training.models.duet_match import DuetMatch


def match_step(model: DuetMatch) -> MatchStep:
    """The step of a model with its database, or of one that learned it."""
    return LearnedStep(model) if model.config.learned else MatchStep(model)


class MatchStep(Player):
    """See the module and training.match.player."""

    choices = ("state_clip",)  # first number: the row that plays; two runtimes may differ where two rows are as good
    contains_recordings = True

    def __init__(self, model: DuetMatch) -> None:
        super().__init__(model)
        self.skeleton = model.skeleton

    def label(self, name: str) -> Manifest:
        """The manifest, all but where the model comes from."""
        return ports.frame_by_frame(
            name,
            self.skeleton,
            self.ports(),
            (
                Param("variety", 1.0, 0.0, 2.0, 0.3, "how far the partner strays from the likeliest moves"),
                Param("distance", 0.0, -0.5, 1.5, 0.3, "metres added between dancer and partner"),
                Param("lead", 0.0, 0.0, 0.5, 0.3, "seconds that the partner's place is read ahead"),
            ),
        )


class LearnedStep(LearnedPlayer, MatchStep):
    """The same without recordings. The first number of its place: how many rows ago it jumped."""

    contains_recordings = False
