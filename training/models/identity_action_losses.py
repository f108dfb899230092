"""What an identity and action model is taught by, stage by stage, in nats a frame: the total and its parts.

Stage 1 reads s from another sequence of the same identity and pays for z; stage 2 pays for what its prior did not
foretell, and for how far the prior strays when it is left alone (training.models.identity_action has the whole story).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from training.labels import NONE
from training.models.identity_action_judges import known_cross_entropy
from training.models.identity_action_parts import Blended, divergence
from training.models.identity_action_tempo import at_rate


def frames_loss(model: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
    """Stage 1's. model, batch: an IdentityAction, and what its `loss` gets."""
    c, x, who = model.config, batch["x"], batch["identity"]
    u_mu, u_sd = model.identity(model.frames.encode(batch["pair"]))
    s = model.mixture(u_mu + u_sd * torch.randn_like(u_sd))
    z_mu, z_sd = model.now_of(model.frames.encode(x), s)
    z = z_mu + z_sd * torch.randn_like(z_sd)
    parts = {
        "error": model.frames.nats(model.frames.decode(z, s), x).mean(),
        "frame_nats": divergence(z_mu, z_sd, 0.0, 1.0).mean(),
        "identity_nats": divergence(u_mu, u_sd, 0.0, c.identity_spread).mean(),
    }
    total = _unusual(model, u_mu, who) + parts["error"] + model.weight("frame_kl") * parts["frame_nats"]
    total = total + model.weight("identity_kl") * parts["identity_nats"]
    total = total + c.apart_loss * sum(each.apart() for each in model.modules() if isinstance(each, Blended))
    if c.identity_loss:
        parts["unlike_label"] = _unlike_label(model, s, who)
        total = total + c.identity_loss * parts["unlike_label"]
    if c.critic_loss:
        parts["critic"] = model.frame_critic(z_mu, who, c.critic_loss)
        total = total + parts["critic"]
    if model.judge is not None:
        learned, swaps = _judged(model, batch, z, s)
        parts |= {"swapped_who": swaps[0], "swapped_what": swaps[1]}
        risen = min(model.progress / 0.3, 1.0)
        weighed = sum(weight * each for weight, each in zip(c.recognised_loss, swaps, strict=True))
        total = total + sum(learned) + risen * weighed
    return total, parts


def _judged(model: nn.Module, batch: dict[str, Tensor], z: Tensor, s: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """How badly a judge knows recordings, and swaps: everybody's z with the s of somebody else."""
    x, who, what = batch["x"], batch["identity"], batch["action"]
    learned = model.judge.loss(model.frames.view(x), who, what)
    other = torch.randperm(len(s), device=s.device)
    if model.config.timed:
        z = model.now_of(model.frames.encode(at_rate(x, model.tempo.known(who, who[other], what))), s)[0]
    made = model.frames.view(model.frames.decode(z, s[other].detach()))
    return learned, model.judge.loss(made, who[other], what, still=True)


def _unusual(model: nn.Module, u: Tensor, who: Tensor) -> Tensor:
    """How far u (B, E) is from what is usual of its identity, in squares; nobody but `usual` learns from it."""
    known = (who != NONE).float()[:, None]
    off = (model.usual(who.clamp(min=0)) - u.detach()).square() * known
    return off.sum() / known.sum().clamp(min=1.0)


def _unlike_label(model: nn.Module, s: Tensor, who: Tensor) -> Tensor:
    """Minus the logarithm of the share that experts of the labelled identity have, the mean over those labelled."""
    own = (s * model.owners[who.clamp(min=0)]).sum(dim=1).clamp(min=1e-6)
    known = (who != NONE).float()
    return -(own.log() * known).sum() / known.sum().clamp(min=1.0)


def sequences_loss(model: nn.Module, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
    """Stage 2's."""
    c, x, who = model.config, batch["x"], batch["identity"]
    with torch.no_grad():
        read = batch["read"] if "read" in batch else model.frames.encode(x)
        s, e = model.known(read)
        u = model.identity(read)[0]
    d_mu, d_sd = model.dynamics(e)
    d = d_mu + d_sd * torch.randn_like(d_sd)
    followed = (torch.rand(len(x), device=x.device) < c.followed).float()
    path = model.posterior(e, d, followed, torch.randn_like(e))
    begin_mu, begin_sd = model.prior.begin(d)
    every = d[:, None].expand(-1, e.shape[1] - 1, -1)
    before = torch.cat([path.z[:, :1], path.z[:, :-2]], dim=1)
    on_mu, on_sd = model.prior(path.z[:, :-1], before, every)
    prior = torch.cat([begin_mu[:, None], on_mu], dim=1), torch.cat([begin_sd[:, None], on_sd], dim=1)
    first = int(batch["first"][0]) if "first" in batch else 0
    parts = {
        "error": model.frames.nats(model.frames.decode(path.z[:, first : first + x.shape[1]], s), x).mean(),
        "path_nats": divergence(path.mu, path.sd, *prior).mean(),
        "dynamics_nats": divergence(d_mu, d_sd, 0.0, c.dynamics_spread).mean() / e.shape[1],
        "rollout": _rollout(model, e, d),
    }
    total = (
        _unusual(model, u, who)
        + parts["error"]
        + model.weight("path_kl") * parts["path_nats"]
        + c.rollout_loss * parts["rollout"]
    )
    total = total + model.weight("dynamics_kl") * parts["dynamics_nats"] * e.shape[1]
    if critic_loss := c.critic_loss if c.dynamics_critic_loss is None else c.dynamics_critic_loss:
        parts["critic"] = model.critic(d_mu, who, critic_loss)
        total = total + parts["critic"]
    if c.action_loss:
        parts["action"] = known_cross_entropy(model.action(d), batch["action"])
        total = total + c.action_loss * parts["action"]
    return total, parts


def _rollout(model: nn.Module, e: Tensor, d: Tensor) -> Tensor:
    """How far from what was read (B, T, Z) the prior is that was left alone, in squares of deviations."""
    risen = min(model.progress / model.config.rollout_rise, 1.0) if model.config.rollout_rise else 1.0
    length = max(round(risen * model.config.rollout), 1)
    first = int(torch.randint(1, e.shape[1] - length, (1,)))
    made = model.prior.walk(e[:, first], e[:, first - 1], d, length)
    return (made - e[:, first + 1 : first + 1 + length]).square().sum(dim=2).mean()
