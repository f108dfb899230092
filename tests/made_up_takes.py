"""Takes of two made-up dancers, seconds long, for tests of training."""

import numpy as np

from motion import kinematics
from motion import rotations as rot
from motion.clip import Clip
from motion.skeleton import HUMANOID
from training import dataset


def made_up_clip(seconds: float, fps: float, shift: float = 0.0) -> Clip:
    """A body that walks an arc and swings its limbs."""
    now = np.arange(round(seconds * fps)) / fps
    root = np.stack([np.sin(now) + shift, np.full_like(now, 0.88), np.cos(0.5 * now)], axis=-1)
    angles = 0.4 * np.sin(3.0 * now[:, None, None] + np.arange(66).reshape(22, 3))
    rotations = rot.from_euler("ZXY", angles)
    rotations[:, 0] = rot.yaw(0.8 * now)
    return Clip(HUMANOID, fps, root, rotations)


def made_up_pair(name: str = "made up", seconds: float = 4.0) -> dataset.Pair:
    """The same dance whatever the name; the names stand for different recordings."""
    lead, follow = (made_up_clip(seconds, 120, shift) for shift in (0.0, 1.0))
    return dataset.Pair(name, 120.0, _track(lead, f"{name} lead"), _track(follow, f"{name} follow"))


def _track(clip: Clip, file: str) -> dataset.Track:
    given = kinematics.global_positions(HUMANOID, clip.root_positions, clip.rotations).astype(np.float32)
    return dataset.Track(file, f"hash of {file}", given, clip.root_positions, clip.rotations)
