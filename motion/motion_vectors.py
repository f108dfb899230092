"""Half a second of a dance for two as the numbers a mixture model is about: the past in three averages, what comes next
of both, and what is wanted over the next second. Any of them may be known, pinned or bounded.

At RATE frames a second. A body is its root and 12 points beside it; all is seen from the floor under the partner, now,
looking where the partner does, but a dancer's points beside their root are seen as the dancer looks now. Metres; the
two facings are unit vectors times FACING. Rows of the vector are linear in a partner's places on stage, so a plane on
stage is a plane of the vector. `Layout(dancer=False)` is the same for somebody alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from motion import kinematics, reach
from motion import rotations as rot
from motion.ground_frames import GroundFrame, facing
from motion.motion_layout import BESIDE, ENDS, FACING, FUTURE, GROUPS, HORIZON, RATE, Layout, Places, mirrored_places
from motion.reach_goals import Goals, Pin
from motion.skeleton import HUMANOID, Array

__all__ = ["FUTURE", "HORIZON", "RATE", "Layout", "Track", "decode", "encode", "frame_of", "held", "joined", "mirrored"]
__all__ += ["moments", "now_known", "wanted"]
_BESIDE = [HUMANOID.index(name) for name in BESIDE]
_ENDS = [HUMANOID.index(name) for name in ENDS]
_HEAD = HUMANOID.index("Head")


@dataclass(frozen=True, eq=False)
class Track:
    """A body's frames at RATE: root (T, 3) metres, rotations (T, 22, 4) local."""

    root: Array
    rotations: Array

    def __len__(self) -> int:
        return len(self.root)

    @cached_property
    def positions(self) -> Array:
        """(T, 22, 3)"""
        return kinematics.global_positions(HUMANOID, self.root, self.rotations)

    @cached_property
    def facing(self) -> Array:
        """(T,) radians"""
        return facing(self.rotations[:, 0])


def moments(frames: int) -> Places:
    """The frames of a track that have all of a vector's past and future within the track."""
    return np.arange(-GROUPS[0][0], frames - HORIZON, dtype=np.intp)


def frame_of(partner: Track, now: Places) -> GroundFrame:
    """Where a vector of frames `now` (N,) is seen from."""
    return GroundFrame.at(partner.root[now], partner.facing[now])


def encode(layout: Layout, now: Places, partner: Track, dancer: Track | None = None) -> NDArray[np.float32]:
    """The vectors (N, width) of frames `now` (N,), which must be among `moments`.

    Raises ValueError when the layout has a dancer and none is given.
    """
    if layout.dancer and dancer is None:
        raise ValueError("a vector of two needs the dancer's track")
    frame = frame_of(partner, now)
    later = now[:, None] + np.array(FUTURE)
    parts = _history(partner, now, frame, frame)
    coming = [_pose(partner, later, frame, frame, _BESIDE), wanted(partner, now, frame)]
    if layout.dancer and dancer is not None:
        own = frame_of(dancer, now)
        parts += [*_history(dancer, now, frame, own), FACING * _looks(own.yaw - frame.yaw)]
        coming.append(_pose(dancer, later, frame, own, _ENDS))
    return np.concatenate([*parts, *coming], axis=-1).astype(np.float32)


def now_known(
    layout: Layout, partner: Track, dancer: Track | None = None
) -> tuple[NDArray[np.float32], NDArray[np.bool_], GroundFrame]:
    """What the last frame of tracks, 10 frames or longer, knows: values (width,), which of them, and the frame.

    What is to come is not known, and 0.
    """
    if len(partner) <= -GROUPS[0][0]:
        raise ValueError(f"{len(partner)} frames are too few: a history has {1 - GROUPS[0][0]}")
    now = np.array([len(partner) - 1])
    values = encode(layout, now, held(partner), dancer and held(dancer))[0]
    known = np.zeros(layout.width, dtype=np.bool_)
    known[: layout.past] = True
    frame = frame_of(partner, now)
    return np.where(known, values, np.float32(0.0)), known, GroundFrame(frame.origin[0], frame.yaw[0])


