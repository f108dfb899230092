"""Builds a show's pipeline from its preset: which stages, which models, which seeds. Opens model files, no sockets."""

from __future__ import annotations

from pathlib import Path

from server.onnx_model import ModelError, OnnxModel
from server.pipeline import DancerLine, PartnerLine, Pipeline
from server.preset import Preset, PresetError
from server.stages import Stage
from server.stages.deglitch import Deglitch
from server.stages.partner import Partner
from server.stages.retarget import Retarget
from server.stages.safety import Safety

DANCER_STAGES: dict[str, type[Stage]] = {"retarget": Retarget, "deglitch": Deglitch}


def build_pipeline(preset: Preset, path: Path, seed: int | None = None) -> Pipeline:
    """Every line of the show, ready to step. `path` is named in errors.

    Raises PresetError naming every model that cannot be used and every param that no model has.
    """
    seed = preset.seed if seed is None else seed
    faults: list[str] = []
    dancers = [
        DancerLine(name, [DANCER_STAGES[stage]() for stage in dancer.stages], preset.clock.fps)
        for name, dancer in preset.dancers.items()
    ]
    partners = []
    start: dict[str, float] = {}
    for place, (name, settings) in enumerate(preset.partners.items()):
        try:
            partner = Partner(OnnxModel(settings.model, settings.device), seed=(seed, place))
        except ModelError as error:
            faults.append(f"{path}: partners.{name}.model: {error}")
            continue
        knobs = {param.name: param for param in partner.params}
        for knob, value in settings.params.items():
            where = f"{path}: partners.{name}.params.{knob}"
            if knob not in knobs:
                faults.append(f"{where}: model {settings.model.name} has no such param; it has: {', '.join(knobs)}")
            elif not knobs[knob].low <= value <= knobs[knob].high:
                faults.append(f"{where}: {value} is not in {knobs[knob].low}..{knobs[knob].high}")
            start[f"{name}/{knob}"] = value
        limits = settings.safety
        safety = Safety(limits.max_speed, limits.max_turn, limits.bounds)
        partners.append(PartnerLine(name, settings.dancer, [partner, safety]))
    if faults:
        raise PresetError(faults)
    return Pipeline(dancers, partners, start)
