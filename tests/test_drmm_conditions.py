"""Samples under conditions: against closed forms where there are any, and exactly where exactness is promised."""

import numpy as np
import pytest
import torch
from scipy import special
from scipy.special import softmax

from drmm_models import NAMES, mixture, random_model
from motion import half_spaces, sampling
from motion.conditions import ConditionError, Conditions, Space
from training.models.drmm import Drmm
from training.models.drmm_draw import Drawer, log_ndtr

SPACE = Space(NAMES, np.full((2, 3), 0.25), slots=4)


def drawn(model: Drmm, wanted: Conditions, candidates: int = 4000, **how: object) -> sampling.Drawn:
    drawer, random = Drawer(model), np.random.default_rng(5)
    shape = (wanted.count, model.config.layers, candidates, model.config.components)
    gumbel = sampling.chance(random, shape)
    return sampling.draw(drawer.run, drawer.space, wanted.question(), gumbel, random, **how)


def posterior(model: Drmm, a: np.ndarray, mean: float, deviation: float) -> tuple[np.ndarray, np.ndarray]:
    """Mean (3,) and covariance of the model given that a.x ~ N(mean, deviation), in closed form."""
    weights, means, variances = mixture(model)
    spread = (a**2 * variances).sum() + deviation**2
    share = softmax(weights - 0.5 * (means @ a - mean) ** 2 / spread)
    gain = a * variances / spread
    moved = means + (mean - means @ a)[:, None] * gain
    centre = share @ moved
    within = np.diag(variances) - np.outer(gain, a * variances)
    return centre, within + (share[:, None] * (moved - centre)).T @ (moved - centre)


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize(
    ("a", "deviation"), [((1, 0, 0), 0.0), ((0, 1, 0), 0.4), ((0.5, -1, 0.7), 0.0), ((1, 1, 1), 0.5)]
)
def test_samples_have_the_distribution_that_is_asked_for(layers: int, a: tuple[float, ...], deviation: float) -> None:
    model = random_model(layers, 4, sampling_truncation=0.0)
    wanted = Conditions(Drawer(model).space)
    if deviation == 0.0 and a[0] == 1:
        wanted.know("x", 2.0)
    elif sum(map(abs, a)) == 1:
        wanted.prior(NAMES[a.index(1)], 2.0, deviation)
    else:
        wanted.prior(dict(zip(NAMES, a, strict=True)), 2.0, deviation)
    made = drawn(model, wanted, 20000, how="resample", noise=1.0).samples[0]
    centre, covariance = posterior(model, np.array(a, dtype=float), 2.0, deviation)
    np.testing.assert_allclose(made.mean(axis=0), centre, atol=0.1)  # measured 0.05, Monte Carlo
    np.testing.assert_allclose(np.cov(made.T), covariance, atol=0.15)  # measured 0.08


def test_without_conditions_resampled_candidates_are_the_model_s_own() -> None:
    model = random_model(3, 4, sampling_truncation=0.0)
    made = drawn(model, Conditions(Drawer(model).space), 20000, noise=1.0).samples[0]
    weights, means, _ = mixture(model)
    np.testing.assert_allclose(made.mean(axis=0), np.exp(weights) @ means, atol=0.08)


def test_known_values_are_exact_and_soft_ones_are_near() -> None:
    model = random_model(2, 4)
    wanted = Conditions(Drawer(model).space).know(["x", "y"], [1.234567891, -1.5], [1.0, 0.6])
    made = drawn(model, wanted, 500, noise=1.0).samples[0]
    assert (made[:, 0] == 1.234567891).all()
    assert made[:, 1].std() > 0.01
    assert abs(made[:, 1].mean() + 1.5) < 0.5


def test_a_soft_value_is_a_prior_of_what_the_last_layer_leaves_open() -> None:
    model = random_model(1, 4)
    space = Drawer(model).space
    soft = Conditions(space).know("y", -1.5, mask=0.5).question()
    prior = Conditions(space).prior("y", -1.5, np.sqrt(3.0 * space.variances[-1, 1])).question()
    np.testing.assert_allclose(soft.precision, prior.precision)
    np.testing.assert_allclose(soft.target, prior.target)


