"""A windowed duet partner, the research's VAE: dancer 1's window -> dancer 2's window of the same frames.

From the research (MotionDuet's vae-rnn): windows of 64 frames of local joint quaternions, encoder and decoder as in
training.models.window_vae, 0.1 norm + 0.1 position (by forward kinematics, hips at the origin) + 1.0 rotation +
cyclic KL. Added, because a partner has to stand somewhere: `Placement`, which says of every frame where the partner
goes and faces, seen from the dancer. It does not pass through the latent: where somebody stands must be right, and 32
numbers for what a whole window does leave half a metre open.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from motion.skeleton import Skeleton
from training import dataset, kinematics, loop, losses
from training.models import carriage, window_losses, window_vae
from training.models.carriage import Carriage
from training.models.window_losses import CENTIMETRES, PoseLoss
from training.models.window_vae import Decoder, Encoder, Standard, Window
from training.run import Run, by_gradient
from training.sequences import Batch, Sequences

EVERY = 4  # frames of a window of which one trains the placement: its neighbours hardly differ
PAST = (1 / 8, 1 / 4, 3 / 8, 1 / 2, 3 / 4)  # of a window: how long ago the dancer's poses are that place the partner


@dataclass(frozen=True)
class Config(window_vae.Config):
    """ahead: frames by which the partner's window is later than the dancer's. The research has 0, and its partner is as
    late on stage as windows take; two hops (the latency of windows live) predict the partner for the moment itself.
    """

    ahead: int = 0
    placement_width: int = 256
    placement_dropout: float = 0.3
    placement_noise: float = 0.2  # on what it sees, in standardised units, while it trains
    placement_loss: float = 0.1  # a centimetre
    facing_loss: float = 3.0  # of the distance between unit vectors

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.ahead <= self.latency:
            raise ValueError(f"ahead must be 0..{self.latency}, the latency of a hop of {self.hop}, not {self.ahead}")


@dataclass(frozen=True)
class Training(loop.Config):
    """How to train. stride: frames between two training windows (the research declared it and did not use it)."""

    stride: int = 2


class Placement(nn.Module):
    """From what the dancer does now and did before: the partner's place and heading as seen from the dancer's carriage.

    A small network, frame by frame and with no look ahead: as good at a window's end, which is what is shown live.
    """

    def __init__(self, config: Config, skeleton: Skeleton) -> None:
        super().__init__()
        self.parents, self.noise = skeleton.parents, config.placement_noise
        self.lags = sorted({max(1, round(share * config.window)) for share in PAST})
        seen, width = 3 * (len(skeleton) + (len(skeleton) + 1) * len(self.lags)), config.placement_width
        self.standard = Standard(seen)
        self.layers = nn.Sequential(
            nn.Linear(seen, width),
            nn.SiLU(),
            nn.Dropout(config.placement_dropout),
            nn.Linear(width, width),
            nn.SiLU(),
            nn.Dropout(config.placement_dropout),
            nn.Linear(width, 4),
        )
        self.register_buffer("offsets", torch.tensor(skeleton.offsets, dtype=torch.float32), persistent=False)

    def forward(self, seen: Window, path: Carriage, every: int = 1) -> Tensor:
        """The dancer's window and carriage -> x, z and heading (B, T / every, 4)."""
        features = self.standard(self.features(seen, path, every))
        return self.layers(features + self.noise * torch.randn_like(features) if self.training else features)

    @torch.no_grad()
    def features(self, seen: Window, path: Carriage, every: int = 1) -> Tensor:
        """Joints now, and joints and a nose of a metre before, all seen from the carriage of now, metres.

        (B, T / every, F), one frame of so many. Before the window's beginning the dancer stands as in its first frame.
        """
        pose, sway = seen
        now = kinematics.global_positions(self.parents, self.offsets, sway, window_vae.matrices(pose))  # (B, T, J, 3)
        nose = torch.zeros_like(now[:, :, :1]) + now.new_tensor([0.0, 0.0, 1.0])
        turns, origin = path.turns, path.origin[:, :, None]
        world = torch.cat([now, nose], dim=2) @ turns.transpose(-1, -2) + origin
        frames = torch.arange(0, now.shape[1], every, device=now.device)
        turns, origin = turns[:, frames], origin[:, frames]
        past = [(world[:, (frames - lag).clamp(min=0)] - origin) @ turns for lag in self.lags]
        return torch.cat([now[:, frames], *past], dim=2).flatten(2)


