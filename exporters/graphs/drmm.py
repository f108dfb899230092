"""The mixture model as it runs: a question and chance in, candidates and how likely they are out. No state.

Whoever runs it makes questions with motion.conditions and finishes answers with motion.sampling. The label names the
variables and, in `vectors`, what every layer leaves open of each of them, how usual its components are, and mean and
spread of the training data: with the graph's tables that is the whole model (exporters.drmm_file).
"""

from __future__ import annotations

import numpy as np

from motion.conditions import Conditions, Space, Values
from motion.manifest import Manifest, Port
from motion.sampling import chance
from training.models.drmm_draw import Drawer

SLOTS = 16  # rows of linear conditions
OTHERWISE = (
    1e-3  # share of candidates whose choices may differ between runtimes: scores that are equal but for rounding
)


class DrmmStep(Drawer):
    """x (B, D), precision (B, L, D), gumbel (B, L, C, K), A (B, 16, D), b (B, 16), w (B, 16), pull (B, L, 16) ->
    samples (B, C, D), log_weights (B, C), components (B, C, L). See training.models.drmm_draw.
    """

    def label(self, name: str) -> Manifest:
        """The manifest, all but where the model comes from."""
        c, size = self.config, len(self.config.variables)
        return Manifest(
            name,
            "sampler",
            self.skeleton,
            (
                Port("x", "known", ("batch", size)),
                Port("precision", "known", ("batch", c.layers, size)),
                Port("gumbel", "noise", ("batch", c.layers, c.candidates, c.components)),
                Port("A", "constraint", ("batch", SLOTS, size)),
                Port("b", "constraint", ("batch", SLOTS)),
                Port("w", "constraint", ("batch", SLOTS)),
                Port("pull", "constraint", ("batch", c.layers, SLOTS)),
            ),
            (
                Port("samples", "known", ("batch", c.candidates, size)),
                Port("log_weights", "condition", ("batch", c.candidates)),
                Port("components", "condition", ("batch", c.candidates, c.layers)),
            ),
            variables=c.variables,
            vectors={f"variance_{layer}": row for layer, row in enumerate(self.variances.tolist())}
            | {f"log_weights_{layer}": row for layer, row in enumerate(self.log_weights.tolist())}
            | {"centre": self.centre.tolist(), "scale": self.scale.tolist()},
        )

    def parity(self, a: list[Values], b: list[Values]) -> float:
        """The largest difference of candidates that chose alike, and all but OTHERWISE of their weights' differences;
        infinite when too many chose otherwise. A component as improbable as may be is dropped or not: that is a weight.
        """
        alike = [(x["components"] == y["components"]).all(axis=2) for x, y in zip(a, b, strict=True)]
        if np.mean(alike) < 1.0 - OTHERWISE:
            return float("inf")
        worst, weights = 0.0, []
        for x, y, same in zip(a, b, alike, strict=True):
            scale = np.maximum(np.abs(x["log_weights"]), 1.0)[same]
            worst = max(worst, float(np.abs(x["samples"] - y["samples"])[same].max()))
            weights.append(np.abs(x["log_weights"] - y["log_weights"])[same] / scale)
        worst = max(worst, float(np.quantile(np.concatenate(weights), 1.0 - OTHERWISE)))
        return worst if np.isfinite(worst) else float("inf")


def example(label: Manifest, count: int, seed: int) -> list[Values]:
    """Questions of every kind: nothing known, values, priors and limits, around what the model itself would say."""
    random = np.random.default_rng(seed)
    here = Space.of(label)
    size, (_, layers, candidates, components) = len(here.variables), label.inputs[2].shape
    centre, spread = np.array(label.vectors["centre"]), np.array(label.vectors["scale"])
    steps = []
    for number in range(count):
        wanted = Conditions(here)
        known = random.random(size) < 0.3
        if number % 2:
            wanted.know(None, random.normal(centre, 0.5 * spread), np.where(known, random.choice([0.5, 1.0]), 0.0))
        if number % 3 == 1:
            wanted.prior(here.variables[0], float(random.normal(centre[0], spread[0])), float(spread[0]))
            a = random.normal(size=size) / spread
            wanted.prior(a, mean=float(a @ centre), deviation=1.0)
        for _ in range(number % 4):
            a = random.normal(size=size) / spread
            wanted.limit(a, float(a @ centre + random.normal(0.0, 2.0)), weight=3.0)
        gumbel = chance(random, (1, int(layers), int(candidates), int(components)))
        steps.append(wanted.question().inputs(SLOTS) | {"gumbel": gumbel})
    return steps
