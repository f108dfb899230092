"""Somebody's movement danced in another's manner, as it runs live: frame encoder, LSTM step and decoder in one step.

A step of the graph is a frame of any rate, and what is shown is of that frame. z is what the encoder reads of it and,
on top, what the last two moves of the model differ in from that: 30 times a second it goes on by the posterior, or, as
`manner/improvise` says, by the transition prior, and then d stays as it was. s is blended of known identities, what
their shares lack of one is the dancer's own.

A manner says how, not where: the foot that carries the body stands where that of the dancer stands, and the lowest
point is as high. Who improvises goes where their own feet carry them, and comes back.
Shapes: B dancers, J joints, E experts, Z numbers of a frame's latent.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from exporters.graphs import ports
from motion.manifest import Manifest, Param
from motion.skeleton import HUMANOID
from training.models import identity_pose as pose
from training.models.identity_action import IdentityAction
from training.models.identity_action_frames import FPS
from training.models.identity_action_sequence import KEPT

RECALL = 12  # moves before somebody stopped: there they were still dancing
REFRESH = 8  # moves from one reading of d to the next
SHARP = 0.7 * FPS  # a second: how soon a speed is believed; sooner shakes, and follows no better
ALONE = 1e-4  # of improvising: from here on what is seen is no longer what d is read of
FARTHEST = 6.0  # the largest number of a z that goes on alone
ROOM = 0.7  # metres around their place in which partners improvise where they like
BACK, BACK_SPEED = 0.8, 0.35  # a second of what they are away, and metres a second at most
SPIN = 3.0  # radians a second that who improvises turns at most
STEER = 1.5  # radians a second that they turn towards their place when they are beyond it
WALKING, TRAVEL_SECONDS = 0.2, 0.4  # metres a second of who goes somewhere; seconds until that is believed
LOW, SLOW, SUPPORT_SECONDS = 0.03, 0.4, 0.05  # metres, metres a second: of a foot that stands; until that is believed
LOWEST = 0.012  # metres: which foot carries who goes where their own feet go
APART = 1.5  # metres between dancer and partner
POSE = 3 + 6 * pose.JOINTS
TINY = 1e-3  # seconds: the shortest frame
BONES = ("UpperLeg", "LowerLeg", "Foot", "Toes")
LEGS = [HUMANOID.both_sides(bone) for bone in BONES]


class MannerStep(nn.Module):
    """dancer (B, 3 + 6J), dt (B, 1), noise (B, Z), the knobs (B, 1) each in the label's order, and states -> partner
    (B, 3 + 6J) and the states after. Raises ValueError for a model of pictures and for one without identities.
    """

    def __init__(self, model: IdentityAction) -> None:
        super().__init__()
        if model.config.images is not None:
            raise ValueError("a model of pictures has no graph to export: it dances with nobody")
        if not model.config.identities:
            raise ValueError("this model was trained without identities: there is no manner to dance in")
        self.model, self.config, self.skeleton = model, model.config, model.skeleton
        self.register_buffer("bones", torch.tensor(HUMANOID.offsets[LEGS], dtype=torch.float32))  # (4, legs, 3)

    def label(self, name: str) -> Manifest:
        """The manifest, all but where the model comes from."""
        c = self.config
        shares = (Param(f"identity/{who}", 0.0, 0.0, 1.0, 0.5, f"how much is danced as {who}") for who in c.identities)
        params = (
            *shares,
            Param("manner/improvise", 0.0, 0.0, 1.0, 0.3, "0 follows; 1 goes on alone"),
            Param("manner/flow", 0.0, 0.0, 1.0, 0.3, "0 follows every frame; 1 as the whole sequence goes on"),
            Param("manner/chance", 1.0, 0.0, 1.5, 0.3, "how much chance there is in what goes on alone"),
            Param("distance", APART, -4.0, 4.0, 0.5, "metres along +X from the dancer to the partner's place"),
        )
        inputs = {"dancer": (POSE,), "dt": (1,), "noise": (c.latent,)} | {each.name: (1,) for each in params}
        states = {
            "clock": (3,),  # frames seen, up to two; how much of a move has passed; moves since d was read
            "pose": (POSE,),  # the dancer's last
            "move": (pose.WIDTH,),  # how they moved there
            "change": (pose.WIDTH,),  # and how that changes a second
            "who": (c.experts + 1,),  # u, and of how many seconds it is the mean
            "ring": (c.window * c.latent,),  # what was read at moves, newest last
            "d": (c.dynamics,),
            "z": (3 * c.latent,),  # of the last move; the last, and the one before, of who goes on alone
            "drift": (c.latent,),  # chance, eased
            "beside": (2 * c.latent,),  # what the last two moves differed in from what was read
            "h": (c.rnn_layers * c.rnn,),
            "c": (c.rnn_layers * c.rnn,),
            "support": (2,),  # how much each of the dancer's feet carries
            "toes": (8,),  # the dancer's and the partner's, x and z, left and right
            "place": (7,),  # the partner's, x and z; where the dancer's feet have them; how they go; turned so far
        }
        label = ports.frame_by_frame(name, self.skeleton, (inputs, states), params, dancer=ports.POSE)
        return replace(label, fps_out=FPS)

    def forward(self, dancer: Tensor, dt: Tensor, noise: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        count = len(self.config.identities)
        shares = torch.cat(rest[:count], dim=1)
        improvise, flow, chance, distance, clock, before, *rest = rest[count:]
        moved, changed, who, ring, d, z, drift, beside, h, c, support, toes, place = rest
        seen, elapsed, since = clock.split(1, dim=1)
        begun, dt = seen > 0.5, dt.clamp(min=TINY)

        # 1. What the dancer does and who they are.
        x, change = self.sensed(dancer, torch.where(begun, before, dancer), dt, seen, moved, changed)
        read = self.model.frames.read(x, change)[:, None]  # (B, 1, width)
        span = (who[:, -1:] + dt).clamp(max=self.config.window / FPS)
        u = torch.lerp(who[:, :-1], self.model.identity(read)[0], dt / span)
        theirs = self.model.mixture(u)
        e = self.model.now_of(read, theirs)[0][:, 0]

        # 2. When it is time for a move, z goes on: as the dancer does, or as the prior says.
        elapsed = torch.where(begun, elapsed + dt * FPS, 1.0)
        due = elapsed >= 1.0
        follows = due & (improvise < ALONE)
        longer = torch.cat([ring[:, e.shape[1] :], e], dim=1)
        ring = torch.where(begun, torch.where(follows, longer, ring), e.repeat(1, self.config.window))
        since = torch.where(follows, since + 1.0, since)
        again = ~begun | (since >= REFRESH)
        d = torch.where(again, self.model.dynamics(ring.unflatten(1, (-1, e.shape[1])))[0], d)
        since = torch.where(again, 0.0, since)
        last, walk, walked = (torch.where(begun, each, e) for each in z.chunk(3, dim=1))
        first = (state.transpose(0, 1).flatten(1) for state in self.model.posterior.states(d))
        h, c = (torch.where(begun, own, begins) for own, begins in zip((h, c), first, strict=True))
        (mu, _), h_next, c_next = self.model.posterior.step(e, d, last, h, c)
        alone, sd = self.model.prior(walk, walked, d)
        drift = torch.where(due, torch.lerp(noise, drift, KEPT), drift)
        alone = (alone + chance * sd * drift).clamp(-FARTHEST, FARTHEST)
        z_next = [mu, torch.where(follows, self.recalled(ring, 0), alone)]
        z_next = torch.cat([*z_next, torch.where(follows, self.recalled(ring, 1), walk)], dim=1)
        gone = torch.lerp(torch.lerp(e, mu, flow), alone, improvise) - e
        off_before, off = (torch.where(begun, each, gone) for each in beside.chunk(2, dim=1))
        z = torch.where(due, z_next, torch.cat([last, walk, walked], dim=1))
        off_before, off = torch.where(due, off, off_before), torch.where(due, gone, off)
        h, c = torch.where(due, h_next, h), torch.where(due, c_next, c)
        elapsed = torch.where(due, elapsed - 1.0, elapsed).clamp(min=0.0, max=0.999)

        # 3. Danced in the manner that is asked for.
        asked = shares.sum(dim=1, keepdim=True).clamp(max=1.0)
        s = torch.lerp(theirs, self.model.asked(shares), asked)
        danced = self.model.frames.decode((e + torch.lerp(off_before, off, elapsed))[:, None], s)[:, 0]
        made = self.model.frames.finish(danced)

        # 4. Where it stands.
        at, there_before, travel, turned = (torch.where(begun, each, 0.0) for each in place.split((2, 2, 2, 1), dim=1))
        turn = danced[:, -1:].clamp(-SPIN, SPIN) + self.homeward(there_before - at, travel)
        turned = (turned + dt * improvise * turn) * torch.exp(-BACK * dt * (1.0 - improvise))
        turned = torch.atan2(turned.sin(), turned.cos())
        hips = _hips(made[:, :6], heading(dancer) + turned)
        own = torch.cat([hips, made[:, 6 : -pose.CARRIAGE]], dim=1)
        both = self.feet(torch.stack([dancer[:, 3:], own], dim=1))
        feet, own_feet = both.unbind(1)  # (B, legs, 2 points, 3) from the hips
        feet = feet + dancer[:, None, None, :3]
        on_floor, own_on_floor = feet[:, :, 1, 0::2], own_feet[:, :, 1, 0::2]  # toes (B, legs, 2)
        now = torch.cat([on_floor.flatten(1), own_on_floor.flatten(1)], dim=1)
        toes = torch.where(begun, toes, now)
        speed = (now - toes)[:, :4].unflatten(1, (2, 2)).norm(dim=2) / dt
        standing = (-feet[:, :, 1, 1] / LOW - speed / SLOW).softmax(dim=1)
        support = torch.where(begun, torch.lerp(standing, support, torch.exp(-dt / SUPPORT_SECONDS)), standing)
        there = (support[:, :, None] * (on_floor - own_on_floor)).sum(dim=1)
        there = there + distance * dancer.new_tensor([1.0, 0.0])
        at, there_before = torch.where(begun, at, there), torch.where(begun, there_before, there)
        own_standing = (-own_feet[:, :, 1, 1] / LOWEST).softmax(dim=1)
        walked = -(own_standing[:, :, None] * (now - toes)[:, 4:].unflatten(1, (2, 2))).sum(dim=1)
        travel = torch.lerp(walked / dt, travel, torch.exp(-dt / TRAVEL_SECONDS))
        at = self.back(at + torch.lerp(there - there_before, walked, improvise), there, dt, improvise)
        height = feet[..., 1].flatten(1).amin(dim=1, keepdim=True) - own_feet[..., 1].flatten(1).amin(1, keepdim=True)

        partner = torch.cat([at[:, :1], height, at[:, 1:], own], dim=1)
        clock = torch.cat([(seen + 1.0).clamp(max=2.0), elapsed, since], dim=1)
        states = (clock, dancer * 1.0, x, change, torch.cat([u, span], dim=1), ring, d)
        states = (*states, z, drift, torch.cat([off_before, off], dim=1), h, c)
        return partner, *states, support, now, torch.cat([at, there, travel, turned], dim=1)

    @staticmethod
    def sensed(
        dancer: Tensor, before: Tensor, dt: Tensor, seen: Tensor, moved: Tensor, changed: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The dancer's move and how it changes a second, (B, WIDTH) each, speeds eased: frames may be dense."""
        near = 1.0 - torch.exp(-SHARP * dt)
        raw = moves(before, dancer, dt)
        speeds = torch.where(seen > 1.5, torch.lerp(moved[:, -3:], raw[:, -3:], near), raw[:, -3:])
        x = torch.cat([raw[:, :-3], speeds], dim=1)
        known = torch.cat([moved[:, :-3], torch.where(seen > 1.5, moved[:, -3:], speeds)], dim=1)
        change = torch.where(seen > 0.5, (x - known) / dt, 0.0)
        return x, torch.where(seen > 1.5, torch.lerp(changed, change, near), change)

    def recalled(self, ring: Tensor, before: int) -> Tensor:
        """What was read where somebody sets out who goes on alone, or so many moves before that."""
        size = self.config.latent
        back = min(RECALL, self.config.window - 2) + before + 1
        return ring[:, -size * back :][:, :size]

    def feet(self, sixd: Tensor) -> Tensor:
        """Ankles and toes (..., legs, 2, 3), metres from the hips, of rotations (..., 6J), the hips' global."""
        columns = sixd.unflatten(-1, (pose.JOINTS, 1, 2, 3))
        toes = _rotated(columns[..., LEGS[2], 0, :, :], self.bones[3])  # from the ankles
        points = self.bones[2][:, None] + torch.stack([0.0 * toes, toes], dim=-2)
        points = self.bones[1][:, None] + _rotated(columns[..., LEGS[1], :, :, :], points)
        points = self.bones[0][:, None] + _rotated(columns[..., LEGS[0], :, :, :], points)
        return _rotated(columns[..., :1, :, :, :], points)

    @staticmethod
    def homeward(away: Tensor, travel: Tensor) -> Tensor:
        """The turn (B, 1) in rad/s of who is `away` (B, 2) from their place, beyond their room, and goes elsewhere."""
        bend = _bearing(away) - _bearing(travel)
        bend = torch.atan2(bend.sin(), bend.cos()).clamp(-1.0, 1.0)
        beyond = (away.norm(dim=1, keepdim=True) / ROOM - 1.0).clamp(0.0, 1.0)
        return STEER * bend * beyond * (travel.norm(dim=1, keepdim=True) / WALKING).clamp(max=1.0)

    @staticmethod
    def back(at: Tensor, there: Tensor, dt: Tensor, improvise: Tensor) -> Tensor:
        """Whoever is away from their place comes back; who improvises only from beyond twice their room."""
        away = there - at
        far = away.norm(dim=1, keepdim=True).clamp(min=1e-6)
        beyond = (far - 2.0 * ROOM * improvise).clamp(min=0.0)
        return at + away / far * torch.minimum(beyond * (1.0 - torch.exp(-BACK * dt)), BACK_SPEED * dt)


