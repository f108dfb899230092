"""The causal duet as it runs live: one step from this frame's pose and state to the next pose and state.

One live frame is one step at any rate. A push happens when 1/30 s has passed since the last one: the dancer's marks
and the plan made from them enter ring buffers that remember their age. All zeros is the state at the start; the graph
sees it and fills the history with the present. Weights are folded and everything linear in the clock is one table,
because on this budget every small operation counts.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from exporters.graphs import ports
from motion.manifest import Manifest, Param
from training.models.duet import Duet

HISTORY, PLANS = 32, 20  # pushes remembered: 1.03 s of the dancer, 0.67 s of plans
_PERIOD = 1.0 / 30.0
_EARLY = 1e-3  # a push may come this much early, so that rounding never skips one
_SETTLE = 0.1  # seconds at the start in which nothing is remembered: recordings and trackers begin with rubbish
_FORGET = 0.2  # seconds in which a past plan loses its weight
_FADED = 0.04  # the weight of a plan about to leave the buffer, taken off all, so that none leaves with a jump
_RIPEN, _YOUNG = 0.1, 0.005  # seconds in which a plan gains its weight, and the head start it has
LEAD = 0.02  # seconds; plans are read this far ahead: it cancels the lag that averaging adds
_DRIFT = 2.0  # seconds in which the latent wanders off
LIVELY = 1.25  # poses are this much further from the mean one: predicting and averaging shrink them
_FAR, _STRETCH = 0.8, 0.15  # metres, share: far partners are predicted too near
_FASTEST, _ANYWHERE = 2.8, 100.0  # m/s of the partner's hips; metres, where the first frame may put them
_NEAR = 0.45  # metres; nearer ones are held off, softly: a hard limit flings a partner who passes round the dancer


class DuetStep(nn.Module):
    """See the module. Ports and their shapes are in `ports`."""

    def __init__(self, model: Duet) -> None:
        super().__init__()
        config, joints = model.config, len(model.skeleton)
        self.skeleton = model.skeleton
        self.joints, self.horizons, self.latent = joints, len(config.horizons), config.latent
        self.lags, self.marks = len(config.lags), len(config.marks) + 1
        self.row = 4 + config.code + 1  # root x z, left x z, pose code, and a one that counts the weight
        self._fold_networks(model)
        self._fold_geometry(model)
        self._fold_clock(torch.tensor(config.horizons, dtype=torch.float64))
        self.register_buffer("lag_times", torch.tensor(config.lags, dtype=torch.float32)[:, None])

    def ports(self) -> tuple[dict[str, tuple[int, ...]], dict[str, tuple[int, ...]]]:
        """Shapes without the batch axis of (inputs, states)."""
        inputs = {
            "dancer": (3 * self.joints,),
            "dt": (1,),
            "noise": (self.latent,),
            "variety": (1,),
            "distance": (1,),
            "lead": (1,),
        }
        states = {
            "state_clock": (3 + HISTORY,),
            "state_latent": (self.latent,),
            "state_root": (2,),
            "state_history": (HISTORY, 3 * self.marks),
            "state_plans": (PLANS * self.horizons, self.row),
        }
        return inputs, states

    def label(self, name: str) -> Manifest:
        """The manifest, all but where the model comes from."""
        return ports.frame_by_frame(
            name,
            self.skeleton,
            self.ports(),
            (
                Param("variety", 1.0, 0.0, 2.0, 0.3, "how far the partner strays from the mean partner"),
                Param("distance", 0.0, -0.5, 1.5, 0.3, "metres added between dancer and partner"),
                Param("lead", 0.0, 0.0, 0.5, 0.3, "seconds that the partner's moves are read ahead"),
            ),
        )

    def forward(
        self,
        dancer: Tensor,
        dt: Tensor,
        noise: Tensor,
        variety: Tensor,
        distance: Tensor,
        lead: Tensor,
        state_clock: Tensor,
        state_latent: Tensor,
        state_root: Tensor,
        state_history: Tensor,
        state_plans: Tensor,
    ) -> tuple[Tensor, ...]:
        """dancer (B, 3J) world metres, dt (B, 1) seconds ... -> partner (B, 3 + 6J) and the next states."""
        # 1. The clock: everything that is linear in (ages, dt, lead) comes out of one table.
        dt = dt.clamp(0.0, 10.0)
        clock = torch.cat([state_clock, dt, lead], dim=-1)
        linear = F.linear(clock, self.clock_weight, self.clock_bias).split(self.clock_split, dim=-1)
        absent, awake, log_keep, elapsed, since, reach, ages, gaps, *rest = linear
        rising, falling, log_weight, ripe, if_pushed, if_not, if_waiting = rest
        settled = elapsed >= _SETTLE  # (B, 1)
        push = (since >= _PERIOD - _EARLY) & settled  # (B, 1)

        # 2. The dancer's frame, and what is remembered of this moment.
        left = _unit(F.linear(dancer, self.hip_axis))
        moment = F.linear(torch.cat([dancer, left], dim=-1), self.moment_weight)
        mark, origin, home, here = moment.split([3 * self.marks, 3, 4, 2], dim=-1)
        turn = F.linear(left, self.turn_weight, self.turn_bias).view(-1, 3, 3)  # world -> dancer

        # 3. The last second at the model's lags: linear between the samples on either side.
        history = state_history + (absent * mark).unsqueeze(1)
        samples = torch.cat([mark.unsqueeze(1), history], dim=1)
        ramps = ((self.lag_times - ages.unsqueeze(1)) / gaps.clamp(min=1e-4).unsqueeze(1)).clamp(0.0, 1.0)
        past = (torch.matmul(ramps, self.ramp_difference) + self.ramp_start) @ samples  # (B, lags, 3 marks)

        # 4. A latent that wanders (Ornstein-Uhlenbeck, exact for any dt) and begins with the first noise.
        keep = awake.clamp(0.0, 1.0) * torch.exp(log_keep)
        latent = keep * state_latent + torch.sqrt(1.0 - keep * keep) * noise

        # 5. Two networks make a plan for the next moments; it is moved to the world.
        points = torch.cat([dancer.view(-1, self.joints, 3), past.view(-1, self.lags * self.marks, 3)], dim=1)
        local = ((points - origin.unsqueeze(1)) @ turn).view(-1, self.features)
        hidden = F.silu(self.first(torch.cat([local, latent * variety], dim=-1)))
        to_place, to_pose = hidden.split(self.widths, dim=-1)
        placed = self.place_out(F.silu(self.place_hidden(to_place)))
        posed = self.pose_out(F.silu(self.pose_hidden(to_pose)))
        back = F.linear(left, self.back_weight).view(-1, 2, 2)  # dancer -> world, on the floor
        world = (placed.view(-1, 2 * self.horizons, 2) @ back).view(-1, self.horizons, 4) + home.unsqueeze(1)
        plan = torch.cat([world, posed.view(-1, self.horizons, self.row - 4)], dim=-1)

        # 6. The partner now: the mean of what this plan and the past ones say about this moment.
        plans = torch.cat([plan, state_plans], dim=1)
        ripe = ripe.clamp(1e-3, 1.0)
        weights = (
            torch.relu(torch.minimum(rising, falling)) * torch.relu(torch.exp(log_weight) - _FADED) * (ripe * ripe)
        )
        total = (weights.unsqueeze(1) @ plans).view(-1, self.row)
        root, facing, code, count = total.split([2, 2, self.row - 5, 1], dim=-1)
        away = root / count - here
        length = away.norm(dim=-1, keepdim=True).clamp(min=1e-3)
        wanted = length + _STRETCH * torch.relu(length - _FAR) + distance
        wanted = torch.maximum(wanted, _NEAR**0.75 * length.sqrt().sqrt())
        change = here + away * (wanted / length) - state_root
        root = state_root + change * (reach / change.norm(dim=-1, keepdim=True).clamp(min=1e-6)).clamp(max=1.0)

        # 7. The pose: orthonormal 6-D rotations, the hips turned to face where the partner faces.
        height, x, y = self.decoder(code / count).split([1, 3 * self.joints, 3 * self.joints], dim=-1)
        x = _unit(x.view(-1, self.joints, 3))
        y = y.view(-1, self.joints, 3)
        y = _unit(y - (x * y).sum(-1, keepdim=True) * x)
        hips, others = torch.cat([x, y], dim=-1).view(-1, 6 * self.joints).split([6, 6 * (self.joints - 1)], dim=-1)
        facing = F.linear(_unit(facing), self.turn_back_weight, self.turn_bias).view(-1, 3, 3)
        hips = (hips.view(-1, 2, 3) @ facing).view(-1, 6)
        partner = torch.cat([root[:, :1], height, root[:, 1:], hips, others], dim=-1)

        # 8. What to remember.
        return (
            partner,
            torch.where(settled, torch.where(push, if_pushed, if_not), if_waiting),
            latent,
            root,
            torch.where(push.unsqueeze(1), samples[:, :HISTORY], state_history),
            torch.where(push.unsqueeze(1), plans[:, : PLANS * self.horizons], state_plans),
        )

    def _fold_networks(self, model: Duet) -> None:
        """Standardisation, means and the unused role flag go into the weights; both first layers become one."""
        scale, mean = model.feature_scale, model.feature_mean
        place, pose = [_linears(net) for net in (model.placement, model.pose)]
        self.features, self.widths = len(mean), [len(place[0].weight), len(pose[0].weight)]
        latent = self.latent
        pose_seen, pose_latent = pose[0].weight[:, : self.features], pose[0].weight[:, self.features :][:, :latent]
        seen = torch.cat([place[0].weight, pose_seen]) / scale
        unseen = torch.cat([torch.zeros(self.widths[0], latent), pose_latent])
        bias = torch.cat([place[0].bias, pose[0].bias]) - seen @ mean
        self.first = _linear(torch.cat([seen, unseen], dim=1), bias)
        self.place_hidden, self.pose_hidden = (
            _linear(place[1].weight, place[1].bias),
            _linear(pose[1].weight, pose[1].bias),
        )
        self.place_out = _linear(place[2].weight, place[2].bias + model.placement_mean)
        code, width = model.config.code, self.widths[1]
        weight = torch.zeros(self.horizons, code + 1, width)
        one = torch.ones(self.horizons, code + 1)
        weight[:, :code] = pose[2].weight.view(self.horizons, code, width)
        one[:, :code] = pose[2].bias.view(self.horizons, code)
        self.pose_out = _linear(weight.flatten(0, 1), one.flatten())
        order = torch.arange(6 * self.joints).view(self.joints, 2, 3).transpose(0, 1).flatten() + 1
        order = torch.cat([torch.zeros(1, dtype=torch.long), order])  # height, all x axes, all y axes
        self.decoder = _linear(LIVELY * model.decoder.weight[order], model.decoder.bias[order])

    def _fold_geometry(self, model: Duet) -> None:
        """Constant matrices that pick and combine coordinates."""
        width = 3 * self.joints
        axis = torch.zeros(2, width)
        for row, coordinate in enumerate((0, 2)):
            axis[row, 3 * model.left_hip + coordinate], axis[row, 3 * model.right_hip + coordinate] = 1.0, -1.0
        self.register_buffer("hip_axis", axis)

        def moment(values: Tensor) -> Tensor:
            positions, left = values[:width].view(self.joints, 3), values[width:]
            nose = positions[0] + torch.stack([-left[1], left.new_zeros(()), left[0]])
            origin = positions[0] * positions.new_tensor([1.0, 0.0, 1.0])
            home = torch.cat([origin[0::2], origin.new_zeros(2)])
            return torch.cat([positions[model.mark_joints].flatten(), nose, origin, home, origin[0::2]])

        self.register_buffer("moment_weight", _tabulate(moment, width + 2)[0])
        # Rows of heading_matrix, its transpose, and its floor part transposed, as functions of left = (x, z).
        turn = _tabulate(lambda v: _heading(v[0], v[1]).flatten(), 2)
        self.register_buffer("turn_weight", turn[0])
        self.register_buffer("turn_bias", turn[1])
        self.register_buffer("turn_back_weight", _tabulate(lambda v: _heading(v[0], v[1]).T.flatten(), 2)[0])
        self.register_buffer("back_weight", _tabulate(lambda v: torch.stack([v[0], v[1], -v[1], v[0]]), 2)[0])

    def _fold_clock(self, horizons: Tensor) -> None:
        """The table of step 1. Ages of unstarted clocks are those of a full history at 30 frames a second."""
        grid = torch.arange(HISTORY, dtype=torch.float64) * _PERIOD
        step = horizons.diff()

        def clock(values: Tensor) -> Tensor:
            started, since, ages, dt, lead = values[0], values[1], values[3:-2], values[-2], values[-1]
            elapsed = values[2] + dt
            since = since + dt + (1.0 - started) * _PERIOD
            ages = torch.cat([ages.new_zeros(1), ages + dt + (1.0 - started) * grid])
            read = (ages[: PLANS + 1] + LEAD + lead)[:, None]  # seconds after it was made
            ones = torch.ones_like(read)
            rising = torch.cat([ones, (read - horizons[:-1]) / step], dim=1)
            falling = torch.cat([(horizons[1:] - read) / step, ones], dim=1)
            # A plan gains weight slowly, the newest one from nothing, so that neither pushes nor a noisy frame show.
            ripe = (ages[: PLANS + 1, None] + _YOUNG) / _RIPEN + torch.zeros_like(rising)
            ripe[0] = ripe[0] * since / _PERIOD
            parts = {
                "absent": 1.0 - values[:1],  # until a history is kept
                "awake": values[2:3] * 1e4,  # 1 or more after the first frame
                "log_keep": -dt[None] / _DRIFT,
                "elapsed": elapsed[None],
                "since": since[None],
                "reach": _FASTEST * dt[None] + _ANYWHERE * (1.0 - started),
                "ages": ages[:-1],
                "gaps": ages.diff(),
                "rising": rising.flatten(),
                "falling": falling.flatten(),
                "log_weight": (-ages[: PLANS + 1, None] / _FORGET).expand_as(rising).flatten(),
                "ripe": ripe.flatten(),
                "if_pushed": torch.cat([ones[0], ones[0] * 0.0, elapsed[None], ages[:-1]]),
                "if_not": torch.cat([ones[0], since[None], elapsed[None], ages[1:]]),
                "if_waiting": torch.cat([ages.new_zeros(2), elapsed[None], ages.new_zeros(HISTORY)]),
            }
            self.clock_split = [len(part) for part in parts.values()]
            return torch.cat(list(parts.values()))

        weight, bias = _tabulate(clock, HISTORY + 5)
        self.register_buffer("clock_weight", weight)
        self.register_buffer("clock_bias", bias)
        # Interpolation: weight of sample k = ramp k-1 - ramp k, with ramp -1 = 1 and none after the last.
        difference = torch.zeros(HISTORY, HISTORY + 1)
        difference[range(HISTORY), range(HISTORY)] = -1.0
        difference[range(HISTORY), range(1, HISTORY + 1)] = 1.0
        self.register_buffer("ramp_difference", difference)
        self.register_buffer("ramp_start", torch.eye(HISTORY + 1)[:1])


def _unit(vectors: Tensor) -> Tensor:
    return vectors / vectors.norm(dim=-1, keepdim=True).clamp(min=1e-6)


def _tabulate(affine: Callable[[Tensor], Tensor], inputs: int) -> tuple[Tensor, Tensor]:
    """(weight, bias) of an affine function, found by asking it; float32."""
    bias = affine(torch.zeros(inputs, dtype=torch.float64))
    columns = [affine(row) - bias for row in torch.eye(inputs, dtype=torch.float64)]
    return torch.stack(columns, dim=1).float(), bias.float()


def _heading(x: Tensor, z: Tensor) -> Tensor:
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    return torch.stack([torch.stack([x, zero, -z]), torch.stack([zero, one, zero]), torch.stack([z, zero, x])])


def _linears(net: nn.Module) -> list[nn.Linear]:
    return [layer for layer in net.modules() if isinstance(layer, nn.Linear)]


def _linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.weight, layer.bias = nn.Parameter(weight.detach().clone()), nn.Parameter(bias.detach().clone())
    return layer.requires_grad_(False)
