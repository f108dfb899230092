"""A dancer without a partner: diffusion over the next 0.7 s of motion, given the last 0.3 s and a role.

A frame is HUMANOID's root position, 6-D rotations and two toe contacts, seen from the ground point under the last known
hips, facing as they face. A future is written in principal coefficients; a residual MLP takes noisy coefficients and
the history to the clean ones (Ho et al. 2020, the clean predicted as in Tevet et al. 2022). It dances on by drawing
future after future from noise (DDIM, Song et al. 2021). Chance is an argument: a seed gives one dance.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from motion.skeleton import HUMANOID
from training.kinematics import global_positions, matrices_from_6d

JOINTS = len(HUMANOID)
POSE = 3 + 6 * JOINTS
FRAME = POSE + 2
WARM_UP = 5.0  # seconds
JERK = 0.2  # metres between a joint's steps in successive frames; leads hardly ever exceed it
LOW_TOE = 0.07  # metres; a toe under this is likely to stand
APART = 0.09  # metres; arms nearer to the trunk, or a leg to the other, go through it
TOES = HUMANOID.both_sides("Toes")
_WEIGHTS = {"coefficients": 0.4, "positions": 2.0, "velocities": 0.3, "feet": 0.5}
_ARMS = [side + bone for side in ("Left", "Right") for bone in ("LowerArm", "Hand")]
_PAIRS = [(arm, trunk) for arm in _ARMS for trunk in ("Hips", "Spine", "Chest", "UpperChest")]
_PAIRS += [("LeftFoot", "RightFoot"), ("LeftLowerLeg", "RightLowerLeg")]
_APART = [[HUMANOID.index(name) for name in names] for names in zip(*_PAIRS, strict=True)]
_OFFSETS = torch.tensor(HUMANOID.offsets, dtype=torch.float32)


@dataclass(frozen=True)
class Config:
    fps: float = 30.0
    history: int = 10
    seam: int = 2  # history frames that are made again, so that the seam can be closed
    future: int = 20
    known: int = 160  # numbers that describe a history
    body: int = 64  # directions a body moves in
    coefficients: int = 512  # numbers that describe a future
    width: int = 896
    blocks: int = 3
    dropout: float = 0.1
    history_noise: float = 0.1  # metres over a whole history: the dancer's own past is never like a recorded one
    sampling_steps: int = 24
    detail: float = 0.15  # in units of coefficients: finer than this, what is drawn is kept and not averaged away
    stage_radius: float = 1.0  # metres; futures that leave it are less likely to be picked
    candidates: int = 24  # futures drawn to pick one from


class Block(nn.Module):
    """A residual layer, scaled and shifted by the noise level (FiLM)."""

    def __init__(self, width: int, dropout: float, level: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.film = nn.Linear(level, 2 * width)
        self.inner = nn.Linear(width, width)
        self.outer = nn.Linear(width, width)
        self.dropout = nn.Dropout(dropout)
        nn.init.zeros_(self.outer.weight)
        nn.init.zeros_(self.film.weight)

    def forward(self, hidden: Tensor, level: Tensor) -> Tensor:
        scale, shift = self.film(level).chunk(2, dim=-1)
        inner = self.norm(hidden) * (1 + scale) + shift
        return hidden + self.outer(self.dropout(nn.functional.silu(self.inner(inner))))


class Solo(nn.Module):
    """The dancer. In training: `begin` once, then `loss` on what `examples` makes of windows; then `generate`."""

    def __init__(self, config: Config = Config()) -> None:
        super().__init__()
        self.config = config
        c, level, self.frames = config, 64, config.seam + config.future
        self.register_buffer("mean", torch.zeros(FRAME))
        self.register_buffer("metres", _metres_per_unit())
        self.register_buffer("history_axes", torch.zeros(c.history * FRAME, c.known))
        self.register_buffer("axes", torch.zeros(self.frames * FRAME, c.coefficients))
        self.register_buffer("back", torch.zeros(c.coefficients, self.frames * FRAME))
        self.register_buffer("spread", torch.ones(c.coefficients))  # deviation of each coefficient
        self.register_buffer("pace", torch.tensor([0.0, 1.0]))  # mean and deviation of the leads' log joint speed
        self.register_buffer("frequencies", torch.exp(torch.linspace(0.0, math.log(64.0), level // 2)))
        self.enter = nn.Linear(c.coefficients + c.known + 1, c.width)
        self.blocks = nn.ModuleList(Block(c.width, c.dropout, level) for _ in range(c.blocks))
        self.leave = nn.Sequential(nn.LayerNorm(c.width), nn.Linear(c.width, c.coefficients))
        nn.init.zeros_(self.leave[1].weight)

    def forward(self, noisy: Tensor, known: Tensor, time: Tensor, role: Tensor) -> Tensor:
        """Clean coefficients (B, K) of noisy ones, given the history (B, known), time (B,) and role (B,).

        All of the answer passes through the network's width: what it cannot name, noise among it, is left out.
        """
        angles = time[:, None] * self.frequencies
        level = torch.cat([angles.sin(), angles.cos()], dim=-1)
        alpha, sigma = _schedule(time[:, None])
        size = ((alpha * self.spread).square() + sigma.square()).sqrt()
        hidden = self.enter(torch.cat([noisy / size, known, role[:, None]], dim=-1))
        for block in self.blocks:
            hidden = block(hidden, level)
        return self.spread * self.leave(hidden)

    # ---- training

    def examples(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """What `loss` takes, of frames (B, H+F, FRAME) in the world and role (B,): 1 for a lead, 0 for a follower."""
        c = self.config
        frames = canonical(batch["frames"], c.history - 1)
        past, future = frames[:, : c.history], frames[:, c.history - c.seam :]
        return {"known": self.know(past), "clean": self.encode(future), "role": batch["role"]}

    def loss(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """batch: clean (B, K), known (B, known), role (B,). Errors of coefficients, and of joints in metres and m/s."""
        clean, known = batch["clean"], batch["known"]
        time = torch.rand(len(clean), device=clean.device) * 0.98 + 0.02
        alpha, sigma = _schedule(time[:, None])
        noisy = alpha * clean + sigma * torch.randn_like(clean)
        with torch.autocast(clean.device.type, torch.bfloat16):  # a quarter less time; dancing is in float32
            guess = self(noisy, self._shaken(known), time, batch["role"])
        guess = guess.float()
        some = max(len(clean) // 4, 1)  # kinematics costs as much as the network: a quarter of the batch says enough
        truth, made = (self.decode(numbers[:some]) for numbers in (clean, guess))
        true_places, places = positions(truth), positions(made)
        wrong = (places - true_places).diff(dim=1) * self.config.fps  # (B, T-1, J, 3) m/s
        planted = (truth[:, 1:, POSE:] > 0.5) & (truth[:, :-1, POSE:] > 0.5)  # (B, T-1, 2)
        parts = {
            "coefficients": (guess - clean).square().mean(),
            "positions": (places - true_places).norm(dim=-1).mean(),
            "velocities": wrong.norm(dim=-1).mean(),
            "feet": (planted * wrong[:, :, TOES].norm(dim=-1)).mean(),
        }
        return sum(_WEIGHTS[name] * part for name, part in parts.items()), parts

    def _shaken(self, known: Tensor) -> Tensor:
        """`known` of a history with some noise on it, the same metres in every direction."""
        amount = torch.rand(len(known), 1, device=known.device)
        size = (self.config.history_noise * self.history_axes.norm(dim=0)).clamp(max=1.0)
        return known + amount * size * torch.randn_like(known)

    # ---- frames <-> numbers

    def know(self, history: Tensor) -> Tensor:
        """What a canonical history (B, H, FRAME) says, (B, known)."""
        return ((history - self.mean) * self.metres).flatten(1) @ self.history_axes

    def encode(self, future: Tensor) -> Tensor:
        """Coefficients (B, K) of a future (B, S+F, FRAME)."""
        return (future - self.mean).flatten(1) @ self.axes

    def decode(self, coefficients: Tensor) -> Tensor:
        """The future (B, S+F, FRAME) of coefficients (B, K)."""
        return (coefficients @ self.back).unflatten(1, (self.frames, FRAME)) + self.mean

    # ---- what is learned without gradients

    def begin(self, batch: dict[str, Tensor]) -> None:
        """Learn means, axes and the leads' usual pace from a large batch, before training.

        A rotation weighs as the distance it moves the body's joints by. Directions of the body are then scaled half way
        to equal variance, and the whole window is turned to its principal axes but not scaled: noise hides what is
        quick and small long before what is slow and large, so the network decides on steps first.
        """
        c = self.config
        frames = canonical(batch["frames"], c.history - 1)
        pace = positions(frames[batch["role"] > 0.5]).diff(dim=1).norm(dim=-1).mean((1, 2)).log()
        self.pace.copy_(torch.stack([pace.mean(), pace.std()]))
        self.mean.copy_(frames.mean((0, 1)))
        body = ((frames - self.mean) * self.metres).double()
        past = body[:, : c.history].flatten(1)
        values, axes = _principal(past, c.known)
        self.history_axes.copy_(axes / (values + 0.03**2).sqrt())  # 3 cm: what is finer than this says little
        values, vectors = _principal(body.flatten(0, 1), c.body)
        scale = (values + 0.01 * values.mean()) ** 0.25
        scale *= (values / scale.square()).mean().sqrt()
        future = (body[:, c.history - c.seam :] @ (vectors / scale)).flatten(1)
        values, turns = _principal(future, c.coefficients)
        turns = turns.unflatten(0, (self.frames, c.body))
        weights = self.metres.double()
        self.axes.copy_(torch.einsum("fc,tck->tfk", weights[:, None] * vectors / scale, turns).flatten(0, 1))
        self.back.copy_(torch.einsum("fc,tck->ktf", scale * vectors / weights[:, None], turns).flatten(1))
        self.spread.copy_(values.clamp(min=0.0).sqrt())

    # ---- dancing

    @torch.no_grad()
    def generate(self, seed: int, seconds: float, role: float = 1.0) -> Tensor:
        """A dance (T, FRAME) at config.fps, starting over the origin and kept near it by picking among futures."""
        c = self.config
        chance = torch.Generator().manual_seed(seed)
        self.eval()
        wanted = round(seconds * c.fps)
        dance = self.mean.expand(c.history, FRAME)  # nobody's pose: the first seconds forget it, and are left out
        while len(dance) < wanted + round(WARM_UP * c.fps):
            recent = dance[-c.history :]
            futures = _place(self.futures(canonical(recent[None], -1), c.candidates, role, chance), recent[-1])
            dance = torch.cat([dance, futures[self._pick(futures, chance)]])
        return dance[-wanted:]

    def futures(self, history: Tensor, count: int, role: float, chance: torch.Generator) -> Tensor:
        """Samples (count, F, FRAME) of what comes after a canonical history (1, H, FRAME)."""
        c = self.config
        known = self.know(history).expand(count, -1)
        roles = torch.full((count,), role)
        x = torch.randn(count, c.coefficients, generator=chance)
        times = torch.linspace(1.0, 0.0, c.sampling_steps + 1)
        for now, after in pairwise(times):
            (alpha, sigma), (alpha_next, sigma_next) = _schedule(now), _schedule(after)
            clean = self(x, known, now.expand(count), roles)
            clean += (x / alpha - clean) / (1.0 + (sigma / alpha / c.detail).square())
            x = alpha_next * clean + sigma_next * (x - alpha * clean) / sigma
        return self._close_seam(self.decode(x), history)

    def _close_seam(self, sampled: Tensor, history: Tensor) -> Tensor:
        """Let the sample leave from where the history is: the difference at the seam fades out (inertialisation)."""
        seam, half_life = self.config.seam, 3.0  # frames
        offset = history[:, -seam:] - sampled[:, :seam]
        speed = (offset[:, -1] - offset[:, 0]) / max(seam - 1, 1)
        frame = torch.arange(1, self.config.future + 1)[None, :, None]
        decay = 2.0 * math.log(2.0) / half_life
        fade = (offset[:, -1:] + (speed[:, None] + decay * offset[:, -1:]) * frame) * torch.exp(-decay * frame)
        return sampled[:, seam:] + fade

    def _pick(self, futures: Tensor, chance: torch.Generator) -> int:
        """A random future: likelier where it keeps to the stage, stands, and neither dozes, jerks nor cuts itself."""
        places = positions(futures)  # (B, F, J, 3)
        steps = places.diff(dim=1).norm(dim=-1)
        outside = (futures[:, -1, 0:3:2].norm(dim=-1) - self.config.stage_radius).clamp(min=0.0)
        sleepy = ((self.pace[0] - steps.mean((1, 2)).clamp(min=1e-4).log()) / self.pace[1]).clamp(min=0.0)
        jerky = (places.diff(n=2, dim=1).norm(dim=-1).amax((1, 2)) - JERK).clamp(min=0.0)
        low = (places[:, 1:, TOES, 1] < LOW_TOE).float()
        slide = (steps[..., TOES] * low).sum((1, 2)) / low.sum((1, 2)).clamp(min=1.0) * self.config.fps
        touch = APART - (places[:, :, _APART[0]] - places[:, :, _APART[1]]).norm(dim=-1)
        through = touch.clamp(min=0.0).sum(-1).mean(1)
        score = -20.0 * outside - 4.0 * sleepy - 100.0 * jerky - 4.0 * slide - 300.0 * through
        return int(torch.multinomial(score.softmax(0), 1, generator=chance))


# ---- geometry of a frame


def canonical(frames: Tensor, anchor: int) -> Tensor:
    """Frames (B, T, FRAME) seen from the ground under frame `anchor`'s hips, +Z where they face."""
    heading = _heading(frames[:, anchor])
    origin = frames[:, anchor, :3] * frames.new_tensor([1.0, 0.0, 1.0])
    return _turn(torch.cat([frames[..., :3] - origin[:, None], frames[..., 3:]], dim=-1), -heading)


