"""Where a run's figures go while it trains, beside history.csv, which is always written: csv, tensorboard or wandb.

A logger has `batch(number, values)`, called every `log_interval` batches, `epoch(line)` and `close()`. Nothing leaves
the machine: wandb is asked for its offline mode, whose folder `wandb sync` can send later. An evaluation's figures,
pictures and films can go there, too.
"""

from __future__ import annotations

import csv
import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


class Logger(Protocol):
    def batch(self, number: int, values: dict[str, float]) -> None:
        """Losses of one batch; `number` counts from 1 over the whole run."""

    def epoch(self, line: dict[str, float]) -> None:
        """One line of history.csv."""

    def close(self) -> None: ...


@dataclass(frozen=True)
class Names:
    """What a run is called at wandb: whose it is (empty: who sends it), where, and its name (empty: its folder's)."""

    entity: str = ""
    project: str = "pas-de-deux"
    run_name: str = ""


class CsvLogger:
    """batches.csv in the run's folder. A resumed run carries on with what was written up to where it stood."""

    def __init__(self, out: Path, start: int, about: dict[str, Any], names: Names) -> None:
        self.path = out / "batches.csv"
        self._file: Any = None
        self._lines = []
        if start and self.path.is_file():
            with open(self.path, newline="", encoding="utf-8") as file:
                self._lines = [line for line in csv.DictReader(file) if int(line["batch"]) <= start]

    def batch(self, number: int, values: dict[str, float]) -> None:
        line = {"batch": number, **{name: repr(value) for name, value in values.items()}}
        if self._file is None:
            self._file = open(self.path, "w", newline="", encoding="utf-8")  # noqa: SIM115 - closed in close()
            self._writer = csv.DictWriter(self._file, list(line), restval="", extrasaction="ignore")
            self._writer.writeheader()
            self._writer.writerows(self._lines)
        self._writer.writerow(line)

    def epoch(self, line: dict[str, float]) -> None:
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


class TensorboardLogger:
    """Event files in OUT/tensorboard: `tensorboard --logdir OUT`."""

    def __init__(self, out: Path, start: int, about: dict[str, Any], names: Names) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(out / "tensorboard"), purge_step=start + 1 if start else None)
        self._writer.add_text("about", "\n".join(f"{name}: {value}" for name, value in about.items()), 0)

    def batch(self, number: int, values: dict[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(f"batch/{name}", value, number)

    def epoch(self, line: dict[str, float]) -> None:
        for name, value in line.items():
            if name != "epoch":
                self._writer.add_scalar(f"epoch/{name}", value, int(line["epoch"]))
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()


class WandbLogger:
    """An offline run in OUT/wandb."""

    def __init__(self, out: Path, start: int, about: dict[str, Any], names: Names) -> None:
        self._run = _wandb_run(out, about, names, "training")

    def batch(self, number: int, values: dict[str, float]) -> None:
        self._run.log({"batch": number, **{f"batch/{name}": value for name, value in values.items()}})

    def epoch(self, line: dict[str, float]) -> None:
        self._run.log({f"epoch/{name}" if name != "epoch" else name: value for name, value in line.items()})

    def close(self) -> None:
        self._run.finish()


def evaluated(out: Path, about: dict[str, Any], names: Names, figures: dict[str, float], files: Sequence[Path]) -> None:
    """An offline run of wandb in OUT/wandb with an evaluation's figures, and its pictures and films as an artifact."""
    import wandb

    run = _wandb_run(out, about, names, "evaluation")
    run.summary.update(figures)
    films = wandb.Artifact(f"{run.name}-films", type="animation")
    for path in files:
        films.add_file(str(path))
    run.log_artifact(films)
    run.finish()


def _wandb_run(out: Path, about: dict[str, Any], names: Names, job: str) -> Any:
    import wandb

    name, entity = names.run_name or out.resolve().name, names.entity or None
    return wandb.init(
        entity=entity, project=names.project, name=name, job_type=job, dir=str(out), config=about, mode="offline"
    )


def require(name: str) -> None:
    """Raises ValueError when the logger's package is not installed; nothing else is tried."""
    if name == "wandb" and importlib.util.find_spec("wandb") is None:
        others = ", ".join(other for other in LOGGERS if other != name)
        raise ValueError(f"--logger wandb needs a package that is not installed: pip install wandb; or choose {others}")


LOGGERS: dict[str, Callable[[Path, int, dict[str, Any], Names], Logger]] = {
    "csv": CsvLogger,
    "tensorboard": TensorboardLogger,
    "wandb": WandbLogger,
}
