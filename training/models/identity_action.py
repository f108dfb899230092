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
from training.labels import NONE
from training.models import identity_action_images as images
from training.models import identity_action_older as older
from training.models.identity_action_config import FRAMES, SEQUENCES, Config
from training.models.identity_action_frames import MotionFrames
from training.models.identity_action_judges import Critic, Judges, SequenceCritic, known_cross_entropy
from training.models.identity_action_parts import SHARP, Blended, divergence, spread, with_identity
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
        return self._frames_loss(batch) if self.config.stage == FRAMES else self._sequences_loss(batch)

    # ---- stage 1

    def _frames_loss(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        c, x, who = self.config, batch["x"], batch["identity"]
        u_mu, u_sd = self.identity(self.frames.encode(batch["pair"]))
        s = self.mixture(u_mu + u_sd * torch.randn_like(u_sd))
        z_mu, z_sd = self.now_of(self.frames.encode(x), s)
        z = z_mu + z_sd * torch.randn_like(z_sd)
        parts = {
            "error": self.frames.nats(self.frames.decode(z, s), x).mean(),
            "frame_nats": divergence(z_mu, z_sd, 0.0, 1.0).mean(),
            "identity_nats": divergence(u_mu, u_sd, 0.0, c.identity_spread).mean(),
        }
        total = self._unusual(u_mu, who) + parts["error"] + self._at("frame_kl") * parts["frame_nats"]
        total = total + self._at("identity_kl") * parts["identity_nats"]
        total = total + c.apart_loss * sum(each.apart() for each in self.modules() if isinstance(each, Blended))
        if c.identity_loss:
            parts["unlike_label"] = self._unlike_label(s, who)
            total = total + c.identity_loss * parts["unlike_label"]
        if c.critic_loss:
            parts["critic"] = self.frame_critic(z_mu, who, c.critic_loss)
            total = total + parts["critic"]
        if self.judge is not None:
            learned, swaps = self._judged(batch, z, s)
            parts |= {"swapped_who": swaps[0], "swapped_what": swaps[1]}
            risen = min(self.progress / 0.3, 1.0)
            weighed = sum(weight * each for weight, each in zip(c.recognised_loss, swaps, strict=True))
            total = total + sum(learned) + risen * weighed
        return total, parts

    def _judged(self, batch: dict[str, Tensor], z: Tensor, s: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """How badly a judge knows recordings, and swaps: everybody's z with the s of somebody else."""
        x, who, what = batch["x"], batch["identity"], batch["action"]
        learned = self.judge.loss(self.frames.view(x), who, what)
        other = torch.randperm(len(s), device=s.device)
        if self.config.timed:
            z = self.now_of(self.frames.encode(at_rate(x, self.tempo.known(who, who[other], what))), s)[0]
        made = self.frames.view(self.frames.decode(z, s[other].detach()))
        return learned, self.judge.loss(made, who[other], what, still=True)

    def _unusual(self, u: Tensor, who: Tensor) -> Tensor:
        """How far u (B, E) is from what is usual of its identity, in squares; nobody but `usual` learns from it."""
        known = (who != NONE).float()[:, None]
        off = (self.usual(who.clamp(min=0)) - u.detach()).square() * known
        return off.sum() / known.sum().clamp(min=1.0)

    def _unlike_label(self, s: Tensor, who: Tensor) -> Tensor:
        """Minus the logarithm of the share that experts of the labelled identity have, the mean over those labelled."""
        own = (s * self.owners[who.clamp(min=0)]).sum(dim=1).clamp(min=1e-6)
        known = (who != NONE).float()
        return -(own.log() * known).sum() / known.sum().clamp(min=1.0)

    # ---- stage 2

    def _sequences_loss(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        c, x, who = self.config, batch["x"], batch["identity"]
        with torch.no_grad():
            read = batch["read"] if "read" in batch else self.frames.encode(x)
            s, e = self.known(read)
            u = self.identity(read)[0]
        d_mu, d_sd = self.dynamics(e)
        d = d_mu + d_sd * torch.randn_like(d_sd)
        followed = (torch.rand(len(x), device=x.device) < c.followed).float()
        path = self.posterior(e, d, followed, torch.randn_like(e))
        begin_mu, begin_sd = self.prior.begin(d)
        every = d[:, None].expand(-1, e.shape[1] - 1, -1)
        before = torch.cat([path.z[:, :1], path.z[:, :-2]], dim=1)
        on_mu, on_sd = self.prior(path.z[:, :-1], before, every)
        prior = torch.cat([begin_mu[:, None], on_mu], dim=1), torch.cat([begin_sd[:, None], on_sd], dim=1)
        first = int(batch["first"][0]) if "first" in batch else 0
        parts = {
            "error": self.frames.nats(self.frames.decode(path.z[:, first : first + x.shape[1]], s), x).mean(),
            "path_nats": divergence(path.mu, path.sd, *prior).mean(),
            "dynamics_nats": divergence(d_mu, d_sd, 0.0, c.dynamics_spread).mean() / e.shape[1],
            "rollout": self._rollout(e, d),
        }
        total = (
            self._unusual(u, who)
            + parts["error"]
            + self._at("path_kl") * parts["path_nats"]
            + c.rollout_loss * parts["rollout"]
        )
        total = total + self._at("dynamics_kl") * parts["dynamics_nats"] * e.shape[1]
        if critic_loss := c.critic_loss if c.dynamics_critic_loss is None else c.dynamics_critic_loss:
            parts["critic"] = self.critic(d_mu, who, critic_loss)
            total = total + parts["critic"]
        if c.action_loss:
            parts["action"] = known_cross_entropy(self.action(d), batch["action"])
            total = total + c.action_loss * parts["action"]
        return total, parts

    def _rollout(self, e: Tensor, d: Tensor) -> Tensor:
        """How far from what was read (B, T, Z) the prior is that was left alone, in squares of deviations."""
        risen = min(self.progress / self.config.rollout_rise, 1.0) if self.config.rollout_rise else 1.0
        length = max(round(risen * self.config.rollout), 1)
        first = int(torch.randint(1, e.shape[1] - length, (1,)))
        made = self.prior.walk(e[:, first], e[:, first - 1], d, length)
        return (made - e[:, first + 1 : first + 1 + length]).square().sum(dim=2).mean()

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

    def _at(self, name: str) -> float:
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
