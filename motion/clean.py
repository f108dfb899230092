"""Recordings made clean: glitches and gaps repaired, resampled, smoothed. Clip -> Clip, values only.

Two smoothers with two purposes. `smooth_truth` is zero-phase: it looks ahead, so it is for what a model is scored
against and never for what it is given. `trailing_median` sees only the past: the same on a clip and, frame by frame,
live (`TrailingMedian`), so a model meets in training what it meets on stage.
Nothing here drops frames unasked: cgspeed's takes blend in over about 10 frames, which `lead_in` finds.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from motion import rotations as rot
from motion.clip import Clip
from motion.kinematics import global_positions
from motion.skeleton import Array, Skeleton

Mask = NDArray[np.bool_]

TRUTH_CUTOFF_HZ = 20.0
LEAD_IN_SPEED = 8.0  # m/s


# What no dancer does. Fast people: hips 1,100 deg/s in a spin, shoulders and feet 2,000; a sprint is 10 m/s.
JOINT_SPEED = np.radians(2400.0)  # rad/s
JOINT_ACCELERATION = np.radians(80_000.0)  # rad/s²: 2.8 degrees off the neighbours' middle at 120 fps
ROOT_SPEED = 12.0  # m/s
ROOT_ACCELERATION = 300.0  # m/s²
_BRIDGE_SECONDS = 0.1  # what lies between two glitches this close belongs to them: swapped markers swap back
_SOFT_SECONDS = 0.025


@dataclass(frozen=True)
class Repair:
    """What `repair` did: how many of the frames it changed somewhere, for a glitch or for a gap (non-finite values)."""

    frames: int
    glitches: int
    gaps: int

    @property
    def glitch_fraction(self) -> float:
        return self.glitches / self.frames if self.frames else 0.0


def repair(clip: Clip) -> tuple[Clip, Repair]:
    """Interpolate what no body did: gaps (non-finite values, zero quaternions) and jumps.

    A joint that turns faster than JOINT_SPEED or JOINT_ACCELERATION allow is a jump; its whole limb is interpolated
    over the jump (the solver spread the error along it), and everything when the root jumped. Every other frame keeps
    its values. Glitches at either end hold the nearest good pose; the lead-in of a recording is not dropped here.
    """
    if len(clip) == 0:
        return clip, Repair(0, 0, 0)
    root, rotations = np.array(clip.root_positions), np.array(clip.rotations)
    root_gaps: Mask = np.asarray(~np.isfinite(root).all(axis=-1))  # (T,)
    gaps = ~(np.linalg.norm(np.nan_to_num(rotations, nan=0.0, posinf=0.0, neginf=0.0), axis=-1) > 1e-6)  # (T, J)
    gaps |= ~np.isfinite(rotations).all(axis=-1)
    root = _fill_positions(root, root_gaps)
    rotations = _fill_rotations(rotations, gaps)

    step = rot.multiply(rot.inverse(rotations[:-1]), rotations[1:])
    turned = _jumps(rot.to_vector(step), clip.fps, JOINT_SPEED, JOINT_ACCELERATION)
    moved = _jumps(np.diff(root, axis=0)[:, None], clip.fps, ROOT_SPEED, ROOT_ACCELERATION)[:, 0]
    everything = _bridged(moved | turned[:, 0], clip.fps)
    glitches = np.zeros_like(turned)
    for limb in _limbs(clip.skeleton):
        glitches[:, limb] = (_bridged(np.asarray(turned[:, limb].any(axis=1)), clip.fps) | everything)[:, None]
    report = Repair(len(clip), int(glitches.any(axis=1).sum()), int((gaps.any(axis=1) | root_gaps).sum()))
    root = _fill_positions(root, everything)
    rotations = _fill_rotations(rotations, glitches)
    return Clip(clip.skeleton, clip.fps, root, rotations), report


def resample(clip: Clip, fps: float, start: float = 0.0) -> Clip:
    """The clip at another rate: slerp and linear interpolation between the two nearest frames.

    Starts `start` seconds after the first frame and never reaches past the last.
    """
    if len(clip) < 2 or (fps == clip.fps and not start):
        return Clip(clip.skeleton, fps, clip.root_positions, clip.rotations)
    last = (len(clip) - 1) / clip.fps
    times = start + np.arange(int(np.floor(max(last - start, 0.0) * fps + 1e-6)) + 1) / fps
    place = np.clip(times * clip.fps, 0.0, len(clip) - 1)
    before = np.minimum(place.astype(np.intp), len(clip) - 2)
    t = place - before
    root = clip.root_positions[before] * (1 - t[:, None]) + clip.root_positions[before + 1] * t[:, None]
    rotations = rot.slerp(clip.rotations[before], clip.rotations[before + 1], t[:, None])
    return Clip(clip.skeleton, fps, root, rot.continuous(rotations))


def smooth_truth(clip: Clip, cutoff_hz: float = TRUTH_CUTOFF_HZ) -> Clip:
    """Ground truth for training and scores: median of 5, then a zero-phase 4th-order Butterworth low-pass.

    On root positions and on the components of sign-continuous quaternions. Looks ahead: never for a model's input.
    A clip too slow or too short for the filter gets the median alone.
    """
    # Imported here because scipy.signal takes most of a second, and the live server never smooths.
    from scipy.ndimage import median_filter
    from scipy.signal import butter, sosfiltfilt

    rotations = median_filter(rot.continuous(clip.rotations), size=(5, 1, 1), mode="nearest")
    root = median_filter(clip.root_positions, size=(5, 1), mode="nearest")
    if cutoff_hz < 0.49 * clip.fps and len(clip) > 16:
        low_pass = butter(4, cutoff_hz, fs=clip.fps, output="sos")
        rotations = sosfiltfilt(low_pass, rotations, axis=0, padlen=15)
        root = sosfiltfilt(low_pass, root, axis=0, padlen=15)
    return Clip(clip.skeleton, clip.fps, root, rot.normalize(rotations))


def median_taps(dt: float) -> int:
    """Frames in the trailing median for a frame time in seconds: 5 from 90 fps on, 3 from 45, else 1 (nothing)."""
    return 5 if dt <= 1 / 89.5 else 3 if dt <= 1 / 44.5 else 1


def trailing_median(clip: Clip) -> Clip:
    """Each frame replaced by the median of itself and the frames just before: kills single-frame glitches, causally.

    Exactly what `TrailingMedian` gives when fed the frames one by one at the clip's rate.
    """
    smoother = TrailingMedian()
    steps = [smoother.step(pose.root_position, pose.rotations, 1.0 / clip.fps) for pose in clip]
    if not steps:
        return clip
    return Clip(clip.skeleton, clip.fps, np.stack([s[0] for s in steps]), np.stack([s[1] for s in steps]))


class TrailingMedian:
    """The causal median, live. It delays by up to (taps - 1) / 2 frames, 17 ms at most."""

    def __init__(self) -> None:
        self._window: deque[Array] = deque(maxlen=5)
        self._dts: deque[float] = deque(maxlen=9)

    def reset(self) -> None:
        self._window.clear()
        self._dts.clear()

    def step(self, root_position: Array, rotations: Array, dt: float) -> tuple[Array, Array]:
        """root_position (3,), rotations (J, 4), dt seconds since the previous frame -> the same, smoothed."""
        joints = len(rotations)
        frame = np.empty((joints + 1, 4))
        frame[:joints] = rotations
        frame[joints, :3] = root_position
        frame[joints, 3] = 1.0
        if self._window and len(self._window[-1]) == joints + 1:
            flips = np.einsum("jk,jk->j", frame[:joints], self._window[-1][:joints]) < 0.0
            frame[:joints][flips] *= -1.0
        else:
            self._window.extend([frame] * 5)
            self._dts.clear()
        self._window.append(frame)
        self._dts.append(dt)
        taps = median_taps(sorted(self._dts)[len(self._dts) // 2])
        if taps > 1:
            frame = _middle(*list(self._window)[-taps:])
        quaternions = frame[:joints]
        return frame[joints, :3].copy(), quaternions / np.sqrt(np.einsum("jk,jk->j", quaternions, quaternions))[:, None]


def _middle(first: Array, second: Array, third: Array, *more: Array) -> Array:
    """The elementwise median of 3 or 5 arrays: a few minima and maxima cost a third of a sort."""
    low, high = np.minimum(first, second), np.maximum(first, second)
    if more:  # drop the least and the greatest of four, and the median of 3 is left
        low, high = np.maximum(low, np.minimum(*more)), np.minimum(high, np.maximum(*more))
        low, high = np.minimum(low, high), np.maximum(low, high)
    return np.maximum(low, np.minimum(high, third))


def lead_in(clip: Clip) -> int:
    """How many frames at the start belong to an exporter's blend-in; training takes `clip[lead_in(clip):]`.

    cgspeed's takes start in a rest pose and reach the dancer in 4 steps faster than anybody moves, then ring for 5.
    """
    head = clip[: int(0.25 * clip.fps) + 1]
    positions = global_positions(clip.skeleton, head.root_positions, head.rotations)
    speeds = np.linalg.norm(np.diff(positions, axis=0), axis=-1).max(axis=-1) * clip.fps
    slow = np.flatnonzero(speeds < LEAD_IN_SPEED)
    fast = int(slow[0]) if len(slow) else 0
    return fast + round(0.05 * clip.fps) if fast else 0


def _jumps(steps: Array, fps: float, speed: float, acceleration: float) -> Mask:
    """Which frames (T, J) stand beside a step (T-1, J, 3) too fast, or between two too different."""
    bad = np.zeros((len(steps) + 1, *steps.shape[1:2]), dtype=bool)
    fast = np.linalg.norm(steps, axis=-1) * fps > speed
    bad[:-1] |= fast
    bad[1:] |= fast
    bad[1:-1] |= np.linalg.norm(np.diff(steps, axis=0), axis=-1) * fps**2 > acceleration
    return bad


def _bridged(bad: Mask, fps: float) -> Mask:
    """`bad` (T,) with short good stretches between bad ones called bad too, and long bad ones widened at both ends."""
    bad = bad.copy()
    frames = np.flatnonzero(bad)
    for before, after in pairwise(frames):
        if after - before <= max(1.0, _BRIDGE_SECONDS * fps):
            bad[before:after] = True
    edges = np.flatnonzero(np.diff(bad, prepend=False, append=False))
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        if stop - start > 3:  # more than one wrong frame and its neighbours: a swap, which starts and ends softly
            margin = round(_SOFT_SECONDS * fps)
            bad[max(0, start - margin) : stop + margin] = True
    return bad


def _limbs(skeleton: Skeleton) -> list[list[int]]:
    """Joints grouped by the branch they hang on: the root alone, then what lies between one fork and the next."""
    children = [skeleton.parents.count(joint) for joint in range(len(skeleton))]
    group: list[int] = []
    for joint, parent in enumerate(skeleton.parents):
        group.append(joint if parent <= 0 or children[parent] > 1 else group[parent])
    return [[j for j, g in enumerate(group) if g == limb] for limb in sorted(set(group))]


def _fill_positions(values: Array, bad: Mask) -> Array:
    good = np.flatnonzero(~bad)
    if len(good) in (0, len(bad)):
        return np.where(bad[:, None], 0.0, values)
    frames = np.arange(len(values))
    return np.stack([np.interp(frames, good, values[good, axis]) for axis in range(3)], axis=-1)


def _fill_rotations(values: Array, bad: Mask) -> Array:
    """Sign-continuous unit rotations (T, J, 4), the bad ones (T, J) slerped between their good neighbours."""
    values = np.array(values)
    frames = np.arange(len(values))
    for joint in np.flatnonzero(bad.any(axis=0)):
        good = np.flatnonzero(~bad[:, joint])
        if len(good) == 0:
            values[:, joint] = rot.IDENTITY
            continue
        holes = np.flatnonzero(bad[:, joint])
        after = np.clip(np.searchsorted(good, frames[holes]), 0, len(good) - 1)
        before = np.clip(after - 1, 0, None)
        a, b = good[before], good[after]
        early = holes < good[0]
        a = np.where(early, b, a)
        late = holes > good[-1]
        a = np.where(late, good[-1], a)
        b = np.where(late, good[-1], b)
        t = np.where(b > a, (holes - a) / np.maximum(b - a, 1), 0.0)
        values[holes, joint] = rot.slerp(values[a, joint], values[b, joint], t)
    return rot.continuous(rot.normalize(values))
