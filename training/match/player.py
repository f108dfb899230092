"""One live step of the player, as a torch module that exports as it is: any frame rate, every memory an explicit state.

Each frame: the leader's last second is looked up in a ring buffer; regressors make a plan of where the follower is
(averaged with past plans, so it neither lags nor shakes) and an intention; the clip that plays is read a little
further on; when it is time, the database is searched and the player may jump, the gap melting away (inertialisation,
Bollo 2018; springs of Holden's "Spring-It-On", 2020); the phase lock sets the clip's speed; standing feet are held.
All zeros is the state before the first frame.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from motion.skeleton import HUMANOID
from training.match import features, quaternions
from training.match.database import CLIP
from training.match.features import seen_from, turned, unit
from training.match.feet import Feet

HISTORY, PLANS = 32, 20
PERIOD = 1.0 / features.RATE
_EARLY, _SETTLE = 1e-3, 0.1  # s: a push may come early by rounding; trackers begin with rubbish
_RIPEN, _YOUNG, _FADED = 0.1, 0.005, 0.04
_JOINTS = len(HUMANOID)
_FLOOR_SPEED = 0.05  # m/s
LOCK_RANGE = 4  # rows on either side that the phase lock looks at


class Player(nn.Module):
    """See the module. `model` is a fitted DuetMatch."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model, self.config = model, model.config
        self.feet = Feet(self.config.foot_clamp, self.config.foot_release)
        horizons = torch.tensor(self.config.horizons, dtype=torch.float32) * PERIOD
        self.register_buffer("horizons", horizons)
        self.register_buffer("lags", torch.tensor(features.LAGS, dtype=torch.float32)[:, None] * PERIOD)
        self.register_buffer("grid", torch.arange(HISTORY, dtype=torch.float32) * PERIOD)
        difference = torch.zeros(HISTORY, HISTORY + 1)
        difference[range(HISTORY), range(HISTORY)] = -1.0
        difference[range(HISTORY), range(1, HISTORY + 1)] = 1.0
        self.register_buffer("ramp_difference", difference)
        self.register_buffer("ramp_start", torch.eye(HISTORY + 1)[:1])

    def ports(self) -> tuple[dict[str, tuple[int, ...]], dict[str, tuple[int, ...]]]:
        """Shapes without the batch axis of (inputs, states)."""
        inputs = {
            "dancer": (3 * _JOINTS,),
            "dt": (1,),
            "noise": (self.config.noise,),
            "variety": (1,),
            "distance": (1,),
            "lead": (1,),
        }
        states = {
            "state_clock": (3 + HISTORY,),
            "state_history": (HISTORY, 3 * _JOINTS),
            "state_plans": (PLANS, 5 * len(self.config.horizons)),
            "state_latent": (self.config.noise,),
            "state_clip": (6,),  # row, fraction, rate, clip root x z, clip yaw
            "state_body": (10,),  # inner root, left; the last jump's root velocity, yaw rate; steering; floor
            "state_offset": (2 * (3 * _JOINTS + 1),),  # rotation vectors and height, then their velocities
            "state_feet": (2 * 10,),  # each: stands; target, its velocity, its shift from the clip
        }
        return inputs, states

    def forward(
        self,
        dancer: Tensor,
        dt: Tensor,
        noise: Tensor,
        variety: Tensor,
        distance: Tensor,
        lead: Tensor,
        state_clock: Tensor,
        state_history: Tensor,
        state_plans: Tensor,
        state_latent: Tensor,
        state_clip: Tensor,
        state_body: Tensor,
        state_offset: Tensor,
        state_feet: Tensor,
    ) -> tuple[Tensor, ...]:
        """dancer (B, 3J) world metres, dt (B, 1) seconds ... -> partner (B, 3 + 6J) and the next states."""
        config, model = self.config, self.model
        # 1. The clock, and the dancer's last second.
        dt = dt.clamp(1e-4, 10.0)
        elapsed, since, searched, ages = state_clock.split([1, 1, 1, HISTORY], dim=-1)
        started = elapsed >= _SETTLE  # (B, 1)
        ages = torch.where(started, ages + dt, self.grid + PERIOD)  # of the kept samples; the present has age 0
        history = torch.where(started.unsqueeze(-1), state_history, dancer.unsqueeze(1))
        push = (since + dt >= PERIOD - _EARLY) | ~started
        samples = torch.cat([dancer.unsqueeze(1), history], dim=1)
        edges = torch.cat([torch.zeros_like(dt), ages], dim=-1)
        gaps = (edges[:, 1:] - edges[:, :-1]).clamp(min=1e-4)
        ramps = ((self.lags - edges[:, None, :-1]) / gaps.unsqueeze(1)).clamp(0.0, 1.0)
        past = (ramps @ self.ramp_difference + self.ramp_start) @ samples
        past = past.view(-1, len(features.LAGS), _JOINTS, 3)

        # 2. A plan and an intention; where to be now and shortly, from this plan and the past ones.
        seen = model.standardise(features.context(past))
        here, leader_left = past[:, 0, 0, 0::2], features.lefts(past[:, 0])
        planned = model.place(seen).unflatten(-1, (-1, 2, 2))  # (B, horizons, [root, left], 2)
        world = turned(planned, leader_left[:, None, None])
        home = torch.stack([here, torch.zeros_like(here)], dim=1)
        plan = torch.cat([(world + home.unsqueeze(1)).flatten(2), torch.ones_like(world[:, :, 0, :1])], dim=-1)
        plans = torch.cat([plan.flatten(1).unsqueeze(1), state_plans], dim=1)  # (B, 1 + PLANS, 5 horizons)
        placed = self._read(plans, edges[:, : PLANS + 1], (since + dt) / PERIOD, lead)
        away = placed[:, 0, :2] - here
        length = away.norm(dim=-1, keepdim=True).clamp(min=1e-3)
        wanted = length + config.stretch * torch.relu(length - config.far) + distance
        wanted = torch.maximum(wanted, config.near**0.75 * length.sqrt().sqrt())
        target = here + away * (wanted / length)
        facing = unit(placed[:, 0, 2:])

        # 3. The clip, a little further on; the root under it, drawn to where it should be.
        row, fraction, rate, clip_root, clip_yaw = state_clip.split([1, 1, 1, 2, 1], dim=-1)
        onward = fraction + rate * features.RATE * dt
        row = torch.minimum(row + onward.floor(), model.last_of(row) - 2.0)
        fraction = onward - onward.floor()
        old, old_turning, old_moving = self._at(row, fraction)
        inner, left, root_offset, yaw_offset, steering, floor = state_body.split([2, 2, 2, 1, 2, 1], dim=-1)
        moved = seen_from(old["root"] - clip_root, _left_of(clip_yaw))
        decay = torch.exp(-dt * (0.693147 / config.jump_half_life))
        inner = inner + turned(moved + root_offset * dt, left)
        left = turned(left, _left_of(old["yaw"] - clip_yaw + yaw_offset * dt))
        gap = target - inner
        size = gap.norm(dim=-1, keepdim=True).clamp(min=1e-6)
        smooth = 1.0 - torch.exp(-dt / config.steer_smooth)
        steering = steering + smooth * (
            gap / size * (size / config.steer_seconds).clamp(max=config.steer_speed) - steering
        )
        inner = inner + steering * dt
        turn = seen_from(facing, left)
        angle = 2.0 * torch.atan(turn[:, 1:] / (1.0 + turn[:, :1]).clamp(min=1e-3))
        left = turned(left, _left_of(-(angle / config.turn_seconds).clamp(-config.turn_speed, config.turn_speed) * dt))
        inner, left = torch.where(started, inner, target), unit(torch.where(started, left, facing))
        root = inner + config.ride * (target - inner)

        # 4. What to look for, and the row that has it.
        keep = torch.where(elapsed > 0.0, torch.exp(-dt / config.drift_seconds), torch.zeros_like(dt))
        latent = keep * state_latent + torch.sqrt(1.0 - keep * keep) * noise
        rest, speed = self._query(seen, past, root, left, placed)
        rest = rest + variety * latent @ model.wander
        searched = searched + dt
        ending = row >= model.last_of(row) - 3.0
        due = (searched >= config.search_seconds - _EARLY) | ending | ~started
        best, better = model.search(rest, row, fraction, started)
        jump = due & (better | ending | ~started) & (((best - row).abs() > 4.0) | ending | ~started)
        searched = torch.where(due, torch.zeros_like(searched), searched)

        # 5. The jump: the difference becomes an offset that melts.
        new, new_turning, new_moving = self._at(best, torch.zeros_like(fraction))
        offset, height, spin, lift = state_offset.split([3 * _JOINTS, 1, 3 * _JOINTS, 1], dim=-1)
        offset, spin = _melted(offset, spin, dt, config.jump_half_life)
        height, lift = _melted(height, lift, dt, config.jump_half_life)
        offset, spin = offset.view(-1, _JOINTS, 3), spin.view(-1, _JOINTS, 3)
        shown = quaternions.multiply(quaternions.exp(offset), old["quats"])
        fresh = quaternions.log(quaternions.multiply(shown, quaternions.conjugate(new["quats"])))
        leap = (jump & started).unsqueeze(-1)
        fresh, gone = torch.where(leap, fresh, offset), spin + rate.unsqueeze(-1) * (old_turning - new_turning)
        first = (~started).unsqueeze(-1)
        offset = torch.where(first, torch.zeros_like(fresh), fresh)
        spin = torch.where(first, torch.zeros_like(spin), torch.where(leap, gone, spin))
        leap, first = leap[:, :, 0], first[:, :, 0]
        change = torch.cat([old["height"] - new["height"], rate * (old_moving - new_moving)], dim=-1)
        change = torch.where(leap, change, torch.zeros_like(change))
        height, lift = height + change[:, :1], lift + change[:, 1:2]
        root_offset, yaw_offset = root_offset * decay + change[:, 2:4], yaw_offset * decay + change[:, 4:5]
        pose = torch.where(jump, new["flat"], old["flat"])
        row, fraction = torch.where(jump, best, row), torch.where(jump, torch.zeros_like(fraction), fraction)
        pose = _named(pose)
        quats = quaternions.multiply(quaternions.exp(offset), pose["quats"])
        up = pose["height"] + height
        floor = self._floor(past[:, 0], floor, dt, started)

        # 6. The phase lock: is the leader ahead of the clip or behind it? And is the partner to be faster?
        slip = model.slip(rest, row)
        hurry = (speed / pose["speed"].clamp(min=0.05)).clamp(0.4, 2.5) ** config.hurry
        goal = ((1.0 + (config.lock_gain * slip).clamp(-0.25, 0.25)) * hurry).clamp(0.65, 1.4)
        follow = 1.0 - torch.exp(dt * (features.RATE * math.log(1.0 - config.rate_gain)))
        rate = torch.where(started, rate + follow * (goal - rate), torch.ones_like(rate))

        # 7. Feet that stand are held; then the pose as the world sees it.
        matrices = quaternions.matrices(quats)  # (B, J, 3, 3)
        clip = quaternions.matrices(pose["quats"]), pose["height"]
        matrices, feet = self.feet(
            matrices, up, clip, root, left, pose["contacts"], rate * pose["toes"], dt, state_feet, jump, started
        )
        hips = matrices[:, 0].transpose(-1, -2)  # rows are its axes
        flat = turned(hips[:, :2, 0::2], left.unsqueeze(1))
        hips = torch.stack([flat[..., 0], hips[:, :2, 1], flat[..., 1]], dim=-1).flatten(1)
        others = matrices[:, 1:, :, :2].transpose(-1, -2).flatten(1)
        partner = torch.cat([root[:, :1], up + floor, root[:, 1:], hips, others], dim=-1)

        # 8. What to remember.
        since = torch.where(push, torch.zeros_like(dt), since + dt)
        kept = torch.where(push, edges[:, :HISTORY], ages)
        ready = push.unsqueeze(-1)
        kept_plans = torch.where(ready, plans[:, :PLANS], state_plans)
        return (
            partner,
            torch.cat([elapsed + dt, since, searched, kept], dim=-1),
            torch.where(ready, samples[:, :HISTORY], history),
            torch.where(started.unsqueeze(-1), kept_plans, torch.zeros_like(kept_plans)),
            latent,
            torch.cat([row, fraction, rate, pose["root"], pose["yaw"]], dim=-1),
            torch.cat([inner, left, root_offset * ~first, yaw_offset * ~first, steering * ~first, floor], dim=-1),
            torch.cat([offset.flatten(1), height * ~first, spin.flatten(1), lift * ~first], dim=-1),
            feet,
        )

    def _floor(self, dancer: Tensor, floor: Tensor, dt: Tensor, started: Tensor) -> Tensor:
        """How high the dancer's lower toe is when it stands, (B, 1): a running 10th percentile. Both stand on one
        floor, however high the tracker puts it.
        """
        low = dancer[:, features.TOES, 1].amin(dim=-1, keepdim=True)
        step = torch.where(low < floor, -0.9 * dt, 0.1 * dt) * _FLOOR_SPEED
        return torch.where(started, floor + step, low)

    def _read(self, plans: Tensor, ages: Tensor, fresh: Tensor, lead: Tensor) -> Tensor:
        """Placements (B, 3, 4) = root and left now, 10 and 20 frames from now: plans (B, P, 5H) of ages (B, P)."""
        edges, count = self.horizons, len(self.horizons)
        ahead = torch.cat([lead + self.config.lead, lead + 10 * PERIOD, lead + 20 * PERIOD], dim=-1)
        when = ages.unsqueeze(1) + ahead.unsqueeze(-1)  # (B, 3, P)
        when = torch.cat([when[:, :, :1].clamp(max=float(edges[-1])), when[:, :, 1:]], dim=-1).unsqueeze(-1)
        step = edges[1:] - edges[:-1]
        one = torch.ones_like(when)
        rising = torch.cat([one, (when - edges[:-1]) / step], dim=-1)
        falling = torch.cat([(edges[1:] - when) / step, 1.0 - (when - edges[-1]) / 0.1], dim=-1)
        hat = torch.relu(torch.minimum(torch.minimum(rising, falling), one))  # (B, 3, P, H)
        weight = torch.relu(torch.exp(-ages / self.config.forget_seconds) - _FADED)
        ripe = ((ages + _YOUNG) / _RIPEN).clamp(max=1.0)
        ripe = torch.cat([ripe[:, :1] * fresh.clamp(1e-3, 1.0), ripe[:, 1:]], dim=-1)
        weight = weight * (ripe * ripe if self.config.ripen else torch.ones_like(ripe))
        weights = (hat * weight[:, None, :, None]).flatten(2)  # (B, 3, P H)
        total = weights @ plans.view(-1, plans.shape[1] * count, 5)
        return total[..., :4] / total[..., 4:].clamp(min=1e-9)

    def _query(self, seen: Tensor, past: Tensor, root: Tensor, left: Tensor, placed: Tensor) -> tuple[Tensor, Tensor]:
        """The query (B, D) on the database's axes, and the speed to have, m/s (B, 1)."""
        moves = seen_from(placed[:, 1:, :2] - placed[:, :1, :2], left.unsqueeze(1))
        turns = 0.5 * seen_from(unit(placed[:, 1:, 2:]), left.unsqueeze(1))
        trajectory = torch.cat([moves, turns], dim=-1).flatten(1)
        return self.model.query(seen, trajectory, features.leader_seen(past, root, left), features.speeds(past))

    def _at(self, row: Tensor, fraction: Tensor) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        """The pose between rows (Catmull-Rom), its joints' turning (B, J, 3) rad/s; height, root, yaw a second (B, 4).

        Both at the clip's own speed; the root's velocity in the body's frame.
        """
        four = self.model.rows(row)  # (B, 4, columns): the row before, this, two after
        f = fraction
        weights = torch.cat(
            [
                ((2.0 - f) * f - 1.0) * f,
                (3.0 * f - 5.0) * f * f + 2.0,
                ((4.0 - 3.0 * f) * f + 1.0) * f,
                (f - 1.0) * f * f,
            ],
            dim=-1,
        )
        flat = ((0.5 * weights).unsqueeze(1) @ four)[:, 0]
        pose = _named(flat)
        pose["flat"] = flat
        this, after = _named(four[:, 1]), _named(four[:, 2])
        turning = quaternions.log(quaternions.multiply(after["quats"], quaternions.conjugate(this["quats"])))
        velocity = seen_from(after["root"] - this["root"], _left_of(this["yaw"]))
        moving = torch.cat([after["height"] - this["height"], velocity, after["yaw"] - this["yaw"]], dim=-1)
        return pose, turning * features.RATE, moving * features.RATE


def _named(row: Tensor) -> dict[str, Tensor]:
    pose = dict(zip(CLIP, row.split(list(CLIP.values()), dim=-1), strict=True))
    pose["quats"] = unit(pose["quats"].view(-1, _JOINTS, 4))
    return pose


def _left_of(yaw: Tensor) -> Tensor:
    """The left (B, 2) of a yaw (B, 1), radians about +Y."""
    return torch.cat([torch.cos(yaw), -torch.sin(yaw)], dim=-1)


def _melted(offset: Tensor, velocity: Tensor, dt: Tensor, half_life: float) -> tuple[Tensor, Tensor]:
    """An offset and its velocity after dt, critically damped."""
    y = 2.0 * math.log(2.0) / half_life
    pull = velocity + offset * y
    fade = torch.exp(-y * dt)
    return fade * (offset + pull * dt), fade * (velocity - pull * y * dt)
