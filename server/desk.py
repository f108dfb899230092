"""What can be asked of a show, by address: its params, its cues, what it is told to do. No sockets, and no tick.

Whatever changes poses goes to the tick as a `ControlChange`; what takes its time goes to `Errands`. A question that
makes no sense raises ValueError in words for whoever asked: the thing, the value, the choices.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from server.cues import STILL_SECONDS, CueList, changes, settings
from server.errands import Answer, Arguments, Command, Errands
from server.params import Changes, ControlChange, Params, Setting
from server.pipeline import Pipeline
from server.protocols import effort
from server.stages.effort import EffortMeter
from server.stages.sample_wishes import PLACE, check, freed, nodes

ALIASES = {  # others' addresses, without the first slash, and ours
    "synth/encodingmix": "*/latent_mix",  # AI-Toolbox's
    "synth/encodingoffset": "*/latent_offset",
    "go": "cue/go",  # QLab's
}
DEEPFAKE_MODE = "mocap/deepfakemode"  # AI-Toolbox's switch: 1 is dancer 1 -> dancer 2, all else the way back
SWITCH = "show/preset"
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


class Desk:
    """pipeline: the show that dances now. commands: by address without the first slash; whoever can do one adds it."""

    def __init__(
        self,
        changes: Changes,
        pipeline: Callable[[], Pipeline],
        cues: CueList | None = None,
        errands: Errands | None = None,
    ) -> None:
        self.changes = changes
        self.commands: dict[str, Command] = {}
        self.models: Callable[[], Mapping[str, Sequence[str]]] = dict  # that could dance each partner
        self.cues = cues or CueList(())
        self.errands = errands or Errands()
        self._pipeline = pipeline
        self._at_once: dict[str, Callable[[Arguments], Arguments]] = {
            "show/freeze": self._freeze,
            "show/still": self._still,
            "show/reset": self._reset,
        }

    def ask(self, address: str, arguments: Arguments, answer: Answer, refuse: Answer) -> None:
        """One message. answer: to whoever asked, now or later; refuse: later, in words. Raises ValueError in words."""
        name = address.strip("/")
        if name == DEEPFAKE_MODE:
            name, arguments = "*/mix", (float((*arguments, 1)[0] == 1),)
        name = ALIASES.get(name, name)
        if name.startswith("manner/"):
            name = f"*/{name}"
        place, _, rest = name.partition("/")
        if name in self._at_once:
            answer(*self._at_once[name](arguments))
        elif place == "cue":
            self._cue(rest, arguments, answer, refuse)
        elif place == "effort":
            answer(*_read(self._pipeline(), f"/{name}"))
        elif PLACE in f"{name}/":
            self._wish(name, arguments, answer)
        elif name in self.commands:
            command = self.commands[name]
            button = command.takes == "N" or (command.button and len(arguments) == 1)
            if not (button and _is_release(arguments)):
                self.errands.send(command, () if command.button and arguments == (1,) else arguments, answer, refuse)
        elif place == "fade":
            self._fade(f"*/{rest}" if rest.startswith("manner/") else rest, arguments)
        elif rest == IDENTITY and not arguments:
            answer(*self._identity(place))
        elif rest == IDENTITY:
            self._become(place, arguments)
        elif place == "show" or any(known.startswith(f"{place}/") for known in self.commands):
            there = sorted(f"/{known}" for known in (*self._at_once, *self.commands) if known.startswith(f"{place}/"))
            raise ValueError(f"nothing here answers to it; there are: {', '.join(there)}")
        elif not arguments and place != "*":
            answer(*_target(self._pipeline().params, name))
        else:
            self._set(name, arguments)

    def figures(self) -> dict[str, Any]:
        """For the stats message: what there is to choose from, and how it stands."""
        return {
            "cues": [self.cues.title(number) for number in range(1, len(self.cues.cues) + 1)],
            "models": self.models(),
            "commands": {
                name: {
                    "value": command.value() if command.value else None,
                    "choices": list(command.choices()) if command.choices else [],
                }
                for name, command in self.commands.items()
            },
        }

    def nodes(self) -> Iterator[Node]:
        """Every address there is now, with its value."""
        pipeline = self._pipeline()
        switch = {False: "F", True: "T"}
        yield Node("/show/freeze", "holds every partner", switch[pipeline.frozen], (pipeline.frozen,))
        still = [float(pipeline.params.target(name)) for name in pipeline.params.table if name.endswith("/stillness")]
        resting = bool(still) and min(still) >= 0.5
        yield Node("/show/still", "every partner comes to rest, and back", switch[resting], (resting,))
        yield Node("/show/reset", "every model starts over")
        for name, command in self.commands.items():
            stands = command.value() if command.value else {"s": "", "i": 0, "f": 0.0}.get(command.takes)
            value = stands if isinstance(stands, tuple) else (stands,)
            yield Node(f"/{name}", command.about, command.takes, value, choices=command.choices)
        yield Node("/cue/current", "the cue that was given last", "i", (self.cues.position,), writable=False)
        if self.cues.cues:
            yield Node("/cue/go", "gives the next cue")
            yield Node("/cue/back", "gives the cue before")
        for number in range(1, len(self.cues.cues) + 1):
            yield Node(f"/cue/{number}", f"gives cue {self.cues.title(number)}")
        yield from _wishes(pipeline)
        if known := tuple(_shares_of_identities(pipeline.params, "*")):
            yield Node(f"/{IDENTITY}", f"as whom it is danced: {', '.join(known)}", "s", choices=lambda: known)
        for actor, meter in pipeline.meters.items():
            for of_set, labels in meter.sets.items():
                about = f"how probable of what {actor} dances each is: {', '.join(labels)}"
                value = _shares(meter, of_set)
                yield Node(effort.address(actor, of_set), about, "f" * len(labels), value, (0.0, 1.0), writable=False)
        for param in pipeline.table:
            value = _target(pipeline.params, param.name)
            yield Node(f"/{param.name}", param.about, "f" * param.size, value, (param.low, param.high))

    def _cue(self, which: str, arguments: Arguments, answer: Answer, refuse: Answer) -> None:
        if which == "current":
            answer(self.cues.position, self.cues.title(self.cues.position))
            return
        if which == "go" and arguments and isinstance(arguments[0], str):
            which = arguments[0]
        elif _is_release(arguments):
            return
        number = self.cues.numbered(which.removesuffix("/start"))  # QLab's own way to say it
        cue = self.cues.cues[number - 1]

        def given(*_: Any) -> None:
            self.cues.position = number
            answer(number, self.cues.title(number))

        if cue.preset is not None:
            wanted = (cue.preset, cue.seconds) if "seconds" in cue.model_fields_set else (cue.preset,)
            self.errands.send(self.commands[SWITCH], wanted, given, refuse)
            return
        for name, value in settings(cue).items():
            _fit(self._pipeline().params, name, value)
        for change in changes(cue):
            self.changes.put(change)
        given()

    def _wish(self, name: str, arguments: Arguments, answer: Answer) -> None:
        """What a partner's poses are told; without numbers a wish that has some answers how it stands."""
        partner, _, wish = f"{name}/".rpartition(PLACE)
        wish = wish.strip("/")
        if wish == "free" and len(arguments) == 1 and isinstance(arguments[0], str):
            wish, arguments = f"free/{arguments[0][:40]}", ()
        samplers = {line.name: line.sample for line in self._pipeline().partners.values() if line.sample is not None}
        if not samplers:
            raise ValueError("no partner here has a sampler; give one `sample: {}` in the preset")
        asked = [s.wishes for name, s in samplers.items() if partner in ("", "*/", f"{name}/")]
        if not asked:
            raise ValueError(f"{partner[:40]} has no sampler; those that do: {', '.join(samplers)}")
        if not arguments and wish in asked[0].told:
            answer(*asked[0].told[wish])
            return
        numbers = _numbers(arguments, "numbers")
        if wish.partition("/")[0] in ("free", "clear") and _is_release(numbers):
            return
        if (fault := check(PLACE + wish, numbers)) is not None:
            raise ValueError(fault)
        able = [wishes for wishes in asked if wishes.stays(PLACE + wish) is None]
        if not able:
            raise ValueError(asked[0].stays(PLACE + wish))
        if not any(wishes.room(wish) for wishes in able):
            raise ValueError(able[0].full(wish))
        self.changes.put(ControlChange(f"{partner}{PLACE}{wish}", numbers))

    def _identity(self, actor: str) -> Arguments:
        """How the shares of identities stand."""
        params = self._pipeline().params
        return tuple(part for who, name in _manner(params, actor).items() for part in (who, *_target(params, name)))

    def _become(self, actor: str, arguments: Arguments, seconds: float = 0.0) -> None:
        """Shares of identities: those that are not named have none."""
        shares = _manner(self._pipeline().params, actor)
        asked = {who: 1.0 if share is None else share for who, share in _named(arguments, shares).items()}
        for who in shares:
            self._change(f"{actor}/identity/{who}", (asked.get(who, 0.0),), seconds)

    def _fade(self, name: str, arguments: Arguments) -> None:
        """The same as without it, and seconds at the end."""
        *asked, seconds = arguments or (0.0,)
        (seconds,) = _numbers((seconds,), "a number, and seconds")
        actor, _, knob = name.partition("/")
        if knob != IDENTITY:
            self._set(name, tuple(asked), seconds)
        elif not asked:
            raise ValueError("takes names and shares, and then seconds")
        else:
            *others, last = _named(asked, _manner(self._pipeline().params, actor)).values()
            if last is None and any(share is not None for share in others):
                raise ValueError(
                    f"the seconds are missing, or a share of {asked[-1]}: after {asked[-1]} there is {seconds:g} alone"
                )
            self._become(actor, tuple(asked), _time(seconds))

    def _freeze(self, arguments: Arguments) -> Arguments:
        value = (*_numbers(arguments, "1 or 0"), 1.0)[0]
        self.changes.put(ControlChange("show/freeze", value))
        return (int(value >= 0.5),)

    def _still(self, arguments: Arguments) -> Arguments:
        value, seconds = (*_numbers(arguments, "1 or 0, and seconds"), *(1.0, STILL_SECONDS)[len(arguments) :])[:2]
        self._change("*/stillness", (float(value >= 0.5),), _time(seconds))
        return (int(value >= 0.5),)

    def _reset(self, arguments: Arguments) -> Arguments:
        if not _is_release(_numbers(arguments, "no more than 1")):
            self.changes.put(ControlChange("show/reset", 1.0))
        return ()

    def _set(self, name: str, arguments: Arguments, seconds: float = 0.0) -> None:
        """arguments: numbers, or one of the names that a param has for them."""
        named = len(arguments) == 1 and isinstance(arguments[0], str)
        self._change(name, arguments if named else _numbers(arguments, "a number"), _time(seconds))

    def _change(self, name: str, numbers: tuple[Any, ...], seconds: float) -> None:
        value = numbers[0] if len(numbers) == 1 else numbers
        _fit(self._pipeline().params, name, value)
        self.changes.put(ControlChange(name, value, seconds))


