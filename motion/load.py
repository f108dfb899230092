"""One door for recordings: a path -> a clip in metres, by suffix. Each format's own file knows the format."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from motion.bvh import read_bvh
from motion.clip import Clip
from motion.retarget import Retargeter
from motion.skeleton import HUMANOID

READERS: dict[str, Callable[[Path, str | float], tuple[Clip, str]]] = {
    ".bvh": read_bvh,
}


@dataclass(frozen=True)
class LoadedClip:
    """A clip in metres, Y up, and a sentence on what reading it assumed (scale, axes, folded joints)."""

    clip: Clip
    note: str


def load_clip(path: str | Path, scale: str | float = "auto") -> LoadedClip:
    """Read a recording on its own skeleton.

    scale: metres per file unit, or "auto". Raises ValueError (a broken file, an unknown suffix) and OSError.
    """
    path = Path(path)
    try:
        read = READERS[path.suffix.lower()]
    except KeyError:
        raise ValueError(f"{path.name}: no reader for {path.suffix!r}; known: {', '.join(sorted(READERS))}") from None
    return LoadedClip(*read(path, scale))


def load_humanoid(path: str | Path, scale: str | float = "auto") -> LoadedClip:
    """Read a recording and put it on HUMANOID. Raises as `load_clip`, and SkeletonMismatch for unknown joint names."""
    loaded = load_clip(path, scale)
    retargeter = Retargeter(loaded.clip.skeleton, HUMANOID)
    note = f"{loaded.note}; {retargeter.profile} joints, root x{retargeter.scale:.3f}"
    return LoadedClip(retargeter.clip(loaded.clip), note)
