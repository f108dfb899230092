"""How well a motion model fills in a limb that was not seen: arms and legs of recorded takes, left out for a while.

Elbow and hand, knee and foot: how far they are from where they were, mean over the gap, metres. Beside the model stand
the limb's last pose, held; its turns on the way from the last pose to the next; and the mean pose of recordings.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from motion import kinematics
from motion import rotations as rot
from motion.infill import BEFORE, LIMBS, Infill
from motion.joint_limits import humanoid_limits
from motion.motion_layout import HORIZON, RATE
from motion.motion_vectors import Track
from motion.skeleton import HUMANOID, Array
from training.models.motion_takes import Take
from training.scorecards.drmm_ik import Asked

GAPS = (0.5, 1.0, 2.0)  # seconds
WAYS = ("", "_open", "_alone", "_held", "_line", "_mean")
KEYS = tuple(f"infill_{1000 * gap:.0f}ms{way}_m" for gap in GAPS for way in WAYS)


def figures(model: Asked, takes: Sequence[Take], count: int, seed: int) -> dict[str, float]:
    """Metres by KEYS, of `count` gaps of each length: filled in with what comes after the gap (and, _open, without),
    the other dancer known (and, _alone, nobody), and the naive ways. NaN where no take is long enough.
    """
    infill, limits = Infill(model.run, model.space, model.shape), humanoid_limits()
    made = dict.fromkeys(KEYS, np.nan)
    for gap in GAPS:
        random, frames = np.random.default_rng(seed), round(gap * RATE)
        long = [take for take in takes if len(take) > BEFORE + frames + HORIZON]
        errors: dict[str, list[float]] = {way: [] for way in WAYS}
        for number in range(count if long else 0):
            take = long[number % len(long)]
            people = [Track(each.root[: len(take)], each.rotations[: len(take)]) for each in take.dancers]
            chosen = int(random.integers(len(people)))
            body, dancer = people[chosen], people[1 - chosen] if len(people) == 2 else None
            limb = str(random.choice(list(LIMBS)))
            first = int(random.integers(BEFORE, len(take) - frames - HORIZON))
            gone = slice(first, first + frames)
            bones = [HUMANOID.index(joint) for joint in LIMBS[limb][:3]]
            turns, share = body.rotations[:, bones], np.arange(1, frames + 1) / (frames + 1.0)
            before, after = (np.broadcast_to(turns[each], (frames, 3, 4)) for each in (first - 1, first + frames))
            filled = [
                infill(body, limb, first, gone.stop, random, dancer)[gone, bones],
                infill(_until(body, gone.stop), limb, first, gone.stop, random, dancer)[gone, bones],
                infill(body, limb, first, gone.stop, random)[gone, bones],
                before,
                rot.slerp(before, after, share[:, None]),
                np.broadcast_to(limits.centres[bones], before.shape),
            ]
            for way, guess in zip(WAYS, filled, strict=True):
                errors[way].append(_missed(body, bones, gone, guess))
        for way, values in errors.items():
            made[f"infill_{1000 * gap:.0f}ms{way}_m"] = float(np.mean(values)) if values else np.nan
    return made


def _until(body: Track, frame: int) -> Track:
    return Track(body.root[:frame], body.rotations[:frame])


def _missed(body: Track, bones: list[int], gone: slice, turns: Array) -> float:
    rotations = body.rotations[gone].copy()
    rotations[:, bones] = turns
    there = kinematics.global_positions(HUMANOID, body.root[gone], rotations)
    return float(np.linalg.norm((there - body.positions[gone])[:, bones[1:]], axis=-1).mean())
