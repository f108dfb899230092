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

    cycle_share: of every batch, the windows that do so, because they cost more than others. It is all of them or one in
    two, in three, ..., whichever is nearest: 0.7 is a half.
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
        """Total and parts, means of the two dancers. In evaluation mode the latent is its mean.

        Both dancers' windows go through each network at once, and with a decoder's own those that the other dancer
        is to dance: a network takes hardly longer for them.
        """
        count, config = len(batch["dancer_root"]), self.config
        seen = [window_vae.view(batch, who, config) for who in ("dancer", "partner")]
        truth, path = _joined([window for window, _ in seen]), Carriage(*_joined([path for _, path in seen]))
        mu, sigma = self.encoder(truth, path)
        chance = torch.randn(count, 2, config.latent, device=mu.device) if self.training else mu.new_zeros(count, 2, 1)
        one, two = (mu + sigma * chance.transpose(0, 1).flatten(0, 1)).split(count)
        some = _cycled(count, config)
        made1, made2 = self.decoder1(torch.cat([one, two[some]])), self.decoder2(torch.cat([two, one[some]]))
        total, parts = self.pose_loss(_joined([_first(made1, count), _first(made2, count)]), truth)
        parts |= {"kl": window_vae.divergence(mu, sigma), "cycle": total.new_zeros(())}
        if config.cycle_loss:
            again = torch.cat([torch.arange(count)[some], torch.arange(count)[some] + count])
            other = unit(_joined([_rest(made2, count), _rest(made1, count)]))
            back1, back2 = self.encoder(other, Carriage(path.place[again], path.left[again]))[0].chunk(2)
            back = _joined([self.decoder1(back1), self.decoder2(back2)])
            parts["cycle"] = self.pose_loss(back, (truth[0][again], truth[1][again]))[0]
        return total + self.kl_weight * parts["kl"] + config.cycle_loss * parts["cycle"], parts


def _cycled(count: int, config: Config) -> slice:
    """Of so many windows those that go to the other dancer and back: evenly spread, the same in any process."""
    below = int(1.0 / config.cycle_share)
    every = min(below, below + 1, key=lambda each: abs(1.0 / each - config.cycle_share))
    return slice(0, None if config.cycle_loss else 0, every)


def _joined(windows: Sequence[Window]) -> Window:
    first, second = zip(*windows, strict=True)
    return torch.cat(first), torch.cat(second)


def _first(made: Window, count: int) -> Window:
    return made[0][:count], made[1][:count]


def _rest(made: Window, count: int) -> Window:
    return made[0][count:], made[1][count:]


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
