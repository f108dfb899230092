"""All of a partner's figures against the truth of some takes. Definitions are in motion.metrics; this file only pools.

A partner is a list of pieces of motion for each take: one that covers the take, or many windows. Frames, beats and
windows are pooled over all takes; PFC is a mean over windows. A figure that cannot be had is NaN.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np

from motion.metrics import beats, distributions, joints, physics, placement, window_features
from motion.metrics.distributions import Floor
from motion.skeleton import Array
from training.scorecards.takes import Take

KEYS = (
    *("root_ade_m", "root_ade_far_m", "mpjpe_m", "fid_k", "fid_k_fixed", "fid_g", "fid_cd", "div_k", "div_g", "bed"),
    *("own_slide_ratio", "skating_percent", "pfc", "jitter_ratio", "teleport_percent", "lag_frames"),
    "leader_sensitivity",
)
FIDS = ("fid_k", "fid_k_fixed", "fid_g", "fid_cd")
FLOORED = ("fid_k", "fid_g", "fid_cd")
_LEAST_DEVIATION = {"fid_g": distributions.LEAST_DEVIATION}
FOUR = 4  # takes on each side of the floor that a fold is held against


@dataclass(frozen=True)
class Piece:
    """Motion of a partner from frame `start` of a take on, (T, 24, 3) at 30 fps."""

    start: int
    points: Array

    def beside(self, whole: Array) -> Array:
        return whole[self.start : self.start + len(self.points)]


Made = Sequence[Sequence[Piece]]  # the pieces of each take


class Truth:
    """The true followers of some takes: what partners are compared with, and what truth scores against itself."""

    def __init__(self, takes: Sequence[Take]) -> None:
        self.takes = tuple(takes)
        self.whole = [[Piece(0, take.follower)] for take in takes]
        self._features = self.features(self.whole)
        self._pooled = {name: np.concatenate(parts) for name, parts in self._features.items()}
        self._planting = physics.pooled(
            [physics.planting(take.follower, physics.floor_height(take.follower)) for take in takes]
        )
        self._jitter = _jitter([take.follower for take in takes])
        steps = np.concatenate([placement.root_steps(take.follower) for take in takes])
        self.teleport_step = placement.teleport_threshold(steps)

    def features(self, made: Made) -> dict[str, list[Array]]:
        """The features of each take's windows, by the figure they serve."""
        features: dict[str, list[Array]] = {name: [] for name in FIDS}
        for take, pieces in zip(self.takes, made, strict=True):
            motion = np.concatenate([joints.windows(piece.points) for piece in pieces])
            leader = np.concatenate([joints.windows(piece.beside(take.leader)) for piece in pieces])
            features["fid_k"].append(window_features.kinetic_features(motion))
            features["fid_k_fixed"].append(window_features.kinetic_features(motion, released=False))
            features["fid_g"].append(window_features.manual_features(motion))
            features["fid_cd"].append(window_features.cross_distance_features(leader, motion))
        return features

    def figures(self, made: Made) -> dict[str, float]:
        """Everything but the leader sensitivity, which needs other leaders and seeds."""
        features = {name: np.concatenate(parts) for name, parts in self.features(made).items()}
        row = {name: self._fid(name, self._pooled[name], features[name]) for name in FIDS}
        for name, of in (("div_k", "fid_k"), ("div_g", "fid_g")):
            row[name] = distributions.diversity(self._pooled[of], features[of], _LEAST_DEVIATION.get(of, 0.0))
        return row | self._placement(made) | self._movement(made)

    def _placement(self, made: Made) -> dict[str, float]:
        root, far, joint, steps, lags = [], [], [], [], []
        for take, piece in _pairs(self.takes, made):
            truth, leader = piece.beside(take.follower), piece.beside(take.leader)
            root.append(placement.root_errors(piece.points, truth))
            far.append(placement.is_far(leader, truth))
            joint.append(placement.joint_errors(piece.points, truth))
            steps.append(placement.root_steps(piece.points))
            lags.append(placement.cross_correlation(leader, piece.points) * len(leader))
        errors, beyond = np.concatenate(root), np.concatenate(far)
        return {
            "root_ade_m": float(errors.mean()),
            "root_ade_far_m": float(errors[beyond].mean()) if beyond.any() else float("nan"),
            "mpjpe_m": float(np.concatenate(joint).mean()),
            "teleport_percent": 100.0 * float(np.mean(np.concatenate(steps) > self.teleport_step)),
            "lag_frames": placement.lag_frames(np.sum(lags, axis=0)),
        }

    def _movement(self, made: Made) -> dict[str, float]:
        plantings, skating, contacts, echoes, answers = [], [], [], [], 0
        for take, pieces in zip(self.takes, made, strict=True):
            for piece in pieces:
                floor = physics.own_floor(piece.points, take.follower)
                plantings.append(physics.planting(piece.points, floor))
                skating.append(physics.skating(piece.points))
                contacts += [physics.physical_foot_contact(window) for window in joints.windows(piece.points)]
                own = beats.motion_beats(piece.points)
                echoes.append(beats.beat_scores(beats.motion_beats(piece.beside(take.leader)), own))
                answers += len(own)
        heard, planting = np.concatenate(echoes), physics.pooled(plantings)
        return {
            "own_slide_ratio": physics.own_slide_ratio(planting, self._planting),
            "planted_share_ratio": planting.share / self._planting.share if self._planting.share else float("nan"),
            "skating_percent": 100.0 * float(np.concatenate(skating).mean()),
            "pfc": float(np.mean(contacts)),
            "jitter_ratio": _jitter([piece.points for _, piece in _pairs(self.takes, made)]) / self._jitter,
            "bed": float(heard.mean()) if len(heard) and answers else float("nan"),
        }

    @cached_property
    def floors(self) -> dict[str, Floor]:
        """What truth scores against truth in halves, split by take."""
        return {name: self._floor(name, None) for name in FIDS}

    @cached_property
    def fold_floors(self) -> dict[str, Floor]:
        """The same, four takes against four."""
        return {name: self._floor(name, FOUR) for name in FIDS}

    def floor_row(self) -> dict[str, float]:
        """The truth's own figures; its distances are the median floor."""
        medians = {name: floor.median for name, floor in self.floors.items()}
        ratios = self.ratios({name: [medians[name]] for name in FLOORED})
        return self.figures(self.whole) | medians | ratios | {"leader_sensitivity": float("nan")}

    def fold_ratios(self, made: Sequence[Made], folds: Sequence[Sequence[int]]) -> dict[str, float]:
        """Over the floor of four takes against four: the mean over folds of each fold's distance to its own truth.

        made: one a seed. The median over seeds over the median of the named splits; KEY_low and KEY_high are the 10th
        and 90th percentile over both. Folds and floor are z-scored alike, with all true takes: with a fold's own few,
        real clips from other takes score 40 times the floor when one rare move is not among them.
        """
        by_seed = [self.features(pieces) for pieces in made]
        return self._over(
            {name: [self._fold_distance(name, features, folds) for features in by_seed] for name in FLOORED},
            self.fold_floors,
            "fold_ratio",
        )

    def ratios(self, distances: Mapping[str, Sequence[float]]) -> dict[str, float]:
        """Distances over the floor of halves, by the name of the figure, one a seed."""
        return self._over(distances, self.floors, "ratio")

    def _over(
        self, distances: Mapping[str, Sequence[float]], floors: Mapping[str, Floor], key: str
    ) -> dict[str, float]:
        row = {}
        for name, of_name in distances.items():
            ratio = distributions.ratio_to_floor(of_name, floors[name])
            row |= {f"{name}_{key}": ratio.value, f"{name}_{key}_low": ratio.low, f"{name}_{key}_high": ratio.high}
        return row

    def _fold_distance(self, name: str, features: dict[str, list[Array]], folds: Sequence[Sequence[int]]) -> float:
        sides = [
            [np.concatenate([of[name][take] for take in fold]) for of in (self._features, features)] for fold in folds
        ]
        return float(np.mean([self._fid(name, truth, made) for truth, made in sides]))

    def _floor(self, name: str, each: int | None) -> Floor:
        """Of the takes in order of their names, so that a split's name means the same takes however they are given."""
        order = sorted(range(len(self.takes)), key=lambda take: self.takes[take].name)
        features = [self._features[name][take] for take in order]
        return distributions.floor(features, each, _LEAST_DEVIATION.get(name, 0.0))

    def _fid(self, name: str, truth: Array, made: Array) -> float:
        return distributions.fid(truth, made, self._pooled[name], _LEAST_DEVIATION.get(name, 0.0))


