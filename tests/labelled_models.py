"""Small labelled partners, for tests."""

import numpy as np
import torch

from made_up_takes import made_up_clip
from motion import rotations as rot
from motion.skeleton import HUMANOID
from training.labels import NONE
from training.models import labelled_pose as pose
from training.models.labelled import Labelled
from training.models.labelled_config import Config

SETS = (("space", ("in", "out")), ("time", ("low", "medium", "high")))
SMALL = {"window": 16, "latent": 24, "code": 8, "state": 12, "hidden": 16, "encoder": 8, "classifier": 8}


def small_model(**more: object) -> Labelled:
    torch.manual_seed(0)
    return Labelled(Config(**{"label_sets": SETS, **SMALL, **more}), HUMANOID)


def fitted(**more: object) -> Labelled:
    model = small_model(**more)
    batch = small_batch(model, 40, torch.stack([torch.randint(size, (40, 2)) for size in (2, 3)], dim=2))
    model.fit_statistics(batch)
    return model.eval()


def small_batch(model: Labelled, count: int, labels: torch.Tensor | None = None) -> dict[str, torch.Tensor]:
    clip = made_up_clip(6.0, 30.0)
    random = np.random.default_rng(0)
    pace, begin = random.uniform(2.0, 12.0, (21, 3)), random.uniform(0.0, 6.0, (21, 3))
    clip.rotations[:, 1:] = rot.from_euler("ZXY", 0.4 * np.sin(pace * np.arange(180)[:, None, None] / 30.0 + begin))
    whole = pose.moves(clip.root_positions, clip.rotations, 30.0)
    given = torch.stack([whole[start : start + 2 * model.config.window] for start in range(count)])
    none = torch.full((count, 2, len(model.config.label_sets)), NONE)
    return {"moves": given, "positions": pose.positions(given), "labels": none if labels is None else labels}
