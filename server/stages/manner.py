"""Somebody's movement danced again, in another's manner: the dancer's own, or what another model made of it.

A manner model has a share for every identity (`identity/<name>`); what shares lack of one is the manner of whoever is
seen. `manner/improvise` lets it go on by itself when whoever is seen stops: from where they stopped, as they danced
before that, until they move again. Both are knobs; what is decided here is when somebody has stopped.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from motion.manifest import Manifest, Param
from motion.skeleton import HUMANOID
from server.onnx_model import ModelError, OnnxModel
from server.params import Knobs
from server.protocols.frames import PoseFrame, same_pose
from server.stages.blend import Blend
from server.stages.footing import FeetOverSteps
from server.stages.partner import Partner
from server.stages.turns import eased

IDENTITY, MIX, IMPROVISE, DISTANCE = "identity/", "manner/mix", "manner/improvise", "distance"
EASE = 0.15  # seconds, half-life of what is usual
STILL = 0.02  # radians, and metres: who is nearer to what is usual stands
HELD = 0.1  # seconds of the very same pose: a suit that has fallen silent
WAIT = 0.3  # seconds of that until somebody has stopped
STOP_HALF_LIFE, START_HALF_LIFE = 0.5, 0.3  # seconds of the way to dancing on alone, and back
LEAST = 1e-3  # of improvising: what was danced before is not forgotten by standing


def identities(manifest: Manifest) -> tuple[str, ...]:
    """Whose manners a model knows; none: it is no manner model."""
    return tuple(param.name.removeprefix(IDENTITY) for param in manifest.params if param.name.startswith(IDENTITY))


class Manner:
    """over: a stage before this one has made the frames, and this one stays in their place; otherwise they are the
    dancer's, and it dances `distance` away. Raises ModelError for a model that knows no identities.
    """

    def __init__(self, model: OnnxModel, seed: int | tuple[int, ...], over: bool = False) -> None:
        if not identities(model.manifest):
            raise ModelError(
                f"{model.path} knows no manners: a model of kind identity_action does (`python -m training.train "
                f"identity_action`)"
            )
        self._partner = Partner(model, seed, rests=False)
        own = self._partner.params
        self.params = (
            *(param for param in own if not (over and param.name == DISTANCE)),
            Param(MIX, 1.0, 0.0, 1.0, 0.3, "0: as it was danced; 1: danced again in the manner of identity/..."),
        )
        self._fixed = {DISTANCE: 0.0} if over else {}
        self._stop = Stop()
        self._feet, self._blend = FeetOverSteps(), Blend()

    def reset(self) -> None:
        """The model starts over."""
        self._partner.reset()
        self._stop, self._feet = Stop(), FeetOverSteps()
        self._blend.forget()

    def step(self, frame: PoseFrame, dt: float, params: Knobs) -> PoseFrame:
        asked = params[IMPROVISE]
        alone = self._stop.step(frame, dt) * asked if asked > LEAST else 0.0
        knobs = {**params, **self._fixed, IMPROVISE: alone}
        made = self._partner.step(frame, dt, knobs)
        made.rotations = self._feet.step(
            (frame.root_position, frame.rotations), (made.root_position, made.rotations), dt, alone > 0.5
        )
        share = params[MIX]
        if share in (0.0, 1.0):
            self._blend.forget()
        if share == 1.0:
            return made
        if distance := knobs[DISTANCE]:
            frame = replace(frame, root_position=frame.root_position + np.array([distance, 0.0, 0.0]))
        if share == 0.0:
            return frame
        return self._blend.between(frame, made.root_position, made.rotations, float(eased(share)))


class Stop:
    """Whether somebody has stopped, from 0 to 1, eased. Tremor is no movement: what counts is the way from a running
    mean.
    """

    def __init__(self) -> None:
        self._last: PoseFrame | None = None
        self._root, self._rotations = np.zeros(3), np.zeros((len(HUMANOID), 4))  # the running mean
        self._held_seconds = self._still_seconds = self._share = 0.0

    def step(self, frame: PoseFrame, dt: float) -> float:
        """A frame, `dt` seconds after the last. At LEAST from the moment on that they stand."""
        last, self._last = self._last, frame
        if last is None:
            self._root, self._rotations = frame.root_position, frame.rotations
            return 0.0
        self._held_seconds = self._held_seconds + dt if same_pose(frame, last) else 0.0
        stands = self._near(frame, 1.0 - 0.5 ** (dt / EASE)) or self._held_seconds > HELD
        self._still_seconds = self._still_seconds + dt if stands else 0.0
        has_stopped = self._still_seconds > WAIT
        wanted, half_life = (1.0, STOP_HALF_LIFE) if has_stopped else (0.0, START_HALF_LIFE)
        self._share = wanted + (self._share - wanted) * 0.5 ** (dt / half_life)
        if stands:
            return max(self._share, LEAST)
        if self._share < LEAST:
            self._share = 0.0
        return self._share

    def _near(self, frame: PoseFrame, near: float) -> bool:
        """Whether a frame is near the mean, which goes on towards it."""
        q, root = frame.rotations, frame.root_position
        cosines = np.einsum("ij,ij->i", self._rotations, q)
        q = np.where(cosines[:, None] < 0.0, -q, q)
        turned = 2.0 * float(np.sqrt(np.mean(1.0 - np.minimum(cosines**2, 1.0))))  # radians, small ones
        away = float(np.abs(root - self._root).max())
        self._root = self._root + near * (root - self._root)
        mean = self._rotations + near * (q - self._rotations)
        self._rotations = mean / np.sqrt(np.einsum("ij,ij->i", mean, mean))[:, None]
        return max(turned, away) < STILL
