"""What is seen of a leader and of a follower, as numbers; the same code makes training rows and runs live.

Horizontal vectors are complex numbers x + i z, held as (..., 2). A body's `left` is the unit vector along its hip axis;
a point p in a body's frame (left, forward) lies in the world at root + left * p, and a turn is a product of lefts.
Everything counts in frames of 1/30 s.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from motion.skeleton import HUMANOID

RATE = 30.0
LAGS = (*range(13), 14, 15, 18, 19, 20, 30)  # frames into the past at which a leader is looked at
CONTEXT_LAGS = (5, 10, 15, 20, 30)
SEEN_LAGS = (0, 5, 10, 20)
SPEED_LAGS = (0, 2, 4, 6, 8, 11, 14, 18)
AHEAD = (0, 5, 10)  # frames ahead of which intention speaks

LEFT_HIP, RIGHT_HIP = HUMANOID.both_sides("UpperLeg")
ANKLES, TOES, WRISTS = (HUMANOID.both_sides(bone) for bone in ("Foot", "Toes", "Hand"))
HEAD = HUMANOID.index("Head")
MARKS = [0, *ANKLES, *WRISTS]
_AT = {lag: place for place, lag in enumerate(LAGS)}
_POINTS = len(LAGS) * len(HUMANOID)  # of a past, one after the other
_REMEMBERED = [*range(len(HUMANOID)), *(_AT[lag] * len(HUMANOID) + mark for lag in CONTEXT_LAGS for mark in MARKS)]
_LOOKED_AT = [_AT[lag] * len(HUMANOID) + mark for lag in SEEN_LAGS for mark in MARKS]
_LOOKED_AT += [_AT[1] * len(HUMANOID) + mark for mark in MARKS[:3]]


def _seen_table() -> tuple[Tensor, Tensor]:
    """(23, 23): what a follower sees of the leader's points _LOOKED_AT; (2, 69): what of that the root is part of."""
    rows, point = [], dict(zip(_LOOKED_AT, torch.eye(len(_LOOKED_AT)), strict=True))
    at = {(lag, mark): point[_AT[lag] * len(HUMANOID) + mark] for lag in SEEN_LAGS for mark in MARKS}
    for lag in SEEN_LAGS:
        rows.append(at[lag, 0])
    for lag in SEEN_LAGS:
        rows += [0.6 * (at[lag, mark] - at[lag, 0]) for mark in MARKS[1:]]
    rows += [0.25 * RATE * (at[0, mark] - point[_AT[1] * len(HUMANOID) + mark]) for mark in MARKS[:3]]
    places = (torch.arange(len(rows)) < len(SEEN_LAGS)).float()
    return torch.stack(rows), torch.kron(places, _FLAT)


def _moved_table() -> Tensor:
    """(SPEED_LAGS, LAGS): velocities at those lags."""
    table = torch.zeros(len(SPEED_LAGS), len(LAGS))
    for row, lag in enumerate(SPEED_LAGS):
        table[row, _AT[lag]], table[row, _AT[lag + 1]] = RATE, -RATE
    return table


_FLAT = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])  # x z -> a point on the floor
_SEEN, _FROM_ROOT = _seen_table()
_MOVED = _moved_table()
_ACROSS = torch.zeros(3 * len(HUMANOID), 2)
for _row, _coordinate in enumerate((0, 2)):
    _ACROSS[3 * LEFT_HIP + _coordinate, _row], _ACROSS[3 * RIGHT_HIP + _coordinate, _row] = 1.0, -1.0


def plane(left: Tensor) -> Tensor:
    """The matrix (B, 2, 2) by which rows go from a body's frame to the world: v @ plane(left) = left * v."""
    return (left @ _PLANE).view(-1, 2, 2)


def plane_back(left: Tensor) -> Tensor:
    """The matrix (B, 2, 2) by which rows go from the world to a body's frame: v @ plane_back(left) = conj(left) * v."""
    return (left @ _PLANE_BACK).view(-1, 2, 2)


def times(a: Tensor, b: Tensor) -> Tensor:
    """a * b, (B, 2) each."""
    return ((a @ _EACH) * (b @ _ALL)) @ _TIMES


def times_conjugate(a: Tensor, b: Tensor) -> Tensor:
    """a * conj(b), (B, 2) each."""
    return ((a @ _EACH) * (b @ _ALL)) @ _TIMES_CONJUGATE


def placed(root: Tensor, left: Tensor) -> Tensor:
    """The matrix (B, 5, 5) that takes rows (place, direction, 1) to the world from a body's frame."""
    return (torch.cat([left, root], dim=-1) @ _PLACED + _ONE).view(-1, 5, 5)


