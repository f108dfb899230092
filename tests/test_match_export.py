"""A duet_match as a file: the same rows and poses in both runtimes, any number of dancers, what it holds is said."""

import numpy as np
import onnx
import pytest
import torch

from exporters import onnx as exporter
from made_up_takes import made_up_pair
from motion.manifest import METADATA_KEY, Manifest
from motion.skeleton import HUMANOID
from training import checkpoint
from training.match.fit import fit
from training.models.duet_match import Config, DuetMatch

CONFIG = Config(centres=60, intention_centres=50, placement_dims=(12, 8), intention_dims=(12,), networks=1, axes=24)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("match")
    model = fit(DuetMatch(CONFIG, HUMANOID), [made_up_pair()], True, False, seed=0, epochs=2)
    torch.save({**checkpoint.describe("duet_match", model), "about": {}}, folder / "last.ckpt")
    return exporter.export(folder / "last.ckpt", folder / "made_up.onnx").read_bytes()


def _manifest(file: bytes) -> Manifest:
    entries = {entry.key: entry.value for entry in onnx.load_from_string(file).metadata_props}
    return Manifest.from_json(entries[METADATA_KEY])


def test_the_file_says_that_it_holds_recordings(file: bytes) -> None:
    manifest = _manifest(file)
    assert manifest.kind == "duet"
    assert manifest.made_from["contains_recordings"] is True
    assert [param.name for param in manifest.params] == ["variety", "distance", "lead"]


def test_two_dancers_at_once_are_each_answered_as_alone(file: bytes) -> None:
    one = exporter.example_steps(_manifest(file), 40, seed=1)
    both = [{name: np.concatenate([value, value]) for name, value in step.items()} for step in one]
    alone, together = (exporter.run_onnx(file, steps)[-1]["partner"] for steps in (one, both))
    np.testing.assert_allclose(together, np.concatenate([alone, alone]), atol=1e-3)  # products in another order
