"""What is wanted of a partner's pose, as it is told over OSC and by the preset: pins, limits, priors.

A wish has a name, which is its OSC address without the first slash, and numbers. `check` is for whoever asks: it says
what is wrong with a wish and what the choices are. `Wishes` keeps what was wished and makes goals of it for one moment.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from motion.reach_goals import PINS, HalfSpace, Pin
from motion.skeleton import HUMANOID, Array

PLACE = "sample/"
SLOTS = 16  # half-spaces and priors that a model has room for at once
_SWEEPS = 12
_FARTHEST, _HEAVIEST = 100.0, 100.0  # metres, weight
_HIGHEST = 3.0  # metres over the floor, or under it: what a body reaches
_ABOUT = {  # what comes after the point, or after the kind where there is no point: numbers that must, and may, follow
    "pin": ("x y z", "weight"),
    "limit": ("nx ny nz distance", "weight"),
    "prior": ("x y z deviation", ""),
    "circle": ("x z radius", ""),
    "keep_away": ("x z radius", ""),
    "apart": ("distance", ""),
    "floor": ("height", ""),
    "goto": ("x z", ""),
    "facing": ("degrees", ""),
}
WAYS = ("goto", "facing")  # what only a sampler of motion can do
_OF_POINTS = ("pin", "limit", "prior")


def addresses() -> list[str]:
    """Every wish there is, and how it is taken back, with what it takes, for people."""
    said = []
    for kind, (must, may) in _ABOUT.items():
        point = "/<point>" if kind in _OF_POINTS else ""
        said.append(f"/sample/{kind}{point} {must}" + (f" [{may}]" if may else ""))
    return [*said, "/sample/free/<point>", "/sample/free/<kind>", "/sample/clear"]


def freed() -> list[str]:
    """What can be taken back: everything about a point, or of a kind."""
    return [*PINS, *_ABOUT]


def nodes() -> dict[str, tuple[int, str]]:
    """Wishes with how many numbers they must have and what those are, by address without `sample/`."""
    found = {}
    for kind, (must, _) in _ABOUT.items():
        for point in PINS if kind in _OF_POINTS else ("",):
            found[f"{kind}/{point}".rstrip("/")] = len(must.split()), must
    return found


def check(name: str, numbers: Sequence[float]) -> str | None:
    """What is wrong with a wish, in words with the choices; None when it can be made. name: without the first slash."""
    kind, _, rest = name.removeprefix(PLACE).partition("/")
    if kind == "clear":
        return None if not rest else f"/{name}: there is only /{PLACE}clear"
    if kind == "free":
        return None if rest in freed() else f"nothing to free is called {rest!r}; there are: {', '.join(freed())}"
    if kind not in _ABOUT:
        return f"no wish {kind!r}; there are: {', '.join(addresses())}"
    if kind in _OF_POINTS and rest not in PINS:
        return f"no point {rest!r} can be told so; the choices: {', '.join(PINS)}"
    if kind not in _OF_POINTS and rest:
        return f"/{PLACE}{kind} is about the whole body, not about {rest!r}"
    must, may = (len(words.split()) for words in _ABOUT[kind])
    if not must <= len(numbers) <= must + may:
        takes = f"{_ABOUT[kind][0]}" + (f" and perhaps {_ABOUT[kind][1]}" if may else "")
        return f"{len(numbers)} numbers; it takes {must}: {takes}"
    if not all(math.isfinite(number) for number in numbers):
        return f"numbers must be finite, not {', '.join(f'{number:g}' for number in numbers)}"
    return _misfit(kind, tuple(numbers))


def _misfit(kind: str, numbers: tuple[float, ...]) -> str | None:
    if kind != "facing" and max(map(abs, numbers[:3])) > _FARTHEST:
        return f"{max(numbers[:3], key=abs):g} is farther than {_FARTHEST:g} metres"
    height = {"pin": 1, "prior": 1, "floor": 0}.get(kind)
    if height is not None and abs(numbers[height]) > _HIGHEST:
        return f"{numbers[height]:g} is a height that no body reaches: -{_HIGHEST:g} to {_HIGHEST:g} metres"
    if kind == "limit" and math.hypot(*numbers[:3]) < 1e-6:
        return "a plane's normal needs a length; 0 0 0 has none"
    if kind in ("pin", "limit") and len(numbers) > (4 if kind == "limit" else 3) and not 0.0 < numbers[-1] <= _HEAVIEST:
        return f"weight {numbers[-1]:g} is not above 0 and at most {_HEAVIEST:g}"
    if kind in ("circle", "keep_away", "apart") and not numbers[-1] > 0.0:
        return f"{_ABOUT[kind][0].split()[-1]} {numbers[-1]:g} must be above 0"
    if kind == "prior" and not numbers[3] > 0.0:
        return f"deviation {numbers[3]:g} must be above 0 metres"
    return None


class Circle(NamedTuple):
    """On the floor, metres. sign: 1 to stay in, -1 to stay out; points: of the body that do; name: the wish's."""

    x: float
    z: float
    radius: float
    sign: float
    points: tuple[str, ...]
    name: str = ""

    @property
    def joints(self) -> list[int]:
        """The points' places in HUMANOID."""
        return [HUMANOID.index(point) for point in self.points]

    def tangent(self, x: float, z: float) -> tuple[float, float, float]:
        """nx, nz and limit of the half-space nx · x + nz · z <= limit that stands for it where the hips are at x, z: on
        its edge, nearest to them.
        """
        x, z = x - self.x, z - self.z
        length = math.hypot(x, z)
        x, z = (x / length, z / length) if length > 1e-6 else (1.0, 0.0)
        return self.sign * x, self.sign * z, self.sign * (x * self.x + z * self.z + self.radius)


