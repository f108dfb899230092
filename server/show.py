"""Builds a show's pipeline from its preset: which stages, which models, which seeds. Opens model files, no sockets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TypeVar

from motion.calibration import Calibration, Kind, Wishes
from motion.manifest import Param
from server.lines import DancerLine, PartnerLine
from server.onnx_model import ModelError, OnnxModel
from server.pipeline import Pipeline
from server.preset import Preset, PresetError
from server.preset_dancers import DancerStages
from server.preset_partners import Partner as Partnering
from server.preset_partners import Sampling
from server.stages import Stage, sample_wishes
from server.stages.anticipation import Anticipation
from server.stages.calibrate import Calibrate
from server.stages.deglitch import Deglitch
from server.stages.effort import EffortMeter
from server.stages.energy import Energy
from server.stages.facing import Facing
from server.stages.follow import Follow
from server.stages.forecast import Forecast
from server.stages.ladder import Ladder
from server.stages.manner import Manner, identities
from server.stages.motion_plan import Planner
from server.stages.partner import Partner
from server.stages.pose_expert import PoseExpert
from server.stages.retarget import Retarget
from server.stages.safety import Safety
from server.stages.sample import Sample
from server.stages.sampled_partner import SampledPartner
from server.stages.sides import Sides
from server.stages.smooth import Smooth
from server.stages.stillness import Stillness
from server.stages.upsample import Upsample
from server.stages.window_partner import WindowPartner
from server.stages.worker import Home, Worker, here, inline

Made = TypeVar("Made")

DANCER_STAGES: dict[str, type[Stage]] = {"retarget": Retarget, "deglitch": Deglitch}  # and `calibrate`
# After the model, in this order; where their knobs stand at their defaults they cost nothing.
PARTNER_STAGES: tuple[type[Stage], ...] = (Sides, Facing, Energy, Smooth, Stillness)


def model_stage(
    model: OnnxModel, seed: int | tuple[int, ...], worker: Worker = inline
) -> Partner | WindowPartner | Manner:
    """The stage that a model's manifest asks for. Raises ModelError when the model is no partner."""
    if identities(model.manifest):
        return Manner(model, seed)
    return WindowPartner(model, seed, worker) if model.manifest.window > 1 else Partner(model, seed)


def partner_stages(model: Stage, light: Stage | None = None, manner: Manner | None = None) -> list[Stage]:
    """A model's stage, on a ladder, its manner and the knobs that every partner has; a model that has one itself keeps
    its own.
    """
    own = {param.name for param in model.params}
    after = [stage for stage in (make() for make in PARTNER_STAGES) if own.isdisjoint(p.name for p in stage.params)]
    return [
        Ladder(model if "anticipation" in own else Anticipation(model), light),
        *([manner] if manner else []),
        *after,
    ]


def sample_stage(
    asked: Sampling, wishes: sample_wishes.Wishes, seed: tuple[int, ...], worker: Worker = inline, home: Home = here
) -> Sample:
    """A partner's. Raises ModelError when the model draws no poses."""
    device: str = asked.device
    if asked.model is not None and device != "cpu":
        device = OnnxModel(asked.model, device).device  # found out here, where it is said
    return Sample(home(partial(PoseExpert.of, asked.model, device, (*seed, 1))), asked.every, wishes, worker)


def calibrate_stage(dancer: DancerStages, calibration: Calibration | None = None) -> Calibrate:
    """A dancer's, with what was measured for them earlier."""
    asked = dancer.calibration
    wishes = Wishes(asked.facing, asked.floor, asked.place, asked.hip_scale)
    begin: Kind | None = None
    if asked.at == "first_frame" or (asked.at == "t_pose" and calibration is None):
        begin = asked.at
    return Calibrate(wishes, begin, calibration)


def build_pipeline(
    preset: Preset,
    path: Path,
    seed: int | None = None,
    worker: Worker = inline,
    calibrates: Mapping[str, Calibrate] | None = None,
    home: Home = here,
) -> Pipeline:
    """Every line of the show, ready to step. `path` is named in errors; `worker` is who runs models of windows, `home`
    where those who draw from mixtures live. calibrates: the dancers' stages where a show has them already.

    Raises PresetError naming every model that cannot be used and every param that no model has.
    """
    cast = _Cast(path, preset.clock.fps, preset.seed if seed is None else seed, worker, home)
    dancers = {
        name: cast.dancer(name, settings, (calibrates or {}).get(name)) for name, settings in preset.dancers.items()
    }
    partners = [
        cast.partner(name, settings, place, dancers[settings.dancer].meter)
        for place, (name, settings) in enumerate(preset.partners.items())
    ]
    if cast.faults:
        raise PresetError(cast.faults)
    start = {
        f"{name}/{knob}": value for name, settings in preset.partners.items() for knob, value in settings.params.items()
    }
    return Pipeline(list(dancers.values()), [line for line in partners if line is not None], start)


