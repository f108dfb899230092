"""How far a deepfake goes: whose style its dances have, and how much of the motion it was given is still there.

Style distance: the Fréchet distance between the kinetic features (FID_k, motion.metrics) of windows of 2 s danced by
the model and of the true dancer's, over that between the two true dancers. 0: not to be told from the target; 1: as far
from them as the other dancer is. Three times: on stage; of the body alone, seen from its own hips, because the path on
stage is the dancer's and passes by the networks; and, to compare the one on stage with, of what the target truly danced
at that moment, put on that path.
Taken for dancer 2: the share of windows, by a linear classifier of postures and speeds (ridge) that knows the dancers
of all other takes.
Kept: the mean distance of joints, in the body's own frame, from the original's, and the correlation over time of how
fast the feet move there.

    python -m training.results.style FOLD1.onnx FOLD2.onnx ... --data RECORDINGS [--config CONFIG.yaml]
        [--add-to scorecard.json scorecard.md]

measures a recipe: every take is danced by the model of the fold that has not seen it. The figures join a scorecard.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from motion.clip import Clip
from motion.metrics import distributions, joints
from motion.metrics.window_features import kinetic_features
from motion.skeleton import HUMANOID, Array
from training import config, dataset
from training.results.player import Player
from training.results.sequences import at_rate

Figures = dict[str, float | None]

FEET = ("lankle", "rankle", "ltoes", "rtoes")
LEAST = 0.01  # metres, metres a second: what varies less tells nothing
RIDGE = 30.0

_CHAPTER = "\n## Style\n\n"


def distances(player: Player | Sequence[Player], leads: Sequence[Clip], follows: Sequence[Clip]) -> Figures:
    """Figures by name; null where they cannot be had: takes under two windows of 2 s, or a body of other joints.

    player: who dances all takes, or one for each.
    """
    players = player if isinstance(player, Sequence) else [player] * len(leads)
    if not set(HUMANOID.names) <= set(leads[0].skeleton.names):
        return {"style_between_dancers": None}
    true = {1: [_points(clip) for clip in leads], 2: [_points(clip) for clip in follows]}
    if min(len(_features(points)) for points in true.values()) < 2:
        return {"style_between_dancers": None}
    on_stage, of_bodies = _Ruler(true), _Ruler({dancer: _seen_from_hips(points) for dancer, points in true.items()})
    figures: Figures = {"style_between_dancers": on_stage.between, "body_between_dancers": of_bodies.between}
    figures |= {f"d{dancer}_taken_for_d2": _taken_for_2(true, true[dancer]) for dancer in (1, 2)}
    for source, clips in ((1, leads), (2, follows)):
        for target in (1, 2):
            dances = zip(players, clips, strict=True)
            made = [_points(each.dance(clip, mix=target - 1.0, variety=0.0)) for each, clip in dances]
            both = list(zip(true[source], made, strict=True))
            there = [_put(a, b) for a, b in zip(true[target], true[source], strict=True)]
            name = f"d{source}_to_d{target}"
            for dancer in (1, 2):
                figures[f"{name}_style_from_d{dancer}"] = on_stage.distance(made, dancer)
                figures[f"{name}_body_from_d{dancer}"] = of_bodies.distance(_seen_from_hips(made), dancer)
                figures[f"{name}_true_from_d{dancer}"] = on_stage.distance(there, dancer)
            figures[f"{name}_taken_for_d2"] = _taken_for_2(true, made)
            figures[f"{name}_kept_m"] = float(np.mean([_apart(a, b) for a, b in both]))
            figures[f"{name}_feet_correlation"] = float(np.mean([_together(a, b) for a, b in both]))
    return {name: None if value is None else round(value, 4) for name, value in figures.items()}


def sentences(figures: Figures) -> list[str]:
    """The figures for people."""
    if figures["style_between_dancers"] is None:
        return ["style distance: not measured, it takes 3 s of a body with the joints of HUMANOID"]
    shares = [_percent(figures[f"d{dancer}_taken_for_d2"]) for dancer in (1, 2)]
    lines = [
        "style distance over that between the two dancers (0: their own, 1: the other's), joints moved:",
        f"  the dancers themselves: {shares[0]} of dancer 1's windows and {shares[1]} of dancer 2's taken for dancer 2",
    ]
    for source, target in ((1, 1), (2, 2), (1, 2), (2, 1)):
        name, other = f"d{source}_to_d{target}", 3 - target
        far = {
            (what, dancer): f"{figures[f'{name}_{what}_from_d{dancer}']:.2f}"
            for what in ("style", "body", "true")
            for dancer in (1, 2)
        }
        truth = f" (truly theirs there: {far['true', target]} and {far['true', other]})" if source != target else ""
        cm, feet = 100 * figures[f"{name}_kept_m"], figures[f"{name}_feet_correlation"]
        lines.append(
            f"  {name}: {far['style', target]} from dancer {target}, {far['style', other]} from dancer {other}{truth}; "
            f"bodies alone {far['body', target]} and {far['body', other]}; "
            f"{_percent(figures[f'{name}_taken_for_d2'])} taken for dancer 2; "
            f"{cm:.1f} cm; feet's speed correlates {feet:.2f}"
        )
    return lines


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.0f} %"


class _Ruler:
    """Style distances to two dancers (their takes by number), in the distance between them."""

    def __init__(self, true: dict[int, list[Array]]) -> None:
        self._features = {dancer: _features(points) for dancer, points in true.items()}
        self._reference = np.concatenate(list(self._features.values()))
        self.between = distributions.fid(self._features[1], self._features[2], self._reference)

    def distance(self, made: Sequence[Array], dancer: int) -> float:
        return distributions.fid(self._features[dancer], _features(made), self._reference) / self.between


def _points(clip: Clip) -> Array:
    return joints.body_points(at_rate(clip, joints.FPS))


def _features(motions: Sequence[Array]) -> Array:
    windows = [joints.windows(points) for points in motions]
    return kinetic_features(np.concatenate(windows), released=False)  # where a body stands is no style


def _seen_from_hips(motions: Sequence[Array]) -> list[Array]:
    return [joints.own_frame(points) for points in motions]


def _put(movements: Array, path: Array) -> Array:
    """What one body (T, 24, 3) does as seen from its hips, where another's are and face."""
    frames = min(len(movements), len(path))
    path = path[:frames]
    return joints.from_frame(joints.own_frame(movements[:frames]), path[:, 0], joints.facing(path))


