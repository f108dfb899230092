"""How much each joint counts in a loss, by the joint's name: a mapping, or a YAML file of one.

Joints that are not named count 1. A name may have stars ("LeftHand?*"), so that one line covers all finger joints; a
name that fits no joint of the skeleton is an error, because a weight that is silently not used is a wrong result.
Ready-made files for skeletons with hands lie in presets/training/joint_weights and are found by their plain name.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path

import torch
import yaml
from torch import Tensor

from motion.skeleton import Skeleton

READY_MADE = Path(__file__).resolve().parents[1] / "presets/training/joint_weights"


def read(weights: str | Mapping[str, float]) -> dict[str, float]:
    """The mapping, from a file where a name is given ("" is none). Raises ValueError for what is no mapping."""
    if isinstance(weights, str):
        if not weights:
            return {}
        path = next((p for p in (Path(weights), READY_MADE / f"{weights}.yaml") if p.is_file()), None)
        if path is None:
            known = ", ".join(sorted(p.stem for p in READY_MADE.glob("*.yaml")))
            raise ValueError(f"there is no joint weights file {weights!r}; ready-made ones: {known}")
        content, where = yaml.safe_load(path.read_text(encoding="utf-8")), str(path)
    else:
        content, where = weights, "joint_weights"
    if not isinstance(content, Mapping):
        raise ValueError(f"{where}: joint names with weights expected, not {content!r}")
    for name, weight in content.items():
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0.0 <= weight < float("inf"):
            raise ValueError(f"{where}: the weight of {name!r} is {weight!r}; a number from 0 up is needed")
    return {str(name): float(weight) for name, weight in content.items()}


def of(skeleton: Skeleton, weights: Mapping[str, float]) -> Tensor:
    """(J,) weights of a skeleton's joints; the last name that fits a joint counts.

    Raises ValueError naming every name that fits none, with the choices, and when no joint counts at all.
    """
    values = torch.ones(len(skeleton))
    unknown = []
    for pattern, weight in weights.items():
        places = [place for place, name in enumerate(skeleton.names) if fnmatchcase(name, pattern)]
        if not places:
            unknown.append(pattern)
        values[places] = weight
    if unknown:
        close = difflib.get_close_matches(unknown[0], skeleton.names, 1)
        raise ValueError(
            f"joint_weights names no joint of this skeleton: {', '.join(unknown)}; "
            + (f"did you mean {close[0]}? " if close else "")
            + f"it has: {', '.join(skeleton.names)}"
        )
    if not bool((values > 0).any()):
        raise ValueError("joint_weights: every joint weighs 0, so nothing would be learnt")
    return values