class _Cast:
    """Makes one line after the other. faults: what is wrong with any of them, by key."""

    def __init__(self, path: Path, fps: float, seed: int, worker: Worker, home: Home) -> None:
        self.faults: list[str] = []
        self._devices: dict[str, str] = {}  # what each model's came to, by key
        self._path, self._fps, self._seed = path, fps, seed
        self._worker, self._home = worker, home

    def dancer(self, name: str, settings: DancerStages, calibrate: Calibrate | None) -> DancerLine:
        key, calibrates = f"dancers.{name}", calibrate or calibrate_stage(settings)
        stages = [calibrates if stage == "calibrate" else DANCER_STAGES[stage]() for stage in settings.stages]
        upsample = None
        if (keys := settings.upsample) is not None:
            upsample = self._of_model(
                f"{key}.upsample.model",
                keys.model,
                lambda model: Upsample(model, keys.delay, self._fps, self._worker),
                keys.device,
            )
        if (ahead := settings.forecast) is not None:
            forecast = self._of_model(
                f"{key}.forecast.model", ahead.model, lambda model: Forecast(model, ahead.ms / 1000.0), ahead.device
            )
            stages += [] if forecast is None else [forecast]
        return DancerLine(name, stages, self._fps, upsample, self._meter(f"{key}.effort", settings.effort))

    def partner(self, name: str, settings: Partnering, place: int, read: EffortMeter | None) -> PartnerLine | None:
        """None where nobody can dance. read: their dancer's meter."""
        key, seed = f"partners.{name}", (self._seed, place)
        wishes = sample_wishes.Wishes() if settings.sample is None else settings.sample.start()
        who_dances = partial(self._who_dances, settings, wishes, seed)
        partner = self._of_model(f"{key}.model", settings.model, who_dances, settings.device)
        if partner is None:
            return None
        light: Stage | None = None
        if settings.light is not None:
            light = self._of_model(
                f"{key}.light",
                settings.light,
                lambda model: model_stage(model, (*seed, 2), self._worker),
                settings.device,
            )
            if light is None:
                return None
        manner = self._manner(f"{key}.manner", settings, partner, (*seed, 3))
        dances: list[Stage] = [*partner_stages(partner, light, manner)]
        if settings.sample is not None or wishes.moves:
            asked = settings.sample or Sampling(pins={}, wishes={})
            try:
                sample = sample_stage(asked, wishes, seed, self._worker, self._home)
            except ModelError as error:
                self._fault(f"{key}.sample.model", error)
                return None
            dances = [sample.watch, *dances, sample]
        for wish in wishes.told:
            if why := wishes.stays(wish):
                self._fault(f"{key}.sample.wishes.{why}")
        limits = settings.safety
        line = PartnerLine(
            name,
            settings.dancer,
            [*dances, Safety(limits.max_speed, limits.max_turn, limits.bounds)],
            settings.model.stem,
            self._devices[f"{key}.model"],
            settings.half_life,
            self._meter(f"{key}.effort", settings.effort),
            None if read is None else Follow(partner.params, settings.half_life, read.sets),
        )
        self._check_knobs(key, settings, line, is_read=read is not None)
        return line

    def _who_dances(
        self, settings: Partnering, wishes: sample_wishes.Wishes, seed: tuple[int, ...], model: OnnxModel
    ) -> Stage:
        """The stage of a partner's own model; wishes are told whether it moves by them."""
        wishes.moves = model.manifest.kind == "sampler"
        if not wishes.moves:
            return model_stage(model, seed, self._worker)
        planner = self._home(partial(Planner.of, settings.model, model.device, seed))
        return SampledPartner(planner, wishes, self._worker)

    def _manner(self, key: str, settings: Partnering, partner: Stage, seed: tuple[int, ...]) -> Manner | None:
        """Who dances again what a partner's model made, if anybody does."""
        if settings.manner is None:
            return None
        manner = self._of_model(key, settings.manner, lambda model: Manner(model, seed, over=True), settings.device)
        if manner is None:
            return None
        twice = sorted({param.name for param in manner.params} & {param.name for param in partner.params})
        if twice:
            self._fault(key, f"the partner's model has {', '.join(twice)} itself: one manner at a time")
            return None
        return manner

    def _meter(self, key: str, file: Path | None) -> EffortMeter | None:
        """Somebody's effort meter, if they have one."""
        return None if file is None else self._of_model(key, file, EffortMeter)

    def _check_knobs(self, key: str, settings: Partnering, line: PartnerLine, is_read: bool) -> None:
        knobs = {param.name.partition("/")[2]: param for param in line.params}
        for section, asked in (("params", settings.params), ("half_life", settings.half_life)):
            for knob in [knob for knob in asked if knob not in knobs]:
                advice = _without(settings.dancer) if knob.startswith("follow/") and not is_read else ""
                why = f"model {settings.model.name} has no such param; it has: {', '.join(knobs)}{advice}"
                self._fault(f"{key}.{section}.{knob}", why)
        for knob, value in settings.params.items():
            if knob in knobs and (fault := _misfit(knobs[knob], value)) is not None:
                self._fault(f"{key}.params.{knob}", fault)

    def _of_model(self, key: str, file: Path, make: Callable[[OnnxModel], Made], device: str = "cpu") -> Made | None:
        """What is made with a model's file; None where that cannot be, a fault of the key."""
        try:
            model = OnnxModel(file, device)
            self._devices[key] = model.device
            return make(model)
        except ModelError as error:
            self._fault(key, error)
            return None

    def _fault(self, key: str, why: object = "") -> None:
        self.faults.append(f"{self._path}: {key}: {why}" if why else f"{self._path}: {key}")


def _without(dancer: str) -> str:
    return f"; to follow {dancer} it must be read what they dance: dancers.{dancer}.effort: models/effort_meter.onnx"


def _misfit(param: Param, value: float | tuple[float, ...] | str) -> str | None:
    """Why a param cannot start with a value; None when it can."""
    if isinstance(value, str):
        try:
            param.named(value)
        except ValueError as error:
            return str(error)
        return None
    numbers = value if isinstance(value, tuple) else (value,)
    if len(numbers) not in (1, param.size):
        return f"{len(numbers)} numbers; it takes {'one' if param.size == 1 else f'{param.size}, or one for all'}"
    outside = [number for number in numbers if not param.low <= number <= param.high]
    return f"{outside[0]:g} is not in {param.low:g}..{param.high:g}" if outside else None
