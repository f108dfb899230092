"""Figures of poses in memory: what a prototype is worth before it is a model. See `Judge`.

    judge = Judge.of_folder("RECORDINGS", folds=3)
    for training, held_out in judge.folds():
        ...                                                  # learn from `training`, dance to each of `held_out`
        made[take.name] = (rotations, roots)                 # (T, 22, 4) and (T, 3) on HUMANOID
    row = judge.figures([made_with_seed_0, made_with_seed_1, made_with_seed_2])
    print(judge.table({"mine": row, "ridge": judge.ridge()}))

Nothing is smoothed, shifted or placed for the prototype: what it says is what is judged, as for an exported model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks import report
from motion.clip import Clip
from motion.metrics.joints import FPS, body_points
from motion.skeleton import HUMANOID, Array
from training.scorecards import baselines, rows, table
from training.scorecards.figures import FLOORED, KEYS, Piece, Truth
from training.scorecards.rows import Row
from training.scorecards.takes import Reading, Take, read_takes

SHOWN = (
    *KEYS,
    *(f"{name}_fold_ratio" for name in FLOORED),
    *("planted_share_ratio", "pose_sensitivity", "seed_difference_m"),
)
Poses = tuple[Array, Array]  # local rotations (T, 22, 4) xyzw and root positions (T, 3) metres


class Judge:
    """The truth of some takes and how they are split in folds.

    takes are in the order of their names; fold k of K holds out every K-th from the k-th on, as
    `python -m training.train --fold k/K` does.
    """

    def __init__(self, takes: Sequence[Take], folds: int = 3) -> None:
        if not 2 <= folds <= len(takes):
            raise ValueError(f"folds must be 2..{len(takes)}, one take each at least, not {folds}")
        self.takes = sorted(takes, key=lambda take: take.name)
        self.places = [list(range(len(takes)))[fold::folds] for fold in range(folds)]
        self.truth = Truth(self.takes)

    @classmethod
    def of_folder(
        cls,
        folder: str | Path,
        folds: int = 3,
        lead: str = "60_*.bvh",
        follow: str = "61_*.bvh",
        reading: Reading | None = None,
        cache: str | Path | None = "runs/cache/scorecard",
    ) -> Judge:
        """Every pair of a folder: the stars of `lead` and `follow` stand for the same text. Raises ValueError for none.

        cache: a folder for takes already read; None to read them anew.
        """
        before, after = lead.split("*")
        found = sorted(Path(folder).glob(lead))
        stars = [path.name[len(before) : len(path.name) - len(after)] for path in found]
        pairs = [(path, path.with_name(follow.replace("*", star))) for path, star in zip(found, stars, strict=True)]
        pairs = [pair for pair in pairs if pair[1].is_file()]
        if not pairs:
            raise ValueError(f"no pairs {lead} and {follow} in {folder}")
        return cls(read_takes(pairs, reading or Reading(), cache and Path(cache)), folds)

    def folds(self) -> Iterator[tuple[list[Take], list[Take]]]:
        """(training, held out) takes of each fold."""
        for fold in self.places:
            held_out = [self.takes[place] for place in fold]
            yield [take for take in self.takes if take not in held_out], held_out

    def figures(self, by_seed: Sequence[Mapping[str, Poses | Clip | Array]]) -> Row:
        """All figures of what was danced to each take, by its name, once a seed.

        Poses (rotations, roots), a Clip, or points (T, 24, 3). With as many frames as `take.given` they are at 30 fps
        beside it; with as many as `take.lead` they are at the live rate and compared as a model's are. Means over
        seeds, KEY_low and KEY_high. Raises ValueError for a take without poses, another number of frames, or numbers
        that are not finite.
        """
        made = [[[Piece(0, self._points(take, poses))] for take in self.takes] for poses in by_seed]
        return rows.model_row(self.truth, made, self.places) | self.truth.fold_ratios(made, self.places)

    def ridge(self) -> Row:
        """The row of the causal linear ridge, learned on the same folds."""
        made: dict[str, Array] = {}
        for training, held_out in self.folds():
            dance = baselines.fit_ridge(training)
            made |= {take.name: dance(take, 0)[0].points for take in held_out}
        return self.figures([made])

    def table(self, by_subject: Mapping[str, Row]) -> str:
        """The rows as text, a column a subject."""
        subjects = {**by_subject, "truth": self.truth.floor_row()}
        return report.table("held-out takes", table.readable(SHOWN, subjects))

    def _points(self, take: Take, poses: Mapping[str, Poses | Clip | Array]) -> Array:
        if take.name not in poses:
            raise ValueError(f"no poses for take {take.name}; there are: {', '.join(poses) or 'none'}")
        said = poses[take.name]
        if isinstance(said, np.ndarray):
            points = said
        else:
            clip = said if isinstance(said, Clip) else Clip(HUMANOID, FPS, np.asarray(said[1]), np.asarray(said[0]))
            live = len(clip) == len(take.lead)
            if live:
                clip = Clip(clip.skeleton, take.lead.fps, clip.root_positions, clip.rotations)
            points = take.compared(clip) if live else body_points(clip)
        if points.shape != take.follower.shape:
            raise ValueError(
                f"take {take.name} has {len(take)} frames at {FPS:g} fps or {len(take.lead)} at {take.lead.fps:g}; "
                f"got {len(said) if isinstance(said, np.ndarray) else len(clip)}"
            )
        if not np.isfinite(points).all():
            raise ValueError(f"the poses for take {take.name} are not finite")
        return points
