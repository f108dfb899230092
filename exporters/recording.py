"""A show's recording -> BVH files, one for each actor: `python -m exporters.recording DIR --out FOLDER`.

Poses left when frames came, with the gaps and the jitter of a live show; BVH has one rate, so they are resampled by the
time that the dancer's own suit told, and where it told none, or began again, by the time of arrival.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np

from motion import rotations as rot
from motion.bvh import write_bvh
from motion.clip import Clip
from motion.skeleton import Array
from server.protocols.frames import PoseFrame
from server.recording import Recording, RecordingError
from server.records import Pose


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recording", type=Path, help="its folder, or one whose newest recording is meant")
    parser.add_argument("--out", type=Path, required=True, help="the folder for ACTOR.bvh")
    parser.add_argument("--fps", type=_fps, help="frames a second; the preset's if not told")
    options = parser.parse_args(arguments)
    try:
        recording = Recording(options.recording)
        clips = read_clips(recording, options.fps or recording.about.fps)
        if not clips:
            raise ValueError(f"{recording.folder}: nobody danced in this recording")
        options.out.mkdir(parents=True, exist_ok=True)
        for actor, clip in clips.items():
            write_bvh(options.out / f"{actor}.bvh", clip)
            print(f"{options.out / f'{actor}.bvh'}: {len(clip)} frames at {clip.fps:g} fps")
    except (RecordingError, OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    if recording.damage:
        print(recording.damage, file=sys.stderr)
    return 0


def read_clips(recording: Recording, fps: float) -> dict[str, Clip]:
    """The dance of every actor, by name, resampled to `fps`."""
    poses: defaultdict[str, list[PoseFrame]] = defaultdict(list)
    for record in recording:
        if isinstance(record, Pose):
            poses[record.frame.actor].append(record.frame)
    return {actor: _clip(danced, fps) for actor, danced in poses.items()}


def _clip(poses: list[PoseFrame], fps: float) -> Clip:
    times, poses = _timed(poses)
    times -= times[0]
    grid = np.arange(int(np.floor(times[-1] * fps + 1e-4)) + 1) / fps
    after = np.clip(np.searchsorted(times, grid - 1e-9), 1, max(len(times) - 1, 1))
    before, after = after - 1, np.minimum(after, len(times) - 1)
    span = np.maximum(times[after] - times[before], 1e-9)
    shares = np.clip((grid - times[before]) / span, 0.0, 1.0)[:, None]  # (T, 1)
    roots = np.array([pose.root_position for pose in poses])
    rotations = np.array([pose.rotations for pose in poses])
    return Clip(
        poses[-1].skeleton,
        fps,
        roots[before] + shares * (roots[after] - roots[before]),
        rot.slerp(rotations[before], rotations[after], shares),
    )


def _timed(poses: list[PoseFrame]) -> tuple[Array, list[PoseFrame]]:
    """Rising times, and the poses that have them."""
    poses = [pose for pose in poses if pose.skeleton.topology_hash == poses[-1].skeleton.topology_hash]
    times = np.array([np.nan if pose.sender_time is None else pose.sender_time for pose in poses])
    if not (np.diff(times) >= 0.0).all() or not np.isfinite(times).all():
        times = np.array([pose.receive_time for pose in poses])
    newest = np.maximum.accumulate(times)
    rises = np.concatenate([[True], times[1:] > newest[:-1]])
    return times[rises], [pose for pose, later in zip(poses, rises, strict=True) if later]


def _fps(text: str) -> float:
    try:
        fps = float(text)
    except ValueError:
        fps = 0.0
    if not 1.0 <= fps <= 1000.0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a rate from 1 to 1000 frames a second")
    return fps


if __name__ == "__main__":
    sys.exit(main())