def test_every_question_of_a_batch_is_answered_as_if_alone() -> None:
    model = random_model(2, 4)
    drawer, random = Drawer(model), np.random.default_rng(0)
    x, bound = np.array([0.0, 1.0, 3.0]), np.array([0.0, -1.0, 5.0])
    together = Conditions(drawer.space, 3).know("x", x).limit({"y": 1.0, "z": 0.5}, bound)
    gumbel = sampling.chance(random, (3, 2, 20, 4))
    made = drawer.run(together.question().inputs() | {"gumbel": gumbel})
    for number in range(3):
        alone = Conditions(drawer.space).know("x", x[number]).limit({"y": 1.0, "z": 0.5}, bound[number])
        one = drawer.run(alone.question().inputs() | {"gumbel": gumbel[number : number + 1]})
        np.testing.assert_array_equal(one["components"][0], made["components"][number])
        np.testing.assert_allclose(one["samples"][0], made["samples"][number], atol=1e-5)


def test_a_limit_s_weight_decides_how_many_keep_it_and_projecting_makes_it_all() -> None:
    model = random_model(2, 6)
    shares = []
    for weight in (0.01, 1.0, 10.0):
        wanted = Conditions(Drawer(model).space).limit({"x": 1.0}, 0.5, weight)
        made = drawn(model, wanted, 2000, how="all", project=False).samples[0]
        shares.append((made[:, 0] <= 0.5).mean())
    assert shares[0] < shares[1] < shares[2]
    made = drawn(model, wanted, 2000, noise=1.0).samples[0]
    assert (made[:, 0] <= 0.5 + 1e-9).all()


def test_the_best_come_first_and_are_the_likeliest() -> None:
    model = random_model(2, 4)
    made = drawn(model, Conditions(Drawer(model).space).know("x", 1.0), 300, how="best", keep=5)
    every = drawn(model, Conditions(Drawer(model).space).know("x", 1.0), 300, how="all")
    np.testing.assert_allclose(made.log_weights[0], np.sort(every.log_weights[0])[::-1][:5])


def test_empty_rows_change_nothing() -> None:
    model = random_model(2, 4)
    drawer = Drawer(model)
    question = Conditions(drawer.space).know("x", 1.0).limit({"y": 1.0}, -2.0).question()
    gumbel = {"gumbel": sampling.chance(np.random.default_rng(0), (1, 2, 30, 4))}
    few, many = drawer.run(question.inputs() | gumbel), drawer.run(question.inputs(16) | gumbel)
    np.testing.assert_allclose(few["log_weights"], many["log_weights"], atol=1e-5)


def test_log_ndtr_is_true_however_far_below() -> None:
    z = np.concatenate([np.linspace(-8.0, 8.0, 4001), -np.geomspace(8.0, 1e6, 200)])
    made = log_ndtr(torch.tensor(z, dtype=torch.float32)).double().numpy()
    truth = special.log_ndtr(z)
    assert np.abs(made[:4001] - truth[:4001]).max() < 5e-5  # measured 2.5e-5
    assert (np.abs(made - truth) / np.maximum(np.abs(truth), 1.0)).max() < 1e-5


# Half-spaces


def test_projection_finds_the_nearest_point_within() -> None:
    random = np.random.default_rng(0)
    a, room = random.normal(size=(5, 4)), np.array([1.0, 4.0, 0.0, 0.5])
    inside, points = random.normal(size=4), 3.0 * random.normal(size=(50, 4))
    b = a @ inside + 0.1
    points[:, 2] = inside[2]
    made = half_spaces.project(points, a, b, room)
    assert half_spaces.violations(made, a, b).max() < 1e-9
    assert (made[:, 2] == inside[2]).all()
    free = room > 0.0
    for point, nearest in zip(points, made, strict=True):
        for _ in range(40):  # no other point within is nearer
            other = nearest + random.normal(size=4) * free * random.choice([0.01, 0.3])
            if (a @ other <= b).all():
                far, near = (((each - point)[free] ** 2 / room[free]).sum() for each in (other, nearest))
                assert far >= near - 1e-9


def test_points_within_stay_where_they_are() -> None:
    points = np.array([[0.0, 0.0], [0.5, -3.0]])
    made = half_spaces.project(points, np.array([[1.0, 0.0]]), np.array([1.0]), np.ones(2))
    np.testing.assert_array_equal(made, points)


