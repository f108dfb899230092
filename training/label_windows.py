"""Windows of recordings for a person to label: cut side by side, in an order that is random and always the same.

Windows of a take do not overlap, so their labels cannot contradict each other, and takes take turns: whoever stops
early has labelled something of each. Recordings are read as training reads them (cleaned, on HUMANOID, on the floor);
clips that are to be recognised blind are shown as they are, and whole. No page here, and no labels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path

import numpy as np

from motion import rotations as rot
from motion.ground_frames import GroundFrame, facing
from motion.kinematics import forward
from motion.load import READERS, load_humanoid
from motion.skeleton import HUMANOID, Array
from training import reading

DIGITS = 4  # of seconds in a file


@dataclass(frozen=True, eq=False)
class Window:
    """A part of a take on HUMANOID: root (T, 3), rotations (T, 22, 4) at fps; start and end are seconds of the file."""

    take: str
    start: float
    end: float
    fps: float
    root: Array
    rotations: Array

    @property
    def seconds(self) -> float:
        return len(self.root) / self.fps


@dataclass(frozen=True)
class Cut:
    """How takes become windows: so many frames at fps; the first frames of a file, at its own rate, are left out."""

    frames: int = 40
    fps: float = 30.0
    drop_first: int = 10
    scale: float | str = "auto"

    def __post_init__(self) -> None:
        if self.frames < 2 or not self.fps > 0 or self.drop_first < 0:
            raise ValueError(
                f"a window of {self.frames} frames must have 2 or more, fps {self.fps:g} be above 0, "
                f"and drop-first {self.drop_first} 0 or more"
            )


def of_folder(folder: Path, cut: Cut, seed: int) -> tuple[list[Window], list[str]]:
    """All windows of the recordings in a folder, in order, and a line for every file that has none to give.

    Raises ValueError when no file has.
    """
    takes, faults = _each(folder, lambda path: _windows(path, cut))
    random = np.random.default_rng(seed)
    turns = [[windows[place] for place in random.permutation(len(windows))] for windows in takes]
    turns = [turns[place] for place in random.permutation(len(turns))]
    return [window for window in chain.from_iterable(zip_longest(*turns)) if window is not None], faults


def of_blind(folder: Path, seed: int) -> tuple[list[Window], list[str]]:
    """Every clip of a folder as one window, in a random order. Raises as `of_folder`."""
    clips, faults = _each(folder, lambda path: [_whole(path)])
    return [clips[place][0] for place in np.random.default_rng(seed).permutation(len(clips))], faults


def to_the_middle(window: Window) -> tuple[Array, Array]:
    """Root and rotations of a window moved to the middle of the stage; halfway through somebody looks along +Z."""
    half = len(window.root) // 2
    _, matrices = forward(HUMANOID, window.root[half], window.rotations[half])
    middle = 0.5 * (window.root.min(axis=0) + window.root.max(axis=0))
    frame = GroundFrame.at(middle, facing(rot.from_matrix(matrices[0])))
    rotations = window.rotations.copy()
    rotations[:, 0] = frame.turned(rotations[:, 0])
    return frame.points(window.root), rotations


def _each(folder: Path, read: Callable[[Path], list[Window]]) -> tuple[list[list[Window]], list[str]]:
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder")
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in READERS and path.is_file())
    if not paths:
        raise ValueError(f"{folder} has no recordings; formats: {', '.join(sorted(READERS))}")
    found, faults = [], []
    for path in paths:
        try:
            found.append(read(path))
        except (ValueError, OSError) as error:
            said = " ".join(str(error).split())
            faults.append(said if said.startswith(path.name) else f"{path.name}: {said}")
    if not found:
        raise ValueError("\n".join([f"none of the {len(paths)} recordings in {folder} can be used", *faults]))
    return found, faults


def _windows(path: Path, cut: Cut) -> list[Window]:
    recording = reading.read(path, "", cut.scale, "", HUMANOID)
    own_fps = recording.clip.fps
    parts = ((0, len(recording.clip)),)
    whole = reading.Treatment(parts, own_fps, cut.drop_first, cut.fps, repair=True, on_floor=True)
    track = reading.treat(recording, whole)[0][0]
    count = len(track) // cut.frames
    if not count:
        raise ValueError(f"{path.name}: {len(track)} frames at {cut.fps:g} fps are shorter than a window, {cut.frames}")
    begin = cut.drop_first / own_fps
    bounds = np.round(begin + np.arange(count + 1) * cut.frames / cut.fps, DIGITS).tolist()
    return [
        Window(path.name, bounds[place], bounds[place + 1], cut.fps, track.root[frames], track.rotations[frames])
        for place in range(count)
        for frames in [slice(place * cut.frames, (place + 1) * cut.frames)]
    ]


def _whole(path: Path) -> Window:
    clip = load_humanoid(path).clip
    if len(clip) < 2:
        raise ValueError(f"{path.name}: {len(clip)} frames are no movement")
    return Window(path.name, 0.0, round(clip.seconds, DIGITS), clip.fps, clip.root_positions, clip.rotations)
