"""A body's bones: positions wished for -> positions it can have, and the rotations that have them.

A joint with one child points at it; a joint with several (hips, upper chest) has the orientation that the line between
two of them and the way to a third say, which is a 6-D rotation (Zhou et al. 2019). So lengths are exact, and what no
position tells (a twist, a hand) stays what it was.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from motion.skeleton import Skeleton

_SHORT = 1e-4  # metres; a bone this short has no direction
_ASKEW, _ASIDE = torch.tensor([0.48, 0.6, 0.64]), torch.tensor([0.6, -0.64, 0.48])  # no bone lies along one


class Body(nn.Module):
    """Tables of one skeleton. Positions (..., J, 3) metres; rotations are matrices (..., J, 3, 3)."""

    def __init__(self, skeleton: Skeleton) -> None:
        super().__init__()
        offsets = torch.tensor(skeleton.offsets, dtype=torch.float32)
        joints = len(skeleton)
        parents = [max(parent, 0) for parent in skeleton.parents]
        long = [[c for c in range(1, joints) if parents[c] == j and offsets[c].norm() > _SHORT] for j in range(joints)]
        frames = {joint: frame for joint in range(joints) if (frame := _frame(offsets, long[joint]))}
        wide = list(frames)
        left, right, up = ([row[n] for row in frames.values()] for n in range(3))
        single = [j for j in range(joints) if long[j] and j not in frames]
        aimed = [long[j][0] for j in single]
        leaves = [j for j in range(joints) if not long[j]]
        carried = [j for j in range(1, joints) if parents[j] in frames]
        held = [*wide, *single]
        tables = {
            "above": parents,
            "corners": [*left, *right, *up, *wide],
            "carrier": [wide.index(parents[j]) for j in carried],
            "order": [joints + carried.index(j) if j in carried else j for j in range(joints)],
            "single": single,
            "aimed": aimed,
            "leaf": leaves,
            "tops": [parents[j] for j in leaves],
            "holders": [held.index(parents[j]) for j in leaves],
            "places": [[*held, *leaves].index(j) for j in range(joints)],
        }
        for name, places in tables.items():
            self.register_buffer(name, torch.tensor(places, dtype=torch.long), persistent=False)
        ancestors, self.rounds = [*(joints if p < 0 else p for p in skeleton.parents), joints], 0
        while any(ancestor != joints for ancestor in ancestors):
            self.register_buffer(f"round{self.rounds}", torch.tensor(ancestors), persistent=False)
            ancestors, self.rounds = [ancestors[joint] for joint in ancestors], self.rounds + 1
        self.register_buffer("last", torch.tensor([[0.0, 0.0, 0.0, 1.0]]), persistent=False)
        self.register_buffer("none", torch.eye(4)[None], persistent=False)
        below = torch.eye(joints)
        for joint in range(1, joints):
            below[joint] += below[parents[joint]]
        lengths = offsets.norm(dim=-1, keepdim=True)
        lengths[0] = 0.0
        rest = oriented(offsets[left] - offsets[right], offsets[up])
        self.register_buffer("below", below, persistent=False)  # (J, J): positions are below @ bones
        self.register_buffer("lengths", lengths, persistent=False)
        self.register_buffer("offsets", offsets, persistent=False)
        self.register_buffer("aims", (offsets[aimed] / lengths[aimed])[..., None], persistent=False)
        self.register_buffer("rest", rest, persistent=False)  # (wide, 3, 3)
        rigid = rest.transpose(-1, -2)[tables["carrier"]] @ offsets[carried, :, None]
        self.register_buffer("rigid", rigid, persistent=False)

    def forward(self, root: Tensor, matrices: Tensor) -> tuple[Tensor, Tensor]:
        """Positions and global rotations of root (..., 3) and local rotations, by pointer doubling."""
        places = torch.cat([root[..., None, :], self.offsets[1:] + 0.0 * matrices[..., 1:, :, 0]], dim=-2)
        whole = torch.cat(
            [torch.cat([matrices, places[..., None]], dim=-1), self.last + 0.0 * matrices[..., :1, :1]], -2
        )
        whole = torch.cat([whole, self.none + 0.0 * whole[..., :1, :, :]], dim=-3)
        for number in range(self.rounds):
            whole = torch.matmul(self.take(whole, f"round{number}", -3), whole)
        whole = whole[..., :-1, :, :]
        return whole[..., :3, 3], whole[..., :3, :3]

    def standing(self, wished: Tensor) -> Tensor:
        """Positions of this body that point where the wished ones do; the root is where it is wished."""
        return self._placed(wished)[0]

    def _placed(self, wished: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Positions, unit directions of the bones (..., J, 3), orientations of wide joints (..., wide, 3, 3)."""
        directions = unit(wished - self.take(wished, "above"))
        left, right, up, wide = self.take(wished, "corners").chunk(4, dim=-2)
        frames = oriented(left - right, up - wide)
        rigid = torch.matmul(self.take(frames, "carrier", -3), self.rigid)[..., 0]
        bones = torch.cat([wished[..., :1, :], (directions * self.lengths)[..., 1:, :], rigid], dim=-2)
        return torch.matmul(self.below, self.take(bones, "order")), directions, frames

    def posed(self, wished: Tensor, turns: Tensor) -> tuple[Tensor, Tensor]:
        """(positions, global rotations) of the body pointing where `wished` does, twisted as global `turns` are."""
        positions, directions, frames = self._placed(wished)
        own = self.take(turns, "single", -3)
        turned = _between(torch.matmul(own, self.aims)[..., 0], self.take(directions, "aimed")) @ own
        held = torch.cat([frames @ self.rest.transpose(-1, -2), turned], dim=-3)
        local = self.take(turns, "tops", -3).transpose(-1, -2) @ self.take(turns, "leaf", -3)
        whole = torch.cat([held, self.take(held, "holders", -3) @ local], dim=-3)
        return positions, self.take(whole, "places", -3)

    def local(self, turns: Tensor) -> Tensor:
        """Local rotations of global ones."""
        above = self.take(turns, "above", -3).transpose(-1, -2) @ turns
        return torch.cat([turns[..., :1, :, :], above[..., 1:, :, :]], dim=-3)

    def take(self, values: Tensor, table: str, dim: int = -2) -> Tensor:
        """Joints in a table's order; one operation in a graph, where an index would be ten."""
        return values.index_select(values.dim() + dim, getattr(self, table))