def wanted(partner: Track, now: Places, frame: GroundFrame) -> Array:
    """The controls (N, 6): mean root and facing of the frames up to HORIZON, in the frame, and mean head height."""
    ahead = now[:, None] + np.arange(1, HORIZON + 1)
    root = frame.points(partner.root[ahead]).mean(axis=1)
    look = FACING * _looks(partner.facing[ahead] - frame.yaw[:, None]).mean(axis=1)
    head = partner.positions[ahead, _HEAD, 1].mean(axis=1)
    return np.concatenate([root, look, head[:, None]], axis=-1)


def decode(
    layout: Layout, vector: ArrayLike, frame: GroundFrame, rotations: ArrayLike, steps: int = 12
) -> tuple[Array, Array]:
    """The partner's poses at FUTURE, root (4, 3) and local rotations (4, 22, 4) on stage, of one vector (width,).

    rotations (22, 4): the partner's pose now, which says what points do not: feet, hands, twists. Bones keep their
    length and joints their limits, so points are met as nearly as a body can.
    """
    vector = np.asarray(vector, dtype=np.float64)
    block = vector[layout.select("partner.future")].reshape(len(FUTURE), 1 + len(BESIDE), 3)
    root = frame.stage(block[:, :1])[:, 0]
    beside = np.matmul(block[:, 1:], frame.turn.T)
    start = np.repeat(np.asarray(rotations, dtype=np.float64)[None], len(FUTURE), axis=0)
    side = beside[:, BESIDE.index("LeftUpperLeg")]
    turn = np.arctan2(-side[:, 2], side[:, 0]) - facing(start[:, 0])
    start[:, 0] = rot.multiply(rot.yaw(turn), start[:, 0])
    pins = [Pin("Hips", root), *(Pin(name, root + beside[:, place]) for place, name in enumerate(BESIDE))]
    reached = reach.polish(root, start, Goals(pins), steps)
    return reached.root, reached.rotations


def _history(track: Track, now: Places, frame: GroundFrame, own: GroundFrame) -> list[Array]:
    return [
        np.mean(
            [_pose(track, (now + offset)[:, None], frame, own, _BESIDE) for offset in range(first, last + 1)], axis=0
        )
        for first, last in GROUPS
    ]


def _pose(track: Track, at: Places, frame: GroundFrame, own: GroundFrame, joints: list[int]) -> Array:
    """(N, K · 3 · (1 + joints)) at frames (N, K): the root in `frame`, joints beside it as `own` is turned."""
    root, positions = track.root[at], track.positions[at]
    beside = np.matmul(positions[..., joints, :] - root[..., None, :], own.turn[:, None])
    whole = np.concatenate([frame.points(root)[..., None, :], beside], axis=-2)
    return whole.reshape(len(whole), -1)


def _looks(yaw: Array) -> Array:
    return np.stack([np.sin(yaw), np.cos(yaw)], axis=-1)


def held(track: Track) -> Track:
    """The frames, and the last one again for as long as a vector looks ahead."""
    root, rotations = (
        np.concatenate([values, np.repeat(values[-1:], HORIZON, axis=0)]) for values in (track.root, track.rotations)
    )
    return Track(root, rotations)


def mirrored(layout: Layout, vectors: ArrayLike) -> NDArray[np.float32]:
    """The vectors (..., width) of the same dance in a mirror."""
    order, signs = mirrored_places(layout)
    return np.asarray(np.asarray(vectors)[..., order] * signs, dtype=np.float32)


def joined(layout: Layout, tracks: Sequence[tuple[Track, Track | None]], stride: int = 1) -> NDArray[np.float32]:
    """All vectors of pairs of partner and dancer, every `stride` frames."""
    return np.concatenate([encode(layout, moments(len(one))[::stride], one, other) for one, other in tracks])
