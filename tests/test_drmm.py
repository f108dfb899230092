"""The mixture model's densities against closed forms, its bookkeeping against the paper's, and its curriculum."""

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from drmm_models import NAMES, mixture, random_model
from training.models.drmm import Config, Drmm
from training.models.drmm_tables import NOBODY


def enumerated(model: Drmm, rows: np.ndarray, columns: tuple[int, ...] = (0, 1, 2)) -> np.ndarray:
    """log p of some columns by adding up every path through the layers."""
    weights, means, variances = mixture(model)
    chosen = list(columns)
    parts = [multivariate_normal(mean[chosen], np.diag(variances[chosen])).logpdf(rows[:, chosen]) for mean in means]
    return logsumexp(np.array(parts) + weights[:, None], axis=0)


def some_rows(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.0, 2.0, (count, 3)) * [2.0, 0.5, 1.5] + [1.0, -2.0, 0.5]


@pytest.mark.parametrize("variance", ["scalar", "diagonal"])
@pytest.mark.parametrize("components", [1, 5])
def test_one_layer_is_a_mixture_of_gaussians(components: int, variance: str) -> None:
    model, rows = random_model(1, components, variance=variance), some_rows(50)
    made = model.log_density(torch.from_numpy(rows)).numpy()
    np.testing.assert_allclose(made, enumerated(model, rows), atol=1e-9)


def test_one_layer_in_single_precision_is_as_near_as_training_needs() -> None:
    model, rows = random_model(1, 5), some_rows(50)
    with torch.no_grad():
        _, parts = model.loss({"rows": torch.from_numpy(rows).float()})
    assert float(parts["log_density"]) == pytest.approx(enumerated(model, rows).mean(), abs=1e-4)


def test_a_marginal_density_is_that_of_its_variables_alone() -> None:
    model, rows = random_model(1, 5, variance="diagonal"), some_rows(50)
    known = torch.tensor([True, False, True])
    made = model.log_density(torch.from_numpy(rows), known).numpy()
    np.testing.assert_allclose(made, enumerated(model, rows, (0, 2)), atol=1e-9)


def test_every_row_may_have_its_own_known_variables() -> None:
    model, rows = random_model(2, 3), torch.from_numpy(some_rows(4000)[:1].repeat(4000, axis=0))
    known = torch.tensor([True, False, True]).expand(4000, 3)
    torch.manual_seed(0)
    alone = model.log_density(rows, known, passes=1).logsumexp(0)
    torch.manual_seed(0)
    assert float(alone) == pytest.approx(float(model.log_density(rows, known[0], passes=1).logsumexp(0)), abs=1e-9)


def test_walks_average_to_the_density_of_all_paths() -> None:
    model, rows = random_model(3, 3), some_rows(12, seed=1)
    made = model.log_density(torch.from_numpy(rows), passes=6000).numpy()
    np.testing.assert_allclose(made, enumerated(model, rows), atol=0.15)  # measured 0.06, Monte Carlo


def test_truncated_walks_never_exceed_it_on_average() -> None:
    model, rows = random_model(3, 3), some_rows(12, seed=1)
    made = model.log_density(torch.from_numpy(rows), passes=3000, truncation=0.5).numpy()
    assert (made < enumerated(model, rows) + 0.1).all()


def test_ancestral_rows_have_the_model_s_distribution() -> None:
    model = random_model(2, 3)
    torch.manual_seed(1)
    rows = model.ancestral(20000).numpy()
    weights, means, variances = mixture(model)
    share = np.exp(weights)
    mean = share @ means
    np.testing.assert_allclose(share.sum(), 1.0, atol=1e-9)
    np.testing.assert_allclose(rows.mean(axis=0), mean, atol=0.05)
    np.testing.assert_allclose(rows.var(axis=0), share @ (means - mean) ** 2 + variances, rtol=0.05)


def test_indices_do_what_the_paper_s_log_probabilities_do() -> None:
    layers, size, smoothing = 4, 6, 1e-8
    model = random_model(layers, size)
    with torch.no_grad():
        links = [link.double().split(size)[:layer] for layer, link in enumerate(model.tables().links)]
    path = [2, 0, 5, 1]
    streams: list[torch.Tensor] = []
    for layer, component in enumerate(path):
        by_index = sum(link[path[j]] for j, link in enumerate(links[layer]))
        by_stream = sum(link.T @ streams[j].softmax(0) for j, link in enumerate(links[layer]))
        np.testing.assert_allclose(by_index, by_stream, atol=5e-5)  # measured 1.2e-5: the smoothing itself
        streams = [(h - link[:, component]).log_softmax(0) for h, link in zip(streams, links[layer], strict=True)]
        one_hot = torch.eye(size, dtype=torch.float64)[component]
        streams.append(((1.0 - smoothing) * one_hot + smoothing / size).log())