def _frame(offsets: Tensor, children: list[int]) -> tuple[int, int, int] | None:
    """Of a joint's children the two that are furthest apart and the one that stands off their line; None: no such."""
    if len(children) < 2:
        return None
    pairs = [(a, b) for a in children for b in children if a < b]
    one, other = max(pairs, key=lambda pair: float((offsets[pair[0]] - offsets[pair[1]]).norm()))
    axis = F.normalize(offsets[one] - offsets[other], dim=0)
    off = {child: float((offsets[child] - axis * (axis @ offsets[child])).norm()) for child in children}
    up = max(off, key=lambda child: off[child])
    return (one, other, up) if off[up] > 0.01 else None


def oriented(across: Tensor, up: Tensor) -> Tensor:
    """Rotation matrices whose x axis is `across` and whose y axis is as near `up` as that allows."""
    x = unit(_some(across, _ASKEW))
    y = unit(_some(up - (x * up).sum(-1, keepdim=True) * x, cross(x, _ASIDE + 0.0 * x)))
    return torch.stack([x, y, cross(x, y)], dim=-1)


def _some(vectors: Tensor, instead: Tensor) -> Tensor:
    """The vectors, and `instead` where one has no direction."""
    return torch.where(vectors.square().sum(-1, keepdim=True) > 1e-6, vectors, instead)


def unit(vectors: Tensor) -> Tensor:
    """Of length one; none has no direction, and stays."""
    return vectors / (vectors.square().sum(-1, keepdim=True) + 1e-12).sqrt()


def cross(one: Tensor, other: Tensor) -> Tensor:
    """The vector product along the last axis, in a third of the operations that torch's own is in a graph."""
    following, last = torch.tensor([1, 2, 0]), torch.tensor([2, 0, 1])
    axis = one.dim() - 1
    return one.index_select(axis, following) * other.index_select(axis, last) - one.index_select(
        axis, last
    ) * other.index_select(axis, following)


def _between(one: Tensor, other: Tensor) -> Tensor:
    """The shortest turn (..., 3, 3) of unit vectors (..., 3) `one` to `other`: half a turn about the first, then half a
    turn about the middle of both; across the first where they are opposite.
    """
    middle = unit(_some(one + other, cross(one, _ASKEW + 0.0 * one)))
    return torch.matmul(_half_turn(middle), _half_turn(one))


def _half_turn(axis: Tensor) -> Tensor:
    return 2.0 * axis[..., None] * axis[..., None, :] - torch.eye(3)
