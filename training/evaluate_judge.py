"""Who judges labelled partners: a classifier of its own, trained on recordings alone, and never a part of any loss.

A recurrent network that reads a window both ways; what it knows of a window before it decides is what windows are
compared by (FID, diversity, multimodality). How often it is right about recordings it has not seen is the ceiling of
how often anything made can be recognised.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from motion.skeleton import HUMANOID
from training import checkpoint
from training.labels import NONE, LabelSets
from training.models import labelled_losses as losses
from training.models import labelled_pose as pose
from training.models.labelled_networks import felt

KIND = "judge"
BATCH, RATE, SMOOTHING = 96, 3e-3, 0.05


@dataclass(frozen=True)
class Config:
    """label_sets: what is told apart. state: width of the reading. known: numbers that windows are compared by."""

    label_sets: LabelSets
    state: int = 48
    known: int = 32
    dropout: float = 0.3


class Judge(nn.Module):
    """forward(moves (N, T, WIDTH)) -> log-probabilities of every set's labels, and what is known (N, known)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config, self.skeleton = config, HUMANOID
        numbers = 5 * pose.JOINTS
        self.sizes = [len(of_set) for _, of_set in config.label_sets]
        self.register_buffer("mean", torch.zeros(numbers))
        self.register_buffer("spread", torch.ones(numbers))
        self.read = nn.GRU(numbers, config.state, batch_first=True, bidirectional=True)
        self.know = nn.Sequential(nn.Linear(4 * config.state, config.known), nn.Tanh())
        self.drop = nn.Dropout(config.dropout)
        self.out = nn.Linear(config.known, sum(self.sizes))

    def forward(self, moves: Tensor) -> tuple[list[Tensor], Tensor]:
        given = (felt(moves, pose.positions(moves)) - self.mean) / self.spread
        read, _ = self.read(self.drop(given[:, ::2]))  # every second frame: they hardly differ
        known = self.know(self.drop(torch.cat([read.mean(dim=1), read.amax(dim=1)], dim=1)))
        said = self.out(self.drop(known)).split(self.sizes, dim=1)
        return [part.log_softmax(dim=1) for part in said], known

    @torch.no_grad()
    def judge(self, moves: Tensor) -> tuple[Tensor, Tensor]:
        """The labels' numbers (N, sets) of windows, and what is known of them (N, known)."""
        self.eval()
        parts = [self(part) for part in moves.split(512)]
        labels = torch.cat([torch.stack([each.argmax(dim=1) for each in said], dim=1) for said, _ in parts])
        return labels, torch.cat([known for _, known in parts])


def taught(moves: Tensor, labels: Tensor, sets: LabelSets, steps: int, seed: int = 0) -> Judge:
    """A judge taught by windows (N, T, WIDTH) of recordings and their mirror images, with their labels (N, sets)."""
    random = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        made = Judge(Config(sets))
        known = (labels != NONE).any(dim=1)
        moves, labels = moves[known], labels[known]
        some = moves[torch.randperm(len(moves), generator=random)[:2048]]
        given = felt(some, pose.positions(some)).flatten(0, 1)
        made.mean.copy_(given.mean(dim=0))
        made.spread.copy_(given.std(dim=0) + 0.02)
        optimizer = torch.optim.AdamW(made.parameters(), RATE, weight_decay=0.05)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
        balance = [_balance(labels[:, number], size) for number, size in enumerate(made.sizes)]
        for _ in range(steps):
            chosen = torch.randint(len(moves), (BATCH,), generator=random)
            batch = moves[chosen]
            batch = torch.cat([batch[::2], pose.mirrored(batch[1::2])])
            said, _ = made(batch)
            wanted = torch.cat([labels[chosen][::2], labels[chosen][1::2]])
            loss = losses.classification(wanted, said, balance, SMOOTHING)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return made.eval()


def save(judge: Judge, path: Path, takes: Sequence[dict[str, str]]) -> Path:
    """A judge, with the takes that it was taught by."""
    torch.save({**checkpoint.describe(KIND, judge), "about": {"takes": list(takes)}}, path)
    return path


def load(path: str | Path) -> tuple[Judge, dict[str, Any]]:
    """A judge and what is stored about it. Raises ValueError when the file is none of ours."""
    stored = checkpoint.read(path, KIND)
    sets = tuple((name, tuple(labels)) for name, labels in stored["config"]["label_sets"])
    judge = Judge(Config(**{**stored["config"], "label_sets": sets}))
    judge.load_state_dict(stored["weights"])
    return judge.eval(), stored.get("about", {})


def _balance(labels: Tensor, size: int) -> Tensor:
    counts = torch.bincount(labels[labels != NONE], minlength=size).float()
    return (counts.mean() / counts.clamp(min=1.0)).clamp(max=10.0)
