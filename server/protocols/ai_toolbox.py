"""AI-Toolbox's OSC: one message per quantity, all joints flattened, quaternions w x y z. No sockets here.

What its tools (and Max, Pd and Python patches made for them) read: `/mocap/<n>/joint/rot_local` and friends, or the
older `/mocap/joint/rot_local`, one unbundled datagram per message, no names, no time; the joints are in skeleton order.
Peer: https://github.com/bisnad (MotionDuet and relatives), ports 9004 and 9007 by habit.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from motion import kinematics
from motion.skeleton import Array, Skeleton
from server.protocols import osc
from server.protocols.frames import PoseFrame

QUANTITIES = {"rot_local": 4, "pos_world": 3, "rot_world": 4, "pos_local": 3}

_WXYZ = [3, 0, 1, 2]


class AiToolboxEncoder:
    """Frames of one actor to one datagram per quantity.

    number: <n> in the address, None for the older form without one. scale: lengths are multiplied by it (100 for
    receivers that expect centimetres). Raises ValueError for a quantity that is not in QUANTITIES, or a skeleton of so
    many joints that one does not fit in 1,472 bytes.
    """

    def __init__(
        self,
        skeleton: Skeleton,
        number: int | None = 0,
        scale: float = 1.0,
        quantities: Sequence[str] = ("rot_local", "pos_world", "rot_world", "pos_local"),
    ) -> None:
        strangers = [name for name in quantities if name not in QUANTITIES]
        if strangers:
            raise ValueError(f"no quantity {', '.join(strangers)}; choose from {', '.join(QUANTITIES)}")
        self._skeleton = skeleton
        self._scale = scale
        self._quantities = tuple(quantities)
        actor = "" if number is None else f"{number}/"
        messages: list[osc.Message] = []
        count = 0
        for name in self._quantities:
            width = QUANTITIES[name] * len(skeleton)
            slots = tuple(osc.Slot(count + k) for k in range(width))
            messages.append((f"/mocap/{actor}joint/{name}", slots))
            count += width
        self._template = osc.Template(messages, bundle=False)

    def encode(self, frame: PoseFrame) -> list[bytes]:
        """One frame. Raises ValueError when it has other joints than the encoder's skeleton."""
        if len(frame.skeleton) != len(self._skeleton):
            raise ValueError(f"this output sends {len(self._skeleton)} joints, the frame has {len(frame.skeleton)}")
        return self._template.fill(np.concatenate([self._numbers(name, frame) for name in self._quantities]))

    def _numbers(self, quantity: str, frame: PoseFrame) -> Array:
        if quantity == "rot_local":
            numbers = frame.rotations[:, _WXYZ]
        elif quantity == "rot_world":
            numbers = kinematics.local_to_global(frame.skeleton, frame.rotations)[:, _WXYZ]
        elif quantity == "pos_world":
            numbers = self._scale * kinematics.global_positions(frame.skeleton, frame.root_position, frame.rotations)
        else:
            numbers = self._scale * np.vstack([frame.root_position, frame.skeleton.offsets[1:]])
        return numbers.ravel()
