"""What an identity_action model of motion leaves to look at and to work with: swaps, what goes on, what is made up.

    python -m training.results.identity_action runs/mine/last.ckpt --data RECORDINGS [--out DIR] [--pairs 3]

Recordings are found and named as in training; those that the model has not seen come first. OUT/NAME.gif and .glb show
bodies side by side, OUT/NAME_1.bvh and so on have each of them:

    reconstruct_N   a recording and what comes back
    swap_N          two recordings, each danced by whom the other shows; swap_frames_N by stage 1 alone
    transfer_N      the first goes on from its first pose as the other's d says
    vary_N          danced from d alone, and from d moved further and further
    generate_N      begun as a recording, and gone on by the prior
    sample          made up from the prior

and codes.npz has s and d of every recording, with who and what.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from motion import rotations as rot
from motion.clip import Clip
from motion.skeleton import HUMANOID
from training import results
from training.identity_checkpoints import opened
from training.models import identity_pose as pose
from training.models import identity_takes
from training.models.identity_action import IdentityAction
from training.models.identity_action_frames import FPS

KIND = "identity_action"
APART = 1.6  # metres between bodies
VARIED = (0.0, 0.5, 1.0, 2.0)  # deviations by which d is moved
SAMPLES = 4


def main(arguments: list[str] | None = None) -> int:
    """The command line. Returns 0, or 1 for an error that has been printed."""
    options = parser().parse_args(arguments)
    try:
        print(*run(options), sep="\n")
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def run(options: argparse.Namespace) -> list[str]:
    """Writes everything; a line for each thing of note. Raises ValueError and OSError naming what is wrong."""
    trained = opened(options.checkpoint, {KIND: identity_takes.Config})
    model = trained.model
    out = options.out or options.checkpoint.parent / "results"
    takes = identity_takes.load_takes(trained.data, options.data, options.cache or options.checkpoint.parent / "cache")
    takes = sorted(takes, key=trained.seen)
    tracks = [track for take in takes for track in take.tracks(model.config.window)]
    cells = [cell for take in takes for cell in take.cells]
    files = [file["take"] for take in takes for file in take.files()]
    out.mkdir(parents=True, exist_ok=True)
    codes = [model.codes(track[None]) for track in tracks]
    s, d = (torch.cat(part).numpy() for part in zip(*codes, strict=True))
    who, what = (np.array(part) for part in zip(*cells, strict=True))
    np.savez(out / "codes.npz", s=s, d=d, identity=who, action=what, take=np.array(files))
    random = torch.Generator().manual_seed(options.seed)
    lines = [f"{out / 'codes.npz'}: s and d of {len(files)} recordings"]
    names = [f"{identity} {action}" for identity, action in cells]
    shown = dict(danced(model, tracks, names, pairs(cells, options.pairs, random), random))
    for name, bodies in shown.items():
        results.save(out / name, side_by_side(bodies))
    return [*lines, f"{out}: {', '.join(shown)} as BVH, glTF and GIF"]


def pairs(cells: Sequence[tuple[str, str]], count: int, random: torch.Generator) -> list[tuple[int, int]]:
    """Places of two recordings that have neither who nor what in common, the first half of all places preferred.

    Raises ValueError where there are none.
    """
    half = (len(cells) + 1) // 2
    every = torch.cat(
        [torch.randperm(half, generator=random), half + torch.randperm(len(cells) - half, generator=random)]
    )
    found: list[tuple[int, int]] = []
    for first in every:
        shown = {place for pair in found for place in pair}
        others = [each for each in every if each not in shown and _differ(cells[first], cells[each])]
        if first not in shown and others and len(found) < count:
            found.append((first, others[0]))
    if not found:
        raise ValueError("no two of these recordings differ in who moves and in what is done; give --data more of them")
    return found


def _differ(one: tuple[str, str], other: tuple[str, str]) -> bool:
    return one[0] != other[0] and one[1] != other[1]


def danced(
    model: IdentityAction,
    tracks: Sequence[Tensor],
    names: Sequence[str],
    chosen: Sequence[tuple[int, int]],
    random: torch.Generator,
) -> Mapping[str, dict[str, Tensor]]:
    """{file: {body: moves (T, WIDTH)}} of pairs of recordings, and of what is made up."""
    made: dict[str, dict[str, Tensor]] = {}
    for number, (first, second) in enumerate(chosen, start=1):
        one, other = tracks[first][None], tracks[second][None]
        a, b = names[first], f"{names[second]} (2)"
        length = one.shape[1]
        made[f"reconstruct_{number}"] = {a: one, "comes back": model.reconstruct(one)}
        for name, by_frames in (("swap", False), ("swap_frames", True)):
            made[f"{name}_{number}"] = {
                a: one,
                b: other,
                f"1 as {names[second].split()[0]}": model.swap(one, other, by_frames),
                f"2 as {names[first].split()[0]}": model.swap(other, one, by_frames),
            }
        made[f"transfer_{number}"] = {a: one, b: other, "1 goes on as 2": model.transfer(one, other, length)}
        made[f"vary_{number}"] = {f"d + {each:g}": model.vary(one, each, random) for each in VARIED}
        made[f"generate_{number}"] = {a: one, "made up": model.generate(one, length)}
    made["sample"] = {
        str(n): each[None] for n, each in enumerate(model.sample(SAMPLES, model.config.window, random), 1)
    }
    return {name: {body: moves[0] for body, moves in bodies.items()} for name, bodies in made.items()}


def side_by_side(bodies: Mapping[str, Tensor]) -> dict[str, Clip]:
    """Clips of moves (T, WIDTH), which begin beside each other."""
    clips = {}
    for number, (name, moves) in enumerate(bodies.items()):
        root, sixd = (part[0].numpy().astype(np.float64) for part in pose.global_pose(moves[None], FPS))
        root[:, 0] -= APART * number  # the first stands to the left, seen from the front
        clips[name] = Clip(HUMANOID, FPS, root, rot.from_6d(sixd))
    return clips


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog="python -m training.results.identity_action", description=__doc__.splitlines()[0]
    )
    made.add_argument("checkpoint", type=Path)
    made.add_argument("--data", required=True, help="folder of recordings")
    made.add_argument("--out", type=Path, help="folder for everything (default: `results` beside the checkpoint)")
    made.add_argument("--pairs", type=int, default=3, help="pairs of recordings that are shown")
    made.add_argument("--seed", type=int, default=0)
    made.add_argument("--cache", type=Path, help="takes already read (default: `cache` beside the checkpoint)")
    return made


if __name__ == "__main__":
    sys.exit(main())
