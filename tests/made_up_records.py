"""What goes into a recording, made up."""

import numpy as np

from motion import rotations as rot
from motion.skeleton import HUMANOID
from server.protocols.frames import PoseFrame
from server.recording import About


def about(whole: bool = True) -> About:
    return About(
        begun="", clock=0.0, whole=whole, preset="", text="", seed=1, fps=60.0, files={}, versions={}, dancers={}
    )


def pose(number: int = 0, actor: str = "dancer1", sender_time: float | None = 0.1) -> PoseFrame:
    rotations = np.tile(rot.IDENTITY, (len(HUMANOID), 1))
    return PoseFrame(HUMANOID, np.array([-0.0, 0.9, 0.1 * number]), rotations, sender_time, 1 / 3, number, actor)
