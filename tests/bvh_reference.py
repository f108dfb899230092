"""A small BVH file that every variant is held against, and when two clips are the same."""

import numpy as np
import pytest

from motion import rotations as rot
from motion.clip import Clip

REFERENCE = """HIERARCHY
ROOT Hips
{
  OFFSET 0.0 0.0 0.0
  CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
  JOINT Spine
  {
    OFFSET 0.0 10.5 0.0
    CHANNELS 3 Zrotation Xrotation Yrotation
    End Site
    {
      OFFSET 0.0 10.0 0.5
    }
  }
}
MOTION
Frames: 2
Frame Time: 0.0333333
-20.5 -17.0 -14.0 -11.0 -8.0 -5.0 -2.0 1.0 4.25
-13.5 -10.0 -7.0 -4.0 -1.0 2.0 5.0 8.0 11.25
"""


def assert_same(a: Clip, b: Clip, atol: float) -> None:
    assert (a.skeleton.names, a.skeleton.parents) == (b.skeleton.names, b.skeleton.parents)
    np.testing.assert_allclose(a.skeleton.offsets, b.skeleton.offsets, atol=atol)
    np.testing.assert_allclose(a.root_positions, b.root_positions, atol=atol)
    assert rot.angle(a.rotations, b.rotations).max() < atol
    assert a.fps == pytest.approx(b.fps, rel=1e-6)
