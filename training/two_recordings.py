"""Two recordings of a leader and a follower -> two clips of one moment on the standard body, or what is wrong.

Every refusal names the file, what was found in it, and what can be done.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from motion import clean, kinematics
from motion.clip import Clip
from motion.load import LoadedClip, load_clip, on_skeleton
from motion.profiles import SkeletonMismatch
from motion.skeleton import HUMANOID, Array
from motion.units import PLAIN, stature

SHORTEST = 20.0  # seconds
SMALLEST, LARGEST = 1.0, 2.4  # metres of a body
STILL, FASTEST = 0.05, 6.0  # metres that hips travel at least in all; metres a second that they usually have at most
FLOOR = 0.25  # metres that the lower foot's standing height may wander
ALIKE = 0.02  # metres between two bodies' joints, seen from their hips: one person
FAR = 6.0  # metres
_STEPS = 2.0  # seconds within which a foot is down
_FEET = HUMANOID.both_sides("Foot", "Toes")


def read(lead: Path, follow: Path, scale: str = "auto", trim: bool = False) -> tuple[Clip, Clip, list[str]]:
    """Both on HUMANOID at the lead's rate, as long as each other, and lines on what was found.

    scale: metres per unit of the files, or "auto". trim: cut the longer one's end off. Raises ValueError with a line
    for every fault, OSError.
    """
    if lead.resolve() == follow.resolve() or lead.read_bytes() == follow.read_bytes():
        raise ValueError(f"{lead} and {follow} are the same recording; name the leader's file and the follower's")
    loaded = [_load(path, scale) for path in (lead, follow)]
    found = [
        f"{path.name}: {len(one.clip) / one.clip.fps:.1f} s at {one.clip.fps:.4g} fps, {one.note}"
        for path, one in zip((lead, follow), loaded, strict=True)
    ]
    clips = [one.clip for one in loaded]
    faults = [fault for path, clip in zip((lead, follow), clips, strict=True) for fault in _faults(path, clip)]
    if abs(clips[0].fps - clips[1].fps) > 1e-3 * clips[0].fps:
        clips[1] = clean.resample(clips[1], clips[0].fps)
        found.append(f"{follow.name} is resampled to {clips[0].fps:.4g} fps, the rate of {lead.name}")
    seconds = [len(clip) / clip.fps for clip in clips]
    frames = min(map(len, clips))
    if abs(len(clips[0]) - len(clips[1])) > 2 and not trim:
        faults.append(
            f"{lead.name} lasts {seconds[0]:.2f} s and {follow.name} {seconds[1]:.2f} s: they must be one take. If "
            f"they begin at one moment, --trim cuts both at {min(seconds):.2f} s; else cut them to the same moments"
        )
    if min(seconds) < SHORTEST:
        faults.append(
            f"{min(seconds):.1f} s are too short: a partner needs {SHORTEST:.0f} s at least, and has as many moves as "
            "the recording; three minutes are a good beginning"
        )
    clips = [clip[:frames] for clip in clips]
    if frames and not faults and _apart(*clips) < ALIKE:
        faults.append(
            f"{lead.name} and {follow.name} show the same person, moving alike to {100 * ALIKE:.0f} cm; export each "
            "dancer to a file of their own"
        )
    if faults:
        raise ValueError("\n".join(faults))
    distance = float(np.median(np.linalg.norm((clips[0].root_positions - clips[1].root_positions)[:, ::2], axis=-1)))
    found.append(f"the dancers are {distance:.1f} m from each other (median)")
    if distance > FAR:
        found.append(f"that is more than {FAR:.0f} m: were they recorded in one space, with one origin?")
    return clips[0], clips[1], found


def _load(path: Path, scale: str) -> LoadedClip:
    try:
        loaded = load_clip(path, scale)
        standard = on_skeleton(loaded, HUMANOID)
    except SkeletonMismatch as error:
        raise ValueError(f"{path.name}: {error}") from None
    height = stature(loaded.clip.skeleton)
    if not SMALLEST <= height <= LARGEST:
        units = ", ".join(f"{metres:g} ({name})" for name, metres in PLAIN.items())
        raise ValueError(
            f"{path.name}: with scale {scale} the body is {height:.3g} m tall; leave --scale out to have it found, or "
            f"say metres per unit: {units}"
        )
    return standard


def _faults(path: Path, clip: Clip) -> list[str]:
    """What makes a recording of one person useless; one thing, for it may be the reason for others."""
    if len(clip) < clip.fps:
        return [f"{path.name}: {len(clip)} frames, less than a second"]
    root = clip.root_positions
    if not np.isfinite(root).all() or not np.isfinite(clip.rotations).all():
        return [f"{path.name}: some of its numbers are not finite; export it again"]
    if np.ptp(root, axis=0).max() < STILL:
        return [f"{path.name}: its hips never leave their place; export it with the root's movement"]
    speed = float(np.median(np.linalg.norm(np.diff(root, axis=0), axis=-1)) * clip.fps)
    if speed > FASTEST:
        return [
            f"{path.name}: its hips move at {speed:.3g} m/s (median): the root's positions are in another unit than "
            "the bones (centimetres and metres, perhaps); export both in one unit"
        ]
    wanders = _floor(clip)
    if wanders > FLOOR:
        return [
            f"{path.name}: there is no level floor: the height of the lower foot wanders by {wanders:.2f} m (at most "
            f"{FLOOR:g}); export it with the height of the hips, and with Y or Z up"
        ]
    return []


def _floor(clip: Clip) -> float:
    """By how much the height at which the lower foot stands changes in the course of a clip, in metres."""
    step = max(round(clip.fps / 30), 1)
    few = clip[::step]
    lowest = kinematics.global_positions(HUMANOID, few.root_positions, few.rotations)[:, _FEET, 1].min(axis=1)
    length = max(round(_STEPS * clip.fps / step), 1)
    standing = [lowest[first : first + length].min() for first in range(0, max(len(lowest) - length, 0) + 1, length)]
    return float(np.ptp(np.percentile(standing, [5, 95])))


def _apart(lead: Clip, follow: Clip) -> float:
    """The mean distance in metres between the joints of two clips, both put at one place."""
    step = max(len(lead) // 500, 1)
    bodies: list[Array] = []
    for clip in (lead[::step], follow[::step]):
        points = kinematics.global_positions(HUMANOID, clip.root_positions, clip.rotations)
        bodies.append(points - points[:, :1])
    return float(np.linalg.norm(bodies[0] - bodies[1], axis=-1).mean())
