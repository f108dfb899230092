"""The shipped configurations of the windowed models say the research's values."""

from pathlib import Path

import pytest

from training import train

PRESETS = Path(__file__).resolve().parents[1] / "presets/training"


@pytest.mark.parametrize("kind", ["duet_window", "deepfake"])
def test_the_shipped_config_is_the_researchs(kind: str) -> None:
    config = train.read_config(kind, PRESETS / f"{kind}.yaml")
    model, training = config["model"], config["training"]
    assert model == type(model)()  # every value is the default too
    assert (training.epochs, training.batch_size, training.learning_rate) == (600, 16, 1e-4)
    assert config["data"].fps == 50
