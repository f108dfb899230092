"""The upsampler of a picture's points as it runs: as exporters.graphs.upsampler, with points in the poses' place."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from motion.manifest import Manifest, Port
from training.models import upsampler_points
from training.models.upsampler_points import PointsUpsampler

_LAYOUT = ("global_positions",)


class UpsamplerPointsStep(nn.Module):
    """keys (B, K, 3P) of which every third number is left alone, valid (B, K, P), times (B, K) and query (B, M) -> pose
    (B, M, 3P) and cleaned (B, K, 3P), whose third coordinates are 0. y points up, the unit is what the keys have.
    """

    def __init__(self, model: PointsUpsampler) -> None:
        super().__init__()
        self.model, self.config, self.skeleton = model, model.config, upsampler_points.body()

    def label(self, name: str) -> Manifest:
        """The manifest, all but where the model comes from."""
        slots, points = self.config.past + self.config.ahead, len(self.skeleton)
        return Manifest(
            name,
            "upsampler",
            self.skeleton,
            (
                Port("keys", "motion", ("batch", slots, 3 * points), layout=_LAYOUT),
                Port("valid", "valid", ("batch", slots, points)),
                Port("times", "time", ("batch", slots)),
                Port("query", "time", ("batch", "moments")),
            ),
            (
                Port("pose", "motion", ("batch", "moments", 3 * points), layout=_LAYOUT),
                Port("cleaned", "motion", ("batch", slots, 3 * points), layout=_LAYOUT),
            ),
        )

    def forward(self, keys: Tensor, valid: Tensor, times: Tensor, query: Tensor) -> tuple[Tensor, Tensor]:
        points = keys.unflatten(2, (len(self.skeleton), 3))[..., :2]
        made, cleaned = (_in_space(each) for each in self.model(points, times, valid, query))
        return made, cleaned


def _in_space(points: Tensor) -> Tensor:
    return torch.cat([points, 0.0 * points[..., :1]], dim=-1).flatten(2)
