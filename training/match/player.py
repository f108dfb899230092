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
from training.match.features import plane_back, space, times, times_conjugate, unit
from training.match.feet import Feet
from training.match.folded import Folded
from training.match.plans import PLANS, Plans

HISTORY = 32
PERIOD = 1.0 / features.RATE
_EARLY, _SETTLE = 1e-3, 0.1  # s: a push may come early by rounding; trackers begin with rubbish
_JOINTS = len(HUMANOID)
_ROOT = CLIP["quats"]  # where a pose row's root x z, height and yaw begin
_FLOOR_SPEED = 0.05  # m/s
MARGIN = 5.0  # rows at a take's end that do not play: the phase lock looks four rows ahead


def pose_columns(parts: dict[str, int]) -> dict[str, int]:
    """The columns of a pose row of these parts; `pace` is turning and moving together, its end."""
    still = {name: size for name, size in parts.items() if name not in ("turning", "moving")}
    return {**still, "pace": parts["turning"] + parts["moving"]}


class Player(nn.Module):
    """See the module. `model` is a fitted DuetMatch."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model, self.config = model, model.config
        self.folded = Folded(model)
        self._remember()
        self.feet = Feet(self.config.foot_clamp, self.config.foot_release, self.config.foot_lift)
        self.plans = Plans(self.config.horizons, self.config.lead, self.config.forget_seconds)
        y = 2.0 * math.log(2.0) / self.config.jump_half_life
        self.register_buffer("spring", torch.tensor([y, 1.0, -y * y, -y]))
        self.register_buffer("still", torch.eye(2).flatten())
        # What a second leaves, as logarithms: of a jump's root pace, steering, latent, rate, a jump; two of the feet.
        decays = [-0.5 * y, -1.0 / self.config.steer_smooth, -1.0 / self.config.drift_seconds]
        decays += [features.RATE * math.log(1.0 - self.config.rate_gain), -y, *self.feet.decays]
        self.register_buffer("decays", torch.tensor(decays))
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
        before = state_clock[:, :1]
        started = before >= _SETTLE  # (B, 1)
        elapsed, since, searched, ages = (state_clock + dt).split([1, 1, 1, HISTORY], dim=-1)
        ages = torch.where(started, ages, self.grid + PERIOD)  # of the kept samples; the present has age 0
        history = torch.where(started.unsqueeze(-1), state_history, dancer.unsqueeze(1))
        push = (since >= PERIOD - _EARLY) | ~started
        samples = torch.cat([dancer.unsqueeze(1), history], dim=1)
        edges = F.pad(ages, (1, 0))
        earlier = edges[:, :HISTORY]
        gaps = (ages - earlier).clamp(min=1e-4)
        ramps = ((self.lags - earlier.unsqueeze(1)) / gaps.unsqueeze(1)).clamp(0.0, 1.0)
        past = (ramps @ self.ramp_difference + self.ramp_start) @ samples  # (B, LAGS, 3 J)
        parts = torch.exp(dt * self.decays).split([1] * len(self.decays), dim=-1)
        melted, unsteered, keep, unchanged, fade, loosened, sunk = parts

        # 2. A plan and an intention; where to be now and shortly, from this plan and the past ones.
        place, want, context = self.folded(features.context(past))
        now, leader_left = past[:, 0], features.flat_lefts(past)[:, 0]
        here = now[:, 0:3:2]
        plan = F.pad(place.view(-1, len(config.horizons), 4), (0, 1), value=1.0) @ features.placed(here, leader_left)
        plans = torch.cat(
            [plan.view(-1, 1, 5 * len(config.horizons)), state_plans], dim=1
        )  # (B, 1 + PLANS, 5 horizons)
        spots, facing = self.plans(plans, edges[:, : PLANS + 1], since, lead).split([2, 2], dim=-1)
        spot, facing = spots[:, 0], unit(facing)  # (B, 2), (B, 3, 2)
        away = spot - here
        length = away.norm(dim=-1, keepdim=True).clamp(min=1e-3)
        wanted = length + config.stretch * torch.relu(length - config.far) + distance
        wanted = torch.maximum(wanted, config.near**0.75 * length**0.25)
        target = here + away * (wanted / length)

        # 3. The clip, a little further on; the root under it, drawn to where it should be.
        place_in_clip, rate = state_clip.split([self.memory, 1], dim=-1)
        old, at, going, ended = self._onward(place_in_clip, rate * dt)
        inner, left, drift, steering, floor = state_body.split([2, 2, 3, 2, 1], dim=-1)
        moved, turned = (going + drift * dt).split([2, 1], dim=-1)
        inner = inner + times(left, moved) + steering * dt
        inner = torch.where(started, inner, target)
        gap = target - inner
        size = gap.norm(dim=-1, keepdim=True)
        pull = gap / torch.maximum(size / config.steer_speed, self.steer_seconds)
        steering = pull + unsteered * (steering - pull)
        along, across = times_conjugate(facing[:, 0], left).split([1, 1], dim=-1)
        angle = torch.atan(across / (1.0 + along).clamp(min=1e-3)) * (2.0 / config.turn_seconds)
        angle = turned - angle.clamp(-config.turn_speed, config.turn_speed) * dt
        left = torch.where(started, unit(times(left, _left_of(angle))), facing[:, 0])
        root = inner + config.ride * gap

        # 4. What to look for, and the row that has it.
        keep = torch.where(before > 0.0, keep, 0.0)
        latent = keep * state_latent + torch.sqrt(1.0 - keep * keep) * noise
        ahead = torch.cat([_LATER @ spots, _LATER_HALF @ facing], dim=-1)
        trajectory = (ahead.view(-1, 4, 2) @ plane_back(left)).flatten(1)
        rest, speed = self.folded.query(
            trajectory, features.leader_seen(past, root, left), want, context, features.speeds(past)
        )
        rest = rest + (variety * latent) @ model.wander
        ending = ended | ~started
        due = (searched >= config.search_seconds - _EARLY) | ending
        new, at, jump = self._choose(rest, old, at, due, ending, started)
        searched = torch.where(due, 0.0, searched)

        # 5. The jump: the difference becomes an offset that melts.
        jump = jump & started
        spring = ((dt * self.spring + self.still) * fade).view(-1, 2, 2)
        offset, height, pace = (
            (spring @ state_offset.view(-1, 2, 3 * _JOINTS + 1))
            .view(-1, 2 * (3 * _JOINTS + 1))
            .split([3 * _JOINTS, 1, 3 * _JOINTS + 1], dim=-1)
        )
        pose, shown = self._parts(new), torch.where(started, old, new)
        lost = self._parts(shown - new)  # nothing without a jump
        clip = pose["quats"].view(-1, _JOINTS, 4)
        quats = self._parts(shown)["quats"].view(-1, _JOINTS, 4)
        quats = quaternions.multiply(quaternions.exp(offset.view(-1, _JOINTS, 3)), quats)
        fresh = quaternions.log(quaternions.multiply(quats, quaternions.conjugate(clip))).flatten(1)
        offset = torch.where(jump, fresh, offset)
        height = height + lost["height"]
        up = pose["height"] + height
        change = rate * lost["pace"]
        pace = pace + change[:, : 3 * _JOINTS + 1]
        drift = drift * melted + change[:, 3 * _JOINTS + 1 :]
        floor = self._floor(now, floor, dt, started)

        # 6. The phase lock: is the leader ahead of the clip or behind it? And is the partner to be faster?
        slip = self._slip(rest, at, pose)
        hurry = (speed / pose["speed"].clamp(min=0.05)).clamp(0.4, 2.5) ** config.hurry
        goal = ((1.0 + (config.lock_gain * slip).clamp(-0.25, 0.25)) * hurry).clamp(0.65, 1.4)
        rate = torch.where(started, goal + unchanged * (rate - goal), 1.0)

        # 7. Feet that stand are held; then the pose as the world sees it.
        turns = quaternions.matrices(unit(torch.cat([quats, clip], dim=1)), 2 * _JOINTS)  # (B, 2 J, 3, 3)
        places = torch.cat([root, up, pose["height"]], dim=-1)
        matrices, feet = self.feet(
            *(turns, places, left, pose["contacts"], rate * self._toes(pose), dt, loosened, sunk),
            *(state_feet, jump, started),
        )
        sixd = matrices.transpose(-1, -2)[:, :, :2]  # the first two axes as rows, (B, J, 2, 3)
        hips = (sixd[:, 0] @ space(left)).flatten(1)
        partner = torch.cat([root[:, :1], up + floor, root[:, 1:], hips, sixd[:, 1:].flatten(1)], dim=-1)

        # 8. What to remember.
        kept = torch.where(push, earlier, ages)
        return (
            partner,
            torch.cat([elapsed, torch.where(push, 0.0, since), searched, kept], dim=-1),
            torch.where(push.unsqueeze(-1), samples[:, :HISTORY], history),
            torch.where((push & started).unsqueeze(-1), plans[:, :PLANS], state_plans),
            latent,
            torch.cat([self._kept(at, pose), rate], dim=-1),
            torch.cat([inner, left, drift, steering, floor], dim=-1),
            torch.cat([offset, height, pace], dim=-1),
            feet,
        )

    # The clip and where in it the player is: what a player without a database does otherwise.

    memory = 5  # row, fraction, the clip's root x z and yaw there
    columns = pose_columns(CLIP)

    def _onward(self, kept: Tensor, seconds: Tensor) -> tuple[Tensor, ...]:
        """The pose row after `seconds` of the clip, where that is, the root's way and turn (B, 3), whether it ends."""
        model = self.model
        row, fraction, clip_root, clip_yaw = kept.split([1, 1, 2, 1], dim=-1)
        last = model.last_of(row) - MARGIN
        onward = fraction + features.RATE * seconds
        whole = onward.floor()
        row = torch.maximum(torch.minimum(row + whole, last), self.lowest)
        flat = model.at(row, onward - whole)
        root, yaw = flat[:, _ROOT : _ROOT + 2], flat[:, _ROOT + 3 : _ROOT + 4]
        moved = times_conjugate(root - clip_root, _left_of(clip_yaw))
        going = torch.cat([moved, yaw - clip_yaw], dim=-1)
        return flat, torch.cat([row, onward - whole], dim=-1), going, row >= last

    def _choose(
        self, rest: Tensor, flat: Tensor, at: Tensor, due: Tensor, ending: Tensor, started: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The pose row and place to go on from, and whether that is a jump."""
        row = at[:, :1]
        best, better = self.model.search(rest, row, started, self.doors, self.norms)
        jump = (due & better & ((best - row).abs() > 4.0)) | ending
        flat = torch.where(jump, self.model.poses[best.long()[:, 0]], flat)
        return flat, torch.where(jump, F.pad(best, (0, 1)), at), jump

    def _slip(self, rest: Tensor, at: Tensor, pose: dict[str, Tensor]) -> Tensor:
        return self.model.slip(rest, at[:, :1])

    def _kept(self, at: Tensor, pose: dict[str, Tensor]) -> Tensor:
        return torch.cat([at, pose["root"], pose["yaw"]], dim=-1)

    def _toes(self, pose: dict[str, Tensor]) -> Tensor:
        """How low toes travel, m/s in the body's frame (B, 4)."""
        return pose["toes"]

    def _parts(self, row: Tensor) -> dict[str, Tensor]:
        """The parts of pose rows (B, columns), quaternions of any length."""
        return dict(zip(self.columns, row.split(list(self.columns.values()), dim=-1), strict=True))

    def _floor(self, dancer: Tensor, floor: Tensor, dt: Tensor, started: Tensor) -> Tensor:
        """How high the dancer's lower toe is when it stands, (B, 1): a running 10th percentile. Both stand on one
        floor, however high the tracker puts it.
        """
        low = dancer[:, _TOE_HEIGHTS].amin(dim=-1, keepdim=True)
        return torch.where(started, floor + torch.where(low < floor, -0.9 * _FLOOR_SPEED, 0.1 * _FLOOR_SPEED) * dt, low)


_TOE_HEIGHTS = [3 * toe + 1 for toe in features.TOES]
_LATER = torch.tensor([[-1.0, 1.0, 0.0], [-1.0, 0.0, 1.0]])  # of three: the last two less the first
_LATER_HALF = torch.tensor([[0.0, 0.5, 0.0], [0.0, 0.0, 0.5]])
_QUARTER = torch.tensor([0.0, 0.5 * math.pi])


def _left_of(yaw: Tensor) -> Tensor:
    """The left (B, 2) of a yaw (B, 1), radians about +Y."""
    return torch.cos(yaw + _QUARTER)
