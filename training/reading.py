"""One recording -> tracks: what a model is given of a dancer, and what it should have said.

Given is the raw take through the causal filter it meets on stage; the truth is filtered with zero phase, may be
repaired and stands on the floor. Each good range is filtered by itself, so nothing leaks in from the bad parts around
it. What was read, cleaned and dropped on the way is kept as plain facts, for the report and the cache.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motion import clean, kinematics
from motion.clip import Clip
from motion.load import LoadedClip, load_clip, on_skeleton
from motion.profiles import SkeletonMismatch, detect
from motion.retarget import Retargeter
from motion.skeleton import HUMANOID, Array, Skeleton

_PIECE = 2048  # frames
SAME_RATE = 0.01  # rates that differ less are one rate, written differently


@dataclass(frozen=True)
class Track:
    """One dancer in one take. given (T, J, 3): causal input positions; root (T, 3), rotations (T, J, 4): the truth."""

    file: str
    sha256: str
    given: np.ndarray
    root: np.ndarray
    rotations: np.ndarray

    def __len__(self) -> int:
        return len(self.root)

    def __getitem__(self, frames: slice) -> Track:
        return Track(self.file, self.sha256, self.given[frames], self.root[frames], self.rotations[frames])


@dataclass(frozen=True)
class Recording:
    """A file as read, in metres on the body that models are trained on, before any filter."""

    file: str
    sha256: str
    clip: Clip
    note: str
    unmapped: tuple[str, ...]  # joints that no joint of the body follows


@dataclass(frozen=True)
class Treatment:
    """How a recording becomes tracks. parts: first and last frame, not included, at `counted_at` frames a second."""

    parts: tuple[tuple[int, int], ...]
    counted_at: float
    drop_first: int
    fps: float
    repair: bool
    on_floor: bool


def read(path: Path, sha256: str, scale: str | float, skeleton: str, body: Skeleton | None) -> Recording:
    """Read a recording and put it on `body`; None: leave it on its own, without end joints.

    Raises ValueError that begins with the file's name, and OSError.
    """
    loaded = load_clip(path, scale, skeleton or None)
    own, note = _without_ends(loaded.clip), loaded.note
    if body is None:
        return Recording(path.name, sha256, own, note, ())
    if body is not HUMANOID:
        _same_joints(path.name, own.skeleton, body)
        if not _standard(body):
            return Recording(path.name, sha256, _resized(own, body), note, ())
    try:
        on = on_skeleton(loaded if body is HUMANOID else LoadedClip(own, note), body)
        unmapped = Retargeter(own.skeleton, body).unmapped
    except SkeletonMismatch as error:
        raise ValueError(f"{path.name}: {error}; `skeleton: native` trains on the joints of the files") from None
    return Recording(path.name, sha256, on.clip, on.note, unmapped)


def treat(recording: Recording, treatment: Treatment) -> tuple[list[Track], dict[str, Any]]:
    """A track of every part, and plain facts of what was done. A part beyond the end gives what there is of it.

    Raises ValueError when too little is left of a part.
    """
    whole, fps = recording.clip, recording.clip.fps
    rate = 1.0 if _same(fps, treatment.counted_at) else fps / treatment.counted_at
    tracks, facts, dropped = [], _facts(recording), 0
    for first, last in treatment.parts:
        kept = max(first, treatment.drop_first)
        dropped += min(kept, last) - first
        begin = int(np.floor(kept * rate + 1e-6))
        clip = whole[begin : min(round(last * rate), len(whole))]
        if len(clip) < 2:
            where = f" of frames {first}..{last}" if len(treatment.parts) > 1 or first else ""
            raise ValueError(
                f"{recording.file}: {len(clip)} frames are left{where} after dropping the first {treatment.drop_first}"
            )
        mended, repair = clean.repair(clip)
        facts["glitch_frames"] += repair.glitches
        late = (kept * rate - begin) / fps if rate != 1.0 else 0.0  # the part begins between two frames
        given = _at(clean.trailing_median(clip), treatment.fps, late)
        truth = _at(clean.smooth_truth(mended if treatment.repair else clip), treatment.fps, late)
        tracks.append(
            Track(
                recording.file,
                recording.sha256,
                _positions(given.skeleton, given.root_positions, given.rotations),
                truth.root_positions,
                truth.rotations,
            )
        )
        facts["parts"].append([first, last])
        facts["rate"] = truth.fps
        facts["resampled"] = bool(late) or not _same(fps, treatment.fps)
    if treatment.on_floor:
        facts["floor_shift"] = _stand(tracks, whole.skeleton)
    facts |= {"dropped_first": dropped, "repaired": treatment.repair, "track_frames": [len(track) for track in tracks]}
    return tracks, facts


def _facts(recording: Recording) -> dict[str, Any]:
    clip = recording.clip
    return {
        "file": recording.file,
        "sha256": recording.sha256,
        "note": recording.note,
        "unmapped": list(recording.unmapped),
        "frames": len(clip),
        "fps": clip.fps,
        "skeleton": clip.skeleton.to_dict(),
        "parts": [],
        "glitch_frames": 0,
        "floor_shift": 0.0,
    }


def _stand(tracks: list[Track], skeleton: Skeleton) -> float:
    """Shifts the truth, in place, so that the lower foot stands as high as at rest (its 10th percentile: real takes
    sink); one shift for all parts of a take. Returns it in metres.
    """
    joints, height = _feet(skeleton)
    lowest = [_positions(skeleton, track.root, track.rotations)[:, joints, 1].min(axis=1) for track in tracks]
    shift = float(height - np.percentile(np.concatenate(lowest), 10))
    for track in tracks:
        track.root[:, 1] += shift
    return shift


def _positions(skeleton: Skeleton, root: Array, rotations: Array) -> NDArray[np.float32]:
    """Joint positions (T, J, 3) in the world; in pieces, because on the way they take forty times their memory."""
    positions = np.empty((len(root), len(skeleton), 3), dtype=np.float32)
    for first in range(0, len(root), _PIECE):
        piece = slice(first, first + _PIECE)
        positions[piece] = kinematics.global_positions(skeleton, root[piece], rotations[piece])
    return positions


def _feet(skeleton: Skeleton) -> tuple[list[int], float]:
    """The joints that stand, and how high they are when they do; all joints of a body that is not known, at 0."""
    try:
        _, roles = detect(skeleton.names)
    except SkeletonMismatch:
        return list(range(len(skeleton))), 0.0
    kind = "Toes" if {"LeftToes", "RightToes"} <= roles.keys() else "Foot"
    height = HUMANOID.rest_positions[HUMANOID.index(f"Left{kind}"), 1]
    return [roles[f"Left{kind}"], roles[f"Right{kind}"]], float(height)


def _at(clip: Clip, fps: float, late: float) -> Clip:
    return clip if not late and _same(clip.fps, fps) else clean.resample(clip, fps, late)


def _same(one: float, other: float) -> bool:
    return abs(one - other) < SAME_RATE * one


def _without_ends(clip: Clip) -> Clip:
    """The clip without the tips of its bones, which never turn."""
    skeleton = clip.skeleton
    ends = [
        joint not in skeleton.parents
        and parent >= 0
        and skeleton.names[joint].startswith(f"{skeleton.names[parent]}_end")
        for joint, parent in enumerate(skeleton.parents)
    ]
    kept = [joint for joint, end in enumerate(ends) if not end]
    place = {joint: new for new, joint in enumerate(kept)}
    smaller = Skeleton(
        tuple(skeleton.names[joint] for joint in kept),
        tuple(place.get(skeleton.parents[joint], -1) for joint in kept),
        skeleton.offsets[kept],
    )
    return Clip(smaller, clip.fps, clip.root_positions, clip.rotations[:, kept])


def _same_joints(file: str, own: Skeleton, body: Skeleton) -> None:
    if own.topology_hash == body.topology_hash:
        return
    more, less = ([n for n in a.names if n not in b.names] for a, b in ((own, body), (body, own)))
    different = "; ".join(
        f"only {where}: {', '.join(names[:8])}{' ...' if len(names) > 8 else ''}"
        for where, names in (("here", more), ("there", less))
        if names
    )
    raise ValueError(
        f"{file}: its skeleton has {len(own)} joints, that of the first recording {len(body)}"
        f" ({different or 'the same names, in another order or hierarchy'}); one model has one body: "
        "`skeleton: humanoid` puts all of them on the standard one"
    )


def _standard(body: Skeleton) -> bool:
    """Whether poses can be put on a body by the names of its joints."""
    try:
        return detect(body.names)[1]["Hips"] == 0
    except SkeletonMismatch:
        return False


def _resized(clip: Clip, body: Skeleton) -> Clip:
    """The same rotations on the same joints of other lengths; the path shrinks or grows with the body."""
    sizes = [float(np.linalg.norm(skeleton.offsets[1:], axis=-1).sum()) for skeleton in (body, clip.skeleton)]
    return Clip(body, clip.fps, clip.root_positions * (sizes[0] / sizes[1] if sizes[1] else 1.0), clip.rotations)
