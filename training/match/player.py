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
from torch.nn import functional as F

from motion.skeleton import HUMANOID
from training.match import features, quaternions
from training.match.database import CLIP
from training.match.features import plane, plane_back, space, unit
from training.match.feet import Feet
from training.match.folded import Folded

HISTORY, PLANS = 32, 20
PERIOD = 1.0 / features.RATE
_EARLY, _SETTLE = 1e-3, 0.1  # s: a push may come early by rounding; trackers begin with rubbish
_FADED = 0.04
_JOINTS = len(HUMANOID)
_ROOT = CLIP["quats"]  # where a pose row's root x z, height and yaw begin
_FLOOR_SPEED = 0.05  # m/s
MARGIN = 5.0  # rows at a take's end that do not play: the phase lock looks four rows ahead


class Player(nn.Module):
    """See the module. `model` is a fitted DuetMatch."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model, self.config = model, model.config
        self.folded = Folded(model)
        self._remember()
        self.feet = Feet(self.config.foot_clamp, self.config.foot_release, self.config.foot_lift)
        horizons = torch.tensor(self.config.horizons, dtype=torch.float32) * PERIOD
        self.register_buffer("horizons", horizons)
        self.register_buffer("lags", torch.tensor(features.LAGS, dtype=torch.float32)[:, None] * PERIOD)
        self.register_buffer("lowest", torch.tensor(4.0))  # before the start, when the state names no row yet
        self.register_buffer("steer_seconds", torch.tensor(self.config.steer_seconds))
        self.register_buffer("grid", torch.arange(HISTORY, dtype=torch.float32) * PERIOD)
        difference = torch.zeros(HISTORY, HISTORY + 1)
        difference[range(HISTORY), range(HISTORY)] = -1.0
        difference[range(HISTORY), range(1, HISTORY + 1)] = 1.0
        self.register_buffer("ramp_difference", difference)
        self.register_buffer("ramp_start", torch.eye(HISTORY + 1)[:1])

    def _remember(self) -> None:
        self.register_buffer("doors", self.model.table[self.model.doors.long()].contiguous())
        self.register_buffer("norms", 0.5 * self.doors.square().sum(1))

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
            "state_clip": (self.memory + 1,),  # where in the clip the player is, and the clip's rate
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
        place, want, context = self.folded(features.context(past))
        here, leader_left = past[:, 0, 0, 0::2], features.lefts(past[:, 0])
        world = (place.view(-1, 2 * len(self.horizons), 2) @ plane(leader_left)).view(-1, len(self.horizons), 4)
        world = world + F.pad(here, (0, 2)).unsqueeze(1)
        plan = F.pad(world, (0, 1), value=1.0).flatten(1)
        plans = torch.cat([plan.unsqueeze(1), state_plans], dim=1)  # (B, 1 + PLANS, 5 horizons)
        placed = self._read(plans, edges[:, : PLANS + 1], (since + dt) / PERIOD, lead)
        away = placed[:, 0, :2] - here
        length = away.norm(dim=-1, keepdim=True).clamp(min=1e-3)
        wanted = length + config.stretch * torch.relu(length - config.far) + distance
        wanted = torch.maximum(wanted, config.near**0.75 * length.sqrt().sqrt())
        target = here + away * (wanted / length)
        facing = unit(placed[:, :, 2:])  # (B, 3, 2)

        # 3. The clip, a little further on; the root under it, drawn to where it should be.
        place_in_clip, rate = state_clip.split([self.memory, 1], dim=-1)
        flat, at, moved, turned, ended = self._onward(place_in_clip, rate * dt)
        old = self._named(flat)
        inner, left, root_offset, yaw_offset, steering, floor = state_body.split([2, 2, 2, 1, 2, 1], dim=-1)
        moved = moved + root_offset * dt
        inner = inner + (moved.unsqueeze(1) @ plane(left))[:, 0] + steering * dt
        inner = torch.where(started, inner, target)
        gap = target - inner
        size = gap.norm(dim=-1, keepdim=True).clamp(min=1e-6)
        smooth = 1.0 - torch.exp(dt * (-1.0 / config.steer_smooth))
        pull = gap * (1.0 / torch.maximum(size / config.steer_speed, self.steer_seconds))
        steering = torch.where(started, steering + smooth * (pull - steering), 0.0 * pull)
        aside = (facing[:, :1] @ plane_back(left))[:, 0]
        angle = torch.atan(aside[:, 1:] / (1.0 + aside[:, :1]).clamp(min=1e-3)) * (2.0 / config.turn_seconds)
        angle = turned + (yaw_offset - angle.clamp(-config.turn_speed, config.turn_speed)) * dt
        left = unit((_left_of(angle).unsqueeze(1) @ plane(left))[:, 0])
        left = torch.where(started, left, facing[:, 0])
        root = inner + config.ride * gap

        # 4. What to look for, and the row that has it.
        keep = torch.where(elapsed > 0.0, torch.exp(dt * (-1.0 / config.drift_seconds)), 0.0 * dt)
        latent = keep * state_latent + torch.sqrt(1.0 - keep * keep) * noise
        ahead = torch.cat([placed[:, 1:, :2] - placed[:, :1, :2], 0.5 * facing[:, 1:]], dim=-1)
        trajectory = (ahead.view(-1, 4, 2) @ plane_back(left)).flatten(1)
        rest, speed = self.folded.query(
            trajectory, features.leader_seen(past, root, left), want, context, features.speeds(past)
        )
        rest = rest + (variety * latent) @ model.wander
        searched = searched + dt
        ending = ended | ~started
        due = (searched >= config.search_seconds - _EARLY) | ending
        flat, at, jump = self._choose(rest, flat, at, due, ending, started)
        searched = torch.where(due, 0.0 * dt, searched)

        # 5. The jump: the difference becomes an offset that melts.
        new = self._named(flat)
        y = 2.0 * math.log(2.0) / config.jump_half_life
        place, pace = state_offset.split([3 * _JOINTS + 1, 3 * _JOINTS + 1], dim=-1)
        pull = pace + place * y
        fade = torch.exp(dt * -y)
        place, pace = fade * (place + pull * dt), fade * (pace - pull * (y * dt))
        offset = place[:, : 3 * _JOINTS].view(-1, _JOINTS, 3)
        leap = (jump & started).to(dt.dtype)
        shown = quaternions.multiply(quaternions.exp(offset), old["quats"])
        fresh = quaternions.log(quaternions.multiply(shown, quaternions.conjugate(new["quats"]))).flatten(1)
        height = place[:, 3 * _JOINTS :] + old["height"] - new["height"]
        place = torch.where(jump, torch.cat([fresh, height], dim=-1), place) * started
        change = (leap * rate) * (old["pace"] - new["pace"])
        pace = (pace + change[:, : 3 * _JOINTS + 1]) * started
        melted = torch.exp(dt * (-math.log(2.0) / config.jump_half_life))
        drift = (torch.cat([root_offset, yaw_offset], dim=-1) * melted + change[:, 3 * _JOINTS + 1 :]) * started
        quats = quaternions.multiply(quaternions.exp(place[:, : 3 * _JOINTS].view(-1, _JOINTS, 3)), new["quats"])
        up = new["height"] + place[:, 3 * _JOINTS :]
        floor = self._floor(past[:, 0], floor, dt, started)

        # 6. The phase lock: is the leader ahead of the clip or behind it? And is the partner to be faster?
        slip = self._slip(rest, at)
        hurry = (speed / new["speed"].clamp(min=0.05)).clamp(0.4, 2.5) ** config.hurry
        goal = ((1.0 + (config.lock_gain * slip).clamp(-0.25, 0.25)) * hurry).clamp(0.65, 1.4)
        follow = 1.0 - torch.exp(dt * (features.RATE * math.log(1.0 - config.rate_gain)))
        rate = torch.where(started, rate + follow * (goal - rate), torch.ones_like(rate))

        # 7. Feet that stand are held; then the pose as the world sees it.
        turns = quaternions.matrices(torch.cat([quats, new["quats"]], dim=1))  # (B, 2 J, 3, 3)
        heights = torch.cat([up, new["height"]], dim=1)
        matrices, feet = self.feet(
            turns, heights, root, left, new["contacts"], rate * new["toes"], dt, state_feet, jump, started
        )
        sixd = matrices.transpose(-1, -2)[:, :, :2]  # the first two axes as rows, (B, J, 2, 3)
        hips = (sixd[:, 0] @ space(left)).flatten(1)
        partner = torch.cat([root[:, :1], up + floor, root[:, 1:], hips, sixd[:, 1:].flatten(1)], dim=-1)

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
            torch.cat([self._kept(at, new), rate], dim=-1),
            torch.cat([inner, left, drift, steering, floor], dim=-1),
            torch.cat([place, pace], dim=-1),
            feet,
        )

    # The clip and where in it the player is: what a player without a database does otherwise.

    memory = 5  # row, fraction, the clip's root x z and yaw there

    def _onward(self, kept: Tensor, seconds: Tensor) -> tuple[Tensor, ...]:
        """The pose row after `seconds` of the clip, where that is, the root's way (B, 2) and turn, whether it ends."""
        model = self.model
        row, fraction, clip_root, clip_yaw = kept.split([1, 1, 2, 1], dim=-1)
        last = model.last_of(row) - MARGIN
        onward = fraction + features.RATE * seconds
        whole = onward.floor()
        row = torch.maximum(torch.minimum(row + whole, last), self.lowest)
        flat = model.at(row, onward - whole)
        root, yaw = flat[:, _ROOT : _ROOT + 2], flat[:, _ROOT + 3 : _ROOT + 4]
        moved = ((root - clip_root).unsqueeze(1) @ plane_back(_left_of(clip_yaw)))[:, 0]
        return flat, torch.cat([row, onward - whole], dim=-1), moved, yaw - clip_yaw, row >= last

    def _choose(
        self, rest: Tensor, flat: Tensor, at: Tensor, due: Tensor, ending: Tensor, started: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The pose row and place to go on from, and whether that is a jump."""
        row = at[:, :1]
        best, better = self.model.search(rest, row, started, self.doors, self.norms)
        jump = (due & better & ((best - row).abs() > 4.0)) | ending
        flat = torch.where(jump, self.model.poses[best.long()[:, 0]], flat)
        return flat, torch.where(jump, F.pad(best, (0, 1)), at), jump

    def _slip(self, rest: Tensor, at: Tensor) -> Tensor:
        return self.model.slip(rest, at[:, :1])

    def _kept(self, at: Tensor, pose: dict[str, Tensor]) -> Tensor:
        return torch.cat([at, pose["root"], pose["yaw"]], dim=-1)

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
        # The newest plan gains its weight until it is kept, and the oldest has none left: neither shows.
        weight = torch.cat([weight[:, :1] * fresh.clamp(1e-3, 1.0), weight[:, 1:]], dim=-1)
        weights = (hat * weight[:, None, :, None]).flatten(2)  # (B, 3, P H)
        total = weights @ plans.view(-1, plans.shape[1] * count, 5)
        return total[..., :4] / total[..., 4:].clamp(min=1e-9)

    def _named(self, row: Tensor) -> dict[str, Tensor]:
        """The parts of pose rows (B, columns); `pace` is turning and moving together."""
        pose = dict(zip(CLIP, row.split(list(CLIP.values()), dim=-1), strict=True))
        pose["pace"] = torch.cat([pose["turning"], pose["moving"]], dim=-1)
        pose["quats"] = unit(pose["quats"].view(-1, _JOINTS, 4))
        return pose


def _left_of(yaw: Tensor) -> Tensor:
    """The left (B, 2) of a yaw (B, 1), radians about +Y."""
    return torch.cat([torch.cos(yaw), -torch.sin(yaw)], dim=-1)
