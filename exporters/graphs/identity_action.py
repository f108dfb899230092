"""Somebody's movement danced in another's manner, as it runs live: frame encoder, LSTM step and decoder in one step.

The model thinks at 30 frames a second. A step of the graph is a frame of any rate: the model moves when it is time, and
what is shown lies between its last two moves; the label's `fps_out` tells whoever has frames further apart to run it
several times for one. s is blended from known identities, or kept the dancer's own, whose u is a running mean; d is
read of the last window. `improvise` turns from following the dancer to the transition prior, and d stays as it was.
Shapes: B dancers, J joints, E experts, Z numbers of a frame's latent.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from exporters.graphs import ports
from motion.manifest import Manifest, Param
from training.models import labelled_pose as pose
from training.models.identity_action import IdentityAction
from training.models.identity_action_frames import FPS

ROOM = 0.7  # metres around their place in which partners go where they like
PULL = 0.8  # how much of what is beyond that they come back in a second
APART = 1.5  # metres between dancer and partner
POSE = 3 + 6 * pose.JOINTS
STILL = 1e-6  # of a step: the first has no time


class MannerStep(nn.Module):
    """dancer (B, 3 + 6J), dt (B, 1), noise (B, Z), the knobs (B, size) in the label's order, and states -> partner
    (B, 3 + 6J) and the states after.
    """

    def __init__(self, model: IdentityAction) -> None:
        super().__init__()
        self.model, self.config, self.skeleton = model, model.config, model.skeleton
        if model.config.images is not None:
            raise ValueError("a model of pictures has no graph to export: it dances with nobody")

    def label(self, name: str) -> Manifest:
        """The manifest, all but where the model comes from. vectors: s of every identity, by its name."""
        c, dynamics = self.config, self.model.dynamics
        count = len(c.identities)
        params = (
            Param("identity", 1.0 / count, 0.0, 1.0, 0.3, "shares of " + " ".join(c.identities), count),
            Param("own", 0.0, 0.0, 1.0, 0.3, "how much of the dancer's own manner is kept"),
            Param("temperature", 0.0, 0.0, 1.5, 0.3, "how much chance a move has"),
            Param("improvise", 0.0, 0.0, 1.0, 0.3, "0 follows the dancer, 1 goes on alone"),
            Param("distance", APART, -4.0, 4.0, 0.5, "metres along +X from the dancer to the partner's place"),
        )
        inputs = {"dancer": (POSE,), "dt": (1,), "noise": (c.latent,)} | {each.name: (each.size,) for each in params}
        states = {
            "clock": (2,),  # moves made, up to two; how much of a move has passed since
            "pose": (POSE,),  # the dancer's at the last move
            "move": (pose.WIDTH,),  # and how they moved there
            "who": (c.experts + 1,),  # u, and of how many moves it is the mean
            "ring": (-(-c.window // dynamics.stride) * dynamics.stride * c.latent,),  # what was read, newest last
            "d": (c.dynamics,),
            "z": (2 * c.latent,),  # the last, and the one before
            "h": (c.rnn_layers * c.rnn,),
            "c": (c.rnn_layers * c.rnn,),
            "danced": (2 * pose.WIDTH,),  # the last move, and the one before
            "place": (3,),
        }
        label = ports.frame_by_frame(
            name, self.skeleton, (inputs, states), params, kind="identity_action", dancer=ports.POSE
        )
        with torch.no_grad():
            every = self.model.asked(torch.eye(count))
        vectors = {f"identity/{who}": s for who, s in zip(c.identities, every.tolist(), strict=True)}
        return replace(label, fps_out=FPS, vectors=vectors)

    def forward(self, dancer: Tensor, dt: Tensor, noise: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        identity, own, temperature, improvise, distance = rest[:5]
        clock, before, moved, who, ring, d, z, h, c, danced, place = rest[5:]
        home = dancer[:, 0:3:2] + distance * dancer.new_tensor([1.0, 0.0])  # from under the dancer's hips

        # 1. Is it time for a move? The first frame makes one, too.
        made, elapsed = clock.split(1, dim=1)
        begun = made > 0.5
        elapsed = torch.where(begun, elapsed + dt * FPS, 1.0)
        due = elapsed >= 1.0
        at, yaw = torch.where(begun, place[:, :2], home), torch.where(begun, place[:, 2:], heading(dancer))

        # 2. What the dancer did, who they are, what they do.
        move = moves(torch.where(begun, before, dancer), dancer, elapsed.clamp(min=STILL) / FPS)
        change = torch.where(begun & (made > 1.5), (move - moved) * FPS / elapsed.clamp(min=STILL), 0.0)
        read = self.model.frames.read(move, change)[:, None]  # (B, 1, width)
        count = (who[:, -1:] + 1.0).clamp(max=float(self.config.window))
        u = who[:, :-1] + (self.model.identity(read)[0] - who[:, :-1]) / count
        theirs = self.model.mixture(u)
        e = self.model.now_of(read, theirs)[0][:, 0]
        ring_next = torch.cat([ring[:, self.config.latent :], e], dim=1)
        ring_next = torch.where(begun, ring_next, e.repeat(1, ring.shape[1] // self.config.latent))
        d_next = self.model.dynamics(ring_next.unflatten(1, (-1, self.config.latent)))[0]
        d_next = torch.where(begun, torch.lerp(d_next, d, improvise), d_next)

        # 3. How it goes on: as the dancer does, or as the prior says.
        first_h, first_c = (state.transpose(0, 1).flatten(1) for state in self.model.posterior.states(d_next))
        last, one_before = z.chunk(2, dim=1)
        last = torch.where(begun, last, self.model.posterior.first.expand_as(last))
        (mu, sd), h_next, c_next = self.model.posterior.step(
            e, d_next, last, torch.where(begun, h, first_h), torch.where(begun, c, first_c)
        )
        alone_mu, alone_sd = self.model.prior(last, torch.where(made > 1.5, one_before, last), d_next)
        drawn = torch.lerp(mu, alone_mu, improvise) + temperature * torch.lerp(sd, alone_sd, improvise) * noise
        z_next = torch.cat([drawn, last], dim=1)

        # 4. Danced in the manner that is asked for; the place is that of the move before the last.
        s = torch.lerp(self.model.asked(identity), theirs, own)
        new = self.model.frames.finish(self.model.frames.decode(drawn[:, None], s)[:, 0])
        latest, earlier = danced.chunk(2, dim=1)
        danced_next = torch.cat([new, torch.where(begun, latest, new)], dim=1)
        at_next, yaw_next = advanced(at, yaw, latest, (made > 1.5).to(made))
        made_next = (made + 1.0).clamp(max=2.0)
        after = ((dancer, before), (move, moved), (torch.cat([u, count], dim=1), who), (ring_next, ring), (d_next, d))
        after = (*after, (z_next, z), (h_next, h), (c_next, c), (danced_next, danced), (at_next, at), (yaw_next, yaw))
        *kept, at, yaw, made = (torch.where(due, new, old) for new, old in (*after, (made_next, made)))
        elapsed = torch.where(due, elapsed - 1.0, elapsed).clamp(min=0.0, max=0.999)

        # 5. Whoever goes too far comes back.
        away = home - at
        far = away.norm(dim=1, keepdim=True).clamp(min=1e-6)
        at = at + away / far * (far - ROOM).clamp(min=0.0) * (1.0 - torch.exp(-PULL * dt))

        # 6. What is shown.
        latest, earlier = kept[-1].chunk(2, dim=1)
        partner = on_stage(torch.lerp(earlier, latest, elapsed), *advanced(at, yaw, latest, elapsed))
        return partner, torch.cat([made, elapsed], dim=1), *kept, torch.cat([at, yaw], dim=1)


def heading(given: Tensor) -> Tensor:
    """The yaw (B, 1) of poses (B, 3 + 6J), as motion.ground_frames.facing."""
    return torch.atan2(-given[:, 5:6], given[:, 3:4])


def moves(before: Tensor, now: Tensor, seconds: Tensor) -> Tensor:
    """The move (B, WIDTH) of poses (B, 3 + 6J) so many seconds (B, 1) apart, as training.models.labelled_pose.moves."""
    yaw, turn = heading(now), heading(now) - heading(before)
    side, ahead = _turned(now[:, 0:1] - before[:, 0:1], now[:, 2:3] - before[:, 2:3], -heading(before))
    turn = torch.atan2(turn.sin(), turn.cos())
    return torch.cat(
        [_hips(now[:, 3:9], -yaw), now[:, 9:], now[:, 1:2], torch.cat([side, ahead, turn], 1) / seconds], 1
    )


def on_stage(move: Tensor, at: Tensor, yaw: Tensor) -> Tensor:
    """The pose (B, 3 + 6J) of a move (B, WIDTH) at a place (B, 2), looking along yaw (B, 1)."""
    height = move[:, -pose.CARRIAGE : 1 - pose.CARRIAGE]
    return torch.cat([at[:, :1], height, at[:, 1:], _hips(move[:, :6], yaw), move[:, 6 : -pose.CARRIAGE]], dim=1)


def advanced(at: Tensor, yaw: Tensor, move: Tensor, share: Tensor) -> tuple[Tensor, Tensor]:
    """Where a share (B, 1) of a move's carriage leads from a place (B, 2) and a yaw (B, 1)."""
    side, ahead, turn = (move[:, 1 - pose.CARRIAGE :] * share / FPS).split(1, dim=1)
    return at + torch.cat(_turned(side, ahead, yaw), dim=1), yaw + turn


def _hips(sixd: Tensor, yaw: Tensor) -> Tensor:
    """Two columns (B, 6) of a rotation, turned by yaw (B, 1)."""
    parts = []
    for column in sixd.split(3, dim=1):
        x, z = _turned(column[:, :1], column[:, 2:], yaw)
        parts += [x, column[:, 1:2], z]
    return torch.cat(parts, dim=1)


def _turned(x: Tensor, z: Tensor, yaw: Tensor) -> tuple[Tensor, Tensor]:
    cos, sin = yaw.cos(), yaw.sin()
    return cos * x + sin * z, cos * z - sin * x
