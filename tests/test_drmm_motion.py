"""The mixture model of motion: a density that adds up, samples that go on from the past, and a graph that agrees."""

import math

import numpy as np
import pytest
import torch

from exporters import drmm_file
from exporters.graphs import graph_of
from exporters.onnx import write
from motion import motion_vectors
from motion.conditions import Conditions
from motion.motion_vectors import Layout
from motion.sampling import chance, draw
from motion.skeleton import HUMANOID
from test_motion_vectors import track
from training.models import drmm
from training.models.drmm_motion import Model, MotionDrmm, layout_of, vectors
from training.models.drmm_motion_draw import MotionDrawer
from training.models.motion_takes import Dancer, Take

ALONE = Layout(dancer=False)


def rows(seeds: range, layout: Layout = ALONE) -> np.ndarray:
    return motion_vectors.joined(layout, [(track(seed, 80), track(seed + 100, 80)) for seed in seeds])


def fitted(**config) -> MotionDrmm:
    torch.manual_seed(0)
    small = {"layers": 2, "components": 8, "candidates": 16, "past_scale": 4.0} | config
    model = MotionDrmm(Model(variables=ALONE.names, **small), HUMANOID)
    model.fit_statistics({"rows": torch.from_numpy(rows(range(8)))})
    return model.eval()


@pytest.fixture(scope="module")
def model() -> MotionDrmm:
    return fitted()


def known(count: int) -> torch.Tensor:
    return torch.arange(ALONE.width) < count


def test_with_one_component_it_is_a_t_like_regression_in_closed_form():
    plain = fitted(layers=1, components=1, variance="scalar")
    x = torch.from_numpy(rows(range(20, 22)))[::9].double()
    past = plain.past
    made = plain.log_density(x, known(ALONE.width)) - plain.log_density(x, known(past))
    expected, spread = plain.expected(x[:, :past] - plain.mean[:past].double())
    deviation = math.exp(0.5 * float(plain.log_variance.detach()))
    centre = plain.means[0, 0, past:].detach().double()
    factor = plain.factor[past:, past:].double()
    for row in range(len(x)):
        covariance = (spread[row] * deviation) ** 2 * factor @ factor.T
        gaussian = torch.distributions.MultivariateNormal(
            expected[row] + spread[row] * factor @ centre, covariance_matrix=covariance
        )
        closed = gaussian.log_prob(x[row, past:])
        assert abs(float(closed - made[row])) < 1e-3 * abs(float(closed))  # a scale fitted in single precision


def test_the_way_in_and_the_way_out_are_one(model):
    x = torch.from_numpy(rows(range(30, 31)))
    inside = model.normalised(x.double())
    expected, spread = model.expected(x[:, : model.past].double() - model.mean[: model.past].double())
    out = expected + spread * (inside[:, model.past :] @ model.factor[model.past :, model.past :].double().T)
    np.testing.assert_allclose(out, x[:, model.past :], atol=1e-6)


def test_what_comes_has_no_density_without_what_is_before_it(model):
    x = torch.from_numpy(rows(range(30, 31)))[:3]
    gap = known(ALONE.width)
    gap[model.past + 3] = False
    with pytest.raises(ValueError, match="only after the whole past"):
        model.log_density(x, gap)
    assert torch.isfinite(model.log_density(x, known(10))).all()


def test_samples_go_on_from_the_past_and_keep_it_exactly(model):
    drawer, random = MotionDrawer(model), np.random.default_rng(1)
    row = rows(range(3, 4))[20]
    wanted = Conditions(drawer.space).know(ALONE.names[: ALONE.past], row[: ALONE.past])
    gumbel = chance(random, (1, 2, 16, 8))
    drawn = draw(drawer.run, drawer.space, wanted.question(), gumbel, random, "all")
    np.testing.assert_allclose(drawn.samples[0, :, : ALONE.past], np.tile(row[: ALONE.past], (16, 1)), atol=1e-6)
    future = ALONE.select("partner.future")
    apart = np.abs(drawn.samples[0][:, future] - row[future]).mean()
    usual = np.abs(rows(range(8))[:, future] - row[future]).mean()
    assert apart < 0.5 * usual


