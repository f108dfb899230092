"""A show tried out before anybody comes: its dancers sway on the spot, and its partners must dance to that.

The same pipeline as live, without sockets, threads or a wall clock; workers answer at once.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np

from motion import rotations as rot
from motion.skeleton import HUMANOID
from server.lines import DancerLine, PartnerLine
from server.pipeline import Pipeline
from server.protocols.frames import PoseFrame

SWAY_METRES, SWAY_SECONDS = 0.1, 2.0
_WARM = 5  # frames that are not timed


@dataclass(frozen=True)
class DryRun:
    """faults: in words, who did not dance and why; p50_ms, p99_ms: of a tick of all dancers, sending aside."""

    frames: int
    faults: tuple[str, ...]
    p50_ms: float
    p99_ms: float


def dry_run(pipeline: Pipeline, fps: float, seconds: float = 2.0) -> DryRun:
    """Steps a pipeline that is not danced with."""
    times = []
    danced = dict.fromkeys(pipeline.partners, 0)
    for number in range(round(seconds * fps) + _WARM):
        begun = time.perf_counter()
        for dancer in pipeline.dancers:
            for pose in pipeline.step(dancer, _swaying(number, fps)):
                if pose.actor in danced and np.isfinite(pose.root_position).all() and np.isfinite(pose.rotations).all():
                    danced[pose.actor] += 1
        times.append(time.perf_counter() - begun)
    lines: list[DancerLine | PartnerLine] = [*pipeline.dancers.values(), *pipeline.partners.values()]
    faults = [f"{line.name}: {line.faults} faults; {line.last_fault}".rstrip("; ") for line in lines if line.faults]
    faults += [f"{name}: never danced" for name, poses in danced.items() if not poses]
    p50, p99 = np.percentile(1e3 * np.array(times[_WARM:]), (50, 99))
    return DryRun(len(times), tuple(faults), float(p50), float(p99))


def _swaying(number: int, fps: float) -> PoseFrame:
    """Upright, arms at rest, from one leg to the other."""
    now = number / fps
    phase = math.sin(math.tau * now / SWAY_SECONDS)
    rotations = np.tile(rot.IDENTITY, (len(HUMANOID), 1))
    rotations[0] = rot.yaw(0.2 * phase)
    root = np.array([SWAY_METRES * phase, HUMANOID.offsets[0, 1], 0.0])
    return PoseFrame(HUMANOID, root, rotations, now, now, number, "")
