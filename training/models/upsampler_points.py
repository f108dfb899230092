"""The same for points in a picture, 19 in OpenPose's order, as the seed had them: what a camera sees of a dancer.

No bones are kept, because a picture shortens them. Points are seen from the hips at the newest past key, in units of
the body's size in the picture, so that pixels, millimetres and any distance will do; y points up. Training makes its
pictures from recordings in space, by random cameras, and makes them wrong as a detector does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from motion.key_window import OPENPOSE_19
from motion.skeleton import HUMANOID, Skeleton
from training.models import upsampler, upsampler_experts, upsampler_keys
from training.models.upsampler_body import unit
from training.models.upsampler_cleaner import Cleaner
from training.models.upsampler_experts import Asked, Experts
from training.models.upsampler_keys import Keys
from training.models.upsampler_takes import Take
from training.models.upsampler_windows import Windows
from training.run import Run

Training = upsampler.Training
train = upsampler.train
HIPS = OPENPOSE_19.index("MidHip")
DISTAL = tuple(
    OPENPOSE_19.index(side + point) for side in "RL" for point in ("Elbow", "Wrist", "Knee", "Ankle", "BigToe", "Hand")
)
_LEGS = [[OPENPOSE_19.index(side + point) for point in ("Hip", "Knee", "Ankle", "BigToe")] for side in "RL"]
NOISE = 0.05  # metres at the dancer
NOISY, MISSING, SWAPPED = 15 / 41, 15 / 41, 0.05  # shares of the keys
FOCAL, DEPTH = 4.0, 4.0  # the camera's, in metres
_BEYOND = 0.08  # metres: a hand beyond its wrist, a nose above and before its head


@dataclass(frozen=True)
class Config:
    """As training.models.upsampler."""

    past: int = 11
    ahead: int = 2
    width: int = 320
    cleaner_width: int = 256
    dropout: float = 0.05
    shares: tuple[float, ...] = (0.25, 0.2, 0.5, 0.05)
    corrupted: float = 0.5
    velocity_loss: float = 0.2
    key_loss: float = 1.0


class PointsUpsampler(nn.Module):
    """See the module."""

    statistics = 32768  # windows that scales and ridges are taken from

    def __init__(self, config: Config, skeleton: Skeleton = HUMANOID) -> None:
        super().__init__()
        self.config, self.skeleton = config, skeleton
        count = len(OPENPOSE_19)
        self.experts = Experts((config.past, config.ahead), count, 2, config.width, config.dropout)
        self.cleaner = Cleaner((count, 2), range(count), range(count), config.cleaner_width)

    def loss(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Errors of points and of their speeds, in sizes of the body; weighted by what is usual at a rate."""
        asked, origin, size = self.ask(batch["keys"], batch["times"], batch["valid"], batch["query"])
        truth, clean = ((batch[name] - origin) / size for name in ("truth", "clean"))
        usual = torch.where(asked.keys.dense, 1.0, (asked.step * 30.0) ** -1.2)[:, None, None]
        off = upsampler_keys.base(asked.keys, asked.query) + self.experts(asked) - truth
        speed = off.diff(dim=1) * 4.0
        wrong = (asked.keys.positions - clean).norm(dim=-1).mean(dim=-1)
        weight = asked.keys.present * batch["corrupted"][:, None]
        parts = {
            "positions": (off.norm(dim=-1) * usual).mean(),
            "velocity": (speed.norm(dim=-1) * usual).mean(),
            "keys": (wrong * weight).sum() / weight.sum().clamp(min=1.0),
        }
        c = self.config
        return parts["positions"] + c.velocity_loss * parts["velocity"] + c.key_loss * parts["keys"], parts

    @torch.no_grad()
    def fit_statistics(self, batch: dict[str, Tensor]) -> None:
        """Scales and ridges, before training."""
        self.cleaner.fit(
            self.ask(batch["keys"], batch["times"], batch["valid"], batch["query"])[0].keys, batch["valid"]
        )
        batch = {name: value[batch["corrupted"] < 0.5] for name, value in batch.items()}
        asked, origin, size = self.ask(batch["keys"], batch["times"], batch["valid"], batch["query"])
        missing = (batch["truth"] - origin) / size - upsampler_keys.base(asked.keys, asked.query)
        self.experts.fit(asked, missing)

    def ask(self, points: Tensor, times: Tensor, valid: Tensor, query: Tensor) -> tuple[Asked, Tensor, Tensor]:
        """What is asked of mended keys, and where and how large the body is, (B, 1, 1, 2) and (B, 1, 1, 1).

        points (B, K, P, 2), times (B, K), valid (B, K, P), query (B, Q).
        """
        whole = upsampler_keys.filled(points, times, valid)
        present = upsampler_keys.present(valid, self.config.past)
        newest = self.config.past - 1
        origin = whole[:, newest : newest + 1, HIPS : HIPS + 1]
        away = (whole - whole[:, :, HIPS : HIPS + 1]).square().sum(dim=3).add(1e-12).sqrt().mean(dim=2)
        size = (away * present).sum(dim=1) / present.sum(dim=1) + 1e-6
        size = size[:, None, None, None]
        keys = Keys((whole - origin) / size, times, present, self.config.past)
        keys = keys.with_positions(self.cleaner(keys, valid))
        return upsampler_experts.ask(keys, query), origin, size

    def forward(self, points: Tensor, times: Tensor, valid: Tensor, query: Tensor) -> tuple[Tensor, Tensor]:
        """Points (B, Q, P, 2) at query (B, Q) seconds from the newest past key, and the keys mended."""
        good = ((points.abs() < 1e9).float().amin(dim=3)) * valid
        asked, origin, size = self.ask(points, times, good, query)
        made = upsampler_keys.base(asked.keys, asked.query) + self.experts(asked)
        return made * size + origin, asked.keys.positions * size + origin


