"""The points a camera's detector finds on a body, where they are on HUMANOID at rest, and how large a seen body is.

Detectors agree on names, not on places to the centimetre: a hip, shoulder, elbow and so on is taken as the joint; nose,
ears, eyes, heel, toe and knuckles lie where an adult of HUMANOID's height has them, rounded to half a centimetre.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from motion.skeleton import HUMANOID, Array

Bools = NDArray[np.bool_]

SIDES = ("Left", "Right")
_BESIDE_JOINT = {  # point: HUMANOID's joint, and how far left, up and ahead of it
    "Ear": ("Head", (0.075, 0.07, 0.01)),
    "Eye": ("Head", (0.032, 0.085, 0.10)),
    "Shoulder": ("UpperArm", (0.0, 0.0, 0.0)),
    "Elbow": ("LowerArm", (0.0, 0.0, 0.0)),
    "Wrist": ("Hand", (0.0, 0.0, 0.0)),
    "Index": ("Hand", (0.09, 0.0, 0.03)),
    "Pinky": ("Hand", (0.08, 0.0, -0.03)),
    "Hip": ("UpperLeg", (0.0, 0.0, 0.0)),
    "Knee": ("LowerLeg", (0.0, 0.0, 0.0)),
    "Ankle": ("Foot", (0.0, 0.0, 0.0)),
    "Heel": ("Foot", (0.0, -0.038, -0.05)),
    "Toe": ("Foot", (0.0, -0.043, 0.18)),
}
POINTS = ("Nose", *(side + point for side in SIDES for point in _BESIDE_JOINT))
PLACE = {name: place for place, name in enumerate(POINTS)}


FARTHEST = 1e6  # in any unit: a point beyond it is no point


def believable(points: Array, seen: Bools) -> tuple[Array, Bools]:
    """The points with zeros where they are not seen or are no finite numbers within FARTHEST, and which are left."""
    seen = seen & (np.abs(points) <= FARTHEST).all(axis=-1)  # NaN fails
    return np.where(seen[:, None], points, 0.0), seen


def other_side(name: str) -> str:
    """The same part on the other side; a part in the middle is its own."""
    for side, other in (SIDES, SIDES[::-1]):
        if name.startswith(side):
            return other + name.removeprefix(side)
    return name


def places(*names: str) -> NDArray[np.intp]:
    """Where these points stand among POINTS; a name without a side means both, left first."""
    found = [[PLACE[name]] if name in PLACE else [PLACE[side + name] for side in SIDES] for name in names]
    return np.array([place for group in found for place in group], dtype=np.intp)


MIRRORED = places(*(other_side(name) for name in POINTS))


def _rest() -> tuple[NDArray[np.intp], Array]:
    carriers, beside = [HUMANOID.index("Head")], [(0.0, 0.05, 0.12)]
    for side, left in zip(SIDES, (1.0, -1.0), strict=True):
        for joint, (x, y, z) in _BESIDE_JOINT.values():
            carriers.append(HUMANOID.index(joint if joint in HUMANOID.names else side + joint))
            beside.append((left * x, y, z))
    return np.array(carriers), np.array(beside)


CARRIERS, BESIDE = _rest()  # HUMANOID's joint of every point (25,), and the point's place beside it (25, 3), metres
REST = HUMANOID.rest_positions[CARRIERS] + BESIDE
REST.setflags(write=False)


def _vectors() -> dict[str, Array]:
    """Directions on a body as weights of its points: a row times the points is a vector."""
    at = dict(zip(POINTS, np.eye(len(POINTS)), strict=True))
    middle = {name: 0.5 * (at["Left" + name] + at["Right" + name]) for name in ("Hip", "Shoulder", "Ear")}
    rows = {f"{name} line": at["Left" + name] - at["Right" + name] for name in ("Hip", "Shoulder", "Ear")}
    rows["trunk"] = middle["Shoulder"] - middle["Hip"]
    rows["neck"] = middle["Ear"] - middle["Shoulder"]
    for name, start, end in (
        ("upper arm", "Shoulder", "Elbow"),
        ("lower arm", "Elbow", "Wrist"),
        ("upper leg", "Hip", "Knee"),
        ("lower leg", "Knee", "Ankle"),
        ("foot", "Heel", "Toe"),
        ("knuckles", "Pinky", "Index"),
        ("shin", "Ankle", "Knee"),
    ):
        rows |= {f"{side} {name}": at[side + end] - at[side + start] for side in SIDES}
    for side in SIDES:
        rows[f"{side} palm"] = 0.5 * (at[side + "Index"] + at[side + "Pinky"]) - at[side + "Wrist"]
    return rows


_VECTORS = _vectors()
VECTOR = {name: place for place, name in enumerate(_VECTORS)}
ROWS = np.array(list(_VECTORS.values()))  # (vectors, points)
NEEDS = (ROWS != 0.0).astype(np.float64)
REST_VECTORS = ROWS @ REST  # (vectors, 3)

# A size is one number of a body; both sides are one body's.
SIZES = ("Hip line", "Shoulder line", "trunk", "neck", "upper arm", "lower arm", "upper leg", "lower leg", "foot")
_MIDDLE = [VECTOR[name] for name in SIZES[:4]]
_SIDED = [[VECTOR[f"{side} {name}"] for name in SIZES[4:]] for side in SIDES]
_REST_SIZES = np.linalg.norm(REST_VECTORS[[*_MIDDLE, *_SIDED[0]]], axis=-1)
_TALL = np.array([name in ("trunk", "upper leg", "lower leg") for name in SIZES])


def _size_of_offsets() -> NDArray[np.intp]:
    """Which size every number of HUMANOID's offsets (22, 3) grows with."""
    table = np.full((len(HUMANOID), 3), SIZES.index("trunk"))
    for joint, size in (
        ("LowerArm", "upper arm"),
        ("Hand", "lower arm"),
        ("UpperLeg", "Hip line"),
        ("LowerLeg", "upper leg"),
        ("Foot", "lower leg"),
        ("Toes", "foot"),
    ):
        for side in SIDES:
            table[HUMANOID.index(side + joint)] = SIZES.index(size)
    table[[HUMANOID.index(name) for name in ("Neck", "Head")]] = SIZES.index("neck")
    across = [HUMANOID.index(side + joint) for side in SIDES for joint in ("Shoulder", "UpperArm")]
    table[across, 0] = SIZES.index("Shoulder line")
    return table


