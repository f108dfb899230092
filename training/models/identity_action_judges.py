"""Who looks over identity_action's shoulder while it trains: critics of latents, and a judge of what is made.

A critic tries to tell who it is from latents that are to say no such thing, and who makes them learns to deceive it.
Judges learn who and what from recordings; held still, they say whether a swap shows who and what it is to. None of them
is used after training.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from training.labels import NONE
from training.reversal import Reversed

DROPOUT = 0.3  # of judges


class Summary(nn.Module):
    """Sequences (B, T, N) → (B, size): two convolutions, their means and maxima over time."""

    def __init__(self, numbers: int, width: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.size = 2 * width
        self.layers = nn.Sequential(
            *(nn.Dropout(dropout), nn.Conv1d(numbers, width, 5, stride=2, padding=2), nn.SiLU()),
            *(nn.Dropout(dropout), nn.Conv1d(width, width, 5, stride=2, padding=2), nn.SiLU()),
        )

    def forward(self, given: Tensor) -> Tensor:
        read = self.layers(given.transpose(1, 2))
        return torch.cat([read.mean(dim=2), read.amax(dim=2)], dim=1)


class SequenceCritic(nn.Module):
    """Tells identities from sequences of latents, their means and their spreads."""

    def __init__(self, latent: int, identities: int, width: int = 64) -> None:
        super().__init__()
        self.summary = Summary(latent, width)
        self.out = nn.Linear(self.summary.size + 2 * latent, max(identities, 1))

    def forward(self, z: Tensor, who: Tensor, weight: float) -> Tensor:
        """The cross-entropy of what it says of z (B, T, Z); times `weight` its gradient teaches z to say less."""
        given = Reversed.apply(z, weight)
        parts = [self.summary(given), given.mean(dim=1), given.std(dim=1)]
        return known_cross_entropy(self.out(torch.cat(parts, dim=1)), who)


class Critic(nn.Module):
    """The same of single vectors (B, N)."""

    def __init__(self, numbers: int, identities: int, width: int = 128) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(numbers, width), nn.SiLU(), nn.Linear(width, max(identities, 1)))

    def forward(self, d: Tensor, who: Tensor, weight: float) -> Tensor:
        return known_cross_entropy(self.layers(Reversed.apply(d, weight)), who)


class Judges(nn.Module):
    """Several who tell identities and actions from what is seen of frames, (B, T, views): one alone has blind spots,
    and whoever is taught to please one learns those.
    """

    def __init__(self, views: int, identities: int, actions: int, count: int, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(views))
        self.register_buffer("spread", torch.ones(views))
        self.sizes = [max(identities, 1), max(actions, 1)]
        self.count = count
        for number in range(count):
            for part, size in zip(("who", "what"), self.sizes, strict=True):
                summary = Summary(views, width, DROPOUT)
                self.add_module(
                    f"{part}_{number}", nn.Sequential(summary, nn.Dropout(DROPOUT), nn.Linear(summary.size, size))
                )

    def forward(self, seen: Tensor) -> list[Tensor]:
        """Logits of identities and of actions, (count · B, ...) each."""
        given = (seen - self.mean) / self.spread
        return [
            torch.cat([self.get_submodule(f"{part}_{number}")(given) for number in range(self.count)])
            for part in ("who", "what")
        ]

    def loss(self, seen: Tensor, who: Tensor, what: Tensor, still: bool = False) -> list[Tensor]:
        """Cross-entropies of both. still: their own weights learn nothing."""
        weights = {name: value.detach() if still else value for name, value in self.named_parameters()}
        said = functional_call(self, weights, (seen,))
        return [
            known_cross_entropy(each, known.repeat(self.count)) for each, known in zip(said, (who, what), strict=True)
        ]

    @torch.no_grad()
    def fit(self, seen: Tensor) -> None:
        """What is usual of what is seen."""
        self.mean.copy_(seen.mean(dim=(0, 1)))
        self.spread.copy_(seen.std(dim=(0, 1)) + 0.02)


def known_cross_entropy(said: Tensor, known: Tensor) -> Tensor:
    """The mean over those of which it is known; 0 when it is known of none."""
    total = F.cross_entropy(said, known, ignore_index=NONE, label_smoothing=0.05, reduction="sum")
    return total / (known != NONE).sum().clamp(min=1)