class Pictures:
    """Windows of the upsampler as random cameras see them: keys (B, K, 19, 2) and the like, y up."""

    def __init__(self, windows: Windows, corrupted: float) -> None:
        self._windows, self._corrupted = windows, corrupted

    def __len__(self) -> int:
        return len(self._windows)

    def origin(self, number: int) -> tuple[str, int]:
        return self._windows.origin(number)

    def gather(self, numbers: Tensor) -> dict[str, Tensor]:
        """The windows with these numbers (B,)."""
        batch = self._windows.gather(numbers)
        angles = torch.rand(len(numbers), 3)
        pitch, yaw = (angles[:, 0] - 0.5) * 0.4 * torch.pi, angles[:, 1] * 2.0 * torch.pi
        depth = (DEPTH * (0.9 + 0.2 * angles[:, 2]))[:, None, None]
        centre = batch["clean"][:, self._windows.past - 1, 0][:, None, None]
        seen = {
            name: _projected(_points(batch[name]) - centre, pitch, yaw, depth) for name in ("keys", "clean", "truth")
        }
        valid = batch["valid"][..., :1].expand(seen["keys"].shape[:-1]).clone()
        spoilt = (torch.rand(len(numbers), 1)[:, 0] < self._corrupted) & (valid[:, self._windows.past, 0] > 0.5)
        keys, valid = _spoilt(seen["keys"], valid, spoilt)
        return {**batch, **seen, "keys": keys, "valid": valid, "corrupted": spoilt.float()}


def _points(joints: Tensor) -> Tensor:
    """OpenPose's points (..., 19, 3) of HUMANOID's joints (..., 22, 3)."""
    at = {name: joints[..., HUMANOID.index(name), :] for name in HUMANOID.names}
    head = unit(at["Head"] - at["Neck"]) + unit(
        torch.linalg.cross(at["LeftUpperArm"] - at["RightUpperArm"], at["Head"] - at["Neck"])
    )
    points = {
        "Nose": at["Head"] + _BEYOND * head,
        "Neck": 0.5 * (at["LeftUpperArm"] + at["RightUpperArm"]),
        "MidHip": 0.5 * (at["LeftUpperLeg"] + at["RightUpperLeg"]),
    }
    names = {"Shoulder": "UpperArm", "Elbow": "LowerArm", "Wrist": "Hand", "Hip": "UpperLeg", "Knee": "LowerLeg"}
    for letter, side in (("L", "Left"), ("R", "Right")):
        points |= {
            letter + name: at[side + joint] for name, joint in (names | {"Ankle": "Foot", "BigToe": "Toes"}).items()
        }
        points[f"{letter}Hand"] = at[f"{side}Hand"] + _BEYOND * unit(at[f"{side}Hand"] - at[f"{side}LowerArm"])
    return torch.stack([points[name] for name in OPENPOSE_19], dim=-2)