def heading(given: Tensor) -> Tensor:
    """The yaw (B, 1) of poses (B, 3 + 6J), as motion.ground_frames.facing."""
    return torch.atan2(-given[:, 5:6], given[:, 3:4])


def _bearing(way: Tensor) -> Tensor:
    """The yaw (B, 1) of who looks along ways (B, 2), x and z."""
    return torch.atan2(way[:, :1] + 1e-6, way[:, 1:])


def moves(before: Tensor, now: Tensor, seconds: Tensor) -> Tensor:
    """The move (B, WIDTH) of poses (B, 3 + 6J) so many seconds (B, 1) apart, as training.models.identity_pose.moves."""
    yaw, looked = heading(now), heading(before)
    side, ahead = _turned(now[:, 0:1] - before[:, 0:1], now[:, 2:3] - before[:, 2:3], -looked)
    turn = torch.atan2((yaw - looked).sin(), (yaw - looked).cos())
    carriage = torch.cat([side, ahead, turn], dim=1) / seconds
    return torch.cat([_hips(now[:, 3:9], -yaw), now[:, 9:], now[:, 1:2], carriage], dim=1)


def _rotated(columns: Tensor, points: Tensor) -> Tensor:
    """Points (..., 3) turned by rotations whose first two columns are (..., 2, 3)."""
    x, y = columns.unbind(-2)
    return x * points[..., 0:1] + y * points[..., 1:2] + torch.linalg.cross(x, y) * points[..., 2:3]


def _hips(sixd: Tensor, yaw: Tensor) -> Tensor:
    """Two columns (B, 6) of a rotation, turned by yaw (B, 1)."""
    x, y, z = sixd.unflatten(1, (2, 3)).unbind(2)
    x, z = _turned(x, z, yaw)
    return torch.stack([x, y, z], dim=2).flatten(1)


def _turned(x: Tensor, z: Tensor, yaw: Tensor) -> tuple[Tensor, Tensor]:
    cos, sin = yaw.cos(), yaw.sin()
    return cos * x + sin * z, cos * z - sin * x
