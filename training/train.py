"""Train a model from recordings, export it, and say how to run it live.

    python -m training.train duet presets/training/duet.yaml --data RECORDINGS --out runs/mine [--fold 1/3]

The YAML file has the sections `data`, `model` and `training`: the Configs of training.dataset, of the model, and of
training.loop. What it leaves out has its default; what it does not know is refused with the choices.
"""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import sys
import typing
from pathlib import Path
from typing import Any, TypeVar

import yaml
from lightning.fabric import Fabric

from exporters.onnx import export
from training import dataset, loop
from training.models import MODELS
from training.run import Run

C = TypeVar("C")


def main(arguments: list[str] | None = None) -> int:
    """The command line. Returns 0, 1 for an error that has been printed, 130 when stopped."""
    options = _parser().parse_args(arguments)
    try:
        show = run(options)
    except loop.Stopped as stopped:
        print(f"\nstopped; {stopped}\ncontinue with the same command and --resume")
        return 130
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print("\nrun it live (a recording dances; for a dancer in a suit see presets/live_vmc.yaml):")
    print(f"  python run_server.py {show}")
    return 0


def run(options: argparse.Namespace) -> Path:
    """Train and export as the options say; returns the preset of a show with the new model."""
    sections = read_config(options.kind, Path(options.config))
    data, config, training = sections["data"], sections["model"], sections["training"]
    if options.epochs is not None:
        training = dataclasses.replace(training, epochs=options.epochs)
    out = Path(options.out)
    pairs = dataset.load_pairs(data, options.data, options.cache or out / "cache")
    trained, held_out = dataset.split(pairs, _fold(options.fold))
    print(f"{len(trained)} takes train, {len(held_out)} are held out: {', '.join(p.name for p in held_out) or 'none'}")

    fabric = Fabric(accelerator=options.accelerator, devices=options.devices, precision=options.precision)
    fabric.launch()
    fabric.seed_everything(options.seed, verbose=False)
    about = {
        "takes": [file for pair in trained for file in pair.files()],
        "licence": data.licence,
        "source": data.source,
        "command": f"python -m training.train {options.kind} {Path(options.config).name} --seed {options.seed}"
        + (f" --fold {options.fold}" if options.fold else ""),
    }
    kind = MODELS[options.kind]
    checkpoint = kind.train(
        Run(
            options.kind,
            kind,
            data,
            config,
            training,
            trained,
            held_out,
            fabric,
            out,
            options.seed,
            options.resume,
            about,
        )
    )
    model = export(checkpoint, out / f"{out.resolve().name}.onnx")
    return write_show(out / "live.yaml", model, Path(options.data).resolve() / (held_out or trained)[0].lead.file)


def write_show(path: Path, model: Path, dancer: Path) -> Path:
    """A preset like presets/demo.yaml, in which the recording `dancer` dances with `model` beside it."""
    show = {
        "format": 1,
        "clock": {"follow": "dancer", "fps": 60},
        "seed": 1,
        "dancers": {"dancer1": {"receive": "bvh", "file": str(dancer)}},
        "partners": {"partner1": {"dancer": "dancer1", "model": model.name}},
        "outputs": [
            {"send": "vmc", "actor": "partner1", "port": 39539},
            {"send": "vmc", "actor": "dancer1", "port": 39541},
            {"send": "ai_toolbox", "actor": "partner1", "port": 9004},
            {"send": "zmq", "bind": "tcp://127.0.0.1:39550"},
        ],
    }
    path.write_text(yaml.safe_dump(show, sort_keys=False), encoding="utf-8")
    return path


def read_config(kind: str, path: Path) -> dict[str, Any]:
    """The three Configs of a YAML file. Raises ValueError with every fault, each naming file, key and choices."""
    classes = {"data": dataset.Config, "model": MODELS[kind].config, "training": MODELS[kind].training}
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is no YAML: {error}") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path}: sections expected, {', '.join(classes)}")
    faults = [_unknown(path, key, classes) for key in content if key not in classes]
    sections = {}
    for name, cls in classes.items():
        sections[name], more = _section(cls, content.get(name) or {}, f"{path}: {name}")
        faults += more
    if faults:
        raise ValueError("\n".join(faults))
    return sections


def _section(cls: type[C], values: Any, where: str) -> tuple[C | None, list[str]]:
    """A Config dataclass of a YAML mapping, and what is wrong with the mapping."""
    if not isinstance(values, dict):
        return None, [f"{where}: a mapping expected, got {values!r}"]
    kinds = typing.get_type_hints(cls)
    faults, good = [], {}
    for key, value in values.items():
        if key not in kinds:
            faults.append(_unknown(where, key, kinds))
            continue
        try:
            good[key] = _as(kinds[key], value)
        except (TypeError, ValueError):
            faults.append(f"{where}: {key} = {value!r} is no {kinds[key]}")
    return (None if faults else cls(**good)), faults


def _as(kind: Any, value: Any) -> Any:
    """value as the annotated kind: numbers, strings, booleans, unions of them, and tuples of one kind."""
    if typing.get_origin(kind) is tuple:
        if not isinstance(value, list):
            raise TypeError(value)
        return tuple(_as(typing.get_args(kind)[0], entry) for entry in value)
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    plain = typing.get_origin(kind) or kind
    choices = typing.get_args(kind) if plain is not dict and typing.get_args(kind) else (plain,)
    if isinstance(value, bool) != (bool in choices) or not isinstance(value, choices):
        raise TypeError(value)
    return value


def _unknown(where: Any, key: Any, choices: Any) -> str:
    close = difflib.get_close_matches(str(key), list(choices), 1)
    return (
        f"{where}: unknown key {key!r}; "
        + (f"did you mean {close[0]}? " if close else "")
        + f"known: {', '.join(choices)}"
    )


def _fold(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    try:
        k, count = (int(part) for part in text.split("/"))
    except ValueError:
        raise ValueError(f"--fold must read like 1/3, not {text!r}") from None
    return k, count


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training.train", description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=sorted(MODELS))
    parser.add_argument("config", help="YAML, for instance presets/training/duet.yaml")
    parser.add_argument("--data", required=True, help="folder of recordings")
    parser.add_argument("--out", required=True, help="folder of this run")
    parser.add_argument("--fold", help="K/N: hold out every N-th take from the K-th on; without it all takes train")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--resume", action="store_true", help="continue the run in --out")
    parser.add_argument("--cache", help="folder of takes already read (default: OUT/cache)")
    parser.add_argument("--accelerator", default="cpu")
    parser.add_argument("--devices", type=int, default=1)
    parser.add_argument("--precision", default="32-true")
    return parser


if __name__ == "__main__":
    sys.exit(main())
