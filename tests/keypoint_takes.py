"""Motion as a perfect detector would see it: the points of HUMANOID's body, carried by its joints."""

from functools import lru_cache

from motion.clip import Clip
from motion.load import load_humanoid


@lru_cache(maxsize=1)
def demo() -> Clip:
    """Twelve seconds of the demo's dancer, 60 frames a second."""
    return load_humanoid("presets/clips/demo_dancer.bvh").clip[:720]
