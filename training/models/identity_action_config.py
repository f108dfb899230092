"""How large an identity_action model is, and what it is trained for; see training.models.identity_action."""

from __future__ import annotations

from dataclasses import dataclass, field

from training.models import identity_action_images as images
from training.models.identity_action_parts import Anneal

FRAMES, SEQUENCES = 1, 2  # the stages
ANNEALED = ("temperature", "identity_kl", "frame_kl", "dynamics_kl", "path_kl")


@dataclass(frozen=True)
class Config:
    """identities, actions, stage: filled in by training. images: pictures instead of motion.

    window: frames. decoded: so many of them, one after the other, are all that stage 1 sees and that stage 2 draws at
    each step, 0 for all; only of pictures, which are dear. experts: of the decoder, at least as many as identities;
    latent, dynamics: numbers of z_t and d; hidden: width of what is read of motion and of its decoder, rnn,
    rnn_layers: of the posterior's LSTM; dynamics_rnn: of the one that reads d, of every `stride`th frame, less
    `dropout`. identity_spread, dynamics_spread: deviations of the priors of u and d. temperature: what u is
    multiplied by. *_kl: weights of divergences of u (identity), z_t by itself (frame) in stage 1; of d (dynamics),
    z_t from the prior (path) in stage 2. identity_loss: of s from the identities' labels, 0 to find experts without
    them. recognised_loss: of swaps that `judges` (so many, so wide) do not recognise, as who and as what; it asks for
    labels of both. critic_loss: how much of a critic's gradient z and d deceive it with; dynamics_critic_loss: d,
    where that is to be another. rollout_loss, rollout: of the prior left alone for so many frames, fewer at first
    where they are to rise over a share of the epochs (rollout_rise). action_loss: of actions read from d. apart_loss:
    of experts from what they share. followed: share of sequences whose posterior is told every frame.
    """

    identities: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    stage: int = SEQUENCES
    images: images.Config | None = None
    window: int = 64
    decoded: int = 0
    experts: int = 8
    latent: int = 24
    dynamics: int = 24
    hidden: int = 256
    rnn: int = 128
    rnn_layers: int = 2
    dynamics_rnn: int = 64
    dropout: float = 0.1
    stride: int = 4
    identity_spread: float = 0.35
    dynamics_spread: float = 1.0
    temperature: Anneal = field(default_factory=lambda: Anneal(1.0, 10.0, fraction=0.5))
    identity_kl: Anneal = field(default_factory=lambda: Anneal(0.1, 0.1))
    frame_kl: Anneal = field(default_factory=lambda: Anneal(3.0, 0.05, middle=0.02, middle_at=0.4))
    dynamics_kl: Anneal = field(default_factory=lambda: Anneal(0.001, 0.05, fraction=0.5))
    path_kl: Anneal = field(default_factory=lambda: Anneal(0.1, 0.3, fraction=0.5))
    identity_loss: float = 1.0
    recognised_loss: tuple[float, float] = (3.0, 5.0)
    judges: int = 3
    judge_width: int = 48
    critic_loss: float = 1.0
    dynamics_critic_loss: float | None = None
    rollout_loss: float = 1.0
    rollout: int = 24
    rollout_rise: float = 0.0
    action_loss: float = 1.0
    apart_loss: float = 1e-3
    followed: float = 0.5

    @property
    def timed(self) -> bool:
        """Whether tempo is part of who somebody is: where experts are told whose they are, and what is done is learned
        from labels. Films keep theirs.
        """
        return self.images is None and self.identity_loss > 0.0 and self.action_loss > 0.0

    def __post_init__(self) -> None:
        for name in (
            "window",
            "experts",
            "latent",
            "dynamics",
            "hidden",
            "rnn",
            "rnn_layers",
            "dynamics_rnn",
            "stride",
            "judges",
            "judge_width",
            "rollout",
        ):
            if not getattr(self, name) >= 1:
                raise ValueError(f"{name} must be 1 or more, not {getattr(self, name)}")
        if self.decoded < 0:
            raise ValueError(f"decoded must be 0 or more, not {self.decoded}")
        for name in ("identity_spread", "dynamics_spread"):
            if not getattr(self, name) > 0.0:
                raise ValueError(f"{name} must be above 0, not {getattr(self, name)}")
        for name in ("dropout", "followed", "rollout_rise"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name} must be from 0 to 1, not {getattr(self, name)}")
        if self.window <= self.rollout:
            raise ValueError(f"a window of {self.window} frames has no room for a rollout of {self.rollout}")
        if self.identity_loss and self.experts < len(self.identities):
            raise ValueError(
                f"{len(self.identities)} identities need as many experts, not {self.experts}; or identity_loss: 0"
            )
        for name in ANNEALED:  # a checkpoint has plain mappings
            if isinstance(getattr(self, name), dict):
                object.__setattr__(self, name, Anneal(**getattr(self, name)))
        if isinstance(self.images, dict):
            object.__setattr__(self, "images", images.Config(**self.images))
        for name in ("identities", "actions", "recognised_loss"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
