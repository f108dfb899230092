"""The roll that mixture models are judged on, and the tutorial that trains one."""

import json
from pathlib import Path

import numpy as np
import pytest

from training.examples import swissroll
from training.models import drmm_roll, load_checkpoint


@pytest.fixture(scope="module")
def points() -> np.ndarray:
    return drmm_roll.rows(20000, np.random.default_rng(0))


def test_points_of_the_roll_are_on_it_and_as_dense_everywhere(points: np.ndarray) -> None:
    far, place = drmm_roll.nearest(points)
    assert far.max() < 0.02  # the nodes it is measured to are 0.04 apart
    counts = np.histogram(place, bins=16, range=(0.0, 1.0))[0] / len(points)
    np.testing.assert_allclose(counts, 1 / 16, atol=0.008)


def test_a_point_beside_the_roll_is_as_far_as_it_looks() -> None:
    far, _ = drmm_roll.nearest(np.array([[0.0, 2.0 * np.pi + 0.7], [0.0, 0.0]]))
    np.testing.assert_allclose(far, [0.7, 0.0], atol=0.06)  # the roll is steep at its end


def test_branches_have_the_mass_that_points_have(points: np.ndarray) -> None:
    places, masses = drmm_roll.branches(drmm_roll.GIVEN_X)
    beside = points[np.abs(points[:, 0] - drmm_roll.GIVEN_X) < 0.1]
    at = np.abs(beside[:, 1:] - places).argmin(axis=1)
    assert len(places) == 2
    np.testing.assert_allclose(np.bincount(at) / len(at), masses, atol=0.06)
    assert drmm_roll.branch_tv(beside) < 0.06


def test_one_branch_alone_is_half_wrong() -> None:
    places, masses = drmm_roll.branches(drmm_roll.GIVEN_X)
    alone = np.tile([drmm_roll.GIVEN_X, places[0]], (50, 1))
    assert drmm_roll.branch_tv(alone) == pytest.approx(1.0 - masses[0])


def test_band_and_box_are_what_they_say() -> None:
    points = np.array([[2.0, 0.0], [2.1, 0.0], [-2.0, -0.1], [3.0, 4.0], [-5.1, 0.0]])
    assert drmm_roll.in_band(points).tolist() == [True, False, False, False, False]
    assert drmm_roll.in_box(points).tolist() == [True, True, True, True, False]


def test_the_tutorial_trains_draws_and_says_what_it_missed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["--out", str(tmp_path), "--epochs", "2", "--json", str(tmp_path / "figures.json")]
    assert swissroll.main(command) == 1  # two epochs are not enough
    said = capsys.readouterr().out
    assert "MISSED" in said
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["projected_percent"] == figures["box_projected_percent"] == figures["known_exact_percent"] == 100.0
    assert figures["within_roll_percent"] > 30.0
    assert (tmp_path / "swissroll.png").stat().st_size > 50_000
    assert load_checkpoint(tmp_path / "last.ckpt").config.variables == ("x", "y")
