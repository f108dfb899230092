"""Feet that stand are held where they stand: a toe's lock, and the two-bone knee that reaches it. Live, any rate.

The body is given in its own frame (no yaw, root over the origin); locks live in the world. A toe is never moved by
more than the clamp: a lock that would need more is dragged along. Bone lengths are exact, a foot keeps its direction.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from motion.skeleton import HUMANOID
from training.match import quaternions
from training.match.features import space, unit

_CHAIN = [HUMANOID.both_sides(bone) for bone in ("UpperLeg", "LowerLeg", "Foot", "Toes")]
_JOINTS = len(HUMANOID)
# Per joint of the chain, hips to feet: left and right of the body shown, then of the clip, whose joints follow.
_LINKS = [joint + body for pair in [[0, 0], *_CHAIN[:3]] for body in (0, _JOINTS) for joint in pair]
_SHOWN = [4 * bone + side for bone in range(4) for side in range(2)]  # the body shown, of _LINKS
_BENT = [joint for pair in _CHAIN[:3] for joint in pair]
_PUT = [_JOINTS + _BENT.index(joint) if joint in _BENT else joint for joint in range(_JOINTS)]
_GROUND, _UPWARD = torch.tensor([1.0, 0.0, 1.0]), torch.tensor([False, True, False])
_RISING = 0.04  # half-life, seconds, of a foot's way up and down


def _spans() -> Tensor:
    """(8, _LINKS): of the bones that hang on _LINKS, thighs and legs (hip to ankle) of the body shown; hips to toes of
    both bodies.
    """
    bones = torch.eye(16).view(4, 2, 2, 16)  # bone, body, side
    return torch.cat([bones[1, 0], bones[1:3, 0].sum(0), bones.sum(0).flatten(0, 1)])


def _halves() -> Tensor:
    """(4, 8): half the turns of both thighs and shins, from angles at the hips and at the knees, before and after."""
    angles = torch.eye(8).view(2, 2, 2, 8)  # hip and knee, before and after, side
    bends = 0.5 * (angles[:, 0] - angles[:, 1])
    return bends.cumsum(0).flatten(0, 1)  # a shin turns with its thigh


_SPANS, _HALVES = _spans(), _halves()
# root x z and both heights -> the hips of _LINKS' bodies, (4, 3)
_HIPS = torch.zeros(4, 4, 3)
_HIPS[0, :, 0] = _HIPS[1, :, 2] = _HIPS[2, :2, 1] = _HIPS[3, 2:, 1] = 1.0
_HIPS = _HIPS.view(4, 12)


class Feet(nn.Module):
    """clamp: metres a standing toe may be held from where its clip has it; release: half-life, s, of
    the way back; highest: metres a foot is lifted that has far to go."""

    def __init__(self, clamp: float, release: float, highest: float) -> None:
        super().__init__()
        self.clamp = clamp
        self.decays = (-0.693147 / release, -0.693147 / _RISING)  # a second, of the logarithm
        self.lift, self.highest = 1.0, highest  # of the way left, metres
        self.register_buffer("longest", torch.tensor(clamp))
        offsets = torch.tensor(HUMANOID.offsets, dtype=torch.float32)[torch.tensor(_CHAIN)]  # (4 bones, 2 sides, 3)
        self.register_buffer("offsets", offsets.repeat_interleave(2, dim=0).view(16, 3, 1))  # two bodies
        self.thigh, self.shin = (float(offsets[bone, 0].norm()) for bone in (1, 2))

    def forward(
        self,
        turns: Tensor,
        places: Tensor,
        left: Tensor,
        contacts: Tensor,
        gliding: Tensor,
        dt: Tensor,
        fade: Tensor,
        sink: Tensor,
        state: Tensor,
        jump: Tensor,
        started: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """The body's changed matrices (B, J, 3, 3) and the next state.

        turns (B, 2 J, 3, 3) local, the hips without yaw: the body shown, and the clip alone, whose toes are followed;
        places (B, 4) root x z and the heights of both. contacts (B, 2); gliding (B, 4) how low toes travel, m/s in the
        body's frame; fade and sink (B, 1): the shares that `decays` leave in dt.
        """
        hips, upper, lower, foot = turns[:, _LINKS].split(4, dim=1)
        upper = hips @ upper
        lower = upper @ lower
        frames = torch.cat([hips, upper, lower, lower @ foot], dim=1)  # (B, _LINKS, 3, 3)
        thigh, leg, toes = (_SPANS @ (frames @ self.offsets).view(-1, 16, 3)).split([2, 2, 4], dim=1)
        into = space(left)
        shown, place = (toes @ into + (places @ _HIPS).view(-1, 4, 3)).split(2, dim=1)  # (B, 2 sides, 3) in the world

        stood, target, velocity, shift = state.view(-1, 2, 10).split([1, 3, 3, 3], dim=-1)
        dt, fade, sink = dt.unsqueeze(1), fade.unsqueeze(1), sink.unsqueeze(1)
        jump, started = jump.unsqueeze(1), started.unsqueeze(1)
        stands = (contacts.unsqueeze(-1) > 0.5) & started
        lag, melted = target - place, shift * fade
        travel = (gliding.view(-1, 2, 2) @ into[:, 0::2]) * dt
        wide = torch.where(stands & (stood > 0.5), lag + travel, melted) * _GROUND  # horizontal
        size = wide.norm(dim=-1, keepdim=True)
        most = (melted * _GROUND).norm(dim=-1, keepdim=True)
        limit = (torch.maximum(most, self.longest) / size).clamp(max=1.0)
        # A foot on its way steps: it is lifted while it has further to go than it may be held by.
        standing = stands.to(dt.dtype)
        lift = torch.relu((size - 0.92 * self.clamp) * self.lift).clamp(max=self.highest) * standing
        moved = torch.where(_UPWARD, lift + (shift - lift) * sink, wide * limit)
        moved = torch.where(jump, lag + velocity * dt, moved)
        wanted = place + moved
        velocity = torch.where(started, (wanted - target) / dt, 0.0)
        state = torch.cat([standing, wanted, velocity, moved], dim=-1).flatten(1)

        # The knee that reaches there (the law of cosines, before and after, so no shift is no change).
        reach = leg + (wanted - shown) @ into.transpose(-1, -2)
        hips, bones, foot = frames[:, _SHOWN].split([2, 4, 2], dim=1)
        before, far = leg.norm(dim=-1, keepdim=True), reach.norm(dim=-1, keepdim=True)
        bend = quaternions.cross(thigh, leg)
        bent = bend.norm(dim=-1, keepdim=True)
        hinge = torch.where(bent > 1e-3, bend / bent, bones[:, :2, :, 0])
        sides = torch.cat([before, _soft(far, before, self.thigh + self.shin)], dim=1)  # (B, 4, 1)
        squares = sides * sides
        at_hip = (squares + (self.thigh**2 - self.shin**2)) / (sides * (2.0 * self.thigh))
        at_knee = (self.thigh**2 + self.shin**2 - squares) * (0.5 / (self.thigh * self.shin))
        half = _HALVES @ torch.acos(torch.cat([at_hip, at_knee], dim=1).clamp(-0.99999, 0.99999))
        bends = torch.cat([torch.cat([hinge, hinge], dim=1) * torch.sin(half), torch.cos(half)], dim=-1)
        swing = unit(quaternions.between(leg, reach, before * far))
        bends = quaternions.multiply(torch.cat([swing, swing], dim=1), bends)
        bones = quaternions.matrices(bends, 4) @ bones  # both thighs, both shins
        legs = torch.cat([hips, bones], dim=1).transpose(-1, -2) @ torch.cat([bones, foot], dim=1)
        return torch.cat([turns[:, :_JOINTS], legs], dim=1)[:, _PUT], state


def _soft(wanted: Tensor, before: Tensor, leg: float) -> Tensor:
    """A hip-to-ankle distance that nears the straight leg ever slower."""
    start = before.clamp(min=0.97 * leg)
    room = (start - 0.995 * leg).clamp(max=-1e-6)  # less than none
    over = torch.relu(wanted - start)
    return wanted - over + room * (torch.exp(over / room) - 1.0)
