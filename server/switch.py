"""Another preset takes over while the show goes on: built and warmed up beside the dance, then handed to the tick.

What may change live is who dances: partners, their models, params, limits and seeds. All else (dancers, outputs, clock,
control) has sockets and threads of its own and must be the same in both presets, or the switch is refused in words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from server import variants
from server.cues import settings
from server.dry_run import dry_run
from server.errands import Arguments, Command, Listing
from server.pipeline import Pipeline
from server.preset import Preset
from server.preset_control import LONGEST_CROSS_FADE, Cue
from server.tick import Successor, Tick

LIVE = ("seed", "partners", "cues", "stage_page")  # what two presets may differ in
FADE_SECONDS = 2.0
WARM_UPS = 30  # steps after which a path through the server is as fast as it gets
TRIED_SECONDS = 0.25  # that a new show must dance unseen

Build = Callable[[Preset, Path], Pipeline]


class Switch:
    """The show's presets: those in the folder of the one it began with.

    build: a preset to the pipeline that will dance. build_twin: to one to warm up and rehearse with; may be the latter
    only if `rehearses`. current: the preset that dances, by name.
    """

    def __init__(
        self, tick: Tick, preset: Preset, path: Path, build: Build, build_twin: Build, rehearses: bool
    ) -> None:
        self.current = path.stem
        self._tick, self._preset, self._folder = tick, preset, path.resolve().parent
        self._build, self._build_twin, self._rehearses = build, build_twin, rehearses
        # To let go of a model stops every thread for up to 10 ms (measured), and another switch may want it again.
        self._kept: dict[str, Pipeline] = {self.current: tick.pipeline}
        self._partners = preset.partners  # of the preset that dances
        self._models: dict[Path, Listing] = {}

    def command(self) -> Command:
        about = "goes over to another preset's partners: its name, and seconds of cross-fade if not 2"
        return Command(self.run, about, "s", Listing(self._folder, _presets), lambda: self.current)

    def model_command(self) -> Command:
        about = "who dances a partner: the partner's name, the model's, and seconds of cross-fade if not 2"
        return Command(self.run_model, about, "ss")

    def models(self) -> dict[str, list[str]]:
        """The models that could dance each partner, by name; those of the preset and who dances beside them."""
        found = {}
        for name, partner in self._partners.items():
            folder = partner.model.parent
            if folder not in self._models:
                self._models[folder] = Listing(folder, variants.models_in)
            found[name] = self._models[folder]()
        return found

    def names(self) -> list[str]:
        return _presets(self._folder)

    def run(self, arguments: Arguments) -> str:
        """Builds the preset, in the caller's thread, and hands it to the tick. ValueError says why not."""
        name, seconds = self._asked(arguments)
        if self._tick.pipeline.crossing:
            raise ValueError(f"{name}: {self.current} is still being faded in; ask again when it is there")
        preset, path = self.load(name)
        name = path.stem
        twin = self._build_twin(preset, path)
        if faults := dry_run(twin, preset.clock.fps, TRIED_SECONDS).faults:
            raise ValueError(f"{name} does not dance ({'; '.join(faults)}); {self.current} goes on")
        for _ in range(WARM_UPS):
            for dancer, timeline in self._tick.timelines.items():
                if timeline.newest is not None:
                    list(twin.step(dancer, timeline.newest))
        pipeline = self._build(preset, path)
        self._kept |= {self.current: self._tick.pipeline, name: pipeline}
        self._tick.succeed(Successor(name, pipeline, twin if self._rehearses else None, seconds))
        self.current, self._partners = name, preset.partners
        return f"{name} takes over, in {seconds:g} s"

    def run_model(self, arguments: Arguments) -> str:
        """The show goes on with another model for a partner; `nobody` lets go whoever dances beside another."""
        match arguments:
            case (str(partner), str(model), *seconds):
                preset, models = variants.parted(self.current)
                models.pop(partner, None)
                if model != variants.NOBODY:
                    models[partner] = model
                return self.run((variants.named(preset, models), *seconds))
            case _:
                raise ValueError(f"takes a partner and a model; there are: {self.models()}")

    def load(self, name: str) -> tuple[Preset, Path]:
        """The preset of that name and its file. ValueError when there is none, or it cannot take over live."""
        name = name.removesuffix(".yaml")
        if name not in self.names() and (Path(name).name != name or variants.parted(name)[0] not in self.names()):
            raise ValueError(f"no preset {name[:40]!r}; there are: {', '.join(self.names())}")
        path = self._folder / f"{name}.yaml"
        preset = variants.load(path)
        if faults := differences(self._preset, preset):
            raise ValueError(f"{name} cannot take over live, only its partners may differ: {'; '.join(faults)}")
        return preset, path

    def check(self, cues: Sequence[Cue]) -> list[str]:
        """What cannot be given when the cues are given in order: presets and params that are not there, by key."""
        faults: list[str] = []
        pipeline = self._tick.pipeline
        for place, cue in enumerate(cues):
            if cue.preset is None:
                misfits = [fault for n, v in settings(cue).items() for fault in _misfits(pipeline, n, v)]
                faults += [f"cues.{place}.params.{fault}" for fault in misfits]
                continue
            try:
                preset, path = self.load(cue.preset)
                if path.stem not in self._kept:
                    self._kept[path.stem] = self._build_twin(preset, path)
                pipeline = self._kept[path.stem]
            except (ValueError, OSError) as error:
                faults.append(f"cues.{place}.preset: {error}")
        return faults

    def _asked(self, arguments: Arguments) -> tuple[str, float]:
        name, seconds = (*arguments, *("", FADE_SECONDS)[len(arguments) :])[:2]
        if not isinstance(name, str) or not name:
            raise ValueError(f"takes the name of a preset; there are: {', '.join(self.names())}")
        if not isinstance(seconds, int | float) or not 0.0 <= seconds <= LONGEST_CROSS_FADE:
            raise ValueError(f"takes 0 to {LONGEST_CROSS_FADE:g} seconds of cross-fade, not {str(seconds)[:40]}")
        return name, float(seconds)


