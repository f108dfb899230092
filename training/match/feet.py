"""Feet that stand are held where they stand: a toe's lock, and the two-bone knee that reaches it. Live, any rate.

The body is given in its own frame (no yaw, root over the origin); locks live in the world. A toe is never moved by
more than the clamp: a lock that would need more is dragged along. Bone lengths are exact, a foot keeps its direction.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from motion.skeleton import HUMANOID
from training.match import quaternions
from training.match.features import plane, space, unit

_CHAIN = [
    [HUMANOID.index(f"{side}{bone}") for side in ("Left", "Right")] for bone in ("UpperLeg", "LowerLeg", "Foot", "Toes")
]

_JOINTS = len(HUMANOID)
_GROUND, _UP = torch.tensor([1.0, 0.0, 1.0]), torch.tensor([0.0, 1.0, 0.0])
_X0Z, _X0Z_2 = [0, 2, 1], [0, 0, 1]  # from (x, z, 0) and (x, z) to points on the floor
_DIFFERENCES = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
_EYE = torch.eye(3)
_RISING = 0.04  # half-life, seconds, of a foot's way up and down


class Feet(nn.Module):
    """clamp: metres a standing toe may be held from where its clip has it; release: half-life, s, of
    the way back; highest: metres a foot is lifted that has far to go."""

    def __init__(self, clamp: float, release: float, highest: float) -> None:
        super().__init__()
        self.clamp, self.release = clamp, release
        self.lift, self.highest = 1.0, highest  # of the way left, metres
        self.register_buffer("longest", torch.tensor(clamp))
        offsets = torch.tensor(HUMANOID.offsets, dtype=torch.float32)[torch.tensor(_CHAIN)]  # (4 bones, 2 sides, 3)
        self.register_buffer("offsets", offsets[..., None])
        self.thigh, self.shin = (float(offsets[bone, 0].norm()) for bone in (1, 2))

    def forward(
        self,
        turns: Tensor,
        heights: Tensor,
        root: Tensor,
        left: Tensor,
        contacts: Tensor,
        gliding: Tensor,
        dt: Tensor,
        state: Tensor,
        jump: Tensor,
        started: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """The body's changed matrices (B, J, 3, 3) and the next state.

        turns (B, 2 J, 3, 3) local, the hips without yaw: the body shown, and the clip alone, whose toes are followed;
        heights (B, 2) of their hips. contacts (B, 2); gliding (B, 4) how low toes travel, m/s in the body's frame.
        """
        both = turns.view(-1, 2, _JOINTS, 3, 3)
        matrices = both[:, 0]
        hips = both[:, :, :1]
        upper = hips @ both[:, :, _CHAIN[0]]  # (B, 2 bodies, 2 sides, 3, 3)
        lower = upper @ both[:, :, _CHAIN[1]]
        foot = lower @ both[:, :, _CHAIN[2]]
        hip = F.pad(heights.unsqueeze(-1), (1, 1)).unsqueeze(2) + (hips @ self.offsets[0])[..., 0]
        knee = hip + (upper @ self.offsets[1])[..., 0]
        ankle = knee + (lower @ self.offsets[2])[..., 0]
        toes = ankle + (foot @ self.offsets[3])[..., 0]
        into = space(left)
        toes = (toes.flatten(1, 2) @ into).view(-1, 2, 2, 3) + F.pad(root, (0, 1))[:, None, None][..., _X0Z]
        shown, place = toes[:, 0], toes[:, 1]  # (B, 2 sides, 3) in the world

        stood, target, velocity, shift = state.view(-1, 2, 10).split([1, 3, 3, 3], dim=-1)
        dt, jump, started = dt.unsqueeze(1), jump.unsqueeze(1), started.unsqueeze(1)
        fade = torch.exp(dt * (-0.693147 / self.release))
        free = torch.where(jump, target + velocity * dt - place, shift * fade)
        stands = (contacts.unsqueeze(-1) > 0.5) & started
        travel = (gliding.view(-1, 2, 2) @ plane(left)) * dt
        held = target + travel[..., _X0Z_2] * _GROUND - place
        wide = torch.where(stands & (stood > 0.5) & ~jump, held, free) * _GROUND  # horizontal
        size = wide.norm(dim=-1, keepdim=True).clamp(min=1e-6)
        most = (shift * _GROUND).norm(dim=-1, keepdim=True) * fade
        limit = (torch.maximum(most, self.longest) / size).clamp(max=1.0)
        wide = torch.where(jump, wide, wide * limit)
        # A foot on its way steps: it is lifted while it has further to go than it may be held by.
        lift = torch.relu((size - 0.92 * self.clamp) * self.lift).clamp(max=self.highest) * stands
        rise = torch.where(jump, free, lift + (shift - lift) * torch.exp(dt * (-0.693147 / _RISING))) * _UP
        moved = (wide + rise) * started
        wanted = place + moved
        known = started & (dt > 0.0)
        state = torch.cat(
            [stands.to(moved), wanted, torch.where(known, (wanted - target) / dt, 0.0 * moved), moved], -1
        )

        upper_turn, lower_turn, foot_turn = upper[:, 0], lower[:, 0], foot[:, 0]
        hips, hip, knee, ankle = hips[:, 0], hip[:, 0], knee[:, 0], ankle[:, 0]
        target = ankle + (wanted - shown) @ into.transpose(-1, -2)

        # The knee that reaches there (the law of cosines, before and after, so no shift is no change).
        leg, reach = ankle - hip, target - hip
        before, after = leg.norm(dim=-1, keepdim=True), reach.norm(dim=-1, keepdim=True)
        after = _soft(after, before, self.thigh + self.shin)
        bend = quaternions.cross(knee - hip, leg)
        bent = bend.norm(dim=-1, keepdim=True)
        hinge = torch.where(bent > 1e-3, bend / bent.clamp(min=1e-6), upper_turn[..., 0])
        sides = torch.cat([before, after], dim=-1)  # (B, 2, 2)
        squares = sides * sides
        at_hip = (squares + (self.thigh**2 - self.shin**2)) / (sides * (2.0 * self.thigh))
        at_knee = (self.thigh**2 + self.shin**2 - squares) * (0.5 / (self.thigh * self.shin))
        angles = torch.acos(torch.cat([at_hip, at_knee], dim=-1).clamp(-0.99999, 0.99999))
        angles = angles @ _DIFFERENCES  # (B, 2, 2): before less after, at the hip and at the knee
        bends = quaternions.matrices(
            quaternions.exp(torch.cat([hinge * angles[..., :1], hinge * angles[..., 1:]], dim=1))
        )
        thigh_turn = _between(leg, reach) @ bends[:, :2]
        shin_turn = thigh_turn @ bends[:, 2:]
        new_upper, new_lower = thigh_turn @ upper_turn, shin_turn @ lower_turn
        legs = torch.cat(
            [
                hips.transpose(-1, -2) @ new_upper,
                new_upper.transpose(-1, -2) @ new_lower,
                new_lower.transpose(-1, -2) @ foot_turn,
            ],
            dim=1,
        )  # (B, 6, 3, 3): both thighs, both shins, both feet
        parts = [matrices[:, : _CHAIN[0][0]], legs[:, 0::2], matrices[:, _CHAIN[3][0] : _CHAIN[3][0] + 1]]
        parts += [legs[:, 1::2], matrices[:, _CHAIN[3][1] :]]
        return torch.cat(parts, dim=1), state.flatten(1)


def _soft(wanted: Tensor, before: Tensor, leg: float) -> Tensor:
    """A hip-to-ankle distance that nears the straight leg ever slower."""
    start = before.clamp(min=0.97 * leg)
    room = (0.995 * leg - start).clamp(min=1e-6)
    return torch.where(wanted > start, start + room * (1.0 - torch.exp(-torch.relu(wanted - start) / room)), wanted)


def _between(a: Tensor, b: Tensor) -> Tensor:
    """The shortest turn (B, 2, 3, 3) from direction a to b (B, 2, 3); they are less than a right angle apart."""
    a, b = unit(a), unit(b)
    cross = quaternions.skew(quaternions.cross(a, b))
    cosine = (a * b).sum(-1)[..., None, None]
    return _EYE + cross + cross @ cross / (1.0 + cosine).clamp(min=0.1)
