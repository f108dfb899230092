"""The partner: any duet model, stepped once a frame. What the model wants is read from its manifest.

Rules: noise comes from a seeded generator that belongs to this stage, so that a show repeats bit for bit; state is
the model's own and starts over on `reset`.
"""

from __future__ import annotations

import numpy as np

from motion import features
from motion.manifest import Port
from motion.skeleton import HUMANOID
from server.onnx_model import ModelError, OnnxModel
from server.params import Knobs
from server.protocols.frames import PoseFrame

HELD_SECONDS = 0.25  # a dancer whose pose repeats for longer has fallen silent: no noise, and the partner comes to rest


class Partner:
    """Dancer's frame in, partner's frame out, on HUMANOID.

    Raises ModelError when the model is no duet or is made for another skeleton.
    """

    def __init__(self, model: OnnxModel, seed: int | tuple[int, ...]) -> None:
        manifest = model.manifest
        if manifest.kind != "duet":
            raise ModelError(f"{model.path} is a {manifest.kind!r} model; the partner stage needs a 'duet' model")
        if manifest.skeleton.topology_hash != HUMANOID.topology_hash:
            odd = sorted(set(manifest.skeleton.names) ^ set(HUMANOID.names))
            raise ModelError(
                f"{model.path} is made for another skeleton: {len(manifest.skeleton)} joints instead of "
                f"{len(HUMANOID)}; not shared: {', '.join(odd) or 'none, the order differs'}"
            )
        self.model = model
        self.params = manifest.params
        self._dancer = _only(model, "motion", manifest.inputs)
        self._partner = _only(model, "motion", manifest.outputs)
        features.decode(
            self._partner.layout, len(HUMANOID), np.zeros(self._partner.shape[-1])
        )  # refuses poseless layouts
        if manifest.window != 1 or manifest.fps_in is not None:
            raise ModelError(
                f"{model.path} works on windows of {manifest.window} frames at {manifest.fps_in} fps; the partner "
                f"stage steps frame by frame at any rate"
            )
        self._time_inputs = [port.name for port in manifest.ports("time")]
        self._noise_inputs = [port.name for port in manifest.ports("noise")]
        self._conditions = {port.name for port in manifest.ports("condition")} & {p.name for p in manifest.params}
        self._seed = seed
        self._random = np.random.default_rng(seed)
        self._dancer_pose = np.zeros(0, dtype=np.float32)
        self._still_seconds = 0.0

    def reset(self) -> None:
        """Starts over, with the same noise as the first time."""
        self.model.reset()
        self._random = np.random.default_rng(self._seed)

    def step(self, frame: PoseFrame, dt: float, params: Knobs) -> PoseFrame:
        inputs = self.model.inputs
        dancer = features.encode(self._dancer.layout, frame.skeleton, frame.root_position, frame.rotations)
        self._still_seconds = self._still_seconds + dt if np.array_equal(dancer, self._dancer_pose) else 0.0
        inputs[self._dancer.name][0] = self._dancer_pose = dancer
        for name in self._time_inputs:
            inputs[name].fill(dt)
        held = self._still_seconds > HELD_SECONDS
        for name in self._noise_inputs:
            if held:
                inputs[name].fill(0.0)
            else:
                self._random.standard_normal(out=inputs[name], dtype=np.float32)
        for name in self._conditions:
            inputs[name].fill(params[name])
        pose = self.model.step()[self._partner.name][0]
        root_position, rotations = features.decode(self._partner.layout, len(HUMANOID), pose)
        return PoseFrame(
            skeleton=HUMANOID,
            root_position=root_position,
            rotations=rotations,
            sender_time=frame.sender_time,
            receive_time=frame.receive_time,
            number=frame.number,
            actor=frame.actor,
        )


def _only(model: OnnxModel, role: str, ports: tuple[Port, ...]) -> Port:
    found = [port for port in ports if port.role == role]
    if len(found) != 1:
        raise ModelError(f"{model.path}: a duet model has one {role} port on each side, this one has {len(found)}")
    return found[0]
