"""A preset: one show, as YAML. This file is its schema and its door: what passes here is trusted inside.

Every fault is reported at once, each with file, key, value and the legal choices. Paths in a preset are relative to
the preset's own folder and stay in it, unless they are absolute.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from motion import shipped
from server import preset_yaml
from server.preset_control import Control, Cue, steering_faults
from server.preset_dancers import FILES, KEYS, Dancer, UdpDancer
from server.preset_doors import StagePage, door_faults, page_faults
from server.preset_faults import explain, not_one_of
from server.preset_outputs import FILES as OUTPUT_FILES
from server.preset_outputs import ActorSection, EffortOutput, Output, UdpOutput, ZmqOutput, shared_targets
from server.preset_partners import FILES as PARTNER_FILES
from server.preset_partners import Partner
from server.preset_values import LOOPBACK, Name, Section


class PresetError(ValueError):
    """A preset that cannot be shown; `faults` has a line for each reason."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


class Clock(Section):
    """follow: dancer acts at once on every frame that arrives (fps is then the rate to expect); else fps is kept.

    ready_ms: with dancers in suits, how long before their next frame the server wakes up and warms its caches (it
    keeps a core busy 6 ms in 8 at 120 fps, 6 in 33 at 30); 0: it sleeps on.
    bridge_ms: how long a movement is carried on, dying away, when frames are missing; 0: the dancer is held still.
    """

    follow: Literal["dancer"] | None = None
    fps: Annotated[float, Field(ge=1, le=1000)] = 60.0
    delay_ms: Annotated[float, Field(ge=0, le=1000)] = 0.0
    ready_ms: Annotated[float, Field(ge=0, le=100)] = 6.0
    bridge_ms: Annotated[float, Field(ge=0, le=100)] = 100.0


class Preset(Section):
    """A whole show."""

    format: Literal[1]
    clock: Clock = Clock(follow="dancer")
    seed: Annotated[int, Field(ge=0)] = 1
    dancers: Annotated[dict[Name, Dancer], Field(min_length=1)]
    partners: Annotated[dict[Name, Partner], Field(min_length=1)]
    outputs: tuple[Output, ...] = ()
    control: Control | None = Control()
    cues: tuple[Cue, ...] = ()
    stage_page: StagePage | None = StagePage()

    @field_validator("control", "stage_page", mode="before")
    @classmethod
    def _off(cls, value: Any) -> Any:
        return None if value in (False, "off") else value  # YAML reads a bare `off` as false

    @model_validator(mode="after")
    def _fits_together(self) -> Preset:
        faults = []
        dancers, partners = list(self.dancers), list(self.partners)
        actors = dancers + partners
        for name, partner in self.partners.items():
            if partner.dancer not in dancers:
                faults.append(f"partners.{name}.dancer: {not_one_of(partner.dancer, dancers)}")
            if name in dancers:
                faults.append(f"partners.{name}: a dancer has that name already")
        for place, output in enumerate(self.outputs):
            if isinstance(output, ActorSection) and output.actor not in actors:
                faults.append(f"outputs.{place}.actor: {not_one_of(output.actor, actors)}")
        faults += self._without_their_stages() + self._without_a_meter()
        faults += self._shared_ports() + steering_faults(self.control, self.cues, partners)
        faults += door_faults(self.dancers, self.outputs, self.control) + page_faults(self.stage_page)
        if self.clock.follow and self.clock.delay_ms:
            faults.append(
                "clock.delay_ms: a clock that follows the dancer acts at once; leave it out, or leave out follow"
            )
        if self.stage_page and not any(isinstance(o, ZmqOutput) and o.format == "packed" for o in self.outputs):
            faults.append("stage_page: the page listens to a `send: zmq` output; add one, or set stage_page: off")
        if faults:
            raise ValueError("\n".join(faults))
        return self

    def _without_their_stages(self) -> list[str]:
        """Dancers whose keys ask for what the rest of the preset does not give."""
        faults = []
        for name, dancer in self.dancers.items():
            if dancer.upsample and self.clock.follow:
                faults.append(f"dancers.{name}.upsample: needs a clock of its own: clock: {{fps: 120}}, without follow")
            for key in ("upsample", "forecast", "effort"):
                if getattr(dancer, key) and "retarget" not in dancer.stages:
                    faults.append(f"dancers.{name}.{key}: needs the standard body: put `retarget` among the stages")
            if dancer.upsample and dancer.forecast:
                faults.append(f"dancers.{name}.forecast: upsample with delay: 0 looks ahead itself; use one of both")
        return faults

    def _without_a_meter(self) -> list[str]:
        """Outputs of effort that nobody measures."""
        read = [name for name, actor in (*self.dancers.items(), *self.partners.items()) if actor.effort is not None]
        asked = {place: output.actor for place, output in enumerate(self.outputs) if isinstance(output, EffortOutput)}
        give = "give a dancer or a partner a meter: `effort: models/effort_meter.onnx`"
        return [
            f"outputs.{place}: nobody's effort is read; {give}"
            if actor is None
            else f"outputs.{place}.actor: {not_one_of(actor, read)} whose effort is read; {give}"
            for place, actor in asked.items()
            if not read or (actor is not None and actor not in read)
        ]

    def _shared_ports(self) -> list[str]:
        """Ports that two parts of this preset would fight over; port 0 is any free one."""
        listening = [(f"dancers.{n}", d.host, d.port, d) for n, d in self.dancers.items() if isinstance(d, UdpDancer)]
        faults: list[str] = []
        heard: dict[tuple[str, int], str] = {}
        at_port: dict[tuple[str, int], list[UdpDancer]] = {}
        for key, host, port, dancer in listening:
            others = at_port.setdefault((host, port), [])
            if port and others:
                faults += [f"{key}.{fault}" for fault in _cannot_share(dancer, others, heard[host, port])]
            others.append(dancer)
            heard.setdefault((host, port), key)
        if self.control:
            host, port = self.control.host, self.control.port
            if port and (host, port) in heard:
                faults.append(f"control.port: {host}:{port} is taken by {heard[host, port]} of this preset already")
            heard.setdefault((host, port), "control")
        for place, output in enumerate(self.outputs):
            if isinstance(output, UdpOutput | EffortOutput):
                hears = (k for (h, p), k in heard.items() if p == output.port and _overlap(h, output.host))
                faults += [
                    f"outputs.{place}.port: {output.host}:{output.port} is where {key} listens; the show would hear "
                    f"itself"
                    for key in hears
                ]
        return faults + shared_targets(self.outputs)


