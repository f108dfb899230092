"""The ports that graphs have in common, as manifests write them."""

from __future__ import annotations

from collections.abc import Mapping

from motion.manifest import Manifest, Param, Port
from motion.skeleton import Skeleton

POSE = ("root_position", "rotations_6d")

Shapes = Mapping[str, tuple[int, ...]]


def partner(skeleton: Skeleton, window: int = 1) -> Port:
    """The output every partner model has: world metres and 6-D rotations, a frame or a window of them."""
    width = 3 + 6 * len(skeleton)
    return Port("partner", "motion", ("batch", width) if window == 1 else ("batch", window, width), layout=POSE)


def states(shapes: Shapes) -> tuple[tuple[Port, ...], tuple[Port, ...]]:
    """(inputs, outputs) of what a graph remembers; shapes without the batch axis. Outputs are named NAME_next."""
    given = tuple(Port(name, "state", ("batch", *shape)) for name, shape in shapes.items())
    kept = tuple(Port(f"{name}_next", "state", ("batch", *shape), feeds=name) for name, shape in shapes.items())
    return given, kept


def frame_by_frame(
    name: str,
    skeleton: Skeleton,
    shapes: tuple[Shapes, Shapes],
    params: tuple[Param, ...],
    dancer: tuple[str, ...] = ("global_positions",),
) -> Manifest:
    """The manifest of a duet graph that steps frame by frame, all but where the model comes from.

    shapes: of (inputs, states) without the batch axis; an input that is neither `dancer`, `dt` nor `noise` is a knob.
    dancer: the layout of that input.
    """
    roles = {"dancer": "motion", "dt": "time", "noise": "noise"}
    given = [
        Port(
            port,
            roles.get(port, "condition"),
            ("batch", *shape),
            layout=dancer if port == "dancer" else (),
        )
        for port, shape in shapes[0].items()
    ]
    remembered, kept = states(shapes[1])
    return Manifest(name, "duet", skeleton, (*given, *remembered), (partner(skeleton), *kept), params)