def test_contradicting_limits_are_named_and_the_first_hold() -> None:
    model = random_model(2, 4)
    wanted = Conditions(Drawer(model).space)
    wanted.limit({"x": 1.0}, 0.0, name="wall").limit({"y": 1.0}, 9.0, name="roof")
    wanted.limit({"x": -2.0}, -3.0, name="other wall").limit({"z": 1.0}, 0.2, name="shelf")
    made = drawn(model, wanted, 100)
    assert made.infeasible == (sampling.Contradiction(0, "other wall", "wall"),)
    assert made.samples[0, :, 0].max() <= 1e-9
    assert made.samples[0, :, 2].max() <= 0.2 + 1e-9


def test_a_limit_that_known_values_break_is_named() -> None:
    model = random_model(2, 4)
    wanted = Conditions(Drawer(model).space).know("x", 1.0).limit({"x": 1.0}, 0.5, name="wall").limit({"y": 1.0}, -3.0)
    made = drawn(model, wanted, 100)
    assert made.infeasible == (sampling.Contradiction(0, "wall", sampling.KNOWN),)
    assert (made.samples[0, :, 0] == 1.0).all()
    assert made.samples[0, :, 1].max() <= -3.0 + 1e-9


def test_three_limits_that_only_contradict_together_are_found() -> None:
    a = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]])
    kept, pairs = half_spaces.compatible(np.zeros(2), a, np.array([0.0, 0.0, -1.0]), np.ones(2))
    assert kept == [0, 1]
    assert pairs[0][0] == 2


# What is refused


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda c: c.know("w", 1.0), r"unknown variable 'w'; .*known: x, y, z"),
        (lambda c: c.know("x", float("nan")), "known value of x = nan must be finite"),
        (lambda c: c.know("x", "far"), "known value of x = 'far' is no number"),
        (lambda c: c.know("x", 1.0, mask=2.0), "mask of x = 2 must be from 0"),
        (lambda c: c.know(["x", "y"], [1.0, 2.0, 3.0]), r"has shape \(3,\); expected \(2,\) or \(1, 2\)"),
        (lambda c: c.prior("x", 0.0, -1.0), "prior x: deviation -1 and weight 1 must be 0 or more"),
        (lambda c: c.prior("x", float("inf"), 1.0), "mean of prior x = inf must be finite"),
        (lambda c: c.limit({"x": 0.0}, 1.0), "0 x <= 1: a has no length"),
        (lambda c: c.limit({"x": float("nan")}, 1.0), "factor of x in .* = nan must be finite"),
        (lambda c: c.limit({"x": 1.0}, 1.0, weight=0.0), "weight 0 must be above 0"),
        (lambda c: c.limit({"q": 1.0}, 1.0), "unknown variable 'q'"),
        (lambda c: c.limit(np.ones(4), 1.0, name="wall"), r"wall has shape \(4,\)"),
        (lambda c: c.box("x"), "box of x: it needs low, high or both"),
        (lambda c: c.box("x", 2.0, 1.0), "low 2 is above high 1"),
        (
            lambda c: [c.limit({"x": 1.0}, k, name=f"row{k}") for k in range(5)],
            "row4: the model has 4 rows .*row0, row1",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_choices(ask: object, said: str) -> None:
    with pytest.raises(ConditionError, match=said):
        ask(Conditions(SPACE))


def test_what_single_precision_cannot_say_is_refused_and_nothing_known_is_no_condition() -> None:
    with pytest.raises(ConditionError, match=r"known value of x = 1e\+39 is above 1e\+15"):
        Conditions(SPACE).know("x", 1e39)
    with pytest.raises(ConditionError, match="count = 0; there is one question at least"):
        Conditions(SPACE, count=0)
    assert not Conditions(SPACE).know([], []).question().exact.any()


@pytest.mark.parametrize("keep", [0, 9])
def test_of_few_candidates_no_more_can_be_the_best(keep: int) -> None:
    model = random_model(2, 4)
    with pytest.raises(ConditionError, match=f"keep = {keep}; of 8 candidates 1 to 8 can be the best"):
        drawn(model, Conditions(Drawer(model).space), 8, how="best", keep=keep)
