"""Recorded followers as rows of 1/30 s: the poses that are played, and the features by which they are found.

A row's features come in groups; each group is divided by the root of its total variance, so that a group's weight is
its share of a distance. What asks (the query) and what answers (a row) go through the same scaling; all but the own
group is then turned to its principal axes and cut, which changes distances by less than one part in fifty.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from motion import kinematics
from motion import rotations as rot
from motion.skeleton import HUMANOID
from training.dataset import Pair, Track, opposite_joints
from training.match import features, quaternions

CLIP = {
    "quats": 4 * len(HUMANOID),
    "root": 2,
    "height": 1,
    "yaw": 1,
    "contacts": 2,
    "speed": 1,
    "toes": 4,
    "turning": 3 * len(HUMANOID),  # rad/s, in the parents' frames
    "moving": 4,  # height, root and yaw a second, in the body's frame
}  # columns of a pose row
GROUPS = ("trajectory", "seen", "intention", "context", "speed")
_FLOOR_SECONDS = 3.0
LAST_ENTRY, FIRST_ENTRY = 21, 10  # frames at a take's end and start that are no way in


@dataclass(frozen=True)
class Side:
    """One take with one of the two as the leader, at 30 fps: given (T, J, 3) the leader as a live model sees it,
    positions (T, J, 3), root (T, 3) and rotations (T, J, 4) the truth of the other, whose toes stand at height 0.
    """

    given: Tensor
    positions: Tensor
    root: Tensor
    rotations: Tensor


def sides(pairs: Sequence[Pair], mirror: bool, swap: bool) -> list[Side]:
    """Every take as it is and, if asked, with exchanged roles, left and right exchanged, and both."""
    found = []
    for pair in pairs:
        step = pair.fps / features.RATE
        frames = np.unique(np.round(np.arange(0, len(pair.lead) - 1, step)).astype(int).clip(max=len(pair.lead) - 1))
        casts = [(pair.lead, pair.follow), (pair.follow, pair.lead)] if swap else [(pair.lead, pair.follow)]
        for lead, follow in casts:
            plain = _side(lead, follow, frames, pair.fps)
            found += [plain, _mirrored(plain)] if mirror else [plain]
    return found


def _side(lead: Track, follow: Track, frames: np.ndarray, fps: float) -> Side:
    rotations = rot.continuous(follow.rotations[frames])
    root = follow.root[frames] - standing(follow, fps)[frames, None] * [0.0, 1.0, 0.0]
    positions = kinematics.global_positions(HUMANOID, root, rotations)
    parts = (lead.given[frames], positions, root, rotations)
    return Side(*(torch.from_numpy(np.ascontiguousarray(part)).float() for part in parts))


def standing(track: Track, fps: float) -> np.ndarray:
    """How high a dancer's lower toe is when it stands, (T,) metres: the 10th percentile of the seconds around.

    Floors of recordings are tilted.
    """
    positions = kinematics.global_positions(HUMANOID, track.root, track.rotations)
    lower = positions[:, features.TOES, 1].min(axis=1)
    step = max(round(fps / features.RATE), 1)
    half = round(0.5 * _FLOOR_SECONDS * features.RATE)
    around = np.lib.stride_tricks.sliding_window_view(np.pad(lower[::step], half, mode="edge"), 2 * half + 1)
    smooth = np.hanning(half + 2)[1:-1]
    floor = np.pad(np.percentile(around, 10, axis=1), half, mode="edge")
    floor = np.convolve(floor, smooth / smooth.sum(), mode="same")[half:-half]
    return np.interp(np.arange(len(lower)), np.arange(len(floor)) * step, floor)


def _mirrored(side: Side) -> Side:
    opposite = opposite_joints(HUMANOID)
    flip, turn = torch.tensor([-1.0, 1.0, 1.0]), torch.tensor([1.0, -1.0, -1.0, 1.0])
    return Side(
        side.given[:, opposite] * flip,
        side.positions[:, opposite] * flip,
        side.root * flip,
        side.rotations[:, opposite] * turn,
    )


def clips(side: Side, body: dict[str, Tensor]) -> Tensor:
    """The pose rows (T, columns of CLIP) of a take: hips without their yaw, yaw counted through."""
    left = body["left"]
    yaw = np.unwrap(np.arctan2(-left[:, 1].numpy(), left[:, 0].numpy()))
    undo = np.zeros((len(yaw), 4))
    undo[:, 1], undo[:, 3] = np.sin(-yaw / 2), np.cos(yaw / 2)
    rotations = side.rotations.numpy().astype(np.float64).copy()
    rotations[:, 0] = rot.multiply(undo, rotations[:, 0])
    quats = torch.from_numpy(rot.continuous(rotations)).float().flatten(1)
    turning = _between(quats.view(len(quats), -1, 4))
    moved = features.seen_from(_after(body["root"]) - body["root"], left)
    climbed, turned = _after(side.root[:, 1:2]) - side.root[:, 1:2], np.diff(yaw, append=yaw[-1:])
    moving = torch.cat([climbed, moved, torch.from_numpy(turned).float()[:, None]], dim=-1) * features.RATE
    columns = [quats, body["root"], side.root[:, 1:2], torch.from_numpy(yaw).float()[:, None]]
    return torch.cat([*columns, body["low"], body["speed"], body["gliding"], turning, moving], dim=-1)


def _between(quats: Tensor) -> Tensor:
    """Rotation vectors a second (T, 3 J) from each frame to the next, quats (T, J, 4)."""
    step = quaternions.multiply(_after(quats), quaternions.conjugate(quats))
    return quaternions.log(step).flatten(1) * features.RATE


def _after(rows: Tensor) -> Tensor:
    return torch.cat([rows[1:], rows[-1:]])


def row_groups(side: Side, body: dict[str, Tensor], past: Tensor, context: Tensor) -> dict[str, Tensor]:
    """What rows answer with, by group, not scaled. context (T, Z): the leader's, from the placement's first kernel."""
    return {
        "trajectory": features.trajectory(body),
        "seen": features.leader_seen(past, body["root"], body["left"]),
        "intention": features.intention(body),
        "context": context,
        "speed": speed_group(features.speeds(past), _ahead_speeds(body)),
    }


def speed_group(leader: Tensor, follower: Tensor) -> Tensor:
    return torch.cat([leader, 1.5 * follower], dim=-1)


def _ahead_speeds(body: dict[str, Tensor]) -> Tensor:
    frames = torch.arange(len(body["speed"]))
    return torch.cat([body["speed"][(frames + ahead).clamp(max=len(frames) - 1)] for ahead in features.AHEAD], dim=-1)
