"""Honest figures of a recipe: the models of its folds, each trained anew without the takes it will be judged by."""

from __future__ import annotations

import shlex
from pathlib import Path

from server.onnx_model import OnnxModel

CONFIGS = Path(__file__).resolve().parents[2] / "presets" / "training"


def train_folds(model: OnnxModel, folder: Path, count: int, out: Path, config: Path | None = None) -> list[OnnxModel]:
    """Models of `count` folds of the takes in `folder`, trained as `python -m training.train` does, kept in `out`.

    config: the training config; None for the one the model's manifest names. Raises ValueError when it cannot be had
    or a fold cannot be trained.
    """
    from training import train  # brings torch, which nothing else of a scorecard needs, and its processes least of all

    kind, named = _recipe(model)
    config = config or named
    models = []
    for fold in range(1, count + 1):
        run = out / f"{model.manifest.name}-fold{fold}"
        arguments = [kind, str(config), "--data", str(folder), "--out", str(run)]
        arguments += ["--fold", f"{fold}/{count}", "--cache", str(out / "cache"), "--no-results"]
        if train.main(arguments):
            raise ValueError(f"fold {fold} could not be trained: python -m training.train {shlex.join(arguments)}")
        models.append(OnnxModel(run / f"{run.name}.onnx"))
    return models


def _recipe(model: OnnxModel) -> tuple[str, Path]:
    """The kind of model and the training config that a manifest's command names: in presets, or beside the model."""
    words = shlex.split(str(model.manifest.made_from.get("command", "")))
    named = next((place for place, word in enumerate(words) if word.endswith((".yaml", ".yml"))), 0)
    if not named:
        raise ValueError(f"the manifest of {model.path.name} names no training command; give --fold-models")
    places = [folder / Path(words[named]).name for folder in (CONFIGS, model.path.parent)]
    return words[named - 1], next((path for path in places if path.is_file()), places[0])