def test_a_place_that_is_wished_for_is_come_near_and_a_limit_is_kept(model):
    drawer, random = MotionDrawer(model), np.random.default_rng(2)
    row = rows(range(3, 4))[20]
    goal = "controls.root.x"
    there = float(row[ALONE.names.index(goal)]) + 0.1
    made = []
    for asked in (False, True):
        wanted = Conditions(drawer.space).know(ALONE.names[: ALONE.past], row[: ALONE.past])
        if asked:
            wanted.prior({goal: 1.0}, there, 0.0)
            wanted.limit({"partner.future.3.LeftHand.y": 1.0}, 0.0, name="low hand")
        drawn = draw(drawer.run, drawer.space, wanted.question(), chance(random, (1, 2, 16, 8)), random, "best")
        made.append(drawn.samples[0, 0])
    place = ALONE.names.index(goal)
    assert abs(made[1][place] - there) < 0.5 * abs(made[0][place] - there)
    assert made[1][ALONE.names.index("partner.future.3.LeftHand.y")] <= 1e-6


def test_the_graph_is_written_because_both_runtimes_agree_and_the_file_is_the_whole_model(model, tmp_path):
    step = graph_of("motion_drmm", model)
    path = write(step, step.label("small"), tmp_path / "small.onnx")
    again, x = drmm_file.read(path), torch.from_numpy(rows(range(30, 31)))[::5]
    densities = []
    for each in (model, again):
        torch.manual_seed(1)
        densities.append(each.log_density(x, passes=4))
    # Tables go through single-precision inverses; a density of 279 numbers adds up what is left of that.
    np.testing.assert_allclose(*densities, rtol=1e-3)


def test_couples_give_vectors_of_two_and_singles_of_one():
    def dancer(seed: int) -> Dancer:
        one = track(seed, 60)
        return Dancer(f"{seed}.bvh", "", one.root, one.rotations)

    couple, single = Take("two", (dancer(1), dancer(2))), Take("one", (dancer(3),))
    assert layout_of([single]) == ALONE
    assert vectors([single], ALONE, 1, True).shape == (21, ALONE.width)
    both = layout_of([couple, single])
    assert vectors([couple, single], both, 1, True).shape == (42, Layout().width)
    assert vectors([couple, single], both, 2, False).shape == (11, Layout().width)
    with pytest.raises(ValueError, match="none of the takes one has 40 frames"):
        vectors([single[:20]], ALONE, 1, True)
    with pytest.raises(ValueError, match="none of the takes one has two people and 40 frames"):
        vectors([single], both, 1, True)


def test_any_mixture_model_s_file_is_the_whole_model(tmp_path):
    torch.manual_seed(2)
    plain = drmm.Drmm(drmm.Config(variables=("a", "b", "c"), layers=3, components=5, candidates=4), HUMANOID)
    x = torch.randn(200, 3) * torch.tensor([1.0, 3.0, 0.2])
    plain.fit_statistics({"rows": x})
    with torch.no_grad():
        plain.prototypes.normal_()
        plain.logits.normal_()
        plain.log_variance.fill_(0.0)
    step = graph_of("drmm", plain.eval())
    again = drmm_file.read(write(step, step.label("plain"), tmp_path / "plain.onnx"))
    made = []
    for each in (plain, again):
        torch.manual_seed(1)
        made.append(each.log_density(x, passes=2))
    np.testing.assert_allclose(*made, atol=1e-4)


def test_another_file_is_no_mixture_model(tmp_path):
    (tmp_path / "other.onnx").write_bytes(b"")
    with pytest.raises(ValueError, match=r"other\.onnx is no sampler"):
        drmm_file.read(tmp_path / "other.onnx")
