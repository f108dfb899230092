"""The file that `training.prepare_amass` writes (.h5): AMASS clips as joints, with the seed's two parts.

    train/000000   joints (T, 21, 3) float32 metres, relative to the root, world axes, Y up
                   root (T, 3) float32 metres      rotations (T, 22, 4) float32, local, xyzw
                   attributes: name, subset, gender, fps, sha256
    test/000000 ...
The file's own attributes: format, names (of 22 joints, the root first), parents, made_by; bodies/GENDER holds the
offsets (22, 3) of each body that occurs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from motion.clip import Clip
from motion.skeleton import Skeleton

FORMAT = "pas de deux, AMASS joints, 1"
PARTS = ("train", "test")


@dataclass(frozen=True)
class AmassClip:
    """One recording. joints (T, 21, 3): relative to root (T, 3), metres, float32; clip: the same as rotations."""

    name: str
    subset: str
    gender: str
    sha256: str
    joints: np.ndarray
    clip: Clip

    def __len__(self) -> int:
        return len(self.clip)


def read_clips(path: str | Path, part: str = "train", shortest: int = 2) -> Iterator[AmassClip]:
    """The clips of one part, in order, those with fewer frames than `shortest` left out.

    Raises ValueError for a file that `training.prepare_amass` did not write and for a part that is none; OSError.
    """
    path = Path(path)
    if part not in PARTS:
        raise ValueError(f"no part {part!r}; choose one of {', '.join(PARTS)}")
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}; `python -m training.prepare_amass DIR {path.name}` makes one")
    try:
        file = h5py.File(path)
    except OSError:
        raise ValueError(f"{path} is no HDF5 file; `python -m training.prepare_amass` makes one") from None
    with file:
        if file.attrs.get("format") != FORMAT:
            raise ValueError(f"{path}: not written by training.prepare_amass: format {file.attrs.get('format')!r}")
        names, parents = tuple(map(str, file.attrs["names"])), tuple(int(parent) for parent in file.attrs["parents"])
        bodies = {gender: Skeleton(names, parents, offsets[()]) for gender, offsets in file["bodies"].items()}
        for entry in file[part].values():
            if len(entry["root"]) >= shortest:
                yield _clip(entry, bodies)


def _clip(entry: h5py.Group, bodies: dict[str, Skeleton]) -> AmassClip:
    about = entry.attrs
    gender = str(about["gender"])
    root, rotations = entry["root"][()].astype(np.float64), entry["rotations"][()].astype(np.float64)
    clip = Clip(bodies[gender], float(about["fps"]), root, rotations)
    return AmassClip(str(about["name"]), str(about["subset"]), gender, str(about["sha256"]), entry["joints"][()], clip)
