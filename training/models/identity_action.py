"""Who moves, what is done, and the pose now, told apart: after DisentanglingSequences (VDSM, arXiv 2103.07292).

Stage 1 learns frames. Every frame gives numbers u of who moves; their mean over time, sharpened, is s, a mixture of
experts whose weights the decoder blends; z_t is the rest, read with s known. s comes from another sequence of the same
identity, so that it can say nothing about what is done; z costs much at first, so that s has to be used. Stage 2 keeps
all that still and learns how z goes on: d, a posterior, and a prior that goes on for ever
(training.models.identity_action_sequence). docs/identity_action.md says what differs from the original, and why.
Shapes: B sequences, T frames, E experts, Z numbers of a frame, D of a sequence's dynamics.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from motion.skeleton import Skeleton
from training.models import identity_action_images as images
from training.models import identity_action_older as older
from training.models.identity_action_config import FRAMES, SEQUENCES, Config
from training.models.identity_action_frames import MotionFrames
from training.models.identity_action_judges import Critic, Judges, SequenceCritic
from training.models.identity_action_losses import frames_loss, sequences_loss
from training.models.identity_action_parts import SHARP, Blended, spread, with_identity
from training.models.identity_action_sequence import Dynamics, Gaussian, Posterior, Transition, wandering
from training.models.identity_action_tempo import Tempo, at_rate

PARTS = {
    FRAMES: ("frames", "who", "now", "usual", "tempo"),
    SEQUENCES: ("dynamics", "posterior", "prior"),
}  # what each leaves behind
IDENTITY_WIDTH = 128


class IdentityAction(nn.Module):
    """See the module."""

    def __init__(self, config: Config, skeleton: Skeleton) -> None:
        super().__init__()
        self.config, self.skeleton = config, skeleton
        c, identities, actions = config, len(config.identities), len(config.actions)
        self.statistics = 1024 if c.images is None else 16  # windows; pictures are large
        self.frames = (
            MotionFrames(c.latent, c.experts, c.hidden)
            if c.images is None
            else images.ImageFrames(c.images, latent=c.latent, experts=c.experts)
        )
        width = self.frames.width
        self.who = nn.Sequential(nn.Linear(width, IDENTITY_WIDTH), nn.SiLU(), nn.Linear(IDENTITY_WIDTH, 2 * c.experts))
        self.usual = nn.Embedding(max(identities, 1), c.experts)  # u as it is in the mean of an identity
        nn.init.zeros_(self.usual.weight)
        self.now = Blended(c.experts, width + c.experts, 2 * c.latent)
        self.tempo = Tempo(identities, actions)
        self.dynamics = Dynamics(c.latent, c.dynamics_rnn, c.dynamics, c.dropout, c.stride)
        self.posterior = Posterior(c.latent, c.rnn, c.rnn_layers, c.dynamics)
        self.prior = Transition(c.latent, c.hidden, c.dynamics)
        self.frame_critic = SequenceCritic(c.latent, identities)
        self.critic = Critic(c.dynamics, identities)
        self.action = nn.Linear(c.dynamics, max(actions, 1))
        judges = identities, actions, c.judges, c.judge_width
        self.judge = Judges(self.frames.views, *judges) if self.judged else None
        owner = torch.arange(c.experts) % max(identities, 1)
        self.register_buffer("owners", (owner == torch.arange(max(identities, 1))[:, None]).float())  # (identities, E)
        taught = {FRAMES: (*PARTS[FRAMES], "frame_critic", "judge"), SEQUENCES: ("critic", "action", "usual")}
        taught[SEQUENCES] += PARTS[SEQUENCES]
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(name.partition(".")[0] in taught[c.stage])
        self.epochs = 0  # of the stage's run, 0: not in a run
        self.progress = 1.0

    @property
    def judged(self) -> bool:
        """Whether swaps are looked at while training."""
        return any(self.config.recognised_loss) and getattr(self.frames, "views", 0) > 0

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Older weights, too. Raises ValueError naming what is missing."""
        return super().load_state_dict(older.brought_up(state_dict, self.state_dict()), strict, assign)

    def train(self, mode: bool = True) -> IdentityAction:
        """What stage 2 keeps still says in training what it says in use."""
        super().train(mode)
        self.who.train(mode and self.config.stage == FRAMES)
        return self

    def start_epoch(self, epoch: int) -> None:
        """Weights follow their anneals, epoch by epoch."""
        self.progress = epoch / max(self.epochs - 1, 1) if self.epochs else 1.0

    def fit_statistics(self, batch: dict[str, Tensor]) -> None:
        """What is usual, of many windows; stage 2 has it from stage 1."""
        if self.config.stage == FRAMES:
            self.frames.fit(batch["x"])
            if self.judge is not None:
                self.judge.fit(self.frames.view(batch["x"]))
            if self.config.timed:
                self.tempo.fit(batch["x"], batch["identity"], batch["action"])

    def loss(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """In nats a frame. x, pair (B, T, ...), identity, action (B,). Where pictures are dear, x and pair are part of
        the window, from its frame `first` (B,) on, and stage 2 has what was read of all of it, `read` (B, T, width).
        """
        return frames_loss(self, batch) if self.config.stage == FRAMES else sequences_loss(self, batch)

    # ---- parts

    def identity(self, read: Tensor) -> Gaussian:
        """u (B, E) of what was read of frames (B, T, width): the mean over time of what each says."""
        mu, raw = self.who(read).chunk(2, dim=2)
        return mu.mean(dim=1), spread(raw).mean(dim=1)

    def mixture(self, u: Tensor) -> Tensor:
        """s (B, E), of sum one, of u (B, E): sharper with the temperature."""
        return (u * self._temperature()).clamp(-SHARP, SHARP).softmax(dim=1)

    def asked(self, shares: Tensor) -> Tensor:
        """s (B, E) of shares (B, identities) that known identities have; all 0 are as many of each."""
        every = self.mixture(self.usual.weight)
        shares = shares.clamp(min=0.0) + 1e-6
        return (shares / shares.sum(dim=1, keepdim=True)) @ every

    def now_of(self, read: Tensor, s: Tensor) -> Gaussian:
        """z (B, T, Z) of what was read of frames (B, T, width) of somebody who is s (B, E)."""
        mu, raw = self.now(with_identity(read, s), s).chunk(2, dim=2)
        return mu, spread(raw)

    def read(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """s (B, E) and what is read of every frame, e (B, T, Z), of sequences x (B, T, ...); means."""
        return self.known(self.frames.encode(x))

    def known(self, read: Tensor) -> tuple[Tensor, Tensor]:
        """The same of what was read of frames (B, T, width)."""
        s = self.mixture(self.identity(read)[0])
        return s, self.now_of(read, s)[0]

    def weight(self, name: str) -> float:
        """What a term of the loss costs now, by its name in the config."""
        return getattr(self.config, name).at(self.progress)

    def _temperature(self) -> float:
        """Stage 2 begins where stage 1 has come to: what is kept still is to be what it was."""
        return self.config.temperature.at(self.progress if self.config.stage == FRAMES else 1.0)

    # ---- use: means, no chance but where it is given

    @torch.no_grad()
    def codes(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """s (B, E) and d (B, D) of sequences x (B, T, ...)."""
        s, e = self.read(x)
        return s, self.dynamics(e)[0]

    @torch.no_grad()
    def reconstruct(self, x: Tensor) -> Tensor:
        """Sequences x (B, T, ...) as they come back."""
        s, e = self.read(x)
        return self.danced(self.followed(e, self.dynamics(e)[0]), s)

    @torch.no_grad()
    def swap(self, content: Tensor, identity_from: Tensor, frame_by_frame: bool = False) -> Tensor:
        """What is done in content (B, T, ...), by whom identity_from (B, T', ...) shows.

        frame_by_frame: by stage 1 alone, as what is read of every frame says; otherwise d is read and followed, as
        quickly as whoever is shown does such things.
        """
        (own, e), asked = self.read(content), self.read(identity_from)[0]
        if frame_by_frame:
            return self.danced(e, asked)
        d = self.dynamics(e)[0]
        if self.config.timed:
            now, then = (s @ self.owners.T for s in (own, asked))
            rate = self.tempo(now, then, self.action(d).softmax(dim=1))
            e = self.now_of(self.frames.encode(at_rate(content, rate)), own)[0]
        return self.danced(self.followed(e, d), asked)

    @torch.no_grad()
    def transfer(self, begins_as: Tensor, action_from: Tensor, length: int) -> Tensor:
        """Whoever is in begins_as (B, T, ...) goes on from its first pose as d of action_from says, by the prior."""
        s, e = self.read(begins_as)
        d = self.dynamics(self.read(action_from)[1])[0]
        return self.danced(self.gone_on(e, d, length), s)

    @torch.no_grad()
    def generate(self, x: Tensor, length: int) -> Tensor:
        """Sequences (B, length, ...) that begin as x (B, T, ...) and go on by the prior's means, with s and d of x."""
        return self.transfer(x, x, length)

    @torch.no_grad()
    def vary(self, x: Tensor, amount: float, random: torch.Generator) -> Tensor:
        """Sequences x (B, T, ...) danced from d alone, which is moved by `amount` deviations of its prior."""
        s, e = self.read(x)
        d = self.dynamics(e)[0]
        d = d + amount * self.config.dynamics_spread * torch.randn(d.shape, generator=random)
        return self.danced(self.followed(e, d, known=False), s)

    @torch.no_grad()
    def sample(self, count: int, length: int, random: torch.Generator, chance: float = 1.0) -> Tensor:
        """Sequences (count, length, ...) of the prior: u, d, z_0, and z_t as it goes on. Chance scales noise: of z_0,
        and of what comes after, where it wanders as on stage.
        """
        c = self.config
        u, d, first, noise = (
            torch.randn(shape, generator=random)
            for shape in ((count, c.experts), (count, c.dynamics), (count, c.latent), (count, length, c.latent))
        )
        d = d * c.dynamics_spread
        mu, sd = self.prior.begin(d)
        z = mu + chance * sd * first
        walked = self.prior.walk(z, z, d, length - 1, chance * wandering(noise))
        return self.danced(torch.cat([z[:, None], walked], dim=1), self.mixture(u * c.identity_spread))

    def followed(self, e: Tensor, d: Tensor, known: bool = True) -> Tensor:
        """The posterior's means (B, T, Z) of what was read, e (B, T, Z), or of d (B, D) alone."""
        return self.posterior(e, d, torch.full((len(e),), float(known)), torch.zeros_like(e)).z

    def gone_on(self, e: Tensor, d: Tensor, length: int) -> Tensor:
        """The first two of what was read, e (B, T, Z), and how the prior goes on with d (B, D): (B, length, Z)."""
        return torch.cat([e[:, :2], self.prior.walk(e[:, 1], e[:, 0], d, max(length - 2, 0))], dim=1)[:, :length]

    def danced(self, z: Tensor, s: Tensor) -> Tensor:
        """Frames (B, T, ...) of z (B, T, Z) by whom s (B, E) says."""
        return self.frames.finish(self.frames.decode(z, s))
