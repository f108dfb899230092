"""How quickly somebody does something: part of who it is, and nothing that is known of one frame.

Whoever swaps z frame by frame keeps the tempo of what is followed. So a recording is gone through faster or more slowly
first, as whoever is to dance it does such things. Logarithms of tempi are taken to be usual of an action and, in
proportion to how much the action `varies`, of an identity, `who`; both are of the labelled recordings trained on. Half
of what speeds differ in is taken to be tempo; the other half, how large movements are, is the experts'.
Shapes: B sequences, T frames.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from training.models import identity_pose as pose

MOST = 2.5  # times as fast, or as slow, at most
ROUNDS, DOUBT = 30, 0.1  # of fitting; how many windows say beforehand that everybody is as quick
SOONEST = 8  # frames from the end: who begins again does not begin later
SECONDS = 0.15  # of speeds beside places, where alike poses are looked for
SEAM = 3.0  # frames in which half of a difference is gone


class Tempo(nn.Module):
    """See the module. At first everybody is as quick as all."""

    def __init__(self, identities: int, actions: int) -> None:
        super().__init__()
        self.register_buffer("who", torch.zeros(max(identities, 1)))
        self.register_buffer("varies", torch.ones(max(actions, 1)))

    def forward(self, now: Tensor, asked: Tensor, what: Tensor) -> Tensor:
        """How many times as fast (B,) `asked` does it as `now`, shares (B, identities), when it is `what`, shares
        (B, actions).
        """
        return ((what @ self.varies) * ((asked - now) @ self.who)).exp().clamp(1.0 / MOST, MOST)

    def known(self, now: Tensor, asked: Tensor, what: Tensor) -> Tensor:
        """The same of numbers (B,); what nobody knows (below 0) has no tempo."""
        return self(_members(now, self.who), _members(asked, self.who), _members(what, self.varies))

    @torch.no_grad()
    def fit(self, x: Tensor, who: Tensor, what: Tensor) -> None:
        """Of moves x (B, T, WIDTH) of identities and actions (B,) by number, those that are known."""
        known = (who >= 0) & (what >= 0)
        people, deeds = _members(who[known], self.who), _members(what[known], self.varies)
        tempi = tempo(x[known])
        own, varies = torch.zeros_like(self.who), torch.ones_like(self.varies)
        for _ in range(ROUNDS):
            usual = deeds.T @ (tempi - (deeds @ varies) * (people @ own)) / deeds.sum(dim=0).clamp(min=1.0)
            off = tempi - deeds @ usual
            own = _slopes(people, off, deeds @ varies)
            own = own - own.mean()
            varies = _slopes(deeds, off, people @ own).clamp(min=0.0)
            scale = varies.square().mean().sqrt().clamp(min=1e-6)
            varies, own = varies / scale, own * scale
        self.who.copy_(own)
        self.varies.copy_(varies)


def _members(of: Tensor, among: Tensor) -> Tensor:
    """1 where (B, N) of N is somebody's number, of (B,)."""
    return (of[:, None] == torch.arange(len(among), device=of.device)).float()


def _slopes(members: Tensor, values: Tensor, by: Tensor) -> Tensor:
    """What (N,) each of N groups multiplies `by` (B,) with to come near values (B,); members (B, N)."""
    return members.T @ (by * values) / (members.T @ by.square() + DOUBT)


def tempo(x: Tensor) -> Tensor:
    """Logarithms (B,) of how quick moves x (B, T, WIDTH) are."""
    return 0.25 * (pose.positions(x).diff(dim=1) * pose.FPS).square().mean(dim=(1, 2, 3)).clamp(min=1e-6).log()


def at_rate(x: Tensor, rate: Tensor) -> Tensor:
    """Moves x (B, T, WIDTH) gone through `rate` (B,) times as fast, as many as before.

    Who comes to the end goes on where pose and speed had been most alike, or back the way they came where that is a
    smaller change: a walk goes on walking, an arm that was raised is lowered.
    """
    count = x.shape[1]
    seen = pose.positions(x).flatten(2)
    speeds = pose.FPS * torch.cat([seen[:, 1:2] - seen[:, :1], seen.diff(dim=1)], dim=1)
    state = torch.cat([seen, SECONDS * speeds], dim=2)
    off = (state[:, : count - SOONEST] - state[:, -1:]).square().sum(dim=2)
    again, other = off.min(dim=1).indices[:, None], (2.0 * SECONDS * speeds[:, -1]).square().sum(dim=1)
    back = (other < off.amin(dim=1))[:, None]

    at = torch.arange(count, device=x.device) * rate[:, None]  # frames of x
    over = (at - (count - 1)).clamp(min=0.0)
    lap = over % (count - 1.0 - again)
    turned = over % (2.0 * (count - 1))
    reversing = back & (over > 0.0) & (turned <= count - 1)
    returning = (count - 1 - turned).abs()
    at = torch.where(over > 0.0, torch.where(back, returning, again + lap), at)

    low = at.floor().long().clamp(max=count - 2)
    batch = torch.arange(len(x), device=x.device)[:, None]
    made = torch.lerp(x[batch, low], x[batch, low + 1], (at - low)[..., None])
    seam = torch.where((over > 0.0) & ~back, 0.5 ** (lap / SEAM), 0.0)[..., None]
    made = made + seam * (x[:, -1:] - x[batch, again])
    sign = torch.where(reversing, -1.0, 1.0) * rate[:, None]
    carried = made[..., 1 - pose.CARRIAGE :] * sign[..., None]
    return torch.cat([made[..., : 1 - pose.CARRIAGE], carried], dim=-1)