class DuetWindow(nn.Module):
    """See the module. `loss` trains it; what else it has is what the exported graph is made of."""

    def __init__(self, config: Config, skeleton: Skeleton) -> None:
        super().__init__()
        self.config, self.skeleton = config, skeleton
        self.encoder, self.decoder = Encoder(config, len(skeleton)), Decoder(config, len(skeleton))
        self.placement = Placement(config, skeleton)
        self.pose_loss = PoseLoss(config, skeleton)
        self.kl_weight = window_vae.kl_weight(config, 0)

    def start_epoch(self, epoch: int) -> None:
        """The KL weight follows its cycle, by epochs."""
        self.kl_weight = window_vae.kl_weight(self.config, epoch)

    def loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Total and parts; centimetres and radians as PoseLoss. In evaluation mode the latent is its mean."""
        config = self.config
        seen, path = window_vae.view(batch, "dancer", config)
        truth, way = window_vae.view(batch, "partner", config)
        mu, sigma = self.encoder(seen, path)
        latent = mu + sigma * torch.randn_like(mu) if self.training else mu
        total, parts = self.pose_loss(self.decoder(latent), truth)
        every = EVERY if self.training else 1
        made, target = self.placement(seen, path, every), relative(way, path)[:, ::every]
        parts |= {
            "kl": window_losses.divergence(mu, sigma),
            "placement": losses.distance(made[..., :2], target[..., :2]) * CENTIMETRES,
            "facing": losses.distance(made[..., 2:], target[..., 2:]),
        }
        total = total + self.kl_weight * parts["kl"]
        return total + config.placement_loss * parts["placement"] + config.facing_loss * parts["facing"], parts

    def placed(self, seen: Window, path: Carriage, distance: Tensor) -> Carriage:
        """The partner's carriage beside a dancer's; distance (B, 1): metres added between the two."""
        made = self.placement(seen, path)
        away, left = made[..., :2], F.normalize(made[..., 2:], dim=-1, eps=1e-8)
        away = away + away / away.norm(dim=-1, keepdim=True).clamp(min=1e-3) * distance[:, None]
        back = path.turns[:, :, 0::2, 0::2].transpose(-1, -2)
        place, left = ((each[:, :, None] @ back)[:, :, 0] for each in (away, left))
        smooth = carriage.smoothing(self.config.window, self.config.carriage * self.config.window).to(place)
        return Carriage(smooth @ (path.place + place), carriage.smooth_headings(left, smooth))


def relative(way: Carriage, path: Carriage) -> Tensor:
    """Places and headings (B, T, 4) of one carriage as seen from another, frame by frame."""
    turns = path.turns[:, :, 0::2, 0::2]
    return torch.cat([((each[:, :, None]) @ turns)[:, :, 0] for each in (way.place - path.place, way.left)], dim=-1)


def windows(run: Run, pairs: Sequence[dataset.Pair], augment: bool) -> Sequences:
    """What the model is trained on and, without `augment`, judged on while it trains."""
    config, data = run.model, run.data
    if not augment:
        return Sequences(pairs, run.skeleton, config.window, config.hop, ahead=config.ahead)
    stride = run.training.stride
    return Sequences(pairs, run.skeleton, config.window, stride, data.mirror, data.swap_roles, config.ahead)


def train(run: Run) -> Path:
    """As training.loop; the model keeps the rate of its recordings, because a window of frames means a time."""
    rates = sorted({round(pair.fps, 3) for pair in run.trained})
    if len(rates) > 1:
        raise ValueError(f"windows need one rate; the takes have {', '.join(map(str, rates))} fps: set data.fps")
    if run.model.fps not in (0.0, rates[0]):
        raise ValueError(f"model.fps is {run.model.fps:g} and the recordings are read at {rates[0]:g}; leave it out")
    return by_gradient(replace(run, model=replace(run.model, fps=rates[0])))