def _projected(points: Tensor, pitch: Tensor, yaw: Tensor, depth: Tensor) -> Tensor:
    """Points (B, T, P, 3) around the origin in a picture, (B, T, P, 2): metres at `depth`, y up."""
    x, y, z = points.unbind(-1)
    (sin, cos), (up, level) = ((f(angle)[:, None, None] for f in (torch.sin, torch.cos)) for angle in (yaw, pitch))
    x, z = x * cos + z * sin, z * cos - x * sin
    y, z = y * level - z * up, y * up + z * level
    return torch.stack([x, y], dim=-1) * (FOCAL / (z + depth).clamp(min=1.0))[..., None]


def _spoilt(keys: Tensor, valid: Tensor, spoilt: Tensor) -> tuple[Tensor, Tensor]:
    """Keys with noise of no mean, points that are missing and legs exchanged, in the rows `spoilt` (B,)."""
    kind, order = torch.rand(*keys.shape[:2]), torch.rand(*keys.shape[:2], len(DISTAL)).argsort(dim=-1).argsort(dim=-1)
    noise = torch.randn(*keys.shape[:2], len(DISTAL), 2) * NOISE
    kind = torch.where(spoilt[:, None], kind, 0.99 * NOISY + MISSING)
    some = keys.clone()
    noisy, missing = kind < NOISY, (kind >= NOISY) & (kind < NOISY + MISSING)
    some[:, :, DISTAL] += noise * (noisy & spoilt[:, None])[..., None, None] * (order < 5)[..., None]
    one, other = _LEGS
    swapped = ((kind > 1.0 - SWAPPED) & spoilt[:, None])[..., None, None]
    some[:, :, one + other] = torch.where(swapped, some[:, :, other + one], some[:, :, one + other])
    seen = valid.clone()
    seen[:, :, DISTAL] *= 1.0 - ((missing & spoilt[:, None])[..., None] & (order < 3)).float()
    return some, seen


def body() -> Skeleton:
    """The points as a skeleton at rest, for a model's label."""
    rest = _points(torch.from_numpy(np.array(HUMANOID.rest_positions)).float()).double().numpy()
    parents = [-1 if above is None else OPENPOSE_19.index(above) for above in map(_ABOVE.get, OPENPOSE_19)]
    offsets = np.array([rest[n] - (rest[p] if p >= 0 else 0.0) for n, p in enumerate(parents)])
    return Skeleton(OPENPOSE_19, tuple(parents), offsets)


_ARM = (("Shoulder", "Neck"), ("Elbow", "Shoulder"), ("Wrist", "Elbow"), ("Hand", "Wrist"))
_LEG = (("Hip", "MidHip"), ("Knee", "Hip"), ("Ankle", "Knee"), ("BigToe", "Ankle"))
_ABOVE = {"Neck": "Nose", "MidHip": "Neck"} | {
    side + point: above if above in ("Neck", "MidHip") else side + above
    for side in "RL"
    for point, above in (*_ARM, *_LEG)
}


def windows(run: Run, takes: Sequence[Take], augment: bool) -> Pictures:
    """All windows; those that are watched are fewer and not mirrored."""
    c = run.model
    mirror, stride = augment and run.data.mirror, 1 if augment else upsampler.WATCHED_STRIDE
    return Pictures(Windows(takes, c.past, c.ahead, mirror, c.shares, 0.0, run.skeleton, stride), c.corrupted)
