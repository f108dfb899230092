"""Independent classifiers of who moves and what is done: taught by recordings alone, and in no loss of any model.

They read a sequence by convolutions in time and have nothing in common with the models that they judge. What they know
of a sequence before they answer is what sequences are compared by (the Fréchet distance).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from motion.skeleton import HUMANOID
from training.labels import NONE
from training.models import identity_pose as pose
from training.models.identity_takes import Names
from training.models.identity_windows import Sequences

KIND = "identity_judge"
STEPS, BATCH, RATE = 500, 64, 3e-3
SMALL = 16  # pixels a side that a picture is judged by


@dataclass(frozen=True)
class Config:
    """What is told apart; numbers: how many describe a frame, with `senses`."""

    identities: tuple[str, ...]
    actions: tuple[str, ...]
    numbers: int
    width: int = 64
    known: int = 32
    dropout: float = 0.3


@dataclass(frozen=True)
class Said:
    """identity (N, identities) and action (N, actions): probabilities. known (N, known)."""

    identity: Tensor
    action: Tensor
    known: Tensor


def joined(parts: Sequence[Said]) -> Said:
    """What was said of parts, as of the whole."""
    return Said(*(torch.cat([getattr(each, name) for each in parts]) for name in ("identity", "action", "known")))


class Judge(nn.Module):
    """forward(x (N, T, ...)) -> log-probabilities of who and what, and what is known."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config, self.skeleton = config, HUMANOID
        self.register_buffer("mean", torch.zeros(config.numbers))
        self.register_buffer("spread", torch.ones(config.numbers))
        self.read = nn.Sequential(
            nn.Conv1d(config.numbers, config.width, 5, stride=2, padding=2),
            nn.GELU(),
            nn.Conv1d(config.width, config.width, 5, stride=2, padding=2),
            nn.GELU(),
        )
        self.know = nn.Sequential(nn.Linear(2 * config.width, config.known), nn.Tanh())
        self.drop = nn.Dropout(config.dropout)
        self.who = nn.Linear(config.known, len(config.identities))
        self.what = nn.Linear(config.known, len(config.actions))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self.of(senses(x))

    def of(self, sensed: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The same of senses (N, T, numbers)."""
        given = (sensed - self.mean) / self.spread
        read = self.read(self.drop(given).transpose(1, 2))  # (N, width, about T / 4)
        known = self.know(self.drop(torch.cat([read.mean(dim=2), read.amax(dim=2)], dim=1)))
        seen = self.drop(known)
        return self.who(seen).log_softmax(dim=1), self.what(seen).log_softmax(dim=1), known

    @torch.no_grad()
    def judge(self, x: Tensor) -> Said:
        """What it says of sequences (N, T, ...)."""
        self.eval()
        parts = [self(part) for part in x.split(256)]
        return joined([Said(who.exp(), what.exp(), known) for who, what, known in parts])


def senses(x: Tensor) -> Tensor:
    """What a frame is judged by, (N, T, numbers): joints and their speeds, or a small picture and how it changed."""
    if x.ndim == 3:
        return pose.felt(x)
    return _with_change(small(x.flatten(0, 1)).unflatten(0, x.shape[:2]))


def small(pictures: Tensor) -> Tensor:
    """Pictures (N, C, H, W) as few numbers, (N, C · SMALL²). Windows may tell of it: then nobody has to look again."""
    return F.adaptive_avg_pool2d(pictures, SMALL).flatten(1)


def _with_change(seen: Tensor) -> Tensor:
    return torch.cat([seen, F.pad(seen.diff(dim=1), (0, 0, 1, 0))], dim=2)


def _sensed(batch: dict[str, Tensor]) -> Tensor:
    return _with_change(batch["read"]) if "read" in batch else senses(batch["x"])


def taught(windows: Sequences, names: Names, steps: int = STEPS, seed: int = 0) -> Judge:
    """A judge taught by windows of recordings, which may tell of `small`."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        some = _sensed(windows.gather(torch.randint(len(windows), (512,)))).flatten(0, 1)
        made = Judge(Config(names.identities, names.actions, some.shape[1]))
        made.mean.copy_(some.mean(dim=0))
        made.spread.copy_(some.std(dim=0) + 0.02)
        optimizer = torch.optim.AdamW(made.parameters(), RATE, weight_decay=0.05)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
        for _ in range(steps):
            batch = windows.gather(torch.randint(len(windows), (BATCH,)))
            who, what, _ = made.of(_sensed(batch))
            loss = F.nll_loss(who, batch["identity"], ignore_index=NONE) + F.nll_loss(
                what, batch["action"], ignore_index=NONE
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return made.eval()
