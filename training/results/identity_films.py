"""What a model of films leaves to look at: what comes back, what it makes up, and everybody doing what everybody does.

    python -m training.results.identity_films runs/pendulum/last.ckpt [--images F.npz --labels L.npz] [--out DIR]

OUT has reconstruct.gif (recorded above, what comes back below), generate.gif (the same, made up from the beginning),
swap.gif (identities of the first column do what is done in the first row), swap_frames.gif (by stage 1, picture by
picture), transfer.gif (films of the first column go on as those of the first row do), vary.gif (d moved further and
further), sample.gif, and codes.npz: s and d of every film, with who and what. Pendulums also have periods.json: how
well they keep time.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from exporters.gif import write_pictures
from training import identity_swings
from training.identity_checkpoints import opened
from training.models import identity_films
from training.models.identity_films import Film

KIND = "identity_action_images"
COLUMNS, VARIED = 8, (0.0, 0.5, 1.0, 2.0)  # films side by side; deviations by which d is moved
SAMPLES = 4  # a side
ZOOM = 2


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
    trained = opened(options.checkpoint, {KIND: identity_films.Config})
    model, data = trained.model, trained.data
    if options.images or options.labels:
        data = replace(data, images=options.images, labels=options.labels)
    films = identity_films.load(data, None)
    others = [film for film in films if not trained.seen(film)] or films
    out = options.out or options.checkpoint.parent / "results"
    out.mkdir(parents=True, exist_ok=True)
    random = torch.Generator().manual_seed(options.seed)
    for name, grid in grids(model, others, options.length, random).items():
        write_pictures(out / f"{name}.gif", grid, options.fps)
    codes = [model.codes(_pictures([film])) for film in films]
    np.savez(
        out / "codes.npz",
        s=torch.cat([s for s, _ in codes]).numpy(),
        d=torch.cat([d for _, d in codes]).numpy(),
        identity=[film.cell[0] for film in films],
        action=[film.cell[1] for film in films],
    )
    lines = [f"{out}: films of {len(others)} sequences, codes of {len(films)}"]
    if not data.images:
        errors = identity_swings.period_errors(model, data)
        told = {f"{look} {action}": round(error, 2) for (look, action), error in errors.items()}
        mean = float(np.mean(list(errors.values())))
        whole = {"pendulum_period_error_percent": mean, "of": told}
        (out / "periods.json").write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
        lines.append(f"period error of {data.pendulums.steps} generated steps: {mean:.1f} %; {out / 'periods.json'}")
    return lines


@torch.no_grad()
def grids(model: Any, films: Sequence[Film], length: int, random: torch.Generator) -> dict[str, np.ndarray]:
    """Films (T, H, W, 3) by their names. length: of what is made up."""
    some = _pictures(_one_of_each(films, 2)[:COLUMNS])
    length = length or some.shape[1]
    rows, columns = (_pictures(_one_of_each(films, kind)) for kind in (0, 1))
    swapped, by_frame, gone_on = [], [], []
    for own in rows:
        who = own[None].expand(len(columns), *own.shape)
        swapped.append(model.swap(columns, who))
        by_frame.append(model.swap(columns, who, frame_by_frame=True))
        gone_on.append(model.transfer(who, columns, length))
    varied = [some, *(model.vary(some, amount, random) for amount in VARIED)]
    made = model.sample(SAMPLES * SAMPLES, length, random).unflatten(0, (SAMPLES, SAMPLES))
    return {
        "reconstruct": grid([some, model.reconstruct(some)]),
        "generate": grid([some, model.generate(some, length)]),
        "swap": _table(columns, rows, swapped),
        "swap_frames": _table(columns, rows, by_frame),
        "transfer": _table(columns, rows, gone_on),
        "vary": grid(varied),
        "sample": grid(list(made)),
    }


def grid(rows: Sequence[Tensor]) -> np.ndarray:
    """Rows of films (N, T, C, H, W) as one film (T', H', W', 3), as long as the longest; others stand at their end."""
    frames = max(row.shape[1] for row in rows)
    held = [row[:, torch.arange(frames).clamp(max=row.shape[1] - 1)] for row in rows]
    whole = torch.cat([torch.cat(list(row), dim=-1) for row in held], dim=-2)  # (T', C, H', W')
    coloured = whole.expand(-1, 3, -1, -1).clamp(0.0, 1.0).repeat_interleave(ZOOM, -1).repeat_interleave(ZOOM, -2)
    return (255.0 * coloured).round().byte().permute(0, 2, 3, 1).numpy()


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m training.results.identity_films", description=__doc__.splitlines()[0]
    )
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--images", default="", help="other films than those of training: a .npz file")
    parser.add_argument("--labels", default="", help="and who and what is in them")
    parser.add_argument("--out", type=Path, help="folder (default: `results` beside the checkpoint)")
    parser.add_argument("--length", type=int, default=0, help="steps of what is made up (default: as films have)")
    parser.add_argument("--fps", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=0)
    return parser


def _table(columns: Tensor, rows: Tensor, cells: Sequence[Tensor]) -> np.ndarray:
    """Cells with their columns above and their rows to the left."""
    empty = torch.zeros_like(columns[:1])
    head = torch.cat([empty, columns])
    return grid([head, *(torch.cat([_as_long(own[None], made), made]) for own, made in zip(rows, cells, strict=True))])


def _as_long(film: Tensor, other: Tensor) -> Tensor:
    return film[:, torch.arange(other.shape[1]).clamp(max=film.shape[1] - 1)]


def _one_of_each(films: Sequence[Film], kind: int) -> list[Film]:
    """A film of each identity (0), of each action (1), of each cell (2)."""
    found: dict[Any, Film] = {}
    for film in films:
        found.setdefault(film.cell if kind == 2 else film.cell[kind], film)
    return [found[name] for name in sorted(found)]


def _pictures(films: Sequence[Film]) -> Tensor:
    """(N, T, C, H, W) from 0 to 1, as long as the shortest."""
    shortest = min(map(len, films))
    return torch.stack([torch.from_numpy(film.pictures[:shortest]) for film in films]).float() / 255.0


if __name__ == "__main__":
    sys.exit(main())
