"""One door for recordings: a path -> a clip in metres, by suffix. Each format's own file knows the format."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from motion.amass import read_npz
from motion.bvh import read_bvh
from motion.clip import Clip
from motion.fbx import read_fbx
from motion.retarget import Retargeter
from motion.skeleton import HUMANOID, Skeleton

READERS: dict[str, Callable[[Path, str | float, str | None], tuple[Clip, str]]] = {
    ".bvh": read_bvh,
    ".fbx": read_fbx,
    ".npz": read_npz,
}


@dataclass(frozen=True)
class LoadedClip:
    """A clip in metres, Y up, and a sentence on what reading it assumed (scale, axes, folded joints)."""

    clip: Clip
    note: str


def load_clip(path: str | Path, scale: str | float = "auto", skeleton: str | None = None) -> LoadedClip:
    """Read a recording on its own skeleton.

    scale: metres per file unit, or "auto". skeleton: which one of a file that holds several, by the name of its root;
    the first when None. Raises ValueError (a broken file, an unknown suffix or name) and OSError.
    """
    path = Path(path)
    try:
        read = READERS[path.suffix.lower()]
    except KeyError:
        raise ValueError(f"{path.name}: no reader for {path.suffix!r}; known: {', '.join(sorted(READERS))}") from None
    return LoadedClip(*read(path, scale, skeleton))


def load_humanoid(path: str | Path, scale: str | float = "auto", skeleton: str | None = None) -> LoadedClip:
    """Read a recording and put it on HUMANOID. Raises as `load_clip`, and SkeletonMismatch for unknown joint names."""
    return on_skeleton(load_clip(path, scale, skeleton), HUMANOID)


def on_skeleton(loaded: LoadedClip, target: Skeleton) -> LoadedClip:
    """A recording put on another body, joints found by name. Raises SkeletonMismatch for unknown joint names."""
    retargeter = Retargeter(loaded.clip.skeleton, target)
    note = f"{loaded.note}; {retargeter.profile} joints, root x{retargeter.scale:.3f}"
    return LoadedClip(retargeter.clip(loaded.clip), note)