def space_back(left: Tensor) -> Tensor:
    """The same for points (B, 3, 3): heights stay."""
    return space(left).transpose(-1, -2)


def space(left: Tensor) -> Tensor:
    """From a body's frame to the world, (B, 3, 3) for rows."""
    return (left @ _SPACE + _UP).view(-1, 3, 3)


_PLANE = torch.tensor([[1.0, 0, 0, 1], [0, 1, -1, 0]])
_PLANE_BACK = torch.tensor([[1.0, 0, 0, 1], [0, -1, 1, 0]])
_SPACE = torch.tensor([[1.0, 0, 0, 0, 0, 0, 0, 0, 1], [0, 0, 1, 0, 0, 0, -1, 0, 0]])
_UP = torch.tensor([0.0, 0, 0, 0, 1, 0, 0, 0, 0])
_GROUND = torch.tensor([1.0, 0.0, 1.0])
_EACH, _ALL = torch.eye(2).repeat_interleave(2, dim=1), torch.eye(2).repeat(1, 2)  # a0 a0 a1 a1, b0 b1 b0 b1
_TIMES = torch.tensor([[1.0, 0], [0, 1], [0, 1], [-1, 0]])
_TIMES_CONJUGATE = torch.tensor([[1.0, 0], [0, -1], [0, 1], [1, 0]])
_PLACED = torch.zeros(4, 5, 5)
_PLACED[:2, :2, :2] = _PLACED[:2, 2:4, 2:4] = _PLANE.view(2, 2, 2)
_PLACED[2, 4, 0] = _PLACED[3, 4, 1] = 1.0
_PLACED = _PLACED.view(4, 25)
_ONE = torch.eye(25)[24]


def turned(vector: Tensor, left: Tensor) -> Tensor:
    """left * vector for rows (T, ..., 2) of as many bodies (T, 2)."""
    return (vector.reshape(len(left), -1, 2) @ plane(left)).view(vector.shape)


def seen_from(vector: Tensor, left: Tensor) -> Tensor:
    """conj(left) * vector for rows (T, ..., 2) of as many bodies (T, 2)."""
    return (vector.reshape(len(left), -1, 2) @ plane_back(left)).view(vector.shape)


def unit(vector: Tensor) -> Tensor:
    return vector / vector.norm(dim=-1, keepdim=True).clamp(min=1e-6)


def lefts(positions: Tensor) -> Tensor:
    """The left (..., 2) of bodies (..., J, 3)."""
    return flat_lefts(positions.flatten(-2))


def flat_lefts(bodies: Tensor) -> Tensor:
    """The left (..., 2) of bodies (..., 3 J)."""
    return unit(bodies @ _ACROSS)


def points_seen(points: Tensor, root: Tensor, left: Tensor) -> Tensor:
    """World points (B, P, 3) in the frames of bodies at root, left (B, 2); heights stay."""
    return (points - (root @ _FLAT).unsqueeze(1)) @ space_back(left)


def context(past: Tensor) -> Tensor:
    """The leader in its own frame, now and over the last second: past (B, LAGS, 3 J) world -> (B, 151)."""
    left = flat_lefts(past)  # (B, LAGS, 2)
    points = past.view(-1, _POINTS, 3)
    points = (points[:, _REMEMBERED] - points[:, :1] * _GROUND) @ space_back(left[:, 0])
    turns = left[:, [_AT[lag] for lag in CONTEXT_LAGS]] @ plane_back(left[:, 0])
    return torch.cat([points.flatten(1), turns.flatten(1)], dim=-1)


def leader_seen(past: Tensor, root: Tensor, left: Tensor) -> Tensor:
    """The leader as the follower at root, left (B, 2) has it before their eyes: (B, 78)."""
    points = _SEEN @ past.view(-1, _POINTS, 3)[:, _LOOKED_AT] - (root @ _FROM_ROOT).view(-1, len(_SEEN), 3)
    turns = (0.5 * flat_lefts(past)[:, [_AT[lag] for lag in SEEN_LAGS]]) @ plane_back(left)
    return torch.cat([(points @ space_back(left)).flatten(1), turns.flatten(1), 0.6 * speeds(past)[:, :1]], dim=-1)


def speeds(past: Tensor) -> Tensor:
    """The leader's mean joint speed at SPEED_LAGS, m/s: (B, 8)."""
    moved = (_MOVED @ past).view(-1, len(SPEED_LAGS), len(HUMANOID), 3)
    return moved.norm(dim=-1).mean(dim=-1)


