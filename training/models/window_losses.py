"""What a decoded window costs that duet_window and deepfake are trained with.

The research's losses, on norms, positions and rotations, and ours on the sway. Rotations are compared up to sign,
positions come from normalised quaternions.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from motion.skeleton import Skeleton
from training import joint_weights, kinematics, losses
from training.models.window_vae import Config, Window

CENTIMETRES = 100.0  # the research's losses of positions are in centimetres, and so are their scales


def half_angle(q: Tensor, truth: Tensor, axis: int = -1) -> Tensor:
    """Half the angle between two rotations, radians; q and -q are one. Quaternions along `axis`, of length one."""
    near = torch.where((q * truth).sum(axis, keepdim=True) < 0, -truth, truth)
    chord = (q - near).square().sum(axis).add(1e-12).sqrt()
    return 2.0 * torch.asin(0.5 * chord)


def divergence(mu: Tensor, sigma: Tensor) -> Tensor:
    """KL from N(0, 1), the mean over batch and latent dimensions, as in the research."""
    return -0.5 * (1.0 + 2.0 * sigma.log() - mu.square() - sigma.square()).mean()


class PoseLoss(nn.Module):
    """norm, position, rotation and sway of a decoded window against the true one, and their weighted sum."""

    def __init__(self, config: Config, skeleton: Skeleton) -> None:
        super().__init__()
        self.scales = {
            "norm": config.norm_loss,
            "position": config.position_loss,
            "rotation": config.rotation_loss,
            "sway": config.sway_loss,
        }
        self.parents = skeleton.parents
        self.register_buffer("offsets", torch.tensor(skeleton.offsets, dtype=torch.float32), persistent=False)
        weights = joint_weights.of(skeleton, config.joint_weights)
        self.register_buffer("weights", weights, persistent=False)

    def forward(self, made: Window, truth: Window) -> tuple[Tensor, dict[str, Tensor]]:
        """made: raw quaternions (B, T, J, 4) and sways (B, T, 3); truth the same, of length one.

        Parts: position and sway in centimetres, rotation in radians of half the angle.
        """
        sway, target = made[1], _by_component(truth[0])
        raw = _by_component(made[0])  # (4, J, B, T)
        length = raw.square().sum(0).add(1e-12).sqrt()
        q = raw / length
        weights = self.weights[:, None, None]
        parts = {
            "norm": (length - 1.0).square().mean(),
            "position": (weights * self._apart(q, target)).mean() * CENTIMETRES,
            "rotation": (weights * half_angle(q, target, axis=0)).mean(),
            "sway": losses.distance(sway, truth[1]) * CENTIMETRES,
        }
        return sum(scale * parts[name] for name, scale in self.scales.items()), parts

    def _apart(self, q: Tensor, truth: Tensor) -> Tensor:
        """Metres (J, B, T) between the joints of two poses (4, J, B, T), the hips at the origin as in the research."""
        points, true = (kinematics.joint_positions(self.parents, self.offsets, each) for each in (q, truth))
        return (points - true).square().sum(0).add(1e-12).sqrt()


def _by_component(q: Tensor) -> Tensor:
    """(B, T, J, 4) -> (4, J, B, T)."""
    return q.permute(3, 2, 0, 1).contiguous()