_SIZE_OF_OFFSETS = _size_of_offsets()


class BodySizes:
    """A running estimate of a body's sizes in the points' unit: medians over the last seconds in which they were seen.

    `ratios` (9,) are sizes over HUMANOID's, in the order of SIZES; `overall` is that of trunk and legs, all 1 until
    something was seen. flat: sizes are shortened by what cannot be seen of depth, so the largest ones count and every
    ratio is `overall`.
    """

    WINDOW, SAMPLE, AGAIN = 90, 1.0 / 30.0, 0.25  # samples, seconds between two, seconds between two looks at them
    LEAST, MOST = 0.6, 1.6  # a size over HUMANOID's and `overall`: beyond it is no body

    def __init__(self, flat: bool = False) -> None:
        self.ratios: Array = np.ones(len(SIZES))
        self.overall = 1.0
        self._flat = flat
        self._samples = np.full((self.WINDOW, 2, len(SIZES)), np.nan)  # both sides
        self._count = 0
        self._since_sample = self._since_look = np.inf

    def note(self, vectors: Array, told: Bools, dt: float) -> None:
        """vectors: a frame's ROWS @ points; told: which of them were seen. `dt` seconds after the last frame."""
        self._since_sample += dt
        self._since_look += dt
        if self._since_sample < self.SAMPLE:
            return
        self._since_sample = 0.0
        lengths = np.where(told, np.sqrt(np.einsum("ij,ij->i", vectors, vectors)), np.nan)
        sample = self._samples[self._count % self.WINDOW]
        sample[:, : len(_MIDDLE)] = lengths[_MIDDLE]
        sample[:, len(_MIDDLE) :] = lengths[_SIDED]
        self._count += 1
        if self._since_look >= self.AGAIN or self._count & (self._count - 1) == 0:  # often while few were seen
            self._since_look = 0.0
            self._look()

    def offsets(self) -> Array:
        """HUMANOID's offsets (22, 3) at this body's sizes, in the points' unit."""
        return np.asarray(HUMANOID.offsets * self.ratios[_SIZE_OF_OFFSETS])

    def _look(self) -> None:
        samples = np.sort(self._samples[: self._count].reshape(-1, len(SIZES)), axis=0)  # NaN last
        counts = np.isfinite(samples).sum(axis=0)
        place = np.minimum((0.9 if self._flat else 0.5) * counts, counts - 1).astype(np.intp)
        sizes = np.where(counts > 0, samples[place, np.arange(len(SIZES))], 0.0)
        known = (counts > 0) & (sizes > 1e-6)
        judged = known & _TALL if (known & _TALL).any() else known
        if not judged.any():
            return
        self.overall = float(sizes[judged].sum() / _REST_SIZES[judged].sum())
        ratios = np.clip(sizes / _REST_SIZES, self.LEAST * self.overall, self.MOST * self.overall)
        self.ratios = np.where(known & (not self._flat), ratios, self.overall)
