"""One dancer's motion as another would dance it: one encoder, two decoders, trained as two autoencoders.

From the research (MotionDuet's vae-rnn_deepfake): x1 -> D1(E(x1)), x2 -> D2(E(x2)) with the losses of duet_window,
summed; D2(E(x1)) is dancer 1's motion danced by dancer 2. Which windows are paired does not matter. Added:
* a cycle: x1 -> E -> D2 -> E -> D1 should be x1 again (and the other way round), so that what a translated window
  keeps is what the other decoder needs. Nothing in the research asks that of E and D2 together.
* the dancer's carriage (training.models.carriage) passes by the networks: whose dance it is goes on in the same
  places, and the decoders say how it is danced there, with their own steps, sways and turns of the hips.
* at run time both decoders are heard, and `mix` goes continuously from dancer 1's to dancer 2's.
How far a translation goes is measured after training: training/results/style.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from motion.skeleton import Skeleton
from training import dataset
from training.models import duet_window, window_vae
from training.models.carriage import Carriage
from training.models.window_vae import Decoder, Encoder, PoseLoss, Window
from training.sequences import Batch, Sequences

if TYPE_CHECKING:
    from training.run import Run

Training = duet_window.Training
train = duet_window.train


@dataclass(frozen=True)
class Config(window_vae.Config):
    """cycle_loss: of the pose loss after going to the other dancer and back; 0 is the research's training.

    cycle_share: of every batch, the windows that do so, because they cost four times the others.
    """

    cycle_loss: float = 0.5
    cycle_share: float = 0.25

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0.0 < self.cycle_share <= 1.0:
            raise ValueError(f"cycle_share must be above 0 and at most 1, not {self.cycle_share}")


class Deepfake(nn.Module):
    """See the module. decoders: dancer 1's and dancer 2's, who are the leads and the follows of the recordings."""

    def __init__(self, config: Config, skeleton: Skeleton) -> None:
        super().__init__()
        self.config, self.skeleton = config, skeleton
        joints = len(skeleton)
        self.encoder = Encoder(config, joints)
        self.decoder1, self.decoder2 = Decoder(config, joints), Decoder(config, joints)
        self.pose_loss = PoseLoss(config, skeleton)
        self.kl_weight = window_vae.kl_weight(config, 0)

    def start_epoch(self, epoch: int) -> None:
        """The KL weight follows its cycle, by epochs."""
        self.kl_weight = window_vae.kl_weight(self.config, epoch)

    def loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Total and parts, means of the two dancers. In evaluation mode the latent is its mean."""
        totals, sums = [], {}
        for who, own, other in (
            ("dancer", self.decoder1, self.decoder2),
            ("partner", self.decoder2, self.decoder1),
        ):
            truth, path = window_vae.view(batch, who, self.config)
            mu, sigma = self.encoder(truth, path)
            latent = mu + sigma * torch.randn_like(mu) if self.training else mu
            total, parts = self.pose_loss(own(latent), truth)
            parts["kl"] = window_vae.divergence(mu, sigma)
            parts["cycle"] = self.cycle(latent, truth, path, own, other)
            totals.append(total + self.kl_weight * parts["kl"] + self.config.cycle_loss * parts["cycle"])
            sums = {name: sums.get(name, 0.0) + 0.5 * part for name, part in parts.items()}
        return 0.5 * sum(totals), sums

    def cycle(self, latent: Tensor, truth: Window, path: Carriage, own: Decoder, other: Decoder) -> Tensor:
        """The pose loss of a dancer's windows after the other dancer has danced them."""
        if not self.config.cycle_loss:
            return latent.new_zeros(())
        some = slice(math.ceil(len(latent) * self.config.cycle_share))
        back, _ = self.encoder(unit(other(latent[some])), Carriage(path.place[some], path.left[some]))
        return self.pose_loss(own(back), (truth[0][some], truth[1][some]))[0]


def unit(made: Window) -> Window:
    """A decoded window with quaternions of length one."""
    return F.normalize(made[0], dim=-1, eps=1e-8), made[1]


def mixed(one: Window, two: Window, mix: Tensor) -> Window:
    """Between two windows, mix (B, 1): 0 is the first, 1 the second, exactly; rotations the short way (nlerp)."""
    share = mix[:, :, None]
    (a, sway_a), (b, sway_b) = unit(one), unit(two)
    near = torch.where((a * b).sum(-1, keepdim=True) < 0, -b, b)
    q = F.normalize(a + share[..., None] * (near - a), dim=-1, eps=1e-8)
    return q, sway_a + share * (sway_b - sway_a)


def windows(run: Run, pairs: Sequence[dataset.Pair], augment: bool) -> Sequences:
    """As duet_window, but roles are never exchanged, whatever data.swap_roles says: a decoder is one dancer."""
    config = run.model
    if not augment:
        return Sequences(pairs, run.skeleton, config.window, config.hop)
    return Sequences(pairs, run.skeleton, config.window, run.training.stride, run.data.mirror)
