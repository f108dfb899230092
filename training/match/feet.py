"""Feet that stand are held where they stand: a toe's lock, and the two-bone knee that reaches it. Live, any rate.

The body is given in its own frame (no yaw, root over the origin); locks live in the world. A toe is never moved by
more than the clamp: a lock that would need more is dragged along. Bone lengths are exact, a foot keeps its direction.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from motion.skeleton import HUMANOID
from training.match.features import seen_from, turned

_CHAIN = [
    [HUMANOID.index(f"{side}{bone}") for side in ("Left", "Right")] for bone in ("UpperLeg", "LowerLeg", "Foot", "Toes")
]


class Feet(nn.Module):
    """clamp: metres a standing toe may be held from where its clip has it; release: half-life, s, of the way back."""

    def __init__(self, clamp: float, release: float) -> None:
        super().__init__()
        self.clamp, self.release = clamp, release
        offsets = torch.tensor(HUMANOID.offsets, dtype=torch.float32)[torch.tensor(_CHAIN)]  # (4 bones, 2 sides, 3)
        self.register_buffer("offsets", offsets[..., None])
        self.thigh, self.shin = (float(offsets[bone, 0].norm()) for bone in (1, 2))

    def forward(
        self,
        matrices: Tensor,
        height: Tensor,
        clip: tuple[Tensor, Tensor],
        root: Tensor,
        left: Tensor,
        contacts: Tensor,
        gliding: Tensor,
        dt: Tensor,
        state: Tensor,
        jump: Tensor,
        started: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """The changed matrices and the next state.

        matrices (B, J, 3, 3) local, the hips without yaw, and the hips' height (B, 1): the body shown; clip: the
        same of the clip alone, whose toes are followed. contacts (B, 2); gliding (B, 4) how low toes travel, m/s in
        the body's frame; root and left (B, 2) of the body.
        """
        ours = self._leg(matrices, height)
        toes = self._leg(*clip)["toes"]
        place = self._world(toes, root, left)  # (B, 2, 3)
        stood, target, velocity, shift = state.view(-1, 2, 10).split([1, 3, 3, 3], dim=-1)
        dt, jump, started = dt.unsqueeze(1), jump.unsqueeze(1), started.unsqueeze(1)
        fade = torch.exp(-0.693147 * dt / self.release)
        free = torch.where(jump, target + velocity * dt - place, shift * fade)
        stands = (contacts.unsqueeze(-1) > 0.5) & started
        glide = turned(gliding.view(-1, 2, 2), left.unsqueeze(1)) * dt
        held = torch.where(stands & (stood > 0.5), target[..., 0::2] + glide - place[..., 0::2], free[..., 0::2])
        size = held.norm(dim=-1, keepdim=True).clamp(min=1e-6)
        most = torch.maximum(shift[..., 0::2].norm(dim=-1, keepdim=True) * fade, torch.full_like(size, self.clamp))
        held = torch.where(jump, held, held * (most / size).clamp(max=1.0))
        moved = torch.stack([held[..., 0], free[..., 1], held[..., 1]], dim=-1) * started
        wanted = place + moved
        speed = torch.where(
            stood + shift.abs().sum(-1, keepdim=True) + target.abs().sum(-1, keepdim=True) > 0.0,
            (wanted - target) / dt,
            0.0 * target,
        )
        state = torch.cat([stands.to(moved), wanted, speed, moved], dim=-1)

        upper_turn, lower_turn, foot_turn = ours["turns"]
        hips, hip, knee, ankle = matrices[:, :1], ours["hip"], ours["knee"], ours["ankle"]
        change = wanted - self._world(ours["toes"], root, left)
        flat = seen_from(change[..., 0::2], left.unsqueeze(1))
        target = ankle + torch.stack([flat[..., 0], change[..., 1], flat[..., 1]], dim=-1)

        # The knee that reaches there (the law of cosines, before and after, so no shift is no change).
        leg, reach = ankle - hip, target - hip
        before, after = leg.norm(dim=-1, keepdim=True), reach.norm(dim=-1, keepdim=True)
        after = _soft(after, before, self.thigh + self.shin)
        bend = torch.linalg.cross(knee - hip, leg)
        bent = bend.norm(dim=-1, keepdim=True)
        hinge = torch.where(bent > 1e-3, bend / bent.clamp(min=1e-6), upper_turn[..., 0])
        hip_angle = _corner(self.thigh, before, self.shin) - _corner(self.thigh, after, self.shin)
        knee_angle = _corner2(self.thigh, self.shin, before) - _corner2(self.thigh, self.shin, after)
        thigh_turn = _between(leg, reach) @ _about(hinge, hip_angle)
        shin_turn = thigh_turn @ _about(hinge, knee_angle)
        new_upper, new_lower = thigh_turn @ upper_turn, shin_turn @ lower_turn
        legs = torch.cat(
            [
                hips.transpose(-1, -2) @ new_upper,
                new_upper.transpose(-1, -2) @ new_lower,
                new_lower.transpose(-1, -2) @ foot_turn,
            ],
            dim=1,
        )  # (B, 6, 3, 3): both thighs, both shins, both feet
        first, second = min(_CHAIN[0]), max(_CHAIN[0])
        order = {joint: place for place, joint in enumerate([*_CHAIN[0], *_CHAIN[1], *_CHAIN[2]])}
        parts = [matrices[:, :first]]
        parts += [
            legs[:, order[joint]].unsqueeze(1) if joint in order else matrices[:, joint : joint + 1]
            for joint in range(first, second + 4)
        ]
        parts.append(matrices[:, second + 4 :])
        return torch.cat(parts, dim=1), state.flatten(1)

    def _leg(self, matrices: Tensor, height: Tensor) -> dict[str, Any]:
        """Forward kinematics of both legs, in the body's frame: joints (B, 2, 3), and the three bones' turns."""
        upper = matrices[:, :1] @ matrices[:, _CHAIN[0]]  # (B, 2, 3, 3)
        lower = upper @ matrices[:, _CHAIN[1]]
        foot = lower @ matrices[:, _CHAIN[2]]
        hip = F.pad(height, (1, 1)).unsqueeze(1) + (matrices[:, :1] @ self.offsets[0])[..., 0]
        knee = hip + (upper @ self.offsets[1])[..., 0]
        ankle = knee + (lower @ self.offsets[2])[..., 0]
        toes = ankle + (foot @ self.offsets[3])[..., 0]
        return {"turns": (upper, lower, foot), "hip": hip, "knee": knee, "ankle": ankle, "toes": toes}

    def _world(self, points: Tensor, root: Tensor, left: Tensor) -> Tensor:
        flat = root.unsqueeze(1) + turned(points[..., 0::2], left.unsqueeze(1))
        return torch.stack([flat[..., 0], points[..., 1], flat[..., 1]], dim=-1)


def _soft(wanted: Tensor, before: Tensor, leg: float) -> Tensor:
    """A hip-to-ankle distance that nears the straight leg ever slower."""
    start = before.clamp(min=0.97 * leg)
    room = (0.995 * leg - start).clamp(min=1e-6)
    return torch.where(wanted > start, start + room * (1.0 - torch.exp(-torch.relu(wanted - start) / room)), wanted)


def _corner(a: float, b: Tensor, opposite: float) -> Tensor:
    return torch.acos(((a * a - opposite * opposite + b * b) / (2.0 * a * b)).clamp(-0.99999, 0.99999))


def _corner2(a: float, b: float, opposite: Tensor) -> Tensor:
    return torch.acos(((a * a + b * b - opposite * opposite) / (2.0 * a * b)).clamp(-0.99999, 0.99999))


def _about(axis: Tensor, angle: Tensor) -> Tensor:
    """Rotation matrices about unit axes (..., 3) by angles (..., 1), Rodrigues."""
    x, y, z = axis.unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).unflatten(-1, (3, 3))
    sine, cosine = torch.sin(angle)[..., None], torch.cos(angle)[..., None]
    eye = torch.eye(3, dtype=axis.dtype)
    return eye + sine * cross + (1.0 - cosine) * (cross @ cross)


def _between(a: Tensor, b: Tensor) -> Tensor:
    """The shortest turn (..., 3, 3) from direction a to b; they are less than a right angle apart."""
    a, b = F.normalize(a, dim=-1), F.normalize(b, dim=-1)
    x, y, z = torch.linalg.cross(a, b).unbind(-1)
    zero = torch.zeros_like(x)
    cross = torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).unflatten(-1, (3, 3))
    cosine = (a * b).sum(-1)[..., None, None]
    return torch.eye(3, dtype=a.dtype) + cross + cross @ cross / (1.0 + cosine).clamp(min=0.1)
