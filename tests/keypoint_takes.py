"""Motion as a perfect detector would see it: the points of HUMANOID's body, carried by its joints."""

from functools import lru_cache

import numpy as np

from motion.clip import Clip
from motion.keypoint_body import BESIDE, CARRIERS
from motion.kinematics import forward
from motion.load import load_humanoid
from motion.skeleton import HUMANOID


@lru_cache(maxsize=1)
def demo() -> Clip:
    """Twelve seconds of the demo's dancer, 60 frames a second."""
    return load_humanoid("presets/clips/demo_dancer.bvh").clip[:720]


def points_of(root_positions, rotations):
    """(..., 25, 3) metres in the order of POINTS."""
    positions, matrices = forward(HUMANOID, root_positions, rotations)
    return positions[..., CARRIERS, :] + np.einsum("...kij,kj->...ki", matrices[..., CARRIERS, :, :], BESIDE)
