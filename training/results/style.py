"""How far a deepfake goes: whose style its dances have, and how much of the motion it was given is still there.

Style distance: the Fréchet distance between the kinetic features (FID_k, motion.metrics) of windows of 2 s danced by
the model and of the true dancer's, over that between the two true dancers. 0: not to be told from the target; 1: as far
from them as the other dancer is. Kept: the mean distance of joints, in the body's own frame, from the original's.

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

_CHAPTER = "\n## Style\n\n"


def distances(player: Player | Sequence[Player], leads: Sequence[Clip], follows: Sequence[Clip]) -> Figures:
    """Figures by name; null where they cannot be had: takes under two windows of 2 s, or a body of other joints.

    player: who dances all takes, or one for each.
    """
    players = player if isinstance(player, Sequence) else [player] * len(leads)
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
            dances = zip(players, clips, strict=True)
            made = [_points(each.dance(clip, mix=target - 1.0, variety=0.0)) for each, clip in dances]
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