def sensitivity(by_seed: Sequence[Sequence[Array]], leaders: Sequence[Array]) -> dict[str, float]:
    """How much more another leader changes than another seed, and by how much the poses of two seeds differ.

    by_seed[seed][take] are whole-take motions (T, 24, 3), leaders[take] the leaders they were danced to. Leader
    sensitivity compares where the root is relative to its leader, pose sensitivity the pose in its own frame. The other
    leader is the next take's, danced to with the same seed. NaN with one take or one seed, or when two seeds' poses
    differ by under 0.05 m.
    """
    takes = range(len(leaders))
    if len(takes) < 2 or len(by_seed) < 2:
        return dict.fromkeys(("leader_sensitivity", "pose_sensitivity", "seed_difference_m"), float("nan"))
    others = [((made, take), (made, (take + 1) % len(takes))) for made in by_seed for take in takes]
    seeds = [((one, take), (other, take)) for one, other in combinations(by_seed, 2) for take in takes]
    poses, places = (
        [float(np.mean([differ(*a, *b) for a, b in pairs])) for pairs in (others, seeds)]
        for differ in (
            lambda one, a, other, b: placement.pose_difference(one[a], other[b]),
            lambda one, a, other, b: placement.place_difference(one[a], leaders[a], other[b], leaders[b]),
        )
    )
    return {
        "leader_sensitivity": placement.leader_sensitivity(*places, poses[1]),
        "pose_sensitivity": placement.leader_sensitivity(*poses, poses[1]),
        "seed_difference_m": poses[1],
    }


def _pairs(takes: Sequence[Take], made: Made) -> list[tuple[Take, Piece]]:
    return [(take, piece) for take, pieces in zip(takes, made, strict=True) for piece in pieces]


def _jitter(motions: Sequence[Array]) -> float:
    return float(np.average([physics.jitter(motion) for motion in motions], weights=[len(m) - 3 for m in motions]))
