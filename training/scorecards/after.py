"""The scorecard that a training run leaves in its folder: the new model on the takes that were held out."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from training.scorecards import duet, present

KEYS = ("root_ade_m", "root_ade_far_m", "bed", "own_slide_ratio", "jitter_ratio", "teleport_percent")


def write(out: Path, model: Path, pairs: Sequence[tuple[Path, Path]], cache: Path | None = None) -> list[str]:
    """Write OUT/scorecard.md, .png and .json of `model` on pairs of recordings; lines for each thing of note.

    What cannot be judged (two dancers in one file, a take too short, a model of another body) leaves no scorecard; the
    line says why.
    """
    parser = argparse.ArgumentParser()
    duet.add_arguments(parser)
    leads, follows = zip(*dict.fromkeys(pairs), strict=True)
    arguments = [str(model), "--lead", *map(str, leads), "--follow", *map(str, follows), "--processes", "1"]
    try:
        scorecard = duet.run(parser.parse_args([*arguments, "--cache", str(cache or out / "cache")]))
    except (ValueError, OSError) as error:
        return [f"no scorecard: {error}"]
    present.write_json(out / "scorecard.json", scorecard)
    present.write_markdown(out / "scorecard.md", scorecard, model.stem)
    row = scorecard.rows["model"]
    figures = ", ".join(f"{key} {row[key]:.3g}" for key in KEYS)
    seen = "; every take of it was trained on: it proves nothing" if row["takes_seen"] == row["takes"] else ""
    return [f"{out / 'scorecard.md'}: {figures}{seen}"]
