"""HUMANOID's body with another suit's joints, to be sent as that suit sends its own."""

from __future__ import annotations

import numpy as np

from motion import profiles
from motion.skeleton import HUMANOID, Skeleton


def worn(names: tuple[str, ...], parents: tuple[int, ...], profile: str) -> Skeleton:
    """The skeleton of these joints with HUMANOID's lengths, standing as it stands.

    Joints that HUMANOID does not have lie evenly on the way between the nearest ones that it has.
    """
    roles = profiles.match(names, profile)
    places = {joint: HUMANOID.rest_positions[HUMANOID.index(role)] for role, joint in roles.items()}
    positions = np.zeros((len(names), 3))
    for joint, parent in enumerate(parents):
        if joint in places:
            positions[joint] = places[joint]
            continue
        way = _way_to(places, joint, parents)
        above = positions[parent]
        positions[joint] = above + (places[way[-1]] - above) / len(way) if way else above
    offsets = positions.copy()
    offsets[1:] -= positions[list(parents[1:])]
    return Skeleton(names, parents, offsets)


def _way_to(places: dict[int, np.ndarray], joint: int, parents: tuple[int, ...]) -> list[int]:
    """From a joint down to the nearest that has a place, both included; empty where none has."""
    paths = [[joint]]
    while paths:
        path = paths.pop(0)
        if path[-1] in places:
            return path
        paths += [[*path, child] for child, parent in enumerate(parents) if parent == path[-1]]
    return []
