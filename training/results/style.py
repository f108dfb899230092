"""How far a deepfake goes: whose style its dances have, and how much of the motion it was given is still there.

Style distance: the Fréchet distance between the kinetic features (FID_k, motion.metrics) of windows of 2 s danced by
the model and of the true dancer's, over that between the two true dancers. 0: not to be told from the target; 1: as far
from them as the other dancer is. Kept: the mean distance of joints, in the body's own frame, from the original's.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from motion.clip import Clip
from motion.metrics import distributions, joints
from motion.metrics.window_features import kinetic_features
from motion.skeleton import HUMANOID, Array
from training.results.player import Player
from training.results.sequences import at_rate

Figures = dict[str, float | None]


def distances(player: Player, leads: Sequence[Clip], follows: Sequence[Clip]) -> Figures:
    """Figures by name; null where they cannot be had: takes under two windows of 2 s, or a body of other joints."""
    if not set(HUMANOID.names) <= set(leads[0].skeleton.names):
        return {"style_between_dancers": None}
    true = {1: [_points(clip) for clip in leads], 2: [_points(clip) for clip in follows]}
    features = {dancer: _features(points) for dancer, points in true.items()}
    if min(map(len, features.values())) < 2:
        return {"style_between_dancers": None}
    reference = np.concatenate(list(features.values()))
    between = distributions.fid(features[1], features[2], reference)
    figures: Figures = {"style_between_dancers": between}
    for source, clips in ((1, leads), (2, follows)):
        for target in (1, 2):
            made = [_points(player.dance(clip, mix=target - 1.0, variety=0.0)) for clip in clips]
            name = f"d{source}_to_d{target}"
            for dancer in (1, 2):
                distance = distributions.fid(features[dancer], _features(made), reference)
                figures[f"{name}_style_from_d{dancer}"] = distance / between
            figures[f"{name}_kept_m"] = float(np.mean([_apart(a, b) for a, b in zip(true[source], made, strict=True)]))
    return {name: None if value is None else round(value, 4) for name, value in figures.items()}


def sentences(figures: Figures) -> list[str]:
    """The figures for people."""
    if figures["style_between_dancers"] is None:
        return ["style distance: not measured, it takes 3 s of a body with the joints of HUMANOID"]
    lines = ["style distance over that between the two dancers (0: their own, 1: the other's), joints moved:"]
    for source, target in ((1, 1), (2, 2), (1, 2), (2, 1)):
        name = f"d{source}_to_d{target}"
        lines.append(
            f"  {name}: {figures[f'{name}_style_from_d{target}']:.2f} from dancer {target}, "
            f"{figures[f'{name}_style_from_d{3 - target}']:.2f} from dancer {3 - target}; "
            f"{100 * figures[f'{name}_kept_m']:.1f} cm"
        )
    return lines


def _points(clip: Clip) -> Array:
    return joints.body_points(at_rate(clip, joints.FPS))


def _features(motions: Sequence[Array]) -> Array:
    windows = [joints.windows(points) for points in motions]
    return kinetic_features(np.concatenate(windows), released=False)  # where a body stands is no style


def _apart(a: Array, b: Array) -> float:
    frames = min(len(a), len(b))
    difference = joints.own_frame(a[:frames]) - joints.own_frame(b[:frames])
    return float(np.linalg.norm(difference, axis=-1).mean())