def _taken_for_2(true: dict[int, list[Array]], made: Sequence[Array]) -> float | None:
    """The share of windows of 2 s; of every take by a classifier that has seen all others. None without others.

    true: takes by dancer; `made` is of the same takes.
    """
    if len(made) < 2:
        return None
    seen = {dancer: [_postures(points) for points in motions] for dancer, motions in true.items()}
    taken: list[Array] = []
    for take, points in enumerate(made):
        known = [np.concatenate([*motions[:take], *motions[take + 1 :]]) for motions in seen.values()]
        if not all(map(len, known)):
            return None
        given = np.concatenate(known)
        answers = np.repeat([-1.0, 1.0], [len(each) for each in known])
        mean, deviation = given.mean(axis=0), given.std(axis=0) + LEAST
        z = (given - mean) / deviation
        weights = np.linalg.solve(z.T @ z + RIDGE * np.eye(z.shape[1]), z.T @ (answers - answers.mean()))
        taken.append((_postures(points) - mean) / deviation @ weights + answers.mean() > 0.0)
    windows = np.concatenate(taken)
    return float(windows.mean()) if len(windows) else None


def _postures(points: Array) -> Array:
    """Where the joints are as seen from the hips, how much that varies, and how fast: (N, 168) of windows of 2 s."""
    body = joints.windows(joints.own_frame(points))
    speed = np.linalg.norm(np.diff(body, axis=1), axis=-1).mean(axis=1) * joints.FPS
    return np.concatenate(
        [body.mean(axis=1).reshape(len(body), 72), body.std(axis=1).reshape(len(body), 72), speed], -1
    )


def _apart(a: Array, b: Array) -> float:
    frames = min(len(a), len(b))
    difference = joints.own_frame(a[:frames]) - joints.own_frame(b[:frames])
    return float(np.linalg.norm(difference, axis=-1).mean())


def _together(a: Array, b: Array) -> float:
    """How alike in time the feet of two bodies move, seen from the hips: a correlation; 0 of who stands still."""
    frames = min(len(a), len(b))
    speeds = []
    for points in (a[:frames], b[:frames]):
        feet = joints.own_frame(points)[:, [joints.POINT[name] for name in FEET]]
        speeds.append(np.linalg.norm(np.diff(feet, axis=0), axis=-1).mean(axis=1))
    if min(speed.std() for speed in speeds) < LEAST / joints.FPS:
        return 0.0
    return float(np.corrcoef(speeds)[0, 1])


def main(arguments: list[str] | None = None) -> int:
    """The command line. Returns 0, or 1 for an error that has been printed."""
    parser = argparse.ArgumentParser(prog="python -m training.results.style", description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", type=Path, help="the exported models of all folds")
    parser.add_argument("--data", type=Path, required=True, help="the folder of the recordings")
    parser.add_argument("--config", type=Path, help="of the training; its section `data` says how recordings are read")
    parser.add_argument("--add-to", nargs="+", type=Path, default=[], help="scorecards (.json, .md) that get them too")
    options = parser.parse_args(arguments)
    try:
        players = [Player(path) for path in options.models]
        data = dataclasses.replace(_data(options.config), fps=players[0].rate(60.0))
        pairs = dataset.load_pairs(data, options.data)
        chosen = [_unseen_by(players, pair) for pair in pairs]
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    tracks = [[(pair, pair.lead) for pair in pairs], [(pair, pair.follow) for pair in pairs]]
    clips = [[Clip(pair.skeleton, pair.fps, each.root, each.rotations) for pair, each in side] for side in tracks]
    figures = distances(chosen, *clips)
    print(*sentences(figures), sep="\n")
    for path in options.add_to:
        add_to(path, figures)
    return 0


def add_to(path: Path, figures: Figures) -> None:
    """Figures become the key "style" of a JSON object, or a chapter at the end of a page."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".json":
        text = json.dumps(json.loads(text) | {"style": figures}, indent=1) + "\n"
    else:
        first, *others = sentences(figures)
        lines = "\n".join(f"- {line.strip()}" for line in others)
        text = f"{text.partition(_CHAPTER)[0].rstrip()}\n{_CHAPTER}{first}\n\n{lines}\n"
    path.write_text(text, encoding="utf-8")


def _data(path: Path | None) -> dataset.Config:
    """The section `data` of a training's YAML file, or the defaults."""
    if path is None:
        return dataset.Config()
    made, faults = config.section(dataset.Config, config.load(path).get("data") or {}, f"{path}: data")
    if faults:
        raise ValueError("\n".join(faults))
    return made


def _unseen_by(players: Sequence[Player], pair: dataset.Pair) -> Player:
    hashes = {file["sha256"] for file in pair.files()}
    free = [
        player
        for player in players
        if hashes.isdisjoint(file["sha256"] for file in player.manifest.made_from.get("takes", []))
    ]
    if len(free) != 1:
        raise ValueError(f"{pair.name} must be unseen by one model, not by {len(free)} of {len(players)}")
    return free[0]


if __name__ == "__main__":
    sys.exit(main())