def _place(frames: Tensor, anchor: Tensor) -> Tensor:
    """The inverse of `canonical`: frames (B, T, FRAME) put back where the world's frame `anchor` (FRAME,) stands."""
    turned = _turn(frames, _heading(anchor[None]).expand(len(frames)))
    return torch.cat([turned[..., :3] + anchor[:3] * anchor.new_tensor([1.0, 0.0, 1.0]), turned[..., 3:]], dim=-1)


def positions(frames: Tensor) -> Tensor:
    """Global joint positions (..., J, 3) of frames (..., FRAME)."""
    matrices = matrices_from_6d(frames[..., 3:POSE].unflatten(-1, (JOINTS, 6)))
    return global_positions(HUMANOID.parents, _OFFSETS, frames[..., :3], matrices)


def _heading(frames: Tensor) -> Tensor:
    """Yaw (B,) of the hips, from their left-pointing axis, which stays level when a dancer bends forwards."""
    return torch.atan2(-frames[:, 5], frames[:, 3])


def _turn(frames: Tensor, yaw: Tensor) -> Tensor:
    """Frames (B, T, FRAME) turned about the vertical axis through the origin by yaw (B,)."""
    cos, sin = yaw.cos()[:, None, None], yaw.sin()[:, None, None]
    x, y, z = frames[..., :9].unflatten(-1, (3, 3)).unbind(-1)  # root position, two columns of the hips' rotation
    turned = torch.stack([cos * x + sin * z, y, cos * z - sin * x], dim=-1).flatten(-2)
    return torch.cat([turned, frames[..., 9:]], dim=-1)


def _metres_per_unit() -> Tensor:
    """How far, in root mean square over joints, a unit of each number of a frame moves the body, (FRAME,)."""
    rest = torch.tensor(HUMANOID.rest_positions, dtype=torch.float32)
    square = torch.full((JOINTS,), 0.03**2)
    for joint in range(JOINTS):
        ancestor = HUMANOID.parents[joint]
        while ancestor >= 0:
            square[ancestor] += (rest[joint] - rest[ancestor]).square().sum() / JOINTS
            ancestor = HUMANOID.parents[ancestor]
    turn = (square / 2).sqrt().repeat_interleave(6)
    return torch.cat([torch.ones(3), turn, torch.full((2,), 0.05)])


def _principal(rows: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The `count` largest variances (count,) and their axes (D, count) of rows (N, D) about zero."""
    values, vectors = torch.linalg.eigh(rows.T @ rows / len(rows))
    return values[-count:].flip(0), vectors[:, -count:].flip(1)


def _schedule(time: Tensor) -> tuple[Tensor, Tensor]:
    """Signal and noise (cosine schedule) at time 0 (clean) .. 1 (noise)."""
    return (time * math.pi / 2).cos(), (time * math.pi / 2).sin()
