"""A pose and a clip: one frame, and frames at a fixed rate, of one skeleton. Values, never changed in place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from motion.skeleton import Array, Skeleton


@dataclass(frozen=True, eq=False)
class Pose:
    """One frame: root_position (3,) metres in the world, rotations (J, 4) local unit quaternions xyzw."""

    skeleton: Skeleton
    root_position: Array
    rotations: Array


@dataclass(frozen=True, eq=False)
class Clip:
    """Frames at a fixed rate: root_positions (T, 3) metres, rotations (T, J, 4) local unit quaternions xyzw.

    Raises ValueError when the shapes disagree or the rate is not positive.
    """

    skeleton: Skeleton
    fps: float
    root_positions: Array = field(repr=False)
    rotations: Array = field(repr=False)

    def __post_init__(self) -> None:
        frames, joints = len(self.root_positions), len(self.skeleton)
        if self.root_positions.shape != (frames, 3) or self.rotations.shape != (frames, joints, 4):
            raise ValueError(
                f"a clip of {joints} joints needs root_positions (T, 3) and rotations (T, {joints}, 4); "
                f"got {self.root_positions.shape} and {self.rotations.shape}"
            )
        if not self.fps > 0:
            raise ValueError(f"fps must be positive, not {self.fps}")

    def __len__(self) -> int:
        return len(self.root_positions)

    def __getitem__(self, frames: slice) -> Clip:
        return Clip(self.skeleton, self.fps, self.root_positions[frames], self.rotations[frames])

    def __iter__(self) -> Iterator[Pose]:
        return (self.pose(frame) for frame in range(len(self)))

    def pose(self, frame: int) -> Pose:
        return Pose(self.skeleton, self.root_positions[frame], self.rotations[frame])

    @property
    def seconds(self) -> float:
        return len(self) / self.fps
