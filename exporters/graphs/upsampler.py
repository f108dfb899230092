"""The upsampler as it runs: the keys around a moment in, the pose at that moment out. No state: whoever runs it keeps
the keys (motion.key_window fills the slots), so they may come at any times. A row asks for any number of moments, which
together cost little more than one.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from exporters.graphs import ports
from motion import features, key_window
from motion import rotations as rot
from motion.manifest import Manifest, Port
from training.models.upsampler import Upsampler


class UpsamplerStep(nn.Module):
    """keys (B, K, 3 + 6J), valid (B, K, J), times (B, K) and query (B, M) in seconds from the newest past key -> pose
    (B, M, 3 + 6J) at the queries, and `cleaned` (B, K, 3 + 6J): the keys without what was wrong with them.
    """

    def __init__(self, model: Upsampler) -> None:
        super().__init__()
        self.model, self.config, self.skeleton = model, model.config, model.skeleton

    def label(self, name: str) -> Manifest:
        """The manifest, all but where the model comes from."""
        slots, joints = self.config.past + self.config.ahead, len(self.skeleton)
        width = features.width(ports.POSE, joints)
        return Manifest(
            name,
            "upsampler",
            self.skeleton,
            (
                Port("keys", "motion", ("batch", slots, width), layout=ports.POSE),
                Port("valid", "valid", ("batch", slots, joints)),
                Port("times", "time", ("batch", slots)),
                Port("query", "time", ("batch", "moments")),
            ),
            (
                Port("pose", "motion", ("batch", "moments", width), layout=ports.POSE),
                Port("cleaned", "motion", ("batch", slots, width), layout=ports.POSE),
            ),
            scorecard={"spline_is_better": [dict(zip(_RANGE, each, strict=True)) for each in self.config.spline]},
        )

    def forward(self, keys: Tensor, valid: Tensor, times: Tensor, query: Tensor) -> tuple[Tensor, Tensor]:
        rotations = keys[..., 3:].unflatten(-1, (-1, 6))
        root, made, key_root, cleaned = self.model(keys[..., :3], rotations, times, valid, query)
        pose = torch.cat([root, made.flatten(2)], dim=-1)
        return pose, torch.cat([key_root, cleaned.flatten(2)], dim=-1)


def example(label: Manifest, count: int, seed: int) -> list[dict[str, np.ndarray]]:
    """Somebody who walks, turns and waves, at irregular times; every question, two moments each, gaps."""
    random = np.random.default_rng(seed)
    joints = len(label.skeleton)
    amount, pace = random.normal(0.0, 0.25, (joints, 3)), random.uniform(2.0, 6.0, (joints, 1))
    steps = []
    for number in range(count):
        dense, ahead = number % 4 == 3, number % 4
        times = np.cumsum(random.uniform(0.9, 1.1, 48)) * (1 / 120 if dense else random.choice([1 / 30, 1 / 8]))
        swing = amount * np.sin(pace * times[:, None, None] + 0.1 * number)
        root = np.stack([np.sin(times), 0.9 + 0.02 * np.sin(9.0 * times), 0.5 * times], axis=-1)
        valid = random.random((48, joints)) > (0.0 if number % 2 else 0.1)
        if dense:
            query, places = times[-1:] + random.uniform(0.0, 0.1, 2), key_window.forecast(times).repeat(2, axis=0)
        else:
            query = times[30:31] + random.uniform(0.1, 0.9, 2) * (times[31] - times[30])
            places = key_window.between(times, query, ahead)
        if "rotations_6d" in label.inputs[0].layout:
            rotations = rot.from_euler("ZXY", swing)
            rotations[:, 0] = rot.yaw(0.8 * np.sin(times))
            given = key_window.shown(places, times, root, rotations, valid, query)
        else:
            points = label.skeleton.rest_positions + swing + root[:, None]
            given = key_window.shown_points(places, times, points[..., :2], valid, query)
        steps.append(given.inputs())
    return steps


_RANGE = ("ahead", "from_fps", "to_fps")