def velocities(points: Tensor) -> Tensor:
    """Central differences over time (T, ...) in units a second; one-sided at the ends."""
    padded = torch.cat([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
    return (padded[2:] - padded[:-2]) * (0.5 * RATE)


def contacts(positions: Tensor) -> Tensor:
    """Which toes stand in a take (T, J, 3): low and slower than 0.3 m/s; (T, 2) of 0 and 1."""
    speed = velocities(positions[:, TOES])[..., 0::2].norm(dim=-1)
    return _widened(low(positions) * (speed < 0.3))


def low(positions: Tensor) -> Tensor:
    """Which toes are under their lowest + 5 cm (the lowest but for 2 % of glitches), (T, 2) of 0 and 1."""
    toes = positions[:, TOES, 1]
    return (toes < torch.quantile(toes, 0.02) + 0.05).float()


def gliding(positions: Tensor) -> Tensor:
    """The velocity with which low toes travel over the floor, in the body's frame (T, 4) m/s; none for a slow one."""
    moving = velocities(positions[:, TOES])[..., 0::2]
    speed = moving.norm(dim=-1, keepdim=True)
    return seen_from(moving * ((speed - 0.15) / 0.15).clamp(0.0, 1.0), lefts(positions)).flatten(1)


def _widened(flags: Tensor) -> Tensor:
    return F.max_pool1d(flags.T[None], 3, 1, 1)[0].T


def body(positions: Tensor) -> dict[str, Tensor]:
    """A follower's take (T, J, 3) in its own frames: what it is compared by, frame for frame."""
    root, left = positions[:, 0, 0::2], lefts(positions)
    moving = velocities(positions)
    still = torch.zeros_like(root)
    turn = seen_from(torch.cat([left[1:], left[-1:]]), torch.cat([left[:1], left[:-1]]))
    return {
        "root": root,
        "left": left,
        "points": points_seen(positions, root, left),  # (T, J, 3)
        "velocities": points_seen(moving, still, left),
        "yaw_rate": turn[:, 1:] * (0.5 * RATE),
        "speed": moving.norm(dim=-1).mean(dim=-1, keepdim=True),
        "contacts": contacts(positions),
        "low": _widened(low(positions)),
        "gliding": gliding(positions),
    }


def own(parts: dict[str, Tensor]) -> Tensor:
    """The body a jump must fit: (T, 46)."""
    chosen = [*ANKLES, *TOES, *WRISTS, HEAD]
    points, moving = parts["points"], parts["velocities"]
    rows = [1.5 * points[:, chosen].flatten(1), 0.25 * moving[:, chosen].flatten(1), 0.7 * moving[:, 0, 0::2]]
    return torch.cat([*rows, 0.15 * parts["yaw_rate"], 2.0 * points[:, 0, 1:2]], dim=-1)


def intention(parts: dict[str, Tensor]) -> Tensor:
    """What the body is about to do, (T, AHEAD * 45): points, velocities, contacts and speed in the frame of each."""
    chosen = [*ANKLES, *TOES, *WRISTS, 0]
    now = torch.cat(
        [
            parts["points"][:, chosen].flatten(1),
            0.2 * parts["velocities"][:, chosen].flatten(1),
            0.3 * parts["contacts"],
            0.6 * parts["speed"],
        ],
        dim=-1,
    )
    return torch.cat([_later(now, frames) for frames in AHEAD], dim=-1)


def trajectory(parts: dict[str, Tensor]) -> Tensor:
    """Where the body goes: displacement and half its turn at +10 and +20 frames, in its frame, (T, 8)."""
    return torch.cat([_step(parts, frames) for frames in (10, 20)], dim=-1)


def _step(parts: dict[str, Tensor], frames: int) -> Tensor:
    moved = seen_from(_later(parts["root"], frames) - parts["root"], parts["left"])
    return torch.cat([moved, 0.5 * seen_from(_later(parts["left"], frames), parts["left"])], dim=-1)


def placement(parts: dict[str, Tensor], leader_root: Tensor, leader_left: Tensor, horizons: tuple[int, ...]) -> Tensor:
    """Where the follower is and faces over the horizons, in the leader's frame now: (T, horizons * 4)."""
    rows = []
    for frames in horizons:
        rows.append(seen_from(_later(parts["root"], frames) - leader_root, leader_left))
        rows.append(seen_from(_later(parts["left"], frames), leader_left))
    return torch.cat(rows, dim=-1)


def past_of(positions: Tensor) -> Tensor:
    """Every frame's past (T, LAGS, 3 J) of a take (T, J, 3); before its start its first frame stands."""
    frames = torch.arange(len(positions))[:, None] - torch.tensor(LAGS)
    return positions.flatten(1)[frames.clamp(min=0)]


def _later(rows: Tensor, frames: int) -> Tensor:
    return rows[(torch.arange(len(rows)) + frames).clamp(max=len(rows) - 1)]
