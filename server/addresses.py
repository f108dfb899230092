"""Every address that a show answers to, as others may find it, and the values that stand there now."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from server.cues import CueList
from server.errands import Command
from server.params import Params
from server.pipeline import Pipeline
from server.protocols import effort
from server.stages.effort import EffortMeter
from server.stages.sample_wishes import PLACE, freed
from server.stages.sample_wishes import nodes as wished

IDENTITY = "manner/identity"


@dataclass(frozen=True)
class Node:
    """An address as others may find it. type: OSC tags; T or F for a switch, N for a button. value: None, not known.

    span: lowest and highest of each number. choices: asks what a text may be, which may have to be looked up.
    """

    address: str
    about: str
    type: str = "N"
    value: tuple[Any, ...] = (None,)
    span: tuple[float, float] | None = None
    choices: Callable[[], Sequence[str]] | None = None
    writable: bool = True


def nodes(pipeline: Pipeline, commands: Mapping[str, Command], cues: CueList) -> Iterator[Node]:
    """Every address there is now, with its value."""
    switch = {False: "F", True: "T"}
    yield Node("/show/freeze", "holds every partner", switch[pipeline.frozen], (pipeline.frozen,))
    still = [float(pipeline.params.target(name)) for name in pipeline.params.table if name.endswith("/stillness")]
    resting = bool(still) and min(still) >= 0.5
    yield Node("/show/still", "every partner comes to rest, and back", switch[resting], (resting,))
    yield Node("/show/reset", "every model starts over")
    for name, command in commands.items():
        stands = command.value() if command.value else {"s": "", "i": 0, "f": 0.0}.get(command.takes)
        value = stands if isinstance(stands, tuple) else (stands,)
        yield Node(f"/{name}", command.about, command.takes, value, choices=command.choices)
    yield Node("/cue/current", "the cue that was given last", "i", (cues.position,), writable=False)
    if cues.cues:
        yield Node("/cue/go", "gives the next cue")
        yield Node("/cue/back", "gives the cue before")
    for number in range(1, len(cues.cues) + 1):
        yield Node(f"/cue/{number}", f"gives cue {cues.title(number)}")
    yield from _wishes(pipeline)
    if known := tuple(_shares_of_identities(pipeline.params, "*")):
        yield Node(f"/{IDENTITY}", f"as whom it is danced: {', '.join(known)}", "s", choices=lambda: known)
    for actor, meter in pipeline.meters.items():
        for of_set, labels in meter.sets.items():
            about = f"how probable of what {actor} dances each is: {', '.join(labels)}"
            value = _shares(meter, of_set)
            yield Node(effort.address(actor, of_set), about, "f" * len(labels), value, (0.0, 1.0), writable=False)
    for param in pipeline.table:
        value = target(pipeline.params, param.name)
        yield Node(f"/{param.name}", param.about, "f" * param.size, value, (param.low, param.high))


def target(params: Params, name: str) -> tuple[float, ...]:
    """Where a param is going. Raises ValueError naming those there are."""
    if name not in params.table:
        raise ValueError(f"no such param; there are: {', '.join(f'/{known}' for known in params.table) or 'none'}")
    return tuple(float(number) for number in np.atleast_1d(params.target(name)))


def reading(pipeline: Pipeline, what: str) -> tuple[float, ...]:
    """What is read of an actor, by address. Raises ValueError naming what is."""
    meters = pipeline.meters.items()
    there = {effort.address(actor, of_set): (meter, of_set) for actor, meter in meters for of_set in meter.sets}
    if what not in there:
        known = ", ".join(there) or "none: nobody has an effort meter"
        raise ValueError(f"nothing here answers to it; there are: {known}")
    shares = _shares(*there[what])
    if None in shares:
        raise ValueError("nothing has been read yet: a meter needs somebody who moves for a second or two")
    return shares


def manner_params(params: Params, actor: str) -> dict[str, str]:
    """The params of an actor's manner, by identity. Raises ValueError where nobody has any."""
    shares = _shares_of_identities(params, actor)
    if not shares:
        raise ValueError("nobody here dances in a manner; give a partner `manner: models/manner.onnx`")
    return shares


def _wishes(pipeline: Pipeline) -> Iterator[Node]:
    """What poses can be told, if anybody listens."""
    sample = next((line.sample for line in pipeline.partners.values() if line.sample is not None), None)
    if sample is None:
        return
    for wish, (count, about) in wished().items():
        value = sample.wishes.told.get(wish, (None,) * count)
        yield Node(f"/{PLACE}{wish}", about, "f" * count, value[:count])
    yield Node(f"/{PLACE}free", "takes a pin or another wish back", "s", choices=freed)
    yield Node(f"/{PLACE}clear", "takes every wish back")


def _shares_of_identities(params: Params, actor: str) -> dict[str, str]:
    """The params of an actor's manner, of anybody's first for "*", by identity."""
    found: dict[str, str] = {}
    for name in params.table:
        own, _, knob = name.partition("/")
        if actor in ("*", own) and knob.startswith("identity/"):
            found.setdefault(knob.removeprefix("identity/"), name)
    return found


def _shares(meter: EffortMeter, of_set: str) -> tuple[Any, ...]:
    """The probabilities of a set's labels; None each where nothing is read."""
    return tuple((meter.reading or {}).get(of_set, dict.fromkeys(meter.sets[of_set])).values())
