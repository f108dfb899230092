"""Small identity_action models of motion, and recordings for them, for tests."""

from pathlib import Path

import numpy as np
import torch

from made_up_takes import made_up_clip
from motion import rotations as rot
from motion.bvh import write_bvh
from motion.skeleton import HUMANOID
from training.models import identity_pose as pose
from training.models.identity_action import IdentityAction
from training.models.identity_action_config import SEQUENCES, Config

IDENTITIES, ACTIONS = ("ada", "bob"), ("hop", "skip")
SMALL = {
    "window": 16,
    "experts": 3,
    "latent": 6,
    "dynamics": 4,
    "hidden": 16,
    "rnn": 8,
    "rnn_layers": 2,
    "dynamics_rnn": 8,
    "rollout": 4,
}


def small_model(stage: int = SEQUENCES, **more: object) -> IdentityAction:
    """Untrained, with statistics, in evaluation mode."""
    torch.manual_seed(0)
    given = {"identities": IDENTITIES, "actions": ACTIONS, "stage": stage, **SMALL, **more}
    model = IdentityAction(Config(**given), HUMANOID)
    model.frames.fit(moves(8))
    torch.nn.init.normal_(model.usual.weight)
    return model.eval()


def moves(count: int, window: int = 16) -> torch.Tensor:
    """Windows (count, window, WIDTH) of somebody who waves everything."""
    clip = made_up_clip(3.0, 30.0)
    random = np.random.default_rng(0)
    pace, begin = random.uniform(2.0, 9.0, (21, 3)), random.uniform(0.0, 6.0, (21, 3))
    clip.rotations[:, 1:] = rot.from_euler("ZXY", 0.4 * np.sin(pace * np.arange(90)[:, None, None] / 30.0 + begin))
    whole = pose.moves(clip.root_positions, clip.rotations, 30.0)
    return torch.stack([whole[start : start + window] for start in range(count)])


def batch(count: int = 8) -> dict[str, torch.Tensor]:
    """As training.models.identity_windows gives it; of the last nobody knows what is done."""
    known = torch.arange(count)
    return {
        "x": moves(count),
        "pair": moves(count).flip(0),
        "identity": known % 2,
        "action": torch.where(known == count - 1, -1, known // 2 % 2),
    }


def recordings(folder: Path) -> Path:
    """Two takes of everybody doing everything."""
    folder.mkdir()
    for number, name in enumerate(f"{what}_{who}_{take}" for what in ACTIONS for who in IDENTITIES for take in (1, 2)):
        write_bvh(folder / f"{name}.bvh", made_up_clip(1.2, 30.0, shift=float(number)), decimals=4)
    return folder
