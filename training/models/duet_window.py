"""A windowed duet partner, the research's VAE: dancer 1's window -> dancer 2's window of the same frames.

From the research (MotionDuet's vae-rnn): windows of 64 frames of local joint quaternions, encoder and decoder as in
training.models.window_vae, 0.1 norm + 0.1 position (by forward kinematics, hips at the origin) + 1.0 rotation +
cyclic KL. Added, because a partner has to stand somewhere: three root channels. The dancer's are where the hips are in
the window's frame; the partner's are the way from the dancer's hips to theirs, frame by frame of the two windows, and
their height. The dancer's own path is known and is added outside the network. See window_vae for what else differs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from motion.skeleton import Skeleton
from training import dataset, loop
from training.models import window_vae
from training.models.window_vae import Decoder, Encoder, PoseLoss
from training.sequences import Batch, Sequences

if TYPE_CHECKING:
    from training.run import Run

Window = tuple[Tensor, Tensor]  # pose quaternions (B, T, J, 4) and root channels (B, T, 3)


@dataclass(frozen=True)
class Config(window_vae.Config):
    """ahead: frames by which the partner's window is later than the dancer's. The research has 0, and its partner is as
    late on stage as windows take; two hops (the latency of windows live) predict the partner for the moment itself.
    """

    ahead: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.ahead <= self.latency:
            raise ValueError(f"ahead must be 0..{self.latency}, the latency of a hop of {self.hop}, not {self.ahead}")


@dataclass(frozen=True)
class Training(loop.Config):
    """How to train. stride: frames between two training windows (the research declared it and did not use it)."""

    stride: int = 2


class DuetWindow(nn.Module):
    """See the module. `loss` trains it; `encode`, `sample` and `decode` are what the exported graph is made of."""

    def __init__(self, config: Config, skeleton: Skeleton) -> None:
        super().__init__()
        self.config, self.skeleton = config, skeleton
        self.encoder, self.decoder = Encoder(config, len(skeleton)), Decoder(config, len(skeleton))
        self.pose_loss = PoseLoss(config, skeleton)
        self.kl_weight = window_vae.kl_weight(config, 0)

    def start_epoch(self, epoch: int) -> None:
        """The KL weight follows its cycle, by epochs."""
        self.kl_weight = window_vae.kl_weight(self.config, epoch)

    def loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Total and parts; centimetres and radians as PoseLoss. In evaluation mode the latent is its mean."""
        seen, truth = views(batch)
        mu, sigma = self.encode(seen)
        latent = mu + sigma * torch.randn_like(mu) if self.training else mu
        total, parts = self.pose_loss(self.decoder(latent), truth)
        kl = window_vae.divergence(mu, sigma)
        return total + self.kl_weight * kl, parts | {"kl": kl}

    def encode(self, seen: Window) -> tuple[Tensor, Tensor]:
        """The dancer's window -> mu and sigma (B, latent)."""
        pose, root = seen
        return self.encoder(window_vae.one_sign(pose).flatten(2), root)


def views(batch: Batch) -> tuple[Window, Window]:
    """(dancer, partner) of a batch of training.sequences, in the window's frame, root channels as the module says."""
    middle = batch["dancer_root"].shape[1] // 2
    origin = batch["dancer_root"][:, middle]
    hips = window_vae.matrices(batch["dancer_rotations"][:, middle, 0])
    turn = window_vae.heading(hips[..., 0])
    dancer, partner = (window_vae.local_root(batch[f"{who}_root"], origin, turn) for who in ("dancer", "partner"))
    away = partner - dancer * dancer.new_tensor([1.0, 0.0, 1.0])
    poses = [window_vae.into_frame(batch[f"{who}_rotations"], turn) for who in ("dancer", "partner")]
    return (poses[0], dancer), (poses[1], away)


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
    return loop.by_gradient(replace(run, model=replace(run.model, fps=rates[0])))
