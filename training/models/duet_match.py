"""A partner that plays recorded dance: regressors say where it should be and what it should do, and a player finds the
piece of a recording that does it. Fitted in a minute, without gradients but for two small networks; with
`learned` three more networks take the recordings' place, in three minutes more.

Placement: three kernel ridges and two networks from the leader's last second. Intention: two kernel ridges. Both, with
what the leader does, ask the database of recorded followers (motion matching, Clavet 2016). training/match has the
parts.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from motion.skeleton import HUMANOID, Skeleton
from training import checkpoint
from training.match import features
from training.match.fit import fit
from training.match.learned import Learned
from training.match.learned_fit import DECOMPRESSING, UNROLLS, learn
from training.match.pace import Pace
from training.match.regressors import KernelRidge, Network
from training.run import Run

_DATABASE = ("poses", "ends", "table", "doors", "scale", "mean", "turn", "wander")


@dataclass(frozen=True)
class Config:
    """Regressors, group weights and the player's habits. Times in seconds, horizons in frames of 1/30 s."""

    horizons: tuple[int, ...] = (0, 3, 6, 9, 12, 16, 20, 26)
    centres: int = 900
    placement_dims: tuple[int, ...] = (60, 40, 90)
    intention_dims: tuple[int, ...] = (60, 40)
    intention_centres: int = 600
    networks: int = 2
    axes: int = 64  # numbers a database row is found by, besides its own group
    weight_own: float = 1.4
    weight_trajectory: float = 1.0
    weight_seen: float = 1.0
    weight_intention: float = 0.7
    weight_context: float = 1.5
    weight_speed: float = 1.0
    most_gain: float = 2.2  # intention's spread is brought up to the database's by at most this
    noise: int = 16
    wander: float = 0.3  # of the database's spread, what variety 1 adds to the query
    drift_seconds: float = 1.0
    search_seconds: float = 1 / 6
    lead: float = 0.02  # plans are read this far ahead: it cancels the lag that averaging adds
    forget_seconds: float = 0.2
    far: float = 0.8  # m; partners further away are predicted too near
    stretch: float = 0.15
    near: float = 0.45  # m; nearer ones are held off, softly
    steer_seconds: float = 0.3
    steer_speed: float = 1.5  # m/s
    steer_smooth: float = 0.1  # s
    turn_seconds: float = 0.3
    turn_speed: float = 1.5  # rad/s
    ride: float = 0.6  # share of the way from the clip's root to the placement that is shown
    jump_half_life: float = 0.16
    lock_gain: float = 0.15
    lock_width: float = 0.02
    rate_gain: float = 0.5
    hurry: float = 0.3
    foot_clamp: float = 0.17  # m
    foot_release: float = 0.1
    foot_lift: float = 0.06

    learned: bool = False  # networks that learned the database go into the file, no recordings
    learned_code: int = 96  # numbers that stand for a row
    learned_width: int = 512
    learned_places: int = 1000  # among which the projector chooses
    learned_seconds: float = 1.5  # a code is not stepped for longer
    learned_gain: float = 1.0  # the projector's find must cost less than this share of going on

    def __post_init__(self) -> None:
        if self.horizons[0] != 0 or list(self.horizons) != sorted(set(self.horizons)) or self.horizons[-1] < 20:
            raise ValueError(f"horizons must grow from 0 to 20 or more, not {self.horizons}")
        if not self.placement_dims or not self.intention_dims:
            raise ValueError("placement_dims and intention_dims must name one kernel ridge each at least")
        _above_zero(self, ("centres", "intention_centres", "axes", "noise", "learned_code", "learned_places"))
        if self.learned_width < 2:
            raise ValueError(f"learned_width must be 2 or more, not {self.learned_width}")

    def weight(self, group: str) -> float:
        return float(getattr(self, f"weight_{group}"))


def _above_zero(config: object, names: tuple[str, ...]) -> None:
    if wrong := [f"{name}: {value}" for name in names if not (value := getattr(config, name)) > 0]:
        raise ValueError(f"must be above 0: {', '.join(wrong)}")


@dataclass(frozen=True)
class Training:
    """How it is fitted. epochs: of the placement networks; learned_steps: gradient steps of the decompressor, and twice
    of the stepper; minutes: networks get fewer steps where these are over sooner, 0 for no limit.
    """

    epochs: int = 22
    learned_steps: int = 1500
    minutes: float = 0.0

    def __post_init__(self) -> None:
        _above_zero(self, ("epochs", "learned_steps"))
        if not 0.0 <= self.minutes < float("inf"):
            raise ValueError(f"minutes must be 0 (no limit) or more, not {self.minutes}")


def train(run: Run) -> Path:
    """Fits a DuetMatch to the run's takes and returns its checkpoint. Raises ValueError for takes too short."""
    if run.resume:
        raise ValueError("a duet_match is fitted within minutes, in one go: start it without --resume")
    if run.skeleton.topology_hash != HUMANOID.topology_hash:
        raise ValueError("duet_match moves the standard body: set data: skeleton: humanoid")
    model = DuetMatch(run.model, run.skeleton)
    pace = Pace(run.training.minutes)
    placing = 1.0 - DECOMPRESSING - sum(UNROLLS.values()) if run.model.learned else 1.0
    fit(model, run.trained, run.data.mirror, run.data.swap_roles, run.seed, run.training.epochs, pace, placing)
    if run.model.learned:
        learn(model, run.training.learned_steps, run.seed, pace)
        model.forget()
    pace.close()
    whole = {**checkpoint.describe(run.name, model), "about": run.about, "run": {"seed": run.seed}}
    run.out.mkdir(parents=True, exist_ok=True)
    torch.save(whole, run.out / "last.ckpt")
    return run.out / "last.ckpt"