def gradients(model: Drmm, batch: dict[str, torch.Tensor], progress: float) -> dict[str, torch.Tensor]:
    model.train()
    model.progress = progress
    model.zero_grad()
    torch.manual_seed(3)
    model.loss(batch)[0].backward()
    return {name: part.grad.clone() for name, part in model.named_parameters()}


def test_the_curriculum_has_three_stages() -> None:
    batch = {"rows": torch.from_numpy(some_rows(64)).float()}
    first, second, third = (gradients(random_model(2, 4), batch, progress) for progress in (0.1, 0.5, 0.9))
    assert first["prototypes"].abs().max() == 0.0
    assert second["prototypes"].abs().max() > 0.0
    assert second["logits"].abs().max() == 0.0
    assert third["logits"].abs().max() > 0.0
    np.testing.assert_allclose(first["means"][0], second["means"][0], atol=1e-6)


def test_without_a_curriculum_all_is_trained_at_once() -> None:
    batch = {"rows": torch.from_numpy(some_rows(64)).float()}
    made = gradients(random_model(2, 4, curriculum=False), batch, 0.0)
    assert all(part.abs().max() > 0.0 for part in made.values())


def test_the_end_of_a_run_trains_the_last_layer_s_density_alone() -> None:
    model, batch = random_model(2, 4), {"rows": torch.from_numpy(some_rows(64)).float()}
    model.train()
    model.progress = 1.0
    total, parts = model.loss(batch)
    assert float(total.detach() + parts["log_density"]) == pytest.approx(float(-model.scale.log().sum()), abs=1e-5)


def test_an_orphan_is_drawn_to_the_data() -> None:
    model, rows = random_model(1, 4), torch.from_numpy(some_rows(64)).float()
    with torch.no_grad():
        model.means[0, 0] = 30.0
    pull = gradients(model, {"rows": rows}, 0.1)["means"][0, 0]
    assert (pull > 0.0).all()  # going down the gradient is going towards the rows


def test_a_weight_counts_as_so_many_rows() -> None:
    model, rows = random_model(1, 4), torch.from_numpy(some_rows(6)).float()
    weights = torch.tensor([1.0, 2.0, 0.0, 1.0, 1.0, 1.0])
    with torch.no_grad():
        weighted, _ = model.loss({"rows": rows, "weights": weights})
        repeated, _ = model.loss({"rows": rows[[0, 1, 1, 3, 4, 5]]})
    assert float(weighted) == pytest.approx(float(repeated), abs=1e-5)


@pytest.mark.parametrize(("scaling", "scales"), [("one", (2, 2, 2)), ("group", (1, 1, 4)), ("each", (0.6, 1.28, 4))])
def test_variables_share_a_scale_as_asked(scaling: str, scales: tuple[float, ...]) -> None:
    torch.manual_seed(0)
    rows = torch.randn(20000, 3) * torch.tensor([0.6, 1.28, 4.0])
    model = Drmm(Config(("hand/x", "hand/y", "time"), 1, 4, scaling=scaling), NOBODY)
    model.fit_statistics({"rows": rows})
    np.testing.assert_allclose(model.scale, np.array(scales) * (1.225 if scaling == "one" else 1.0), rtol=0.03)


@pytest.mark.parametrize("start", ["normal", "rows"])
def test_components_start_around_what_is_left_for_their_layer(start: str) -> None:
    torch.manual_seed(0)
    rows = torch.randn(2000, 3) + 5.0
    model = Drmm(Config(NAMES, 3, 32, start=start), NOBODY)
    model.fit_statistics({"rows": rows})
    spread = model.means.detach().std(dim=(1, 2))
    assert 0.5 < float(spread[0]) < 1.2
    assert float(spread[2]) < float(spread[1]) < float(spread[0])
    assert float(model.log_variance[0].detach()) == pytest.approx(2 * np.log(0.1 / 32 ** (1 / 3)), abs=0.1)


def test_training_finds_two_clusters_and_their_weights() -> None:
    torch.manual_seed(0)
    side = torch.where(torch.rand(2000) < 0.8, 3.0, -3.0)[:, None]
    rows = side + 0.3 * torch.randn(2000, 3)
    model = Drmm(Config(NAMES, 2, 4, scaling="one"), NOBODY)
    model.fit_statistics({"rows": rows})
    model.train()
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    for step in range(300):
        model.progress = step / 300
        optimizer.zero_grad()
        model.loss({"rows": rows[torch.randint(2000, (256,))]})[0].backward()
        optimizer.step()
    made = model.ancestral(4000)
    assert float((made[:, 0] > 0.0).float().mean()) == pytest.approx(0.8, abs=0.04)
    assert float(model.log_density(rows).mean()) > -1.8  # one Gaussian has -5.3, the truth -1.1


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"layers": 0}, "layers must be 1 or more, not 0"),
        ({"truncation": 1.5}, r"truncation must be from 0 to 1, not 1\.5"),
        ({"variables": ("x", "y", "x")}, "variables repeat: x"),
    ],
)
def test_a_config_that_makes_no_sense_is_refused(given: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Config(**given)
