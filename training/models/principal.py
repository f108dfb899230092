"""The straight way past the LSTMs: a window's principal components, into a latent and out of it.

Components are taken once from the training windows of both dancers and stay as they are; between them and the latent
lie matrices that are trained, and begin as the identity. So an autoencoder can do from its first batch what a linear
one can (about five centimetres with 64 numbers for .64 s of salsa, 3.5 with 128), and its LSTMs learn what is missing.
Shapes: B windows, T frames, J joints.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

WINDOWS = 2048  # of each dancer that components are taken from
SPREAD = 0.4  # of a component in the latent, which ends at 1
LEAST = 1e-3  # of the largest deviation: a smaller component is mostly rounding


class Principal(nn.Module):
    """Windows (B, T, 4J + 3) of quaternions and sways as components (B, count), each with a deviation of `SPREAD`."""

    def __init__(self, frames: int, channels: int, count: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(frames * channels))
        self.register_buffer("basis", torch.zeros(count, frames * channels))  # orthonormal
        self.register_buffer("deviation", torch.ones(count))
        self.frames = frames

    @torch.no_grad()
    def fit(self, windows: Tensor) -> None:
        """Take the components of windows (N, T, 4J + 3). Where there are too few windows the last ones stay unused."""
        flat = windows.flatten(1)
        self.mean.copy_(flat.mean(0))
        _, size, basis = torch.linalg.svd(flat - self.mean, full_matrices=False)
        count = min(len(self.basis), int((size > LEAST * size[0]).sum()))
        self.basis[:count].copy_(basis[:count])
        self.deviation[:count].copy_(size[:count] / len(flat) ** 0.5)

    def read(self, windows: Tensor) -> Tensor:
        """(B, T, 4J + 3) -> (B, count)."""
        return (windows.flatten(1) - self.mean) @ self.basis.T * (SPREAD / self.deviation)

    def write(self, components: Tensor) -> Tensor:
        """The way back of `read`."""
        return ((components * (self.deviation / SPREAD)) @ self.basis + self.mean).unflatten(1, (self.frames, -1))


def identity(size: int) -> nn.Linear:
    """A linear layer that begins by giving back what it is given."""
    layer = nn.Linear(size, size)
    nn.init.eye_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
