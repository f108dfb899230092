"""The mixture models' scorecard as a command, with models trained for a moment on made-up takes."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from exporters.graphs import graph_of
from exporters.onnx import write
from motion.motion_layout import Layout
from motion.skeleton import HUMANOID
from training import scorecard, train
from training.models import drmm, drmm_roll
from training.scorecards import drmm_density, drmm_infill
from training.scorecards.drmm import KEYS

TOGETHER = [["lead_*.bvh", "follow_*.bvh"]]


def trained(folder: Path, kind: str, out: Path, **model) -> Path:
    """A model of all but the first of four takes."""
    config = out.parent / f"{kind}.yaml"
    sections = {
        "data": {"together": TOGETHER, "stride": 4},
        "model": {"layers": 2, "components": 8, "candidates": 32, **model},
        "training": {"epochs": 1, "batch_size": 64},
    }
    config.write_text(yaml.safe_dump(sections))
    options = [kind, str(config), "--data", str(folder), "--out", str(out), "--fold", "1/4"]
    assert train.main(options) == 0
    return out / f"{out.name}.onnx"


@pytest.fixture(scope="module")
def motion(folder, tmp_path_factory) -> Path:
    return trained(folder, "motion_drmm", tmp_path_factory.mktemp("motion") / "tiny", past_scale=4.0)


@pytest.fixture(scope="module")
def poses(folder, tmp_path_factory) -> Path:
    return trained(folder, "pose_drmm", tmp_path_factory.mktemp("poses") / "tiny")


def figures(folder: Path, model: Path, *more: str) -> dict[str, float | None]:
    out = model.with_suffix(".json")
    takes = sorted(map(str, folder.glob("*_[01].bvh")))
    arguments = [str(model), "--questions", "12", "--takes", *takes, "--together", *TOGETHER[0], "--drop-first", "-1"]
    arguments += ["--cache", str(model.parent / "cache"), "--json", str(out)]
    assert scorecard.main(["drmm", *arguments, *more]) == 0
    return json.loads(out.read_text())["model"]


def test_a_motion_model_has_likelihoods_and_nothing_of_other_kinds(folder, motion):
    row = figures(folder, motion)
    assert list(row)[: len(KEYS)] == list(KEYS)
    assert row["ik_p95_mm"] is row["within_roll_percent"] is None
    assert (row["takes"], row["takes_seen"], row["takes_judged"]) == (2, 1, 1)
    for key in ("cond_loglik", "linear_gaussian_cond_loglik", "gmm_cond_loglik", "gmm_inside_cond_loglik"):
        assert np.isfinite(row[key])
    assert row["gmm_best_cond_loglik"] >= row["gmm_cond_loglik"]
    assert all(row[key] >= 0.0 for key in drmm_infill.KEYS if "500ms" in key)
    assert row["index_agreement_percent"] > 99.0


def test_without_its_training_takes_a_motion_model_has_no_baselines(folder, motion, tmp_path):
    for name in ("lead_0.bvh", "follow_0.bvh", "lead_1.bvh", "follow_1.bvh"):
        (tmp_path / name).symlink_to(folder / name)
    row = figures(tmp_path, motion)
    assert row["linear_gaussian_cond_loglik"] is None
    found = figures(tmp_path, motion, "--library", str(folder))
    assert found["linear_gaussian_cond_loglik"] is not None
    assert found["cond_loglik"] == pytest.approx(row["cond_loglik"], abs=0.5)  # walks are drawn


def test_a_pose_model_meets_pins_within_the_limits(folder, poses):
    row = figures(folder, poses)
    assert row["ik_median_mm"] < 10.0
    assert row["joint_limits_percent"] == 100.0
    assert row["candidates32_ms"] > 0.0
    assert row["cond_loglik"] is None


def test_a_roll_needs_no_takes_and_what_is_neither_is_refused(tmp_path, capsys):
    torch.manual_seed(0)
    paths = []
    for name, variables in (("roll", drmm_roll.VARIABLES), ("other", ("a", "b"))):
        model = drmm.Drmm(drmm.Config(variables=variables, layers=2, components=8, candidates=64), HUMANOID)
        model.fit_statistics({"rows": torch.from_numpy(drmm_roll.rows(500, np.random.default_rng(0))).float()})
        step = graph_of("drmm", model.eval())
        paths.append(write(step, step.label(name), tmp_path / f"{name}.onnx"))
    out = tmp_path / "figures.json"
    assert scorecard.main(["drmm", str(paths[0]), "--json", str(out)]) == 0
    row = json.loads(out.read_text())["model"]
    assert row["projected_percent"] == 100.0
    assert row["within_roll_percent"] is not None
    assert scorecard.main(["drmm", str(paths[1])]) == 1
    assert "neither a roll, nor poses, nor motion" in capsys.readouterr().err


def test_a_model_of_bodies_without_takes_is_refused(poses, capsys):
    assert scorecard.main(["drmm", str(poses)]) == 1
    assert "--takes: a model of poses or motion is judged by recordings" in capsys.readouterr().err


def test_one_linear_gaussian_is_scipy_s_conditional_density():
    from scipy.stats import multivariate_normal

    layout, random = Layout(dancer=False), np.random.default_rng(0)
    mixing = random.normal(size=(layout.width, layout.width)) / 20.0
    known = random.normal(size=(3000, layout.width)) @ mixing + 0.05 * random.normal(size=(3000, layout.width))
    asked = known[:5]
    covariance = np.cov(known.T) + drmm_density.FLOORS[0] ** 2 * np.eye(layout.width)
    until = layout.past + 156
    expected = [
        multivariate_normal(known.mean(axis=0)[:end], covariance[:end, :end]).logpdf(asked[:, :end]).mean()
        for end in (layout.past, until)
    ]
    made = drmm_density.linear_gaussian(torch.from_numpy(known), torch.from_numpy(asked), layout)
    assert made >= expected[1] - expected[0] - 1e-6  # the best floor, and this is one of them
    assert made < expected[1] - expected[0] + 20.0


def test_more_rounds_of_em_do_not_make_a_mixture_less_likely():
    torch.manual_seed(0)
    rows = torch.cat([torch.randn(300, 4) * 0.2 + centre for centre in (-1.0, 0.5, 2.0)])
    mixture = drmm_density.spherical(rows, 3)
    before = mixture.log_density(rows).mean()
    with torch.no_grad():
        drmm_density._improve(mixture, rows)
    assert mixture.log_density(rows).mean() >= before - 1e-3