def _wishes(pipeline: Pipeline) -> Iterator[Node]:
    """What poses can be told, if anybody listens."""
    sample = next((line.sample for line in pipeline.partners.values() if line.sample is not None), None)
    if sample is None:
        return
    for wish, (count, about) in nodes().items():
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


def _manner(params: Params, actor: str) -> dict[str, str]:
    """The same. Raises ValueError where nobody has any."""
    shares = _shares_of_identities(params, actor)
    if not shares:
        raise ValueError("nobody here dances in a manner; give a partner `manner: models/manner.onnx`")
    return shares


def _named(arguments: Sequence[Any], known: Mapping[str, str]) -> dict[str, float | None]:
    """Names with the share after each, None where there is none. Raises ValueError in words."""
    takes = f"takes names, each once and with one share at most, such as {next(iter(known))} 1"
    asked: dict[str, float | None] = {}
    for before, argument in zip((None, *arguments), arguments, strict=False):
        if isinstance(argument, str):
            if argument not in known:
                raise ValueError(f"{argument[:40]!r} is none of {', '.join(known)}")
            if argument in asked:
                raise ValueError(f"{takes}, not {argument} again")
            asked[argument] = None
        elif not isinstance(before, str):
            raise ValueError(f"{takes}, not {str(argument)[:40]}{'' if before is None else f' after {before}'}")
        else:
            (share,) = _numbers((argument,), "a share after each name")
            if not 0.0 <= share <= 1.0:
                raise ValueError(f"{before} {share:g}; a share is 0 to 1")
            asked[before] = share
    return asked