@dataclass
class Wishes:
    """One partner's. Everything by name without `sample/`; follow: pins to joints of the dancer, by point; moves:
    whether the partner can be told where to go.
    """

    told: dict[str, tuple[float, ...]] = field(default_factory=dict)
    follow: Mapping[str, str] = field(default_factory=dict)
    moves: bool = False

    def obey(self, name: str, numbers: Sequence[float]) -> bool:
        """Takes a wish in or back; False for one that cannot be, or for which there is no more room."""
        if check(name, numbers) is not None:
            return False
        if self.stays(name) is not None:
            return False
        wish = name.removeprefix(PLACE)
        kind, _, rest = wish.partition("/")
        if kind == "clear":
            self.told, self.follow = {}, {}
        elif kind == "free":
            self.told = {known: value for known, value in self.told.items() if rest not in known.split("/")}
            self.follow = {point: joint for point, joint in self.follow.items() if rest not in (point, "pin")}
        elif self.room(wish):
            self.told[wish] = tuple(numbers)
        else:
            return False
        return True

    def stays(self, name: str) -> str | None:
        """Why the partner cannot be told so, in words; None when they can."""
        kind = name.removeprefix(PLACE)
        if kind in WAYS and not self.moves:
            return (
                f"{kind}: only a partner whose model draws motion goes where they are told (kind `sampler`, of motion)"
            )
        return None

    def room(self, wish: str) -> bool:
        """Whether there are slots for a wish that is told without `sample/`."""
        return sum(_SLOTTED.get(told.partition("/")[0], 0) for told in {*self.told, wish}) <= SLOTS

    def full(self, wish: str) -> str:
        """That there are none, in words with what takes them."""
        taken = [f"{told} ({n})" for told in self.told if (n := _SLOTTED.get(told.partition("/")[0], 0))]
        needs = _SLOTTED[wish.partition("/")[0]]
        return f"needs {needs} of a sampler's {SLOTS} slots; taken by: {', '.join(taken)}"

    def __bool__(self) -> bool:
        return bool(self.told or self.follow)

    def pins(self, dancer: Array | None) -> list[Pin]:
        """Where points are wanted now. dancer: global positions (22, 3) of the dancer's joints."""
        pins = {
            point: Pin(point, dancer[HUMANOID.index(joint)])
            for point, joint in self.follow.items()
            if dancer is not None
        }
        for wish, numbers in self.told.items():
            kind, _, point = wish.partition("/")
            if kind == "pin":
                pins[point] = Pin(point, np.array(numbers[:3]), numbers[3] if len(numbers) > 3 else 1.0)
        return list(pins.values())

    def half_spaces(self, positions: Array, dancer: Array | None) -> list[HalfSpace]:
        """Limits as planes: a circle's at the side where the body is. positions: global (22, 3), of the body."""
        found = [*self.limits]
        if "floor" in self.told:
            height = self.told["floor"][0]
            found += [HalfSpace(end, (0.0, -1.0, 0.0), -height, name=f"floor for {end}") for end in _ENDS]
        for circle in self.circles(dancer):
            x, z, limit = circle.tangent(float(positions[0, 0]), float(positions[0, 2]))
            name = f"{circle.name} for "
            found += [HalfSpace(point, (x, 0.0, z), limit, name=name + point) for point in circle.points]
        return found

    @property
    def goto(self) -> tuple[float, float] | None:
        """Where on the floor the partner is to go, x and z."""
        told = self.told.get("goto")
        return None if told is None else (told[0], told[1])

    @property
    def facing(self) -> float | None:
        """Where the partner is to look, radians from +Z to +X."""
        told = self.told.get("facing")
        return None if told is None else math.radians(told[0])

    @property
    def limits(self) -> list[HalfSpace]:
        """The half-spaces that points are told to stay in."""
        told = ((wish, wish.partition("/"), numbers) for wish, numbers in self.told.items())
        return [
            HalfSpace(point, (n[0], n[1], n[2]), n[3], n[4] if len(n) > 4 else 1.0, wish)
            for wish, (kind, _, point), n in told
            if kind == "limit"
        ]

    @property
    def about_dancer(self) -> bool:
        """Whether it matters where the dancer is."""
        return bool(self.follow) or "apart" in self.told

    @property
    def of_poses(self) -> bool:
        """Whether anything is wished of a pose, and not only where to go."""
        return bool(self.follow) or any(wish not in WAYS for wish in self.told)

    @property
    def has_circles(self) -> bool:
        return any(wish in _CIRCLES for wish in self.told)

    @property
    def circles_hips_alone(self) -> bool:
        """Whether no circle is about hands or head."""
        return not any(wish in ("circle", "keep_away") for wish in self.told)

    def circles(self, dancer: Array | None) -> list[Circle]:
        """What the body is to stay in or out of. dancer: as for `pins`."""
        found = []
        for wish, numbers in self.told.items():
            if wish in ("circle", "keep_away"):
                x, z, radius = numbers
                found.append(Circle(x, z, radius, 1.0 if wish == "circle" else -1.0, _ROUND, wish))
            elif wish == "apart" and dancer is not None:
                found.append(Circle(float(dancer[0, 0]), float(dancer[0, 2]), numbers[0], -1.0, ("Hips",), wish))
        return found

    def pushed(self, positions: Array, dancer: Array | None, start: Array) -> Array:
        """The way on the floor, (3,) metres, that brings a body at global positions (22, 3) within circles, and is the
        nearest to `start`, a way itself.
        """
        x, _, z = start.tolist()
        points = positions[:, ::2].tolist()
        hips_x, hips_z = points[0]
        circles = [(circle, [points[joint] for joint in circle.joints]) for circle in self.circles(dancer)]
        for _ in range(_SWEEPS if len(circles) > 1 else 1):  # alternating projections slide round what is in the way
            before = x, z
            for circle, joints in circles:
                normal_x, normal_z, limit = circle.tangent(hips_x + x, hips_z + z)
                beyond = max(normal_x * (at_x + x) + normal_z * (at_z + z) for at_x, at_z in joints) - limit
                x, z = x - max(beyond, 0.0) * normal_x, z - max(beyond, 0.0) * normal_z
            if math.dist((x, z), before) < 1e-5:
                break
        return np.array([x, 0.0, z])

    def priors(self) -> list[tuple[str, tuple[float, ...]]]:
        """Points and where they had better be: x, y, z and the deviation, metres."""
        told = ((wish.partition("/"), numbers) for wish, numbers in self.told.items())
        return [(point, numbers) for (kind, _, point), numbers in told if kind == "prior"]


_ENDS = ("LeftHand", "RightHand", "LeftFoot", "RightFoot")  # what may go through a floor
_ROUND = ("Hips", "LeftHand", "RightHand", "Head")  # what stays in a circle, or out of it
_CIRCLES = ("circle", "keep_away", "apart")
_SLOTTED = {"apart": 1, "limit": 1, "prior": 3, "circle": len(_ROUND), "keep_away": len(_ROUND), "floor": len(_ENDS)}
