"""Plain mixtures of Gaussians, the measure of coverage, and the report that sets depth against them."""

import json
from dataclasses import replace
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from training.examples import drmm_depth, drmm_figure, drmm_motion, drmm_reach, drmm_report, drmm_toys
from training.models import gaussians
from training.models.drmm import Config, Drmm
from training.models.drmm_tables import NOBODY


def clusters(count: int = 4000) -> np.ndarray:
    random = np.random.default_rng(0)
    side = np.where(random.random(count) < 0.7, 2.0, -2.0)[:, None] * [1.0, 0.5, 0.0]
    return side + random.normal(size=(count, 3)) * [0.3, 0.5, 2.0]


@pytest.mark.parametrize("kind", ["spherical", "diagonal", "full"])
def test_one_gaussian_has_the_data_s_own_moments(kind: gaussians.Kind) -> None:
    rows = clusters()
    covariance = np.cov(rows.T, bias=True)
    if kind == "diagonal":
        covariance = np.diag(np.diag(covariance))
    elif kind == "spherical":
        covariance = np.eye(3) * np.diag(covariance).mean()
    made = gaussians.fit(torch.from_numpy(rows), 1, kind).log_density(torch.from_numpy(rows[:50]))
    np.testing.assert_allclose(made, multivariate_normal(rows.mean(axis=0), covariance).logpdf(rows[:50]), atol=1e-4)


def test_two_gaussians_find_two_clusters() -> None:
    rows = torch.from_numpy(clusters())
    made = gaussians.fit(rows, 2, "diagonal")
    assert sorted(made.log_weights.exp().tolist()) == pytest.approx([0.3, 0.7], abs=0.03)
    again = made.samples(4000, torch.Generator().manual_seed(0))
    np.testing.assert_allclose(again.mean(dim=0), rows.mean(dim=0), atol=0.15)
    np.testing.assert_allclose(again.std(dim=0), rows.std(dim=0), rtol=0.05)


def test_of_known_variables_alone_the_others_do_not_count() -> None:
    rows = torch.from_numpy(clusters())
    made = gaussians.fit(rows, 3, "full")
    known = torch.tensor([True, False, True])
    score = made.log_density(rows[:20], known)
    moved = rows[:20] + torch.tensor([0.0, 100.0, 0.0])
    np.testing.assert_allclose(made.log_density(moved, known), score)


def test_samples_of_the_data_cover_it_and_a_corner_of_it_does_not() -> None:
    random = np.random.default_rng(0)
    data, same = random.normal(size=(2, 1000, 2))
    good = drmm_toys.covered(data, same)
    assert min(good.values()) > 0.85
    corner = drmm_toys.covered(data, 0.1 * same)
    assert corner["precision"] > 0.95
    assert corner["recall"] < 0.1
    assert drmm_toys.covered(data, same + 20.0)["precision"] == 0.0


@pytest.mark.parametrize("layers", [1, 2, 4])
def test_parameters_are_counted_as_the_model_has_them(layers: int) -> None:
    model = Drmm(Config(("x", "y"), layers, 7), NOBODY)
    assert drmm_toys.parameters(layers, 7, 2) == sum(part.numel() for part in model.parameters())
    count = drmm_toys.components_for(500, layers, 2)
    assert drmm_toys.parameters(layers, count, 2) <= 500 < drmm_toys.parameters(layers, count + 1, 2)


def test_the_arm_s_hand_is_where_its_angles_put_it() -> None:
    angles = drmm_toys.arm(50, np.random.default_rng(0))
    turns = angles[:, :4].cumsum(axis=1)
    hand = sum(length * np.exp(1j * turns[:, bone]) for bone, length in enumerate(drmm_toys.BONES))
    np.testing.assert_allclose(angles[:, 4] + 1j * angles[:, 5], hand)


def poses(count: int = 40) -> np.ndarray:
    return drmm_figure.random_poses(count, np.random.default_rng(0))


