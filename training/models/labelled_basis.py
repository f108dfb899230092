"""Windows of moves as independent numbers, in closed form: what there is before anything is trained.

A window is a sum of cosines in time; of each frequency the principal components over joints are taken, and of all those
the largest. Fitted to eight thousand windows of dance, 384 of them have unseen takes within 2.2 cm, where as many
principal components of whole windows, which learn windows by heart, stay over 4. Every number has deviation 1 over the
training windows: a model that draws them from N(0, 1) dances with the right amount of every frequency from the start.
Numbers of different frequencies go together a little, which keeps the ends of windows as even as their middle: cosines
drawn each by itself are largest there. So numbers come of independent ones by the root of their correlations.
Errors of moves are taken in metres, by how far they carry the body.

So that one window goes on where another ended, its numbers are drawn given where the body is and how it moves: what a
free draw would miss of that is given back by Gaussian regression (pathwise conditioning, Wilson et al. 2020).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from motion.skeleton import HUMANOID
from training.models import labelled_pose as pose

CARRIAGE_METRES = (0.12, 0.05, 0.05, 0.1)  # that a unit of height, speeds and turn counts as
APART = 0.2  # how far correlations are drawn to none: as many windows know so little of so many
LEGS = 2.0  # times as much as they carry count turns of the legs, which carry the body when they stand
PLACE, SPEED = 0.01, 0.008  # metres, and metres a frame, to which a window goes on where another ended


class Basis(nn.Module):
    """read: moves (N, T, WIDTH) -> numbers (N, count); write: the way back, as near as they allow. mix: (count, count),
    symmetric: independent numbers times it are correlated as read ones are; unmix: its inverse.
    """

    def __init__(self, window: int, count: int) -> None:
        super().__init__()
        if count > window * pose.WIDTH:
            raise ValueError(f"latent {count} is more than the {window * pose.WIDTH} numbers a window has")
        self.register_buffer("mean", torch.zeros(pose.WIDTH))
        self.register_buffer("waves", torch.zeros(window, count))  # the cosine of every number
        self.register_buffer("shapes", torch.zeros(count, pose.WIDTH))  # moves that one of each makes
        self.register_buffer("still", torch.zeros(count))  # 1 for a number whose cosine is the same all the time
        self.register_buffer("reader", torch.zeros(pose.WIDTH, count))
        self.register_buffer("mix", torch.eye(count))
        self.register_buffer("unmix", torch.eye(count))
        self.register_buffer("gain", torch.zeros(2 * pose.WIDTH, count))

    @torch.no_grad()
    def fit(self, x: Tensor) -> None:
        """Take frequencies and components from windows (N, T, WIDTH)."""
        window, count = self.waves.shape
        metres = metres_per_unit()
        self.mean.copy_(x.mean(dim=(0, 1)))
        cosines = _cosines(window)
        seen = torch.einsum("ntw,tk->knw", (x - self.mean) * metres, cosines).double()
        values, vectors = torch.linalg.eigh(seen.transpose(1, 2) @ seen / len(x))  # (K, W), (K, W, W)
        order = values.flatten().argsort(descending=True)[:count]
        frequency, column = order // pose.WIDTH, order % pose.WIDTH
        deviation = values.flatten()[order].clamp(min=1e-10).sqrt().float()
        component = vectors[frequency, :, column].float()  # (count, W)
        self.waves.copy_(cosines[:, frequency])
        self.still.copy_(frequency == 0)
        self.shapes.copy_(deviation[:, None] * component / metres)
        self.reader.copy_((metres * component).T / deviation)
        read = self.read(x).double()
        read = read / read.square().mean(dim=0).sqrt().clamp(min=1e-6)
        together = (1.0 - APART) * (read.T @ read / len(read)) + APART * torch.eye(count)
        values, vectors = torch.linalg.eigh(together)
        self.mix.copy_(vectors @ values.sqrt().diag() @ vectors.T)
        self.unmix.copy_(vectors @ values.rsqrt().diag() @ vectors.T)
        begins = torch.cat([self.at(0) * metres, (self.at(1) - self.at(0)) * metres], dim=1).double()  # (count, 2W)
        noise = torch.cat([torch.full((pose.WIDTH,), PLACE), torch.full((pose.WIDTH,), SPEED)]).double()
        of_numbers = together @ begins
        gain = torch.linalg.solve(begins.T @ of_numbers + noise.square().diag(), of_numbers.T)  # (2W, count)
        self.gain.copy_(gain.float() * torch.cat([metres, metres])[:, None])

    def read(self, x: Tensor) -> Tensor:
        return ((x - self.mean) @ self.reader * self.waves).sum(dim=1)

    def write(self, numbers: Tensor) -> Tensor:
        return self.mean + (numbers[:, None] * self.waves) @ self.shapes

    def at(self, step: int) -> Tensor:
        """What one of each number makes of a step, (count, WIDTH)."""
        return self.waves[step][:, None] * self.shapes

    def going_on(self, place: Tensor, pace: Tensor) -> Tensor:
        """What to add to the numbers (N, count) of a window whose first move is off by `place` (N, WIDTH), and slower
        by `pace`, a frame, than it should be to go on from the window before.
        """
        return torch.cat([place, pace], dim=1) @ self.gain


def metres_per_unit() -> Tensor:
    """How far, in root mean square over joints, a unit of each number of a move carries the body, (WIDTH,)."""
    rest = torch.tensor(HUMANOID.rest_positions, dtype=torch.float32)
    square = torch.full((pose.JOINTS,), 0.03**2)
    for joint in range(pose.JOINTS):
        ancestor = HUMANOID.parents[joint]
        while ancestor >= 0:
            square[ancestor] += (rest[joint] - rest[ancestor]).square().sum() / pose.JOINTS
            ancestor = HUMANOID.parents[ancestor]
    square[pose.LEGS[1:]] *= LEGS**2
    return torch.cat([(square / 2).sqrt().repeat_interleave(6), torch.tensor(CARRIAGE_METRES)])


def _cosines(window: int) -> Tensor:
    """Orthonormal cosines (T, T), a column a frequency (DCT-II)."""
    time = (torch.arange(window) + 0.5) * math.pi / window
    made = (time[:, None] * torch.arange(window)).cos() * math.sqrt(2.0 / window)
    made[:, 0] *= math.sqrt(0.5)
    return made
