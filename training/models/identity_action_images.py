"""Pictures as frames of the identity and action model: a convolutional encoder, and a decoder blended from experts.

What a picture shows is read and drawn on three grids, a quarter, an eighth and a sixteenth of its sides; the last step
draws squares of 4 x 4 pixels. Every layer of the decoder has a bank of weights for each expert; s blends them once for
a whole sequence, whose pictures go through as a group of one convolution. Shapes: B sequences, T frames.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.models.identity_action_parts import Blended, with_identity

GRID = 16  # pixels a side of the coarsest grid's cells
SQUARE = 4  # and of the finest one's


@dataclass(frozen=True)
class Config:
    """side, channels: of a picture, as identity_films gives it. widths: channels on the grids, from the finest to the
    coarsest. features: numbers that a picture is read as. likelihood of a pixel: `bernoulli`, or `gaussian` with a
    deviation.
    """

    side: int = 64
    channels: int = 3
    widths: tuple[int, int, int] = (32, 32, 64)
    features: int = 128
    likelihood: Literal["bernoulli", "gaussian"] = "bernoulli"
    deviation: float = 0.1

    def __post_init__(self) -> None:
        if self.side < GRID or self.side % GRID or self.channels < 1:
            raise ValueError(f"side {self.side} must be a multiple of {GRID}, and channels {self.channels} 1 or more")
        if min(*self.widths, self.features) < 1 or not self.deviation > 0.0:
            raise ValueError(
                f"widths {self.widths} and features {self.features} must be 1 or more, and deviation "
                f"{self.deviation} above 0"
            )


class ImageFrames(nn.Module):
    """Frames x (B, T, C, H, W) from 0 to 1. width: of what is read."""

    def __init__(self, config: Config, latent: int, experts: int) -> None:
        super().__init__()
        self.config, self.width = config, config.features
        fine, middle, coarse = config.widths
        self.grid = config.side // GRID
        self.reader = nn.Sequential(
            nn.Conv2d(config.channels, fine, SQUARE, stride=SQUARE),
            nn.GELU(),
            nn.Conv2d(fine, middle, 4, stride=2, padding=1),
            nn.GELU(),
            nn.Conv2d(middle, coarse, 4, stride=2, padding=1),
            nn.GELU(),
            nn.Flatten(),
            nn.Linear(coarse * self.grid**2, config.features),
            nn.GELU(),
        )
        self.begin = Blended(experts, latent + experts, coarse * self.grid**2)
        self.layers = nn.ModuleList(
            [
                BlendedConvolution(experts, coarse, 4 * middle, 3),
                BlendedConvolution(experts, middle, 4 * fine, 3),
                BlendedConvolution(experts, fine, SQUARE**2 * config.channels, 1),
            ]
        )

    def encode(self, x: Tensor) -> Tensor:
        """What is read of pictures, (B, T, width)."""
        return self.read(x.flatten(0, 1)).unflatten(0, x.shape[:2])

    def read(self, pictures: Tensor) -> Tensor:
        """The same of single pictures (N, C, H, W)."""
        return self.reader(pictures)

    def decode(self, z: Tensor, s: Tensor) -> Tensor:
        """Pictures (B, T, C, H, W) before `finish`, of z (B, T, latent) and of experts blended as s (B, experts)."""
        made = self.begin(with_identity(z, s), s).unflatten(2, (-1, self.grid, self.grid))
        for layer, times in zip(self.layers, (2, 2, SQUARE), strict=True):
            made = F.pixel_shuffle(layer(F.gelu(made), s), times)
        return made

    def nats(self, made: Tensor, x: Tensor) -> Tensor:
        """Minus the log-likelihood (B, T) of pictures x, without what does not depend on `made`."""
        if self.config.likelihood == "bernoulli":
            each = F.binary_cross_entropy_with_logits(made, x, reduction="none")
        else:
            each = 0.5 * ((made - x) / self.config.deviation).square()
        return each.flatten(2).sum(dim=2)

    def finish(self, made: Tensor) -> Tensor:
        """Pictures to be seen, from 0 to 1."""
        return made.sigmoid() if self.config.likelihood == "bernoulli" else made.clamp(0.0, 1.0)

    def apart(self) -> Tensor:
        """How far experts are from what they share, a sum of squares."""
        return self.begin.apart() + sum(layer.apart() for layer in self.layers)

    @torch.no_grad()
    def fit(self, x: Tensor) -> None:
        """The picture that is drawn before anything is learned is the mean of x (B, T, C, H, W), colour by colour."""
        mean = x.mean(dim=(0, 1, 3, 4)).clamp(0.01, 0.99)
        drawn = mean.logit() if self.config.likelihood == "bernoulli" else mean
        self.layers[-1].bias.copy_(drawn.repeat_interleave(SQUARE**2))


class BlendedConvolution(nn.Module):
    """A convolution of size x size whose weights are blended for every sequence, as identity_action_parts.Blended."""

    def __init__(self, experts: int, inputs: int, outputs: int, size: int) -> None:
        super().__init__()
        plain = nn.Conv2d(inputs, outputs, size)
        self.weight, self.bias = plain.weight, plain.bias
        self.weights = nn.Parameter(torch.randn(experts, *plain.weight.shape) * 0.01 / math.sqrt(inputs * size * size))
        self.biases = nn.Parameter(torch.zeros(experts, outputs))

    def forward(self, x: Tensor, s: Tensor) -> Tensor:
        """x (B, T, inputs, H, W), s (B, E), the experts' shares -> (B, T, outputs, H, W)."""
        batch, reach = len(x), self.weight.shape[-1] // 2
        weight = self.weight + (s @ self.weights.flatten(1)).unflatten(1, tuple(self.weight.shape))
        bias = self.bias + s @ self.biases  # (B, outputs)
        side = x.transpose(0, 1).flatten(1, 2)  # (T, B · inputs, H, W): a group a sequence
        made = F.conv2d(side, weight.flatten(0, 1), bias.flatten(), padding=reach, groups=batch)
        return made.unflatten(1, (batch, -1)).transpose(0, 1)

    def apart(self) -> Tensor:
        """How far experts are from what they share, a sum of squares."""
        return self.weights.square().sum()
