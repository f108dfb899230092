"""The partner: any duet model, stepped once a frame. What the model wants is read from its manifest.

Rules: noise comes from a seeded generator that belongs to this stage, so that a show repeats bit for bit; state is
the model's own and starts over on `reset`. A model that moves at a rate of its own (`fps_out`) moves once a run at
most: where frames are further apart it is run several times for one, and the dancer is between the two.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from motion import features
from motion.skeleton import HUMANOID
from server.onnx_model import ModelError, OnnxModel
from server.params import Knobs
from server.protocols.frames import PoseFrame
from server.stages.duet_ports import HELD_SECONDS, duet_ports
from server.stages.stillness import Stillness
from server.stages.walk import Walk, at_once

REST_SECONDS = 1.5  # to stand, and to dance again
_EARLY = 1e-6  # of a move: a step of 1/30 s may be a little longer than a thirtieth


class Partner:
    """Dancer's frame in, partner's frame out, on HUMANOID.

    rests: beside a dancer who has fallen silent there is no noise, and a model comes to rest; one that moves at a rate
    of its own, and so dances by itself, is brought to stand. Raises ModelError when the model is no duet or is made
    for another skeleton.
    """

    def __init__(self, model: OnnxModel, seed: int | tuple[int, ...], rests: bool = True) -> None:
        manifest = model.manifest
        ports = duet_ports(model)
        if manifest.window != 1 or manifest.fps_in is not None:
            raise ModelError(
                f"{model.path} works on windows of {manifest.window} frames at {manifest.fps_in} fps; this stage "
                f"steps frame by frame at any rate"
            )
        self.model = model
        self.params = manifest.params
        self._ports = ports
        self._moves = manifest.fps_out or 0.0  # a second, 0: one a frame
        self._seed, self._rests = seed, rests
        self._random = np.random.default_rng(seed)
        self._dancer_pose = np.zeros(0, dtype=np.float32)
        self._still_seconds = 0.0
        self._stillness, self._stands = Stillness(), 0.0  # how much so, 0 to 1

    def reset(self) -> None:
        """Starts over, with the same noise as the first time."""
        self.model.reset()
        self._random = np.random.default_rng(self._seed)

    def step(self, frame: PoseFrame, dt: float, params: Knobs) -> PoseFrame:
        return at_once(self.walk(frame, dt, params))

    def walk(self, frame: PoseFrame, dt: float, params: Knobs) -> Walk[PoseFrame]:
        inputs, ports = self.model.inputs, self._ports
        dancer = features.encode(ports.dancer.layout, frame.skeleton, frame.root_position, frame.rotations)
        self._still_seconds = self._still_seconds + dt if np.array_equal(dancer, self._dancer_pose) else 0.0
        before, self._dancer_pose = self._dancer_pose if self._dancer_pose.size else dancer, dancer
        runs = max(math.ceil(dt * self._moves - _EARLY), 1)
        for name in ports.times:
            inputs[name].fill(dt / runs)
        for name in ports.conditions:
            inputs[name][:] = params[name]
        silent = self._rests and self._still_seconds > HELD_SECONDS
        for run in range(1, runs + 1):
            inputs[ports.dancer.name][0] = dancer if run == runs else before + (dancer - before) * (run / runs)
            for name in ports.noises:
                if silent and not self._moves:
                    inputs[name].fill(0.0)
                else:
                    self._random.standard_normal(out=inputs[name], dtype=np.float32)
            made = yield self.model
        pose = made[ports.partner.name][0]
        root_position, rotations = features.decode(ports.partner.layout, len(HUMANOID), pose)
        partner = replace(frame, skeleton=HUMANOID, root_position=root_position, rotations=rotations)
        return self._brought_to_stand(partner, silent, dt) if self._moves else partner

    def _brought_to_stand(self, partner: PoseFrame, silent: bool, dt: float) -> PoseFrame:
        """The model dances on unseen while its partner stands beside a silent dancer."""
        self._stands = min(max(self._stands + (dt if silent else -dt) / REST_SECONDS, 0.0), 1.0)
        return self._stillness.step(partner, dt, {"stillness": self._stands})
