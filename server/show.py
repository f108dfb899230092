"""Builds a show's pipeline from its preset: which stages, which models, which seeds. Opens model files, no sockets."""

from __future__ import annotations

from pathlib import Path

from motion.manifest import Param
from server.onnx_model import ModelError, OnnxModel
from server.params import Setting
from server.pipeline import DancerLine, PartnerLine, Pipeline
from server.preset import Preset, PresetError
from server.stages import Stage
from server.stages.deglitch import Deglitch
from server.stages.partner import Partner
from server.stages.retarget import Retarget
from server.stages.safety import Safety
from server.stages.window_partner import WindowPartner
from server.stages.worker import Worker, inline

DANCER_STAGES: dict[str, type[Stage]] = {"retarget": Retarget, "deglitch": Deglitch}


def partner_stage(model: OnnxModel, seed: int | tuple[int, ...], worker: Worker = inline) -> Partner | WindowPartner:
    """The stage that a model's manifest asks for. Raises ModelError when the model is no partner."""
    return WindowPartner(model, seed, worker) if model.manifest.window > 1 else Partner(model, seed)


def build_pipeline(preset: Preset, path: Path, seed: int | None = None, worker: Worker = inline) -> Pipeline:
    """Every line of the show, ready to step. `path` is named in errors; `worker` is who runs models of windows.

    Raises PresetError naming every model that cannot be used and every param that no model has.
    """
    seed = preset.seed if seed is None else seed
    faults: list[str] = []
    dancers = [
        DancerLine(name, [DANCER_STAGES[stage]() for stage in dancer.stages], preset.clock.fps)
        for name, dancer in preset.dancers.items()
    ]
    partners = []
    start: dict[str, Setting] = {}
    for place, (name, settings) in enumerate(preset.partners.items()):
        try:
            partner = partner_stage(OnnxModel(settings.model, settings.device), (seed, place), worker)
        except ModelError as error:
            faults.append(f"{path}: partners.{name}.model: {error}")
            continue
        knobs = {param.name: param for param in partner.params}
        for knob, value in settings.params.items():
            where = f"{path}: partners.{name}.params.{knob}"
            if knob not in knobs:
                faults.append(f"{where}: model {settings.model.name} has no such param; it has: {', '.join(knobs)}")
            elif (fault := _misfit(knobs[knob], value)) is not None:
                faults.append(f"{where}: {fault}")
            start[f"{name}/{knob}"] = value
        limits = settings.safety
        safety = Safety(limits.max_speed, limits.max_turn, limits.bounds)
        partners.append(PartnerLine(name, settings.dancer, [partner, safety]))
    if faults:
        raise PresetError(faults)
    return Pipeline(dancers, partners, start)


def _misfit(param: Param, value: float | tuple[float, ...]) -> str | None:
    """Why a param cannot start with a value; None when it can."""
    numbers = value if isinstance(value, tuple) else (value,)
    if len(numbers) not in (1, param.size):
        return f"{len(numbers)} numbers; it takes {'one' if param.size == 1 else f'{param.size}, or one for all'}"
    outside = [number for number in numbers if not param.low <= number <= param.high]
    return f"{outside[0]:g} is not in {param.low:g}..{param.high:g}" if outside else None
