"""The seed's network on the same questions: an encoder over keys, a decoder over the moments asked for.

As Render-In-Between (BMVC 2021): 128 wide, 8 heads, LeakyReLU, normalised before each part, position added to queries
and keys only, one way in and one way out for all. Repaired: time in seconds as Fourier features instead of a place in
the sequence; validity as numbers beside the joints; absent keys are hidden by a finite bias, never a whole row. It
corrects the plain way by as much as its gate lets through, at first nothing, in units of liveliness times step.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from training.models import upsampler_keys
from training.models.upsampler_experts import Asked
from training.models.upsampler_keys import Keys

Memory = tuple[Tensor, Tensor, Tensor]  # of the encoder: hidden and code of time (B, K, W), bias (B, 1, 1, K)

HEADS, FREQUENCIES = 8, 16
_HIDDEN = -1e4  # added to what attention scores for an absent key
_SLOWEST, _FASTEST = 0.5, 60.0  # Hz


class Attention(nn.Module):
    """Of `heads`, written out: a graph has no operator for it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))

    def forward(self, asking: Tensor, told: Tensor, values: Tensor, bias: Tensor | None) -> Tensor:
        """asking (B, Q, W), told and values (B, K, W), bias (B, 1, 1, K) or None -> (B, Q, W)."""
        query, key, value = (
            layer(given).unflatten(2, (HEADS, -1)).transpose(1, 2)
            for layer, given in ((self.query, asking), (self.key, told), (self.value, values))
        )
        score = torch.matmul(query, key.transpose(2, 3)) / math.sqrt(query.shape[3])
        score = score if bias is None else score + bias
        return self.out(torch.matmul(score.softmax(dim=3), value).transpose(1, 2).flatten(2))


class Layer(nn.Module):
    """Self-attention, attention to keys where they are given, and two layers between."""

    def __init__(self, width: int, dropout: float, crossed: bool) -> None:
        super().__init__()
        self.own, self.norm = Attention(width), nn.LayerNorm(width)
        self.crossed = Attention(width) if crossed else None
        self.norm_crossed = nn.LayerNorm(width) if crossed else None
        self.norm_between = nn.LayerNorm(width)
        self.between = nn.Sequential(nn.Linear(width, 2 * width), nn.LeakyReLU(), nn.Linear(2 * width, width))
        self.dropout = nn.Dropout(dropout)

    def forward(self, hidden: Tensor, code: Tensor, bias: Tensor | None, keys: Memory | None = None) -> Tensor:
        """hidden and its code of time (B, T, W); keys: what the encoder told."""
        calm = self.norm(hidden)
        hidden = hidden + self.dropout(self.own(calm + code, calm + code, calm, bias))
        if self.crossed is not None and self.norm_crossed is not None and keys is not None:
            told, codes, hides = keys
            hidden = hidden + self.dropout(self.crossed(self.norm_crossed(hidden) + code, told + codes, told, hides))
        return hidden + self.dropout(self.between(self.norm_between(hidden)))


class Transformer(nn.Module):
    """See the module. Of `points` points of `dims` numbers."""

    def __init__(self, points: int, dims: int, width: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.points, self.dims = points, dims
        size = points * dims
        self.enter, self.leave = nn.Linear(2 * size + points + 2, width), nn.Linear(width, size)
        self.code = nn.Linear(2 * FREQUENCIES, width)
        rates = torch.logspace(math.log10(_SLOWEST), math.log10(_FASTEST), FREQUENCIES)
        self.register_buffer("rates", 2.0 * math.pi * rates, persistent=False)
        self.encoder = nn.ModuleList(Layer(width, dropout, False) for _ in range(layers))
        self.decoder = nn.ModuleList(Layer(width, dropout, True) for _ in range(layers))
        self.norm_keys, self.norm_out = nn.LayerNorm(width), nn.LayerNorm(width)
        self.gate, self.gate_keys = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))
        for name, value in self.named_parameters():
            if value.dim() > 1:
                nn.init.xavier_uniform_(value)
            elif name.endswith("bias"):
                nn.init.zeros_(value)

    def encode(self, keys: Keys, valid: Tensor) -> tuple[Tensor, Memory]:
        """What is wrong with the keys, (B, K, P, D), and what the decoder is told of them; valid (B, K, P)."""
        lively = upsampler_keys.liveliness(keys)
        speeds = keys.speeds.flatten(2) / lively[:, None, None]
        speeds = torch.cat([0.0 * speeds[:, :1], speeds], dim=1).clamp(-8.0, 8.0)
        told, code = self._in(keys, lively, keys.positions, speeds, valid), self._code(keys.times)
        bias = _HIDDEN * (1.0 - keys.present[:, None, None])
        for layer in self.encoder:
            told = layer(told, code, bias)
        told = self.norm_keys(told)
        wrong = self.leave(told) * (lively * keys.span)[:, None, None] * self.gate_keys
        return wrong.unflatten(2, (self.points, self.dims)), (told, code, bias)

    def decode(self, asked: Asked, memory: Memory) -> Tensor:
        """What the plain way misses at the moments, (B, Q, P, D), with attention to each other and to the keys."""
        keys, plain = asked.keys, upsampler_keys.base(asked.keys, asked.query)
        hidden = self._in(keys, asked.lively, plain, 0.0 * plain.flatten(2), 0.0 * plain[..., 0] + 1.0)
        codes = self._code(asked.query)
        for layer in self.decoder:
            hidden = layer(hidden, codes, None, memory)
        missed = self.leave(self.norm_out(hidden)) * (asked.lively * asked.step)[:, None, None] * self.gate
        return missed.unflatten(2, (self.points, self.dims))

    def _in(self, keys: Keys, lively: Tensor, positions: Tensor, speeds: Tensor, valid: Tensor) -> Tensor:
        own = positions - keys.positions[:, keys.past - 1 : keys.past, :1]
        about = torch.stack([lively, keys.span], dim=1).log()[:, None] + 0.0 * speeds[..., :1]
        return self.enter(torch.cat([own.flatten(2), speeds, valid, about], dim=2))

    def _code(self, times: Tensor) -> Tensor:
        angles = times[..., None] * self.rates
        return self.code(torch.cat([angles.sin(), angles.cos()], dim=-1))