def _read(pipeline: Pipeline, what: str) -> tuple[float, ...]:
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


def _shares(meter: EffortMeter, of_set: str) -> tuple[Any, ...]:
    """The probabilities of a set's labels; None each where nothing is read."""
    return tuple((meter.reading or {}).get(of_set, dict.fromkeys(meter.sets[of_set])).values())


def _target(params: Params, name: str) -> tuple[float, ...]:
    """Where a param is going. Raises ValueError naming those there are."""
    if name not in params.table:
        raise ValueError(f"no such param; there are: {', '.join(f'/{known}' for known in params.table) or 'none'}")
    return tuple(float(number) for number in np.atleast_1d(params.target(name)))


def _fit(params: Params, name: str, value: Setting) -> None:
    """Raises ValueError, in words, for what no param would take."""
    try:
        params.fitting(name, value)
    except KeyError as error:
        raise ValueError(error.args[0]) from None


def _numbers(arguments: Arguments, takes: str) -> tuple[float, ...]:
    """The arguments, none of which may be anything but a number, True or False."""
    if not all(isinstance(argument, int | float) and math.isfinite(argument) for argument in arguments):
        raise ValueError(f"takes {takes}, not {' '.join(repr(argument)[:40] for argument in arguments[:4])}")
    return tuple(map(float, arguments))


def _time(seconds: float) -> float:
    if not 0.0 <= seconds <= 600.0:
        raise ValueError(f"{seconds:g} seconds; it takes 0 to 600")
    return seconds


def _is_release(arguments: Arguments) -> bool:
    """A pad sends 1 when it is pressed and 0 when it is let go."""
    return bool(arguments) and isinstance(arguments[0], int | float) and arguments[0] < 0.5
