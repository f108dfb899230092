"""Films of pendulums, simulated: who is what one looks like, colour, length and size of the bob; what is how it moves.

A damped pendulum, θ'' = -(2π / period)² sin θ - damping θ', drawn on 64 x 64 pixels with soft edges. The period here is
that of the film's frames: 'slow' needs as many frames for a swing as ACTIONS says, whatever it looks like, so that
dynamics belong to the action alone. A swing's own period depends on how wide it is: it is measured from the angle.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motion.skeleton import Array
from training.identity_labels import Cell

# colour (red, green, blue), length and radius of the bob in shares of the picture's side
LOOKS: dict[str, tuple[tuple[float, float, float], float, float]] = {
    "red": ((0.95, 0.25, 0.2), 0.55, 0.10),
    "green": ((0.25, 0.85, 0.3), 0.48, 0.075),
    "blue": ((0.3, 0.45, 1.0), 0.60, 0.065),
    "yellow": ((0.95, 0.85, 0.2), 0.44, 0.12),
    "violet": ((0.75, 0.35, 0.9), 0.53, 0.055),
}
# frames of a small swing, damping a frame, widest angle in radians
ACTIONS: dict[str, tuple[float, float, float]] = {
    "slow": (40.0, 0.0, 0.75),
    "middle": (26.0, 0.0, 0.75),
    "fast": (17.0, 0.0, 0.75),
    "fading": (26.0, 0.03, 0.85),
}
PIVOT = (0.5, 0.12)  # across and down
SUBSTEPS = 20


@dataclass(frozen=True)
class Config:
    """How many films of every look and action, their frames, and the seed of where they begin."""

    each: int = 8
    steps: int = 60
    seed: int = 0

    def __post_init__(self) -> None:
        if self.each < 1 or self.steps < 2:
            raise ValueError(f"each {self.each} must be 1 or more and steps {self.steps} 2 or more")


def films(config: Config, side: int) -> Iterator[tuple[str, NDArray[np.uint8], Cell]]:
    """A name, pictures (T, 3, side, side) and who does what, of every film."""
    random = np.random.default_rng(config.seed)
    for look in LOOKS:
        for action in ACTIONS:
            for number in range(config.each):
                angle = swing(action, config.steps, random.uniform(0.0, 1.0), random.uniform(0.85, 1.0))
                yield f"pendulum_{look}_{action}_{number}", drawn(look, angle, side), (look, action)


def swing(action: str, steps: int, begin: float, wide: float = 1.0) -> Array:
    """The angle (steps,) in radians of a pendulum, from a share `begin` of its period on, let go at its widest."""
    period, damping, widest = ACTIONS[action]
    stiffness, dt = (2.0 * np.pi / period) ** 2, 1.0 / SUBSTEPS
    angle, speed, made = widest * wide, 0.0, []
    waited = 0 if damping else round(begin * period)
    sign = -1.0 if begin > 0.5 else 1.0  # one that fades begins at either side, not later
    for step in range((waited + steps) * SUBSTEPS):
        if step % SUBSTEPS == 0 and step >= waited * SUBSTEPS:
            made.append(angle)
        speed += dt * (-stiffness * np.sin(angle) - damping * speed)
        angle += dt * speed
    return np.array(made) * (sign if damping else 1.0)


def drawn(look: str, angle: Array, side: int) -> NDArray[np.uint8]:
    """Pictures (T, 3, side, side) of a pendulum at angles (T,)."""
    colour, length, radius = LOOKS[look]
    grid = (np.arange(side) + 0.5) / side
    across, down = grid[None, None, :] - PIVOT[0], grid[None, :, None] - PIVOT[1]
    along = np.sin(angle)[:, None, None], np.cos(angle)[:, None, None]
    reach = across * along[0] + down * along[1]  # along the rod
    beside = np.abs(across * along[1] - down * along[0])
    rod = _soft(np.maximum(beside, np.maximum(-reach, reach - length)) - 0.012, side)
    bob = _soft(np.hypot(across - length * along[0], down - length * along[1]) - radius, side)
    cover = np.maximum(0.6 * rod, bob)
    return np.rint(255.0 * cover[:, None] * np.array(colour)[:, None, None]).astype(np.uint8)


def tracked(pictures: Array) -> Array:
    """The angle (T,) of a pendulum seen in pictures (T, 3, H, W): where what is bright stands, seen from the pivot.

    Pixels count by brightness times distance squared, so that the bob, not the rod, says where it is.
    """
    side = pictures.shape[-1]
    grid = (np.arange(side) + 0.5) / side
    across, down = grid[None, :] - PIVOT[0], grid[:, None] - PIVOT[1]
    weight = pictures.max(axis=1) * (across**2 + down**2)
    return np.arctan2((weight * across).sum(axis=(1, 2)), (weight * down).sum(axis=(1, 2)))


def period(angle: Array) -> float:
    """Frames of a swing: twice the mean distance of the moments at which an angle (T,) passes its middle.

    NaN when it passes fewer than two times.
    """
    centred = angle - 0.5 * (angle.max() + angle.min()) if len(angle) else angle
    before, after = centred[:-1], centred[1:]
    (passed,) = np.nonzero((before < 0.0) != (after < 0.0))
    if len(passed) < 2:
        return float("nan")
    moments = passed + before[passed] / (before[passed] - after[passed])
    return float(2.0 * np.diff(moments).mean())


def _soft(outside: Array, side: int) -> Array:
    """1 inside, 0 outside, over two pixels."""
    return np.clip(0.5 - outside * side / 2.0, 0.0, 1.0)
