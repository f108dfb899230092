"""The effort meter: the classifier q(y|x) of a labelled partner, asked of joints in the world as the stage has them.

A run is a window of 40 frames at the labelled partner's rate, wherever it is danced and whichever way it looks. Every
label set is an output of its own, probabilities that add up to 1, whose port names the labels.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from motion import features
from motion import rotations as rot
from motion.manifest import Manifest, Port
from motion.skeleton import HUMANOID
from training.models import labelled_pose as pose
from training.models.labelled import Labelled
from training.models.labelled_networks import sensed
from training.models.labelled_takes import FPS

HOP = 3  # frames from one reading to the next: ten a second
_LEFT, _RIGHT = HUMANOID.both_sides("UpperLeg")  # on the hips' left axis


class EffortMeter(nn.Module):
    """dancer (B, T, 3J), metres in the world -> probabilities of every set's labels (B, its labels) each.

    Raises ValueError for a model without labels.
    """

    def __init__(self, model: Labelled) -> None:
        super().__init__()
        if not model.config.label_sets:
            raise ValueError("this partner was trained without labels: there is nothing for a meter to read")
        self.classifier, self.config, self.skeleton = model.classifier, model.config, model.skeleton

    def label(self, name: str) -> Manifest:
        """The manifest, all but where the model comes from."""
        window = self.config.window
        return Manifest(
            name,
            "meter",
            self.skeleton,
            (Port("dancer", "motion", ("batch", window, 3 * pose.JOINTS), layout=("global_positions",)),),
            tuple(
                Port(f"label/{of_set}", "label", ("batch", len(labels)), layout=labels)
                for of_set, labels in self.config.label_sets
            ),
            fps_in=FPS,
            window=window,
            hop=HOP,
        )

    def forward(self, dancer: Tensor) -> tuple[Tensor, ...]:
        world = dancer.unflatten(2, (pose.JOINTS, 3))
        return tuple(said.exp() for said in self.classifier.judged(sensed(world, under_the_hips(world))))


def example(label: Manifest, count: int, seed: int) -> list[dict[str, NDArray[np.float32]]]:
    """Windows of a made-up dancer who walks, turns and swings, from calm to wild."""
    random = np.random.default_rng(seed)
    now = np.arange(label.window) / FPS
    windows = []
    for wild in np.linspace(0.2, 2.0, count):
        pace = random.uniform(1.0, 6.0, (pose.JOINTS, 3))
        rotations = rot.from_euler(
            "ZXY", 0.3 * wild * np.sin(pace * now[:, None, None] + random.uniform(0, 6, pace.shape))
        )
        rotations[:, 0] = rot.yaw(random.uniform(-3.0, 3.0) + wild * now)
        root = np.stack([0.5 * wild * now, np.full_like(now, 0.9), 0.1 * np.sin(wild * now)], axis=1)
        windows.append({"dancer": features.encode(label.inputs[0].layout, label.skeleton, root, rotations)[None]})
    return windows


def under_the_hips(world: Tensor) -> Tensor:
    """Joints (B, T, J, 3) as they are seen from under the hips, looking where those look."""
    left = world[:, :, _LEFT] - world[:, :, _RIGHT]
    cos, sin = left[..., 0:1], -left[..., 2:3]
    size = (cos.square() + sin.square() + 1e-12).sqrt()
    cos, sin = cos / size, sin / size
    x, y, z = (world - world[:, :, :1] * world.new_tensor([1.0, 0.0, 1.0])).unbind(-1)
    return torch.stack([cos * x - sin * z, y, sin * x + cos * z], dim=-1)