def _cannot_share(dancer: UdpDancer, others: list[UdpDancer], taken_by: str) -> list[str]:
    """Why a dancer cannot be heard at the port of others; nothing where a stream tells its people apart."""
    where = f"{dancer.host}:{dancer.port} is taken by {taken_by} of this preset already"
    if any(type(other) is not type(dancer) for other in others) or not dancer.person_key:
        return [f"port: {where}"]
    people = [other.whom for other in others]
    if dancer.whom is None or None in people or dancer.whom in people:
        return [f"{dancer.person_key}: {where}; two dancers at one port need two different ones"]
    return []


def _overlap(listening: str, target: str) -> bool:
    """Whether what is sent to `target` may arrive where `listening` listens."""
    anywhere = {"0.0.0.0", "::"}
    here = {LOOPBACK, "localhost", *anywhere}
    return listening == target or (listening in anywhere and target in here) or (listening in here and target in here)


def load(path: Path) -> Preset:
    """Reads, checks and resolves a preset. Raises PresetError with every fault."""
    if not path.is_file():
        known = ", ".join(shipped.names())
        beside = ", ".join(sorted(str(file) for file in path.parent.glob("[!.]*.yaml")))
        raise PresetError([f"no preset {path}; presets there: {beside or f'none; shipped: {known}'}"])
    try:
        data = preset_yaml.read(path)
    except ValueError as error:
        raise PresetError([f"{path}: {error}"]) from None
    if not isinstance(data, dict):
        raise PresetError([f"{path}: a preset is a mapping that begins with `format: 1`"])
    return parse(data, path)


def parse(data: dict[str, Any], path: Path) -> Preset:
    """A preset from its mapping; `path` is named in errors and its folder is where relative paths start."""
    faults = _missing_files(data, path.parent)
    try:
        preset = Preset.model_validate(data)
    except ValidationError as error:
        faults = [line for detail in error.errors() for line in explain(detail, Preset)] + faults
    if faults:
        raise PresetError([f"{path}: {fault}" for fault in faults])
    preset, faults = _with_absolute_paths(preset, path.parent.resolve())
    if faults:
        raise PresetError([f"{path}: {fault}" for fault in faults])
    return preset


def _with_absolute_paths(preset: Preset, folder: Path) -> tuple[Preset, list[str]]:
    """The preset with every path as it is opened, and the faults of those that lead out of the preset's folder."""
    faults: list[str] = []

    def moved(section: Any, keys: tuple[str, ...], place: str) -> Any:
        for key in keys:
            first, _, rest = key.partition(".")
            value = getattr(section, first, None)
            if value is None:
                continue
            if rest:
                value = moved(value, (rest,), f"{place}.{first}")
            else:
                given, value = value, folder / value
                if not given.is_absolute() and not value.resolve().is_relative_to(folder):
                    faults.append(
                        f"{place}.{first}: {given} leads out of the preset's folder, to {value.resolve()}; write the "
                        f"whole path if that is meant"
                    )
            section = section.model_copy(update={first: value})
        return section

    dancers = {name: moved(dancer, FILES + KEYS, f"dancers.{name}") for name, dancer in preset.dancers.items()}
    partners = {name: moved(partner, PARTNER_FILES, f"partners.{name}") for name, partner in preset.partners.items()}
    outputs = tuple(moved(output, OUTPUT_FILES, f"outputs.{n}") for n, output in enumerate(preset.outputs))
    control = None if preset.control is None else moved(preset.control, ("token",), "control")
    found = {"dancers": dancers, "partners": partners, "outputs": outputs, "control": control}
    return preset.model_copy(update=found), faults


def _missing_files(data: dict[str, Any], folder: Path) -> list[str]:
    """Faults of files that are named but not there; shape faults are the schema's business."""
    faults = []
    for section, key, suffix in (
        ("dancers", "file", ".bvh"),
        ("dancers", "skeleton_file", ".bvh"),
        ("dancers", "upsample.model", ".onnx"),
        ("dancers", "forecast.model", ".onnx"),
        ("dancers", "effort", ".onnx"),
        ("partners", "effort", ".onnx"),
        ("partners", "model", ".onnx"),
        ("partners", "light", ".onnx"),
        ("partners", "manner", ".onnx"),
        ("partners", "sample.model", ".onnx"),
        ("outputs", "vrm_file", ".vrm"),
    ):
        entries = data.get(section)
        if isinstance(entries, list):
            entries = dict(enumerate(entries))
        for name, entry in entries.items() if isinstance(entries, dict) else ():
            value: Any = entry
            for part in key.split("."):
                value = value.get(part) if isinstance(value, dict) else None
            if isinstance(value, str) and not (folder / value).is_file():
                place = (folder / value).parent
                there = sorted(p.name for p in place.glob(f"*{suffix}")) if place.is_dir() else []
                faults.append(f"{section}.{name}.{key}: no file {folder / value}; there: {', '.join(there) or 'none'}")
    return faults
