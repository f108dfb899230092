"""What a partner stage needs to know of a duet model, read from its manifest: that it fits, and which port is what."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from motion import features
from motion.manifest import Port
from motion.skeleton import HUMANOID
from server.onnx_model import ModelError, OnnxModel

HELD_SECONDS = 0.25  # a dancer whose pose repeats for longer has fallen silent: no noise, and the partner comes to rest


@dataclass(frozen=True)
class DuetPorts:
    """The names of a model's inputs by what they are for. conditions: those that a param of the same name fills."""

    dancer: Port
    partner: Port
    times: tuple[str, ...]
    noises: tuple[str, ...]
    conditions: tuple[str, ...]


def duet_ports(model: OnnxModel) -> DuetPorts:
    """Raises ModelError when the model is no duet, is made for another skeleton, or answers with no pose."""
    manifest = model.manifest
    if manifest.kind != "duet":
        raise ModelError(f"{model.path} is a {manifest.kind!r} model; the partner stage needs a 'duet' model")
    if manifest.skeleton.topology_hash != HUMANOID.topology_hash:
        odd = sorted(set(manifest.skeleton.names) ^ set(HUMANOID.names))
        raise ModelError(
            f"{model.path} is made for another skeleton: {len(manifest.skeleton)} joints instead of "
            f"{len(HUMANOID)}; not shared: {', '.join(odd) or 'none, the order differs'}"
        )
    partner = _only(model, "motion", manifest.outputs)
    features.decode(partner.layout, len(HUMANOID), np.zeros(partner.shape[-1]))  # refuses poseless layouts
    known = {param.name for param in manifest.params}
    return DuetPorts(
        dancer=_only(model, "motion", manifest.inputs),
        partner=partner,
        times=tuple(port.name for port in manifest.ports("time")),
        noises=tuple(port.name for port in manifest.ports("noise")),
        conditions=tuple(port.name for port in manifest.ports("condition") if port.name in known),
    )


def _only(model: OnnxModel, role: str, ports: tuple[Port, ...]) -> Port:
    found = [port for port in ports if port.role == role]
    if len(found) != 1:
        raise ModelError(f"{model.path}: a duet model has one {role} port on each side, this one has {len(found)}")
    return found[0]
