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

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from motion.skeleton import Skeleton
from training import dataset
from training.models import duet_window, principal, window_losses, window_vae
from training.models.carriage import Carriage
from training.models.window_losses import PoseLoss
from training.models.window_vae import Decoder, Encoder, Window
from training.reversal import Reversed
from training.run import Run
from training.sequences import Batch, Sequences

Training = duet_window.Training
train = duet_window.train


@dataclass(frozen=True)
class Config(window_vae.Config):
    """cycle_loss: of the pose loss after going to the other dancer and back; 0 is the research's training.

    cycle_share: of every batch, the windows that do so, because they cost more than others. It is all of them or one in
    two, in three, ..., whichever is nearest: 0.7 is a half.

    latent_cycle_loss: of the distance between the latents before the cycle and half way through it.

    critic_loss: how strongly the encoder is to deceive a critic, a small network that tells from a latent who danced
    (Fader Networks, Lample et al. 2017; by reversed gradients, Ganin et al. 2016). What a decoder is then given of the
    other dancer is like what it was trained on.

    style_loss: the same of two critics that see windows, and tell one dancer's own from the other's danced as theirs.

    critic_epochs: over so many at the beginning critic_loss and style_loss rise to what they are.

    principal: principal components of the windows go past the LSTMs, see training.models.principal.
    """

    cycle_loss: float = 0.5
    cycle_share: float = 0.25
    latent_cycle_loss: float = 0.0
    critic_loss: float = 0.0
    style_loss: float = 0.0
    critic_epochs: int = 10
    principal: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0.0 < self.cycle_share <= 1.0:
            raise ValueError(f"cycle_share must be above 0 and at most 1, not {self.cycle_share}")
        for name in ("cycle_loss", "latent_cycle_loss", "critic_loss", "style_loss"):
            if not getattr(self, name) >= 0.0:
                raise ValueError(f"{name} must be at least 0, not {getattr(self, name)}")
        if self.critic_epochs < 1:
            raise ValueError(f"critic_epochs must be at least 1, not {self.critic_epochs}")
        if not self.cycle_loss and (self.latent_cycle_loss or self.style_loss):
            raise ValueError("latent_cycle_loss and style_loss are of windows that cycle: cycle_loss must be above 0")
        if self.style_loss and not self.principal:
            raise ValueError("style_loss judges principal components: it needs principal: true")


class Deepfake(nn.Module):
    """See the module. decoders: dancer 1's and dancer 2's, who are the leads and the follows of the recordings."""

    def __init__(self, config: Config, skeleton: Skeleton) -> None:
        super().__init__()
        self.config, self.skeleton = config, skeleton
        joints = len(skeleton)
        self.encoder = Encoder(config, joints, config.principal)
        self.decoder1, self.decoder2 = (Decoder(config, joints, config.principal) for _ in range(2))
        self.critic = Critic(config.latent) if config.critic_loss else None
        self.style_critics = (
            nn.ModuleList(Critic(config.latent + joints + 1) for _ in range(2)) if config.style_loss else None
        )
        self.pose_loss = PoseLoss(config, skeleton)
        self.statistics = principal.WINDOWS if config.principal else 0  # windows that fit_statistics is to see
        self.kl_weight, self.critic_weight = window_vae.kl_weight(config, 0), 1.0

    @torch.no_grad()
    def fit_statistics(self, batch: Batch) -> None:
        """The principal components of windows, of as many of each dancer."""
        windows = _joined([window_vae.view(batch, who, self.config)[0] for who in ("dancer", "partner")])
        self.encoder.principal.fit(window_vae.channels(windows))
        for decoder in (self.decoder1, self.decoder2):
            decoder.principal.load_state_dict(self.encoder.principal.state_dict())

    def start_epoch(self, epoch: int) -> None:
        """The KL weight follows its cycle and those of critics rise, by epochs."""
        self.kl_weight = window_vae.kl_weight(self.config, epoch)
        self.critic_weight = min((epoch + 1) / self.config.critic_epochs, 1.0)

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
        parts |= {"kl": window_losses.divergence(mu, sigma), "cycle": total.new_zeros(())}
        if config.cycle_loss:
            again = torch.cat([torch.arange(count)[some], torch.arange(count)[some] + count])
            other = unit(_joined([_rest(made2, count), _rest(made1, count)]))
            half_way = self.encoder(other, Carriage(path.place[again], path.left[again]))[0]
            back1, back2 = half_way.chunk(2)
            back = _joined([self.decoder1(back1), self.decoder2(back2)])
            parts["cycle"] = self.pose_loss(back, (truth[0][again], truth[1][again]))[0]
            total = total + config.cycle_loss * parts["cycle"]
            if config.latent_cycle_loss:
                parts["latent_cycle"] = (half_way - mu[again]).square().mean()
                total = total + config.latent_cycle_loss * parts["latent_cycle"]
            if self.style_critics is not None:
                own, made = (self._manner(each) for each in (truth, other))
                pairs = zip(self.style_critics, own.chunk(2), reversed(made.chunk(2)), strict=True)
                weight = self.critic_weight * config.style_loss
                parts["style"] = torch.stack([critic(true, fake, weight) for critic, true, fake in pairs]).mean()
                total = total + parts["style"]
        if self.critic is not None:
            parts["critic"] = self.critic(*mu.chunk(2), self.critic_weight * config.critic_loss)
            total = total + parts["critic"]
        return total + self.kl_weight * parts["kl"], parts

    def _manner(self, window: Window) -> Tensor:
        """What the critics of windows see: principal components, and how fast every joint turns and the hips sway."""
        channels = window_vae.channels(window)
        steps = channels.diff(dim=1) * self.config.fps
        turns = steps[..., :-3].unflatten(-1, (-1, 4)).square().sum(-1)
        sway = steps[..., -3:].square().sum(-1, keepdim=True)
        speeds = torch.cat([turns, sway], dim=-1).add(1e-6).sqrt().mean(1)
        return torch.cat([self.encoder.principal.read(channels), speeds], dim=-1)


class Critic(nn.Module):
    """Tells two kinds of vectors apart, and so teaches who makes them that they should not be."""

    def __init__(self, size: int, width: int = 128) -> None:
        super().__init__()
        sizes = [(size, width), (width, width)]
        layers = [layer for each in sizes for layer in (nn.Linear(*each), nn.LeakyReLU(0.2))]
        self.layers = nn.Sequential(*layers, nn.Linear(width, 1))

    def forward(self, one: Tensor, two: Tensor, weight: float) -> Tensor:
        """The cross entropy of what it says about vectors (B, size) of the one and of the other kind.

        Its gradient makes the critic better, and, times `weight`, what made the vectors a better deceiver.
        """
        said = [self.layers(Reversed.apply(each, weight))[:, 0] for each in (one, two)]
        return 0.5 * (F.softplus(said[0]).mean() + F.softplus(-said[1]).mean())


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
