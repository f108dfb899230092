"""Training configs: what is right is read as annotated, what is wrong is told at once, with file, key and choices."""

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from training import config, train
from training.models import MODELS

PRESETS = Path(__file__).resolve().parents[1] / "presets/training"


@dataclass(frozen=True)
class Cycle:
    epochs: int = 100
    top: float = 0.1


@dataclass(frozen=True)
class Section:
    rate: float = 1.0
    schedule: Literal["step", "cosine"] = "step"
    weights: dict[str, float] = field(default_factory=dict)
    cycle: Cycle = Cycle()
    sizes: tuple[int, ...] = ()
    span: tuple[float, float] = (0.0, 1.0)
    scale: float | str = "auto"
    weights_or_file: str | dict[str, float] = ""

    def __post_init__(self) -> None:
        if self.rate <= 0:
            raise ValueError(f"rate must be above 0, not {self.rate}")


def _read(folder: Path, text: str) -> Section:
    path = folder / "x.yaml"
    path.write_text(text)
    return config.read(path, {"model": Section})["model"]


def test_nested_values_become_what_is_annotated(tmp_path: Path) -> None:
    text = """
    model:
      rate: 2
      schedule: cosine
      weights: {LeftHand: 1, RightHand: 0.5}
      cycle: {epochs: 7}
      sizes: [512, 256]
      span: [0, 2]
      scale: 0.01
      weights_or_file: {Hips: 2}
    """
    read = _read(tmp_path, text)
    assert read == Section(
        2.0, "cosine", {"LeftHand": 1.0, "RightHand": 0.5}, Cycle(7), (512, 256), (0.0, 2.0), 0.01, {"Hips": 2.0}
    )
    assert all(isinstance(value, float) for value in (read.rate, *read.weights.values(), *read.span))


def test_every_fault_is_told_at_once_wherever_it_is(tmp_path: Path) -> None:
    text = """
    model:
      rate: fast
      schedule: stp
      weights: {LeftHand: heavy, 3: 1}
      cycle: {epoch: 7, top: true}
      sizes: [512, many]
      span: [1]
    modle: {}
    """
    with pytest.raises(ValueError, match="rate") as error:
        _read(tmp_path, text)
    for expected in (
        f"{tmp_path / 'x.yaml'}: unknown key 'modle'; did you mean model?",
        "model: rate = 'fast' is no number",
        "model: schedule = 'stp' is unknown; did you mean step? known: step, cosine",
        "model: weights: LeftHand = 'heavy' is no number",
        "model: weights: key = 3 is no text",
        "model: cycle: unknown key 'epoch'; did you mean epochs?",
        "model: cycle: top = True is no number",
        "model: sizes[1] = 'many' is no whole number",
        "model: span = [1] must have 2 entries, not 1",
    ):
        assert expected in str(error.value)


def test_a_config_s_own_refusal_names_the_section(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="model: rate must be above 0"):
        _read(tmp_path, "model: {rate: -1}")


@pytest.mark.parametrize("text", ["just text", "- a list", "model: [1]", "model: {"])
def test_what_is_no_mapping_is_refused_with_the_file(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match=r"x\.yaml"):
        _read(tmp_path, text)


@pytest.mark.parametrize("path", sorted(PRESETS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_config_is_read(path: Path) -> None:
    kind = max((kind for kind in MODELS if kind in path.stem), key=len)  # its name says of which kind it is
    sections = train.read_config(kind, path)
    assert isinstance(sections["model"], MODELS[kind].config)
    assert dataclasses.asdict(sections["training"])["epochs"] > 0


def test_impossible_training_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("training: {batch_size: 0, schedule: linear}\nmodel: {latnet: 4}\n")
    with pytest.raises(ValueError, match="did you mean latent") as error:
        train.read_config("duet", path)
    assert "schedule = 'linear' is unknown" in str(error.value)
    path.write_text("training: {batch_size: 0}\n")
    with pytest.raises(ValueError, match="batch_size must be above 0, not 0"):
        train.read_config("duet", path)
