"""What a training run leaves to look at: what was danced, what the model makes of it, and walks through its latent.

    OUT/results/NAME_1.bvh NAME_2.bvh      a body a file
    OUT/results/NAME.glb NAME.gif          both dancers on one stage

The sequences come out of the exported model, not out of the network in memory: what is looked at is what runs live.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from exporters import fbx
from exporters.gif import write_gif
from exporters.gltf import write_gltf
from motion.bvh import write_bvh
from motion.clip import Clip
from training.dataset import Pair
from training.results import sequences
from training.results.player import Player


def write(out: Path, kind: str, model: Path, pairs: Sequence[Pair], seed: int = 0) -> list[str]:
    """Write OUT/results from an exported model and recordings, best unseen ones; a line for each thing of note."""
    folder = out / "results"
    folder.mkdir(parents=True, exist_ok=True)
    player = Player(model, seed)
    leads, follows = ([_clip(pair, who, player.rate(pair.fps)) for pair in pairs] for who in ("lead", "follow"))
    danced = sequences.of(kind, player, leads, follows)
    for name, clips in danced.items():
        save(folder / name, clips)
    lines = [f"{folder}: {', '.join(danced)} as BVH, glTF and GIF"]
    if kind == "deepfake":
        from training.results import style  # here, because `python -m training.results.style` imports this first

        figures = style.distances(player, leads, follows)
        (folder / "style.json").write_text(json.dumps(figures, indent=1), encoding="utf-8")
        lines += style.sentences(figures)
    lines += [why] if (why := fbx.missing()) else []
    return lines


def save(path: Path, clips: Mapping[str, Clip]) -> None:
    """Clips of one moment by who dances: PATH.glb and PATH.gif of all, PATH_1.bvh ... (and .fbx) of each."""
    for number, clip in enumerate(clips.values(), start=1):
        write_bvh(path.with_name(f"{path.name}_{number}.bvh"), clip, decimals=4)
        if not fbx.missing():
            fbx.write_fbx(path.with_name(f"{path.name}_{number}.fbx"), clip)
    write_gltf(path.with_name(f"{path.name}.glb"), clips)
    write_gif(path.with_name(f"{path.name}.gif"), clips)


def _clip(pair: Pair, who: str, fps: float) -> Clip:
    track = getattr(pair, who)
    return sequences.at_rate(Clip(pair.skeleton, pair.fps, track.root, track.rotations), fps)
