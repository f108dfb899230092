"""What a labelled partner's dance looks like on stage: steps after a change of label, seams of windows, and feet."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from motion.skeleton import HUMANOID
from training.evaluate_windows import Real
from training.models import labelled_pose as pose
from training.models.labelled import Labelled
from training.models.labelled_takes import FPS

CHANGES, SECONDS_AFTER = 48, 1.0  # changes of a label, and how long after each steps are watched
WATCHED, SEAM, RARE = 8, 4, 0.999  # windows that are watched; frames of their beginning; what is rare
TOES, ENDS = HUMANOID.both_sides("Toes"), HUMANOID.both_sides("Hand", "Foot", "Toes")


@torch.no_grad()
def on_stage(model: Labelled, real: Real, random: torch.Generator, half_life: float = 0.25) -> dict[str, float]:
    """What a dance looks like in which labels change as dials on stage do, each to another one: the largest step of a
    joint in the second after a change, over that of recordings, of which one in a thousand is left out, since they have
    glitches; and the acceleration of hands and feet that one in a thousand is above, where windows of the model begin,
    and anywhere else, over that of recordings, and how even it is; and what feet do.
    """
    frames, decoder, sizes = model.config.window, model.decoder, torch.tensor(model.config.sizes)
    old = torch.stack([torch.randint(int(size), (CHANGES,), generator=random) for size in sizes], dim=1)
    other = torch.stack([torch.randint(1, max(int(size), 2), (CHANGES,), generator=random) for size in sizes], dim=1)
    far = (sizes - 1).clamp(min=1)
    dials, wanted = old / far, (old + other) % sizes / far
    at = torch.randint(frames, (CHANGES, 1), generator=random)  # in the second window
    on, state = torch.zeros(CHANGES, decoder.on_size), torch.zeros(CHANGES, decoder.size)
    moves, keep = [], 0.5 ** (1.0 / (FPS * half_life))
    z = torch.randn(WATCHED, CHANGES, model.config.latent, generator=random)
    for step in range(WATCHED * frames):
        dials = torch.where(step - frames >= at, wanted + (dials - wanted) * keep, dials)
        number = torch.full((CHANGES, 1), float(step % frames))
        move, on, state = decoder.step(z[step // frames], model.between(dials.unbind(1)), number, on, state)
        moves.append(move)
    world, recorded = (pose.on_stage(each, pose.positions(each), FPS) for each in (torch.stack(moves, 1), real.moves))
    steps = _steps(world)
    since = torch.arange(steps.shape[1]) - (frames + at)
    watched = steps[(since >= -1) & (since < SECONDS_AFTER * FPS)]
    bends, usual = (_bends(each) for each in (world[:, frames - 2 :], recorded))
    bends = bends[:, : bends.shape[1] // frames * frames].unflatten(1, (-1, frames))
    largest = np.quantile(watched.numpy(), RARE)
    chosen = torch.randint(len(usual), (bends.shape[:2].numel(),), generator=random)
    seam, rest, rare = (np.quantile(each.numpy(), RARE) for each in (bends[:, :, :SEAM], bends[:, :, SEAM:], usual))
    return {
        "label_change_step_ratio": float(largest / np.quantile(_steps(recorded).numpy(), RARE)),
        "seam_acceleration_ratio": float(seam / rare),
        "dance_acceleration_ratio": float(rest / rare),
        "place_acceleration_ratio": _uneven(bends.flatten(0, 1)),
        "recorded_place_acceleration_ratio": _uneven(usual[chosen]),
        **_feet(world[:, frames:]),
        **{f"recorded_{key}": value for key, value in _feet(recorded).items()},
    }


def _steps(world: Tensor) -> Tensor:
    """The largest step of a joint, frame by frame (N, T - 1), in metres."""
    return world.diff(dim=1).norm(dim=-1).amax(dim=-1)


def _uneven(bends: Tensor) -> float:
    """The largest mean acceleration of a place in windows (N, T, 6), over that of all places."""
    places = bends.mean(dim=(0, 2))
    return float(places.max() / places.mean())


def _feet(world: Tensor) -> dict[str, float]:
    """How fast the lower toes are along the floor, whatever their height, and how high they are, in the middle and in
    99 of a hundred frames.
    """
    toes = world[:, :, TOES]
    lower, which = toes[..., 1].min(dim=2)  # (N, T)
    speeds = toes[..., 0::2].diff(dim=1).norm(dim=-1).gather(2, which[:, 1:, None])
    middle, most = np.quantile(100.0 * lower.numpy(), (0.5, 0.99))
    return {"slide_mps": float(speeds.mean()) * FPS, "lowest_toe_cm": float(middle), "lowest_toe_most_cm": float(most)}


def _bends(world: Tensor) -> Tensor:
    """Accelerations (N, T - 2, 6) of hands and feet, in m/s²: the first is about the second frame."""
    return world[:, :, ENDS].diff(n=2, dim=1).norm(dim=-1) * FPS**2