def _presets(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.yaml"))


def differences(running: Preset, other: Preset) -> list[str]:
    """What would have to be opened or closed for the other preset, by key; empty when it can take over live."""
    kept = [key for key in Preset.model_fields if key not in LIVE]
    return [
        fault
        for key in kept
        for fault in _differences(key, running.model_dump(include={key})[key], other.model_dump(include={key})[key])
    ]


def _differences(key: str, here: Any, there: Any) -> list[str]:
    if here == there:
        return []
    parts, others = _parts(here), _parts(there)
    if parts is None or others is None:
        return [f"{key} is {_short(there)}, in the show {_short(here)}"]
    # Another kind of dancer or output has other keys, and its name says why.
    kind = [name for name in ("receive", "send") if parts.get(name) != others.get(name)]
    return [
        fault
        for part in kind or parts | others
        for fault in _differences(f"{key}.{part}", parts.get(part, "not there"), others.get(part, "not there"))
    ]


def _parts(value: Any) -> dict[Any, Any] | None:
    """What is compared each by itself: a mapping's values, a list's mappings. None: the value is one thing."""
    if isinstance(value, list | tuple) and any(isinstance(each, dict) for each in value):
        return dict(enumerate(value))
    return value if isinstance(value, dict) else None


def _short(value: Any) -> str:
    text = re.sub(r"\s+", " ", str(value)) or "empty"
    return text if len(text) <= 60 else f"{text[:24]}...{text[-33:]}"  # it is their ends in which long paths differ


def _misfits(pipeline: Pipeline, name: str, value: float | tuple[float, ...] | str) -> list[str]:
    """Why no param can be set so; empty when one can."""
    try:
        fitting = pipeline.params.fitting(name, value)
    except (KeyError, ValueError) as error:
        return [f"{name}: {error.args[0]}"]
    if isinstance(value, str):
        return []
    ranges = {(pipeline.params.table[found].low, pipeline.params.table[found].high) for found in fitting}
    numbers = value if isinstance(value, tuple) else (value,)
    return [
        f"{name}: {number:g} is not in {low:g}..{high:g}"
        for low, high in sorted(ranges)
        for number in numbers
        if not low <= number <= high
    ]
