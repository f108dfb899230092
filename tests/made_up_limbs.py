"""A body with bent limbs, for tests of what limbs do."""

import numpy as np

from motion import kinematics
from motion import rotations as rot
from motion.clip import Clip
from motion.skeleton import HUMANOID


def crouched(frames: int, fps: float = 60.0) -> Clip:
    """Bent knees and elbows, toes 2 cm over the floor; drifts to the left at 0.1 m/s without stepping."""
    rotations = np.tile(rot.IDENTITY, (frames, len(HUMANOID), 1))
    for side in ("Left", "Right"):
        for bone, angle in (("UpperLeg", -0.5), ("LowerLeg", 1.0), ("Foot", -0.5)):
            rotations[:, HUMANOID.index(side + bone)] = rot.from_euler("X", np.array([angle]))
    for side, angle in (("Left", -1.6), ("Right", 1.6)):
        rotations[:, HUMANOID.index(f"{side}LowerArm")] = rot.from_euler("Y", np.array([angle]))
    root = np.zeros((frames, 3))
    root[:, 0] = 0.1 * np.arange(frames) / fps
    feet = kinematics.global_positions(HUMANOID, root, rotations)[0, HUMANOID.index("LeftToes"), 1]
    root[:, 1] += 0.02 - feet
    return Clip(HUMANOID, fps, root, rotations)
