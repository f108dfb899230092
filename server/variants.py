"""A preset with other models on stage: `demo+partner1=salsa_duet` is demo.yaml, where salsa_duet.onnx dances partner1.

The models are those that lie beside the partner's own, by name. `partner1_b` is a second partner of the same dancer, to
compare two models by. A variant has no file: `demo+partner1=salsa_duet.yaml` stands for it where a preset has a path.
"""

from __future__ import annotations

import json
from pathlib import Path

from motion.manifest import METADATA_KEY
from server import onnx_file
from server import preset as presets
from server.preset import Preset
from server.preset_partners import Partner

SECOND = "_b"  # behind a partner's name: whoever dances beside them
NOBODY = "nobody"
DANCES = "duet"  # the kind of models that are partners


def parted(name: str) -> tuple[str, dict[str, str]]:
    """A variant's preset, and its models by partner."""
    preset, *models = name.split("+")
    return preset, dict(part.split("=", 1) for part in models if "=" in part)


def named(preset: str, models: dict[str, str]) -> str:
    """The name of a variant."""
    return "+".join([preset, *(f"{partner}={model}" for partner, model in models.items())])


def file_of(path: Path) -> Path:
    """The file of a preset or of a variant."""
    return path if path.exists() else path.with_name(f"{parted(path.stem)[0]}.yaml")


def load(path: Path) -> Preset:
    """A preset or a variant. Raises PresetError, OSError, and for a model or a partner who is not there, ValueError."""
    preset = presets.load(file_of(path))
    models = {} if path.exists() else parted(path.stem)[1]
    partners = {name: danced_by(preset, name, model) for name, model in models.items()}
    return preset.model_copy(update={"partners": {**preset.partners, **partners}})


def danced_by(preset: Preset, name: str, model: str) -> Partner:
    """A partner with another model; the preset's params for it were its own model's."""
    partner = preset.partners.get(name) or preset.partners.get(name.removesuffix(SECOND))
    if partner is None:
        raise ValueError(f"no partner {name[:40]!r}; there are: {', '.join(preset.partners)}")
    there = models_in(partner.model.parent)
    if model not in (*there, partner.model.stem):
        raise ValueError(f"no model {model[:40]!r} beside {partner.model.name}; there are: {', '.join(there)}")
    if model == partner.model.stem:
        return partner
    other = partner.model.with_name(f"{model}.onnx")
    return partner.model_copy(
        update={"model": other, "params": {}, "half_life": {}, "light": None, "manner": None, "sample": None}
    )


def models_in(folder: Path) -> list[str]:
    """The models that are partners, by name."""
    return sorted(path.stem for path in folder.glob("*.onnx") if _dances(path))


def _dances(path: Path) -> bool:
    """By what the model says of itself; nothing of it is run."""
    try:
        return bool(json.loads(onnx_file.metadata(path)[METADATA_KEY])["kind"] == DANCES)
    except (OSError, ValueError, KeyError, TypeError):
        return False
