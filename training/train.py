"""Train a model from recordings, export it, and say how to run it live.

    python -m training.train duet presets/training/duet.yaml --data RECORDINGS --out runs/mine [--fold 1/3]

The YAML file has the sections `data`, `model` and `training`: the Configs of training.dataset, of the model, and of
training.loop. What it leaves out has its default; what it does not know is refused with the choices.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from lightning.fabric import Fabric
from lightning.fabric.strategies import DDPStrategy

from exporters.onnx import export
from training import config, loggers, loop, results
from training.models import MODELS
from training.run import Run
from training.scorecards import after


def main(arguments: list[str] | None = None) -> int:
    """The command line. Returns 0, 1 for an error that has been printed, 130 when stopped."""
    options = parser().parse_args(arguments)
    try:
        show = run(options)
    except loop.Stopped as stopped:
        print(f"\nstopped; {stopped}\ncontinue with the same command and --resume")
        return 130
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if show is not None:
        print("\nrun it live (a recording dances; for a dancer in a suit see presets/live_vmc.yaml):")
        print(f"  {live_command(show)}")
    return 0


def live_command(show: Path) -> str:
    """What runs a show from here: a checkout's script, or the command of an installed project."""
    program = "python run_server.py" if Path("run_server.py").is_file() else "pas-de-deux"
    return f'{program} "{show}"' if " " in str(show) else f"{program} {show}"


def run(options: argparse.Namespace) -> Path | None:
    """Train and export as the options say; returns the preset of a show with the new model, in the first process."""
    prepared, checkpoint = fit(options)
    if not prepared.fabric.is_global_zero:
        return None
    if not prepared.kind.exported:
        print(f"the checkpoint: {checkpoint}")
        return None
    model = export(checkpoint, prepared.out / f"{prepared.out.resolve().name}.onnx")
    if not prepared.kind.partners:
        print(f"the model: {model}")
        return None
    shown = prepared.held_out or prepared.trained
    if options.results:
        print("", *results.write(prepared.out, options.kind, model, shown, options.seed), sep="\n")
        files = [(Path(options.data) / pair.lead.file, Path(options.data) / pair.follow.file) for pair in shown]
        print(*after.write(prepared.out, model, files), sep="\n")
    dancer = shown[0].lead.file
    return write_show(prepared.out / "live.yaml", model, Path(options.data).resolve() / dancer)


def fit(options: argparse.Namespace, watchers: Sequence[loggers.Logger] = ()) -> tuple[Run, Path]:
    """Train as the options say; returns what was trained on and the checkpoint. watchers are told of every epoch."""
    sections = read_config(options.kind, Path(options.config))
    loggers.require(options.logger)
    fabric = launch(options)
    prepared = prepare(options, sections, fabric, watchers)
    if fabric.is_global_zero:
        held_out = ", ".join(pair.name for pair in prepared.held_out) or "none"
        print(f"{len(prepared.trained)} takes train, {len(prepared.held_out)} are held out: {held_out}")
    return prepared, prepared.kind.train(prepared)


def launch(options: argparse.Namespace) -> Fabric:
    """The processes of this run. Under torchrun they are there already, and their number is taken from it."""
    devices, nodes = options.devices, options.nodes
    if "TORCHELASTIC_RUN_ID" in os.environ:
        devices = int(os.environ["LOCAL_WORLD_SIZE"])
        nodes = int(os.environ["WORLD_SIZE"]) // devices
    # Every process holds the same buffers: normalisation is fitted alike, batch statistics are global.
    strategy = DDPStrategy(broadcast_buffers=False) if devices * nodes > 1 else "auto"
    fabric = Fabric(
        accelerator=options.accelerator,
        devices=devices,
        num_nodes=nodes,
        strategy=strategy,
        precision=options.precision,
    )
    fabric.launch()
    fabric.seed_everything(options.seed, verbose=False)
    return fabric


def prepare(
    options: argparse.Namespace, sections: dict[str, Any], fabric: Fabric, watchers: Sequence[loggers.Logger] = ()
) -> Run:
    """Everything that training needs: recordings read and split, and what the model's label will say of them."""
    data, training, out = _data(options, sections["data"]), sections["training"], Path(options.out)
    fold = _fold(options.fold)
    if options.epochs is not None:
        training = dataclasses.replace(training, epochs=options.epochs)
    with fabric.rank_zero_first():  # the others find the takes in the cache
        report = out if fabric.is_global_zero else None
        pairs = MODELS[options.kind].load(data, options.data, options.cache or out / "cache", report)
    trained, held_out = MODELS[options.kind].split(data, pairs, fold, options.seed)
    about = {
        "takes": [file for pair in trained for file in pair.files()],
        "licence": data.licence,
        "source": data.source,
        "command": f"python -m training.train {options.kind} {Path(options.config).name} --seed {options.seed}"
        + (f" --fold {options.fold}" if options.fold else ""),
    }
    return Run(
        name=options.kind,
        kind=MODELS[options.kind],
        data=data,
        model=sections["model"],
        training=training,
        trained=trained,
        held_out=held_out,
        fabric=fabric,
        out=out,
        seed=options.seed,
        resume=options.resume,
        about=about,
        skeleton=pairs[0].skeleton,
        logger=options.logger,
        watchers=watchers,
    )


def _data(options: argparse.Namespace, data: Any) -> Any:
    """The section `data`, with the files of films that the options name."""
    if not hasattr(data, "images"):
        if options.images or options.labels:
            raise ValueError(f"--images and --labels are for films (identity_action_images), not for {options.kind}")
        if options.data is None:
            raise ValueError("--data must name a folder of recordings")
        return data
    if options.images or options.labels:
        return dataclasses.replace(data, images=options.images, labels=options.labels)
    return data


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
    return config.read(
        path, {"data": MODELS[kind].data, "model": MODELS[kind].config, "training": MODELS[kind].training}
    )


def _fold(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    try:
        k, count = (int(part) for part in text.split("/"))
    except ValueError:
        raise ValueError(f"--fold must read like 1/3, not {text!r}") from None
    if not 1 <= k <= count:
        raise ValueError(f"--fold {text}: K/N needs a K from 1 to N")
    return k, count


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training.train", description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=sorted(MODELS))
    parser.add_argument("config", help="YAML, for instance presets/training/duet.yaml")
    parser.add_argument("--data", help="folder of recordings, or of films; built-in films need none")
    parser.add_argument("--images", default="", help="films: a .npz file of sequences of pictures")
    parser.add_argument("--labels", default="", help="films: a .npz file of who and what, a row a sequence")
    parser.add_argument("--out", required=True, help="folder of this run")
    parser.add_argument("--fold", help="K/N: hold out every N-th take from the K-th on; without it all takes train")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--resume", action="store_true", help="continue the run in --out")
    parser.add_argument(
        "--no-results", dest="results", action="store_false", help="leave out OUT/results and the scorecard"
    )
    parser.add_argument("--logger", choices=sorted(loggers.LOGGERS), default="csv", help="beside history.csv")
    parser.add_argument("--cache", help="folder of takes already read (default: OUT/cache)")
    parser.add_argument("--accelerator", default="cpu")
    parser.add_argument("--devices", type=int, default=1, help="processes on this machine; torchrun says it itself")
    parser.add_argument("--nodes", type=int, default=1, help="machines; torchrun says it itself")
    parser.add_argument("--precision", default="32-true")
    return parser


if __name__ == "__main__":
    sys.exit(main())
