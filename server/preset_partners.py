"""The generated dancers of a preset: whose partner, by which model, and what is wanted of their poses."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator

from motion.reach_goals import PINS
from motion.skeleton import HUMANOID
from server.preset_faults import not_one_of
from server.preset_values import Device, Numbers, Section, Setting, several
from server.stages.sample_wishes import PLACE, Wishes, check

FILES = ("model", "light", "sample.model", "effort", "manner")


class SafetyLimits(Section):
    """Metres a second of the root, radians a second of any joint, metres from the centre of the stage."""

    max_speed: Annotated[float, Field(gt=0)] = 6.0
    max_turn: Annotated[float, Field(gt=0)] = 40.0
    bounds: Annotated[float, Field(gt=0)] = 25.0


class Sampling(Section):
    """What the partner's poses are told over `/sample`, and from the start.

    model: that draws them, of kind `sampler`; left out: least squares alone. every: frames of the show from one
    question to the next. pins: points of the partner that follow a joint of their dancer. wishes: as over OSC, by
    address without /sample/.
    """

    model: Path | None = None
    device: Device = "cpu"
    every: Annotated[int, Field(ge=1, le=120)] = 4
    pins: Annotated[dict[str, str], Field(default_factory=dict)]
    wishes: Annotated[dict[str, Numbers], Field(default_factory=dict)]

    @field_validator("pins")
    @classmethod
    def _points_and_joints(cls, pins: dict[str, str]) -> dict[str, str]:
        faults = [not_one_of(point, list(PINS)) for point in pins if point not in PINS]
        faults += [not_one_of(joint, list(HUMANOID.names)) for joint in pins.values() if joint not in HUMANOID.names]
        if faults:
            raise ValueError("; ".join(faults))
        return pins

    @field_validator("wishes")
    @classmethod
    def _can_be_wished(cls, wishes: dict[str, Numbers]) -> dict[str, Numbers]:
        told = Wishes(moves=True)  # that a model draws motion is known when it is opened
        for name, value in wishes.items():
            numbers = several(value)
            if (fault := check(PLACE + name, numbers)) is not None:
                raise ValueError(f"{name}: {fault}")
            if not told.obey(PLACE + name, numbers):
                raise ValueError(f"{name}: {told.full(name)}")
        return wishes

    def start(self) -> Wishes:
        """What is wished when the show begins."""
        return Wishes({name: several(value) for name, value in self.wishes.items()}, dict(self.pins))


class Partner(Section):
    """A generated dancer: whose partner, by which model, with which params (one of size n takes n numbers or one).

    device: of model, light and manner. manner: the model of manners that dances again what `model` made.
    half_life: of params, seconds that half of a change takes, where it is not to be the param's own. effort: the meter
    that reads what the partner dances. light: a model that dances where the other one fails or is too slow.
    """

    dancer: str
    model: Path
    light: Path | None = None
    device: Device = "cpu"
    params: Annotated[dict[str, Setting], Field(default_factory=dict)]
    half_life: Annotated[dict[str, Annotated[float, Field(ge=0, le=60)]], Field(default_factory=dict)]
    sample: Sampling | None = None
    effort: Path | None = None
    manner: Path | None = None
    safety: SafetyLimits = SafetyLimits()

    def files(self) -> dict[str, Path]:
        """The files that this partner is made with, by key."""
        sampler = None if self.sample is None else self.sample.model
        files = {
            "model": self.model,
            "light": self.light,
            "sample.model": sampler,
            "effort": self.effort,
            "manner": self.manner,
        }
        return {key: file for key, file in files.items() if file is not None}