class DuetMatch(nn.Module):
    """The fitted parts, empty until `fit` (training.match.fit) or a checkpoint fills them."""

    def __init__(self, config: Config, skeleton: Skeleton) -> None:
        super().__init__()
        self.config, self.skeleton = config, skeleton
        seen, outputs = 151, 4 * len(config.horizons)
        self.register_buffer("seen_mean", torch.zeros(seen))
        self.register_buffer("seen_scale", torch.ones(seen))
        self.placers = nn.ModuleList(KernelRidge(seen, dims, config.centres, outputs) for dims in config.placement_dims)
        self.networks = nn.ModuleList(Network(seen, outputs) for _ in range(config.networks))
        self.register_buffer("placement_mean", torch.zeros(outputs))
        wants = 45 * len(features.AHEAD)
        self.intents = nn.ModuleList(
            KernelRidge(seen, dims, config.intention_centres, wants) for dims in config.intention_dims
        )
        self.register_buffer("wants_mean", torch.zeros(wants))
        self.register_buffer("wants_gain", torch.ones(wants))
        self.own_width = 46
        for name in _DATABASE:
            self.register_buffer(name, torch.zeros(0))
        self.learned = (
            Learned(config.axes, self.own_width, config.learned_code, config.learned_width, config.learned_places)
            if config.learned
            else None
        )

    def forget(self) -> None:
        """Drops every recorded row: what has been learned plays on without them. Weights are as they are stored."""
        for name in ("poses", "ends", "table", "doors"):
            setattr(self, name, torch.zeros(0))

    def _load_from_state_dict(self, state_dict: dict[str, Tensor], prefix: str, *rest: object) -> None:
        for name in _DATABASE:
            if prefix + name in state_dict:
                setattr(self, name, torch.empty_like(state_dict[prefix + name]))
        super()._load_from_state_dict(state_dict, prefix, *rest)

    # What the regressors say.

    def standardise(self, seen: Tensor) -> Tensor:
        return (seen - self.seen_mean) / self.seen_scale

    def place(self, seen: Tensor) -> Tensor:
        """Root x z and left x z over the horizons, in the leader's frame, (B, horizons * 4)."""
        ridges = sum(ridge(seen) for ridge in self.placers) / len(self.placers)
        if not len(self.networks):
            return ridges
        networks = sum(net(seen) for net in self.networks) / len(self.networks) + self.placement_mean
        return 0.5 * (ridges + networks)

    def wants(self, seen: Tensor) -> Tensor:
        """Intention (B, AHEAD * 45) with the spread that real followers have."""
        said = sum(ridge(seen) for ridge in self.intents) / len(self.intents)
        return self.wants_mean + self.wants_gain * (said - self.wants_mean)

    # The database. A row that plays has four more of its take on either side.

    def last_of(self, row: Tensor) -> Tensor:
        """The last row of its take, (B, 1)."""
        return self.ends[row.long()]

    def at(self, row: Tensor, fraction: Tensor) -> Tensor:
        """The pose row (B, columns) a fraction after row (B, 1), Catmull-Rom between its neighbours."""
        four = self.poses[row.long() + _FOUR]  # (B, 4, columns)
        powers = torch.cat([torch.ones_like(fraction), fraction, fraction**2, fraction**3], dim=-1)
        return ((powers @ CATMULL_ROM).unsqueeze(1) @ four)[:, 0]

    def search(self, rest: Tensor, row: Tensor, started: Tensor, doors: Tensor, norms: Tensor) -> tuple[Tensor, Tensor]:
        """The best row (B, 1) to jump to, and whether it beats staying at row (B, 1).

        doors (N, D) are the table's entries where one may jump to, norms (N,) half their squares.
        """
        now = self.table[row.long()[:, 0]]
        query = torch.cat([rest, now[:, -self.own_width :] * started], dim=-1)
        costs = F.linear(-query, doors, norms)  # (B, N), half the squared distance but for a constant
        best = costs.argmin(dim=-1, keepdim=True)
        stay = (now * (0.5 * now - query)).sum(-1, keepdim=True)
        return self.doors[best], costs.gather(1, best) < stay

    def slip(self, rest: Tensor, row: Tensor) -> Tensor:
        """By how many rows (B, 1) the clip should be ahead of where it is: the foot of a parabola through the costs."""
        return self.slip_of(rest, self.table[row.long() + _NINE][:, :, : self.config.axes])

    def slip_of(self, rest: Tensor, near: Tensor) -> Tensor:
        """The same from the features near (B, 9, axes) of the nine rows around."""
        costs = (near - rest.unsqueeze(1)).square().sum(-1)
        slope, bend, mean = (costs @ _PARABOLA).split([1, 1, 1], dim=-1)
        least = self.config.lock_width * mean
        return (-0.5 * slope / (torch.relu(bend) + least)).clamp(-4.0, 4.0)


_FOUR, _NINE = torch.arange(-1, 3), torch.arange(-4, 5)
CATMULL_ROM = 0.5 * torch.tensor([[0.0, 2, 0, 0], [-1, 0, 1, 0], [2, -5, 4, -1], [-1, 3, -3, 1]])
_STEPS = torch.arange(-4.0, 5.0)
_PARABOLA = torch.stack([_STEPS / 60.0, (_STEPS**2 - 60.0 / 9.0) / 308.0, torch.ones(9) / 9.0], dim=-1)
