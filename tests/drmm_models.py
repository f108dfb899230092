"""Small mixture models whose distributions can be written down, for tests."""

import itertools

import numpy as np
import torch

from training.models.drmm import Config, Drmm
from training.models.drmm_tables import NOBODY

NAMES = ("x", "y", "z")


def random_model(layers: int, components: int, seed: int = 0, **more: object) -> Drmm:
    """Untrained, but with every part set to something."""
    torch.manual_seed(seed)
    model = Drmm(Config(NAMES, layers, components, **more), NOBODY)
    with torch.no_grad():
        for layer in range(layers):
            model.means[layer].normal_(0.0, 1.0 / (1 + layer))
            model.log_variance[layer].uniform_(-1.5, -0.5)
        model.logits.normal_()
        model.prototypes.normal_(0.0, 1.5)
        model.centre.copy_(torch.tensor([1.0, -2.0, 0.5]))
        model.scale.copy_(torch.tensor([2.0, 0.5, 1.5]))
    return model.eval()


def mixture(model: Drmm) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The model as a plain mixture over all paths through it: log-weights (P,), means (P, 3), variances (3,)."""
    with torch.no_grad():
        tables = model.tables(torch.float64)
        layers, size = model.config.layers, model.config.components
        weights, means = [], []
        for path in itertools.product(range(size), repeat=layers):
            weight = tables.log_weights[-1, path[-1]]
            for layer, component in enumerate(path[:-1]):
                weight = weight + tables.links[-1][layer * size + component, path[-1]]
            weights.append(float(weight))
            means.append(sum(tables.means[layer, component] for layer, component in enumerate(path)).numpy())
        centre, scale = model.centre.double().numpy(), model.scale.double().numpy()
    return np.array(weights), np.stack(means) * scale + centre, model.variances()[-1].double().numpy()
