"""How sequences of frame latents go on: stage 2 of identity_action.

A bidirectional LSTM reads all frames' latents and says d, the dynamics of the sequence. The posterior of z_t knows
z_{t-1}, d and an LSTM whose state begins as d says. It is given what the encoder read of every frame, or of none: a
sequence can be followed as it comes, or danced from its d alone, which is all that the original's posterior has. The
prior of z_t knows z_{t-1}, how it changed and d: a gate between staying and something new. (Change is not in arXiv
2103.07292, but one frame does not tell which way an arm goes.)
Shapes: B sequences, T frames, Z numbers of a frame's latent, D of d.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.models.identity_action_parts import spread

Gaussian = tuple[Tensor, Tensor]  # mean and standard deviation


KEPT = 0.85  # of chance from one frame to the next where nobody is followed: it is to wander, not to shake


class Path(NamedTuple):
    """A posterior's walk, (B, T, Z) each: what was drawn, and the normal distributions that it was drawn from."""

    z: Tensor
    mu: Tensor
    sd: Tensor


class Dynamics(nn.Module):
    """Latents of frames → d. Every `stride`th frame is read."""

    def __init__(self, latent: int, size: int, dynamics: int, dropout: float, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.dropout = nn.Dropout(dropout)
        self.lstm = nn.LSTM(latent, size, batch_first=True, bidirectional=True)
        self.out = nn.Linear(2 * size, 2 * dynamics)
        self.register_buffer("centre", torch.zeros(dynamics))
        self.register_buffer("kept", torch.eye(dynamics))  # what `forget` leaves of d, in use

    def forward(self, e: Tensor) -> Gaussian:
        """e (B, T, Z) -> (B, D) each, from the last states of both ways."""
        given = self.dropout(e[:, :: self.stride])
        start = (given[:, 0, :1] * 0.0).expand(-1, self.lstm.hidden_size)  # said, for exports to know its batch
        start = start[None].repeat(2, 1, 1)
        _, (states, _) = self.lstm(given, (start, start))
        mu, raw = self.out(states.transpose(0, 1).flatten(1)).chunk(2, dim=1)
        if not self.training:
            mu = (mu - self.centre) @ self.kept.T + self.centre
        return mu, spread(raw)

    @torch.no_grad()
    def forget(self, e: Tensor, who: Tensor) -> None:
        """Leaves out of d, from now on, whatever linear classifier could tell identities who (N,) of sequences
        e (N, T, Z) by, and as little else as can be: least-squares concept erasure (LEACE, Belrose et al. 2023).
        """
        size = len(self.centre)
        self.centre.zero_()
        self.kept.copy_(torch.eye(size))
        d = self(e)[0].double()
        centred = d - d.mean(dim=0)
        powers, axes = torch.linalg.eigh(centred.T @ centred / len(d))
        powers, axes = (part[..., powers > 1e-6 * powers.max()] for part in (powers, axes))
        whiten, colour = (axes / powers.sqrt()) @ axes.T, (axes * powers.sqrt()) @ axes.T
        means = torch.stack([centred[who == each].mean(dim=0) for each in who.unique()]) @ whiten
        strengths, ways = torch.linalg.svd(means, full_matrices=False)[1:]
        ways = ways[strengths > 1e-6 * strengths.max()]
        self.centre.copy_(d.mean(dim=0))
        self.kept.copy_(torch.eye(size, dtype=torch.float64) - colour @ ways.T @ ways @ whiten)


class Posterior(nn.Module):
    """See the module."""

    def __init__(self, latent: int, size: int, layers: int, dynamics: int) -> None:
        super().__init__()
        self.size, self.layers = size, layers
        self.begin = nn.Linear(dynamics, 2 * layers * size)
        self.first = nn.Parameter(torch.zeros(latent))  # z before there is one
        self.lstm = nn.LSTM(latent + 1, size, layers, batch_first=True)
        self.before = nn.Linear(latent, latent)
        self.now = nn.Linear(size + dynamics + latent + 1, 2 * latent)

    def forward(self, e: Tensor, d: Tensor, followed: Tensor, noise: Tensor) -> Path:
        """e (B, T, Z) as read, d (B, D), followed (B,) 1 where e is to be known and 0 where not; noise (B, T, Z)."""
        given = self.given(e, followed[:, None, None])
        now = self.now(torch.cat([self.lstm(given, self.states(d))[0], self._d(d, e), given], dim=2))
        z, walked = self.first.expand(len(e), -1), []
        mus, raw = now.chunk(2, dim=2)
        parts = (mus + given[..., :-1], spread(raw), noise)  # what is followed is where z is looked for
        for mu, sd, chance in zip(*(part.unbind(1) for part in parts), strict=True):
            mu = mu + 0.5 * torch.tanh(self.before(z))
            z = mu + sd * chance
            walked.append((z, mu, sd))
        return Path(*(torch.stack(part, dim=1) for part in zip(*walked, strict=True)))

    def step(self, e: Tensor, d: Tensor, z: Tensor, h: Tensor, c: Tensor) -> tuple[Gaussian, Tensor, Tensor]:
        """One frame of e (B, Z) that is followed, after z (B, Z), from states (B, layers · size) each: the distribution
        of the next z, and the states after it. In operations that every runtime has.
        """
        given = self.given(e, torch.ones_like(e[:, :1]))
        passed, hidden, cells = given, [], []
        for layer, (own, cell) in enumerate(zip(h.chunk(self.layers, 1), c.chunk(self.layers, 1), strict=True)):
            into, kept = (getattr(self.lstm, f"{part}_l{layer}") for part in ("weight_ih", "weight_hh"))
            bias = getattr(self.lstm, f"bias_ih_l{layer}") + getattr(self.lstm, f"bias_hh_l{layer}")
            i, f, g, o = (passed @ into.T + own @ kept.T + bias).chunk(4, dim=1)
            cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
            passed = o.sigmoid() * cell.tanh()
            hidden.append(passed)
            cells.append(cell)
        mu, raw = self.now(torch.cat([passed, d, given], dim=1)).chunk(2, dim=1)
        mu = mu + e + 0.5 * torch.tanh(self.before(z))
        return (mu, spread(raw)), torch.cat(hidden, 1), torch.cat(cells, 1)

    def states(self, d: Tensor) -> tuple[Tensor, Tensor]:
        """What the LSTM begins with, (layers, B, size) each."""
        h, c = torch.tanh(self.begin(d)).unflatten(1, (2, self.layers, self.size)).permute(1, 2, 0, 3)
        return h.contiguous(), c.contiguous()

    @staticmethod
    def given(e: Tensor, followed: Tensor) -> Tensor:
        """What the LSTM hears of e (..., Z): that it is followed, and e; or nothing."""
        return torch.cat([e * followed, followed.expand(*e.shape[:-1], 1)], dim=-1)

    @staticmethod
    def _d(d: Tensor, e: Tensor) -> Tensor:
        return d[:, None].expand(-1, e.shape[1], -1)


class Transition(nn.Module):
    """The prior: z_0 of d; z_t of z_{t-1}, how it changed and d, through a gate."""

    def __init__(self, latent: int, hidden: int, dynamics: int) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Linear(dynamics, hidden), nn.SiLU(), nn.Linear(hidden, 2 * latent))
        self.lift = nn.Sequential(nn.Linear(2 * latent + dynamics, hidden), nn.SiLU(), nn.Linear(hidden, hidden))
        self.gate, self.proposal, self.sd = (nn.Linear(hidden, latent) for _ in range(3))
        self.on = nn.Linear(latent, latent)
        with torch.no_grad():  # at first it stays where it is
            self.on.weight.copy_(torch.eye(latent))
            self.on.bias.zero_()
            self.gate.bias.fill_(-2.0)

    def begin(self, d: Tensor) -> Gaussian:
        """z_0 of d (B, D)."""
        mu, raw = self.first(d).chunk(2, dim=1)
        return mu, spread(raw)

    def forward(self, z: Tensor, before: Tensor, d: Tensor) -> Gaussian:
        """The next z after z (..., Z) and the one before it, with d (..., D)."""
        lifted = F.silu(self.lift(torch.cat([z, z - before, d], dim=-1)))
        gate = self.gate(lifted).sigmoid()
        return (1.0 - gate) * self.on(z) + gate * self.proposal(lifted), spread(self.sd(lifted))

    def walk(self, z: Tensor, before: Tensor, d: Tensor, length: int, noise: Tensor | None = None) -> Tensor:
        """`length` steps (B, length, Z) after z and before (B, Z); noise (B, length, Z), without it the means."""
        walked = [z]
        for number in range(length):
            mu, sd = self(z, before, d)
            before, z = z, mu if noise is None else mu + sd * noise[:, number]
            walked.append(z)
        return torch.stack(walked, dim=1)[:, 1:]


def wandering(noise: Tensor) -> Tensor:
    """Chance that wanders, of chance that does not, (B, T, Z)."""
    drift, made = torch.zeros_like(noise[:, 0]), []
    for each in noise.unbind(1):
        drift = torch.lerp(each, drift, KEPT)
        made.append(drift)
    return torch.stack(made, dim=1)
