"""The offline render: a recording through the very same pipeline, as fast as it can, without a socket.

The same preset, seed and frames give the same poses bit for bit, here and live. Where the preset upsamples, the
recording's own frames are the suit's, and the poses are as late as they are on stage.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from motion.bvh import write_bvh
from motion.clip import Clip
from motion.load import load_humanoid
from motion.skeleton import HUMANOID
from server.pipeline import Pipeline
from server.protocols.frames import PoseFrame
from server.receivers.bvh_player import BvhPlayer

AT_ONCE = 1e-6  # seconds: a key and a beat of one moment


def render(
    pipeline: Pipeline, take: Path, fps: float, partner_file: Path, dancer_file: Path | None = None
) -> Iterator[tuple[int, int]]:
    """Dances the show's first partner to a recording and writes BVH files; yields (done, total).

    The dancer file, if asked for, holds the dancer as the server saw them: retargeted and cleaned.
    """
    try:
        clip = load_humanoid(take).clip
    except (OSError, ValueError) as error:
        raise ValueError(f"cannot dance with {take}: {error}") from error
    line = next(iter(pipeline.partners.values()))
    dancer, partner = line.dancer, line.name
    poses: dict[str, list[PoseFrame]] = {dancer: [], partner: []}
    frames = list(BvhPlayer(clip, fps, loop=False).frames())
    keys: Iterator[PoseFrame] = iter(())
    if pipeline.dancers[dancer].upsample is not None:
        keys = BvhPlayer(clip, clip.fps, loop=False).frames()
    key = next(keys, None)
    for done, frame in enumerate(frames, start=1):
        while key is not None and key.receive_time <= frame.receive_time + AT_ONCE:
            pipeline.key(dancer, key)
            key = next(keys, None)
        for pose in pipeline.step(dancer, frame):
            if pose.actor in poses:
                poses[pose.actor].append(pose)
        for _ in pipeline.readings():  # partners may go by them
            pass
        if done % 500 == 0 or done == len(frames):
            yield done, len(frames)
    write_bvh(partner_file, _clip(poses[partner], fps))
    if dancer_file is not None:
        write_bvh(dancer_file, _clip(poses[dancer], fps))


def _clip(poses: list[PoseFrame], fps: float) -> Clip:
    root_positions = np.array([pose.root_position for pose in poses]).reshape(-1, 3)
    rotations = np.array([pose.rotations for pose in poses]).reshape(-1, len(HUMANOID), 4)
    return Clip(HUMANOID, fps, root_positions, rotations)