def test_a_figure_s_slopes_are_how_its_numbers_move() -> None:
    one, step = poses(3)[:, : drmm_figure.POSE], 1e-6
    moved = [
        (drmm_figure.encode(one + way) - drmm_figure.encode(one - way)) / (2.0 * step)
        for way in step * np.eye(drmm_figure.POSE)
    ]
    np.testing.assert_allclose(drmm_figure.slopes(one), np.stack(moved, axis=-1), atol=1e-8)


def test_a_figure_is_brought_to_its_pins_within_limits_and_walls() -> None:
    pins = {"LeftFoot": (-0.2, 0.0), "RightFoot": (0.2, 0.0), "RightHand": (0.7, 1.0)}
    walls = [drmm_figure.Wall("Head", (0.0, 1.0), 1.4)]
    made = drmm_figure.polish(poses()[:, : drmm_figure.POSE], pins, walls)
    assert ((made >= drmm_figure.LOW) & (made <= drmm_figure.HIGH)).all()
    there = drmm_figure.encode(made)
    good = (drmm_figure.missed(there, pins) < 0.001).all(axis=1) & (drmm_figure.outside(there, walls) < 0.001)[:, 0]
    assert good.mean() >= 0.95


def test_a_pin_out_of_reach_is_come_near_to() -> None:
    pins = {"LeftFoot": (0.0, 0.0), "Head": (0.0, 3.0)}
    made = drmm_figure.encode(drmm_figure.polish(poses(20)[:, : drmm_figure.POSE], pins))
    longest = 0.12 + 0.42 + 0.45 + 0.22 + 0.26 + 0.10 + 0.16
    assert 3.0 - longest <= drmm_figure.missed(made, pins).sum(axis=1).min() < 3.0 - longest + 0.15


def test_the_report_trains_draws_and_takes_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small = replace(drmm_report.QUICK, budgets=(6,), epochs=1, steps=8, figure=(2, 8, 1), figures=2)
    monkeypatch.setattr(drmm_report, "QUICK", small)
    monkeypatch.setattr(drmm_reach, "QUESTIONS", 5)
    monkeypatch.setattr(drmm_depth, "JUDGED", 500)
    monkeypatch.setattr(drmm_depth, "TOYS", {"carpet": drmm_toys.TOYS["carpet"]})
    command = ["--quick", "--only", "depth", "curriculum", "reach", "--out", str(tmp_path)]
    command += ["--json", str(tmp_path / "figures.json")]
    assert drmm_report.main(command) == 0
    assert capsys.readouterr().err.count("trained") == 9  # 4 depths, 3 of them at once as well; 2 figures
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert set(figures) == {"depth", "curriculum", "reach"}
    assert set(figures["reach"]) == {"seed 0", "seed 1", "mean", "deviation", "random poses"}
    assert len(figures["depth"]) == 5
    assert all(np.isfinite(value) for rows in figures.values() for row in rows.values() for value in row.values())
    pictures = {"depth.png", "depth_carpet.png", "curriculum_carpet.png", "reach.png"}
    assert pictures <= {file.name for file in tmp_path.iterdir()}
    assert drmm_report.main(command) == 0
    assert "trained" not in capsys.readouterr().err


def test_a_partner_is_told_where_to_go_on_film(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"SECONDS": 2.5, "BEFORE": 0.2, "TOLD": 1.0, "WAYS": 1, "SQUARE": ((1.0, 1.0),)}.items():
        monkeypatch.setattr(drmm_motion, name, value)
    command = ["--quick", "--only", "motion", "--out", str(tmp_path), "--json", str(tmp_path / "figures.json")]
    assert drmm_report.main(command) == 0
    figures = json.loads((tmp_path / "figures.json").read_text())["motion"]
    steered = figures["told where to go, metres missed"]
    assert steered["after 1 s"] < 0.5 * steered["after 0 s"]
    for film in ("motion_goto.mp4", "motion_facing.mp4"):
        pictures = imageio.imread(tmp_path / film, plugin="pyav")
        assert (np.abs(pictures[0].astype(int) - pictures[-1]).sum(axis=-1) > 200).sum() > 100
    assert (tmp_path / "half_seconds.png").is_file()


def test_a_folder_without_couples_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"has no recordings of two: files are named like 60_\*\.bvh and 61"):
        drmm_motion.couples(tmp_path)
