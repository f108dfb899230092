"""What can be asked of a show, by address: its params, its cues, what it is told to do. No sockets, and no tick.

Whatever changes poses goes to the tick as a `ControlChange`; what takes its time goes to `Errands`. A question that
makes no sense raises ValueError in words for whoever asked: the thing, the value, the choices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from server.addresses import IDENTITY, Node, manner_params, nodes, reading, target
from server.asked import in_time, is_release, names_and_shares, numbers
from server.cues import STILL_SECONDS, CueList, changes, settings
from server.errands import Answer, Arguments, Command, Errands
from server.params import Changes, ControlChange, Params, Setting
from server.pipeline import Pipeline
from server.stages.sample_wishes import PLACE, check

ALIASES = {  # others' addresses, without the first slash, and ours
    "synth/encodingmix": "*/latent_mix",  # AI-Toolbox's
    "synth/encodingoffset": "*/latent_offset",
    "go": "cue/go",  # QLab's
}
DEEPFAKE_MODE = "mocap/deepfakemode"  # AI-Toolbox's switch: 1 is dancer 1 -> dancer 2, all else the way back
SWITCH = "show/preset"


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
            answer(*reading(self._pipeline(), f"/{name}"))
        elif PLACE in f"{name}/":
            self._wish(name, arguments, answer)
        elif name in self.commands:
            command = self.commands[name]
            button = command.takes == "N" or (command.button and len(arguments) == 1)
            if not (button and is_release(arguments)):
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
            answer(*target(self._pipeline().params, name))
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
        return nodes(self._pipeline(), self.commands, self.cues)

    def _cue(self, which: str, arguments: Arguments, answer: Answer, refuse: Answer) -> None:
        if which == "current":
            answer(self.cues.position, self.cues.title(self.cues.position))
            return
        if which == "go" and arguments and isinstance(arguments[0], str):
            which = arguments[0]
        elif is_release(arguments):
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
        told = numbers(arguments, "numbers")
        if wish.partition("/")[0] in ("free", "clear") and is_release(told):
            return
        if (fault := check(PLACE + wish, told)) is not None:
            raise ValueError(fault)
        able = [wishes for wishes in asked if wishes.stays(PLACE + wish) is None]
        if not able:
            raise ValueError(asked[0].stays(PLACE + wish))
        if not any(wishes.room(wish) for wishes in able):
            raise ValueError(able[0].full(wish))
        self.changes.put(ControlChange(f"{partner}{PLACE}{wish}", told))

    def _identity(self, actor: str) -> Arguments:
        """How the shares of identities stand."""
        params = self._pipeline().params
        return tuple(
            part for who, name in manner_params(params, actor).items() for part in (who, *target(params, name))
        )

    def _become(self, actor: str, arguments: Arguments, seconds: float = 0.0) -> None:
        """Shares of identities: those that are not named have none."""
        shares = manner_params(self._pipeline().params, actor)
        asked = {who: 1.0 if share is None else share for who, share in names_and_shares(arguments, shares).items()}
        for who in shares:
            self._change(f"{actor}/identity/{who}", (asked.get(who, 0.0),), seconds)

    def _fade(self, name: str, arguments: Arguments) -> None:
        """The same as without it, and seconds at the end."""
        *asked, seconds = arguments or (0.0,)
        (seconds,) = numbers((seconds,), "a number, and seconds")
        actor, _, knob = name.partition("/")
        if knob != IDENTITY:
            self._set(name, tuple(asked), seconds)
        elif not asked:
            raise ValueError("takes names and shares, and then seconds")
        else:
            *others, last = names_and_shares(asked, manner_params(self._pipeline().params, actor)).values()
            if last is None and any(share is not None for share in others):
                raise ValueError(
                    f"the seconds are missing, or a share of {asked[-1]}: after {asked[-1]} there is {seconds:g} alone"
                )
            self._become(actor, tuple(asked), in_time(seconds))

    def _freeze(self, arguments: Arguments) -> Arguments:
        value = (*numbers(arguments, "1 or 0"), 1.0)[0]
        self.changes.put(ControlChange("show/freeze", value))
        return (int(value >= 0.5),)

    def _still(self, arguments: Arguments) -> Arguments:
        value, seconds = (*numbers(arguments, "1 or 0, and seconds"), *(1.0, STILL_SECONDS)[len(arguments) :])[:2]
        self._change("*/stillness", (float(value >= 0.5),), in_time(seconds))
        return (int(value >= 0.5),)

    def _reset(self, arguments: Arguments) -> Arguments:
        if not is_release(numbers(arguments, "no more than 1")):
            self.changes.put(ControlChange("show/reset", 1.0))
        return ()

    def _set(self, name: str, arguments: Arguments, seconds: float = 0.0) -> None:
        """arguments: numbers, or one of the names that a param has for them."""
        named = len(arguments) == 1 and isinstance(arguments[0], str)
        self._change(name, arguments if named else numbers(arguments, "a number"), in_time(seconds))

    def _change(self, name: str, values: tuple[Any, ...], seconds: float) -> None:
        value = values[0] if len(values) == 1 else values
        _fit(self._pipeline().params, name, value)
        self.changes.put(ControlChange(name, value, seconds))


def _fit(params: Params, name: str, value: Setting) -> None:
    """Raises ValueError, in words, for what no param would take."""
    try:
        params.fitting(name, value)
    except KeyError as error:
        raise ValueError(error.args[0]) from None
