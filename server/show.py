"""Builds a show's pipeline from its preset: which stages, which models, which seeds. Opens model files, no sockets."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from motion.calibration import Calibration, Kind, Wishes
from motion.manifest import Param
from server.lines import DancerLine, PartnerLine
from server.onnx_model import ModelError, OnnxModel
from server.params import Setting
from server.pipeline import Pipeline
from server.preset import Preset, PresetError
from server.preset_dancers import DancerStages
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
    return Sample(home(partial(PoseExpert.of, asked.model, (*seed, 1))), asked.every, wishes, worker)


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
    seed = preset.seed if seed is None else seed
    faults: list[str] = []
    meters: dict[str, EffortMeter | None] = {}
    dancers = []
    for name, dancer in preset.dancers.items():
        calibrate = (calibrates or {}).get(name) or calibrate_stage(dancer)
        stages = [calibrate if stage == "calibrate" else DANCER_STAGES[stage]() for stage in dancer.stages]
        upsample = None
        try:
            if dancer.upsample is not None:
                upsample = Upsample(OnnxModel(dancer.upsample.model), dancer.upsample.delay, preset.clock.fps, worker)
            if dancer.forecast is not None:
                stages.append(Forecast(OnnxModel(dancer.forecast.model), dancer.forecast.ms / 1000.0))
        except ModelError as error:
            key = "upsample" if dancer.upsample is not None else "forecast"
            faults.append(f"{path}: dancers.{name}.{key}.model: {error}")
        meters[name] = _meter(dancer.effort, f"{path}: dancers.{name}.effort", faults)
        dancers.append(DancerLine(name, stages, preset.clock.fps, upsample, meters[name]))
    partners = []
    start: dict[str, Setting] = {}
    for place, (name, settings) in enumerate(preset.partners.items()):
        try:
            model = OnnxModel(settings.model, settings.device)
            moves = model.manifest.kind == "sampler"
            wishes = sample_wishes.Wishes() if settings.sample is None else settings.sample.start()
            wishes.moves = moves
            partner: Stage
            if moves:
                planner = home(partial(Planner.of, settings.model, settings.device, (seed, place)))
                partner = SampledPartner(planner, wishes, worker)
            else:
                partner = model_stage(model, (seed, place), worker)
        except ModelError as error:
            faults.append(f"{path}: partners.{name}.model: {error}")
            continue
        light: Stage | None = None
        if settings.light is not None:
            try:
                light = model_stage(OnnxModel(settings.light, settings.device), (seed, place, 2), worker)
            except ModelError as error:
                faults.append(f"{path}: partners.{name}.light: {error}")
                continue
        manner = _manner(settings.manner, partner, (seed, place, 3), f"{path}: partners.{name}.manner", faults)
        before: list[Stage] = []
        after: list[Stage] = []
        if settings.sample is not None or moves:
            try:
                asked = settings.sample or Sampling(pins={}, wishes={})
                sample = sample_stage(asked, wishes, (seed, place), worker, home)
            except ModelError as error:
                faults.append(f"{path}: partners.{name}.sample.model: {error}")
                continue
            before, after = [sample.watch], [sample]
        faults += [
            f"{path}: partners.{name}.sample.wishes.{why}" for wish in wishes.told if (why := wishes.stays(wish))
        ]
        limits, read = settings.safety, meters.get(settings.dancer)
        line = PartnerLine(
            name,
            settings.dancer,
            [
                *before,
                *partner_stages(partner, light, manner),
                *after,
                Safety(limits.max_speed, limits.max_turn, limits.bounds),
            ],
            settings.model.stem,
            settings.device,
            settings.half_life,
            _meter(settings.effort, f"{path}: partners.{name}.effort", faults),
            None if read is None else Follow(partner.params, settings.half_life, read.sets),
        )
        knobs = {param.name.partition("/")[2]: param for param in line.params}
        for key in ("params", "half_life"):
            faults += [
                f"{path}: partners.{name}.{key}.{knob}: model {settings.model.name} has no such param; it has: "
                f"{', '.join(knobs)}{_without(settings.dancer) if knob.startswith('follow/') and read is None else ''}"
                for knob in getattr(settings, key)
                if knob not in knobs
            ]
        for knob, value in settings.params.items():
            if knob in knobs and (fault := _misfit(knobs[knob], value)) is not None:
                faults.append(f"{path}: partners.{name}.params.{knob}: {fault}")
            start[f"{name}/{knob}"] = value
        partners.append(line)
    if faults:
        raise PresetError(faults)
    return Pipeline(dancers, partners, start)


def _meter(file: Path | None, key: str, faults: list[str]) -> EffortMeter | None:
    """Somebody's effort meter, if they have one; what is wrong with it becomes a fault of the key."""
    if file is None:
        return None
    try:
        return EffortMeter(OnnxModel(file))
    except ModelError as error:
        faults.append(f"{key}: {error}")
        return None


def _manner(file: Path | None, partner: Stage, seed: tuple[int, ...], key: str, faults: list[str]) -> Manner | None:
    """Who dances again what a partner's model made, if anybody does; what is wrong becomes a fault of the key."""
    if file is None:
        return None
    try:
        manner = Manner(OnnxModel(file), seed, over=True)
    except ModelError as error:
        faults.append(f"{key}: {error}")
        return None
    twice = sorted({param.name for param in manner.params} & {param.name for param in partner.params})
    if twice:
        faults.append(f"{key}: the partner's model has {', '.join(twice)} itself: one manner at a time")
        return None
    return manner


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
