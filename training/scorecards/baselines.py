"""Partners that know no better, to read a model's figures beside. Each answers for one take with pieces of motion.

`hold` and `rotated` need only the take. The others are fitted on training takes, never on the take they are judged by.
`nearest` and `random` recycle real clips of 2 s, `nearest` by the leader's whole window; the others are causal.
Points are (T, 24, 3) at 30 fps, metres.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from motion.metrics import joints
from motion.metrics.joints import POINT
from motion.skeleton import Array
from training.scorecards.figures import Piece
from training.scorecards.takes import Take

Fitted = Callable[[Take, int], list[Piece]]  # of a take and a seed

LAGS = (5, 10, 15, 20, 30)  # frames of the leader's last second
REMEMBERED = [POINT[name] for name in ("root", "lankle", "rankle", "lwrist", "rwrist")]
RIDGE = 0.2  # of the number of frames; flat between 0.1 and 0.3
CLIP_STRIDE = 3  # frames between the training clips that are looked through
LOOK_EVERY = 6  # frames between the poses by which leaders are compared


def hold(take: Take, seed: int) -> list[Piece]:
    """The first true pose, held."""
    return [Piece(0, np.repeat(take.follower[:1], len(take), axis=0))]


def rotated(take: Take, seed: int) -> list[Piece]:
    """The true leader turned by 180° about the point midway between the two at the start: it has every beat."""
    middle = 0.5 * (take.leader[0, 0] + take.follower[0, 0])
    return [Piece(0, take.leader * [-1.0, 1.0, -1.0] + 2.0 * middle * [1.0, 0.0, 1.0])]


def fit_glued(training: Sequence[Take]) -> Fitted:
    """A stiff body at its mean place in the leader's frame: the training pose nearest to the mean."""
    bodies = np.concatenate([_in_leaders_frame(take.follower, take.given) for take in training])
    mean = bodies.mean(axis=0)
    typical = bodies[np.argmin(np.linalg.norm(bodies - mean, axis=-1).mean(axis=-1))]
    typical = typical + (mean[0] - typical[0]) * [1.0, 0.0, 1.0]

    def dance(take: Take, seed: int) -> list[Piece]:
        stiff = np.broadcast_to(typical, take.given.shape)
        return [Piece(0, joints.from_frame(stiff, take.given[:, 0], joints.facing(take.given)))]

    return dance


def fit_ridge(training: Sequence[Take]) -> Fitted:
    """A causal linear ridge from the leader's last second to the whole body, all points in the leader's frame."""
    takes = [(take.given, take.follower) for take in training]
    takes += [(_mirrored(given), _mirrored(follower)) for given, follower in takes]
    inputs = np.concatenate([_last_second(given) for given, _ in takes])
    targets = np.concatenate([_in_leaders_frame(follower, given).reshape(len(given), -1) for given, follower in takes])
    mean, scale, target_mean = inputs.mean(axis=0), inputs.std(axis=0) + 0.02, targets.mean(axis=0)
    inputs = (inputs - mean) / scale
    penalty = RIDGE * len(inputs) * np.eye(inputs.shape[1])
    weights = np.linalg.solve(inputs.T @ inputs + penalty, inputs.T @ (targets - target_mean))

    def dance(take: Take, seed: int) -> list[Piece]:
        local = ((_last_second(take.given) - mean) / scale) @ weights + target_mean
        local = local.reshape(len(take), -1, 3)
        return [Piece(0, joints.from_frame(local, take.given[:, 0], joints.facing(take.given)))]

    return dance


def fit_nearest(training: Sequence[Take]) -> Fitted:
    """For each window the training clip whose leader moved most alike, placed where it stood beside that leader."""
    leaders, followers = _clips(training)
    known = _look(leaders)

    def dance(take: Take, seed: int) -> list[Piece]:
        asked = joints.windows(take.given)
        chosen = [int(np.argmin(((known - look) ** 2).sum(axis=-1))) for look in _look(asked)]
        return _placed(followers[chosen], asked)

    return dance


def fit_random(training: Sequence[Take]) -> Fitted:
    """For each window any training clip, placed where it stood beside its own leader."""
    _, followers = _clips(training)

    def dance(take: Take, seed: int) -> list[Piece]:
        asked = joints.windows(take.given)
        chosen = np.random.default_rng((seed, len(take))).integers(len(followers), size=len(asked))
        return _placed(followers[chosen], asked)

    return dance


UNFITTED: dict[str, Fitted] = {"hold": hold, "rotated": rotated}
FITTED: dict[str, Callable[[Sequence[Take]], Fitted]] = {
    "nearest": fit_nearest,
    "random": fit_random,
    "glued": fit_glued,
    "ridge": fit_ridge,
}
SEEDED = ("random",)

_OTHER_SIDE = {"l": "r", "r": "l"}
_OPPOSITE = [POINT.get(_OTHER_SIDE.get(name[0], "") + name[1:], place) for place, name in enumerate(joints.POINTS)]


def _mirrored(points: Array) -> Array:
    return points[:, _OPPOSITE] * [-1.0, 1.0, 1.0]


def _in_leaders_frame(points: Array, leader: Array) -> Array:
    return joints.to_frame(points, leader[:, 0], joints.facing(leader))


def _last_second(leader: Array) -> Array:
    """What the leader does now and did up to a second ago, seen from where it stands now, (T, 157)."""
    frames = np.arange(len(leader))
    forward = joints.facing(leader)
    parts = [_in_leaders_frame(leader, leader)]
    turns = []
    for lag in LAGS:
        past = np.maximum(frames - lag, 0)
        parts.append(_in_leaders_frame(leader[past][:, REMEMBERED], leader))
        then = forward[past]
        turns.append(np.sum(then * forward, axis=-1))
        turns.append(then[:, 0] * forward[:, 1] - then[:, 1] * forward[:, 0])
    return np.concatenate([part.reshape(len(leader), -1) for part in parts] + [np.stack(turns, axis=-1)], axis=-1)


def _clips(training: Sequence[Take]) -> tuple[Array, Array]:
    """All training clips of 2 s: leaders and followers (N, 60, 24, 3) in the frame of the leader's first pose."""
    size = round(joints.WINDOW_SECONDS * joints.FPS)
    leaders, followers = [], []
    for take in training:
        for start in range(0, len(take) - size + 1, CLIP_STRIDE):
            leaders.append(take.given[start : start + size])
            followers.append(take.follower[start : start + size])
    leader, follower = np.stack(leaders), np.stack(followers)
    origin, forward = _first(leader)
    return joints.to_frame(leader, origin, forward), joints.to_frame(follower, origin, forward)


def _first(windows: Array) -> tuple[Array, Array]:
    """Where the body stands and faces in the first frame of each window, for every frame of it."""
    shape = windows.shape[:2]
    origin = np.broadcast_to(windows[:, :1, 0], (*shape, 3))
    return origin, np.broadcast_to(joints.facing(windows[:, :1]), (*shape, 2))


def _look(leaders: Array) -> Array:
    """By what leaders are compared: a few poses of each window in the frame of its first, (N, D)."""
    return joints.to_frame(leaders, *_first(leaders))[:, ::LOOK_EVERY].reshape(len(leaders), -1)


def _placed(clips: Array, asked: Array) -> list[Piece]:
    stride = round(joints.STRIDE_SECONDS * joints.FPS)
    placed = joints.from_frame(clips, *_first(asked))
    return [Piece(number * stride, motion) for number, motion in enumerate(placed)]
