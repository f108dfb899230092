"""Low-rate or noisy joints in, the moments between them out, and those to come: the successor of Render-In-Between's
motion model (BMVC 2021).

Keys are seen from the newest past key's own ground point and facing. What the plain way between them (Catmull-Rom;
beyond the newest, on at its speed) misses is learned, as positions, and brought back onto the bones, so that lengths
are exact. Two networks: `residual`, an expert for each question (training.models.upsampler_experts), and
`transformer`, the seed's (training.models.upsampler_transformer). Both begin as the plain way: their gate is shut.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from motion.metrics.joints import HAND_BEYOND_WRIST
from motion.skeleton import HUMANOID, Skeleton
from training import history, kinematics, loop
from training.models import upsampler_experts, upsampler_keys
from training.models.upsampler_body import Body, oriented
from training.models.upsampler_cleaner import KEYS, Cleaner
from training.models.upsampler_corruption import BONES, ENDS
from training.models.upsampler_critic import Critic
from training.models.upsampler_experts import Asked, Experts
from training.models.upsampler_keys import Keys
from training.models.upsampler_takes import Take
from training.models.upsampler_transformer import Memory, Transformer
from training.models.upsampler_windows import QUERIES, Windows
from training.run import Run, by_gradient

WATCHED_STRIDE = 8  # frames
PLANTED = 0.3  # m/s of a toe that stands
_TOES = HUMANOID.both_sides("Toes")
_HIPS = [HUMANOID.index(name) for name in ("LeftUpperLeg", "RightUpperLeg", "LeftUpperArm", "RightUpperArm")]
_WRISTS = [HUMANOID.index(name) for name in ("LeftHand", "RightHand")]
_ELBOWS = [HUMANOID.index(name) for name in ("LeftLowerArm", "RightLowerArm")]


@dataclass(frozen=True)
class Config:
    """past, ahead: slots for keys. width, dropout: of the experts, or of the transformer, which has `layers` each way;
    cleaner_width: of what mends keys for the experts. shares: how often a window asks to go on without looking ahead,
    for one key ahead, for two, and for a forecast. corrupted: share of windows with two keys ahead whose keys are made
    wrong. slow: how much more slow dancing counts, as a power of how lively it is. *_loss: weights beside that of
    positions; adversarial_loss is the seed's experiment, off.

    spline: (keys ahead, lowest rate of the keys, highest) for a label's table until the scorecard has measured one.
    """

    network: Literal["residual", "transformer"] = "residual"
    past: int = 11
    ahead: int = 2
    width: int = 384
    layers: int = 3
    cleaner_width: int = 256
    dropout: float = 0.05
    shares: tuple[float, ...] = (0.25, 0.23, 0.34, 0.18)
    corrupted: float = 0.45
    slow: float = 0.5
    velocity_loss: float = 0.2
    acceleration_loss: float = 0.02
    feet_loss: float = 0.1
    key_loss: float = 1.0
    adversarial_loss: float = 0.0
    spline: tuple[tuple[int, float, float], ...] = ()

    def __post_init__(self) -> None:
        if self.past < 11 or self.ahead != 2:
            raise ValueError(
                f"past {self.past} must be at least 11 and ahead {self.ahead} be 2: what is asked needs them"
            )
        if len(self.shares) != 4 or not min(self.shares) >= 0.0 < sum(self.shares):
            raise ValueError(f"shares are four numbers of at least 0, not {list(self.shares)}")


@dataclass(frozen=True)
class Training(loop.Config):
    """As training.loop. evaluation_interval: epochs between lines of history.txt."""

    epochs: int = 30
    batch_size: int = 1024
    learning_rate: float = 1.5e-3
    weight_decay: float = 0.05
    evaluation_interval: int = 4


class Upsampler(nn.Module):
    """See the module. Poses in and out are root positions and 6-D local rotations of the skeleton."""

    statistics = 32768  # windows that scales and ridges are taken from

    def __init__(self, config: Config, skeleton: Skeleton = HUMANOID) -> None:
        super().__init__()
        self.config, self.skeleton = config, skeleton
        self.body = Body(skeleton)
        self.experts = self.cleaner = self.transformer = None
        if config.network == "transformer":
            self.transformer = Transformer(len(skeleton), 3, config.width, config.layers, config.dropout)
        else:
            self.experts = Experts((config.past, config.ahead), len(skeleton), 3, config.width, config.dropout)
            size = (len(skeleton), 3)
            self.cleaner = Cleaner(size, ENDS, BONES, config.cleaner_width, Body(skeleton))
        self.critic = Critic(QUERIES * 3 * len(skeleton)) if config.adversarial_loss else None

    # ---- training

    def loss(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Errors in metres of the 24 points that are judged, of their speeds and of changes of speed; weighted by what
        is usual at a rate.
        """
        asked, memory, turn, origin = self._asked(batch)
        plain = upsampler_keys.base(asked.keys, asked.query)
        made = self.body.standing(plain + self.missed(asked, memory))
        truth = _seen_from(batch["truth"], turn, origin)
        usual = torch.where(asked.keys.dense, 1.0, (asked.step * 30.0) ** -1.2)
        soon = torch.where(asked.keys.dense[:, None], 0.4 / (0.4 + asked.query * 20.0), 1.0)
        usual = usual * (asked.lively.detach() + 0.1) ** -self.config.slow
        weight = (usual[:, None] * soon)[..., None]
        off = _points(made) - _points(truth)
        apart = (asked.query[:, 1:] - asked.query[:, :-1])[..., None, None]
        speed = off.diff(dim=1) / apart * asked.step[:, None, None, None]
        bend = speed.diff(dim=1)
        parts = {
            "positions": (off.norm(dim=-1) * weight).mean(),
            "velocity": (speed.norm(dim=-1) * weight[:, 1:]).mean(),
            "acceleration": (bend.norm(dim=-1) * weight[:, 2:]).mean(),
            "keys": _key_error(asked.keys, _seen_from(batch["clean"], turn, origin), batch["corrupted"]),
        }
        steps = truth[:, :, _TOES].diff(dim=1) / apart
        planted = (steps.norm(dim=-1) < PLANTED).float() * weight[:, 1:]
        parts["feet"] = (speed[:, :, _TOES].norm(dim=-1) * planted).mean()
        c = self.config
        total = parts["positions"] + c.velocity_loss * parts["velocity"] + c.feet_loss * parts["feet"]
        total = total + c.acceleration_loss * parts["acceleration"] + c.key_loss * parts["keys"]
        if self.critic is not None:
            parts["critic"], parts["deceived"] = self.critic(asked, made, truth)
            total = total + parts["critic"] + c.adversarial_loss * parts["deceived"]
        return total, parts

    @torch.no_grad()
    def fit_statistics(self, batch: dict[str, Tensor]) -> None:
        """Scales and ridges, before training."""
        if self.experts is None:
            return
        asked = self._asked(batch)[0]
        self.cleaner.fit(asked.keys, batch["valid"])
        good = batch["corrupted"] < 0.5
        batch = {name: value[good] for name, value in batch.items()}
        asked, _, turn, origin = self._asked(batch)
        missing = _seen_from(batch["truth"], turn, origin) - upsampler_keys.base(asked.keys, asked.query)
        self.experts.fit(asked, missing)

    def _asked(self, batch: dict[str, Tensor]) -> tuple[Asked, Memory | None, Tensor, Tensor]:
        """As `ask`, of a batch of positions."""
        return self.ask(batch["keys"], batch["times"], batch["valid"], batch["query"])

    # ---- use

    def ask(
        self, keys: Tensor, times: Tensor, valid: Tensor, query: Tensor
    ) -> tuple[Asked, Memory | None, Tensor, Tensor]:
        """What is asked of cleaned keys, what a decoder is to know of them, and the body's frame: turn, origin.

        keys: positions (B, K, J, 3) without gaps, times (B, K), valid (B, K, J), query (B, Q).
        """
        newest = self.config.past - 1
        turn, origin = _facing(keys[:, newest])
        seen = _seen_from(keys, turn, origin)
        whole = Keys(seen, times, upsampler_keys.present(valid, self.config.past), self.config.past)
        memory = None
        if self.transformer is not None:
            wrong, memory = self.transformer.encode(whole, valid)
            whole = whole.with_positions(self.body.standing(seen + wrong))
        else:
            whole = whole.with_positions(self.cleaner(whole, valid))
        return upsampler_experts.ask(whole, query), memory, turn, origin

    def missed(self, asked: Asked, memory: Memory | None) -> Tensor:
        """What the plain way misses, (B, Q, J, 3)."""
        return self.experts(asked) if self.transformer is None else self.transformer.decode(asked, memory)

    def forward(
        self, root: Tensor, rotations: Tensor, times: Tensor, valid: Tensor, query: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Poses at `query` (B, Q) seconds, and the keys without what is wrong with them.

        root (B, K, 3), rotations (B, K, J, 6), times (B, K) seconds from the newest past key, valid (B, K, J).
        Returns root (B, Q, 3) and rotations (B, Q, J, 6), then the same of the keys (B, K, ...).
        """
        valid = valid * _finite(rotations)
        valid = torch.cat([valid[..., :1] * _finite(root)[..., None], valid[..., 1:]], dim=-1)
        root = upsampler_keys.filled(root[:, :, None], times, valid[..., :1])[:, :, 0]
        sixd = upsampler_keys.filled(rotations, times, valid)
        positions, turns = self.body.forward(root, oriented(sixd[..., :3], sixd[..., 3:]))
        asked, memory, facing, origin = self.ask(positions, times, valid, query)
        weights, cleaned = upsampler_keys.plain(asked.keys, query), asked.keys.positions
        wished = upsampler_keys.along(weights, cleaned) + self.missed(asked, memory)
        between = upsampler_keys.along(weights, turns.flatten(3))
        between = oriented(between[..., 0::3], between[..., 1::3])
        # Far past keys are never mended: they stay as they came.
        first, count = self.config.past + self.config.ahead - KEYS, query.shape[1]
        wished = torch.cat([wished, cleaned[:, first:]], dim=1).flatten(1, 2) @ facing.transpose(1, 2)
        wished = wished.unflatten(1, (-1, len(self.skeleton))) + origin[:, None, None]
        _, made = self.body.posed(wished, torch.cat([between, turns[:, first:]], dim=1))
        local = kinematics.sixd_from_matrices(self.body.local(made))
        key_root = torch.cat([root[:, :first], wished[:, count:, 0]], dim=1)
        return wished[:, :count, 0], local[:, :count], key_root, torch.cat([sixd[:, :first], local[:, count:]], dim=1)


def _finite(values: Tensor) -> Tensor:
    """1 where all along the last axis are numbers of a body's size, else 0."""
    return (values.abs() < 1e6).float().amin(dim=-1)


def _facing(body: Tensor) -> tuple[Tensor, Tensor]:
    """The frame of a body (B, J, 3): its turn (B, 3, 3), columns left, up, forward, and the ground point under it."""
    left, right, left_arm, right_arm = (body[:, joint, 0::2] for joint in _HIPS)
    across = left - right + left_arm - right_arm
    across = torch.where(across.norm(dim=-1, keepdim=True) > 1e-6, across, across.new_tensor([1.0, 0.0]))
    turn = kinematics.heading_matrix(nn.functional.normalize(across, dim=-1, eps=1e-6))
    return turn, body[:, 0] * body.new_tensor([1.0, 0.0, 1.0])


def _seen_from(positions: Tensor, turn: Tensor, origin: Tensor) -> Tensor:
    """Positions (B, T, J, 3) in the world, in the frame of `_facing`."""
    seen = (positions - origin[:, None, None]).flatten(1, 2) @ turn
    return seen.unflatten(1, positions.shape[1:3])


def _points(positions: Tensor) -> Tensor:
    """The joints and two hands' middles, (..., 24, 3)."""
    wrists = positions[..., _WRISTS, :]
    forearms = nn.functional.normalize(wrists - positions[..., _ELBOWS, :], dim=-1, eps=1e-6)
    return torch.cat([positions, wrists + HAND_BEYOND_WRIST * forearms], dim=-2)


def _key_error(keys: Keys, clean: Tensor, corrupted: Tensor) -> Tensor:
    weight = keys.present * ((keys.ahead > 0.5) * (0.5 + 0.5 * corrupted))[:, None]  # right ones are to be left alone
    return ((keys.positions - clean).norm(dim=-1).mean(dim=-1) * weight).sum() / weight.sum().clamp(min=1.0)


def train(run: Run) -> Path:
    """By gradients; every few epochs a line of what they came to goes into history.txt, too."""
    told = HistoryText(run.out / "history.txt", run.training.evaluation_interval, run.resume)
    return by_gradient(replace(run, watchers=[*run.watchers, told]))


class HistoryText:
    """history.txt, a logger of training.loggers: an epoch in a line for people."""

    def __init__(self, path: Path, interval: int, goes_on: bool) -> None:
        self._path, self._interval = path, interval
        if not goes_on:
            path.unlink(missing_ok=True)

    def batch(self, number: int, values: dict[str, float]) -> None: ...

    def epoch(self, line: dict[str, float]) -> None:
        if int(line["epoch"]) % self._interval == 0 or not self._path.exists():
            with self._path.open("a", encoding="utf-8") as file:
                file.write(f"{history.sentence(line)}\n")

    def close(self) -> None: ...


def windows(run: Run, takes: Sequence[Take], augment: bool) -> Windows:
    """All windows; those that are watched are fewer and not mirrored."""
    c = run.model
    mirror, stride = augment and run.data.mirror, 1 if augment else WATCHED_STRIDE
    return Windows(takes, c.past, c.ahead, mirror, c.shares, c.corrupted, run.skeleton, stride)
