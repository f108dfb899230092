"""Which sequences a kind of model shows after training, by name: {name: {who: clip}}, the dancer before the partner.

Every duet: the original and the model's answer. A deepfake: each dancer as each. Models with a latent that the graph
lets us set, besides: a walk through it and the way from one sequence to another.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from motion.clean import resample
from motion.clip import Clip
from motion.skeleton import Array
from training.results.player import Player

SECONDS = 20.0  # of each sequence, as the research's 1000 frames at 50 fps
WALK_SECONDS = 2.0  # in which a walk forgets where it was
LATENT = ("variety", "latent_mix", "latent_other")

Danced = dict[str, Clip]


def of(kind: str, player: Player, leads: Sequence[Clip], follows: Sequence[Clip], seed: int = 0) -> dict[str, Danced]:
    """The sequences of a model. leads and follows are takes at the model's rate; the first is shown, cut to SECONDS."""
    lead, follow = _cut(leads[0]), _cut(follows[0])
    found: dict[str, Danced] = {"original": {"dancer 1": lead, "dancer 2": follow}}
    if kind == "deepfake":
        for number, clip in ((1, lead), (2, follow)):
            for other in (1, 2):
                danced = player.dance(clip, mix=other - 1.0, variety=0.0)
                found[f"d{number}_to_d{other}"] = {f"dancer {number}": clip, f"as dancer {other}": danced}
    else:
        found["predicted"] = {"dancer 1": lead, "partner": player.dance(lead)}
    if player.has(*LATENT):
        found |= _through_the_latent(player, lead, _cut(leads[-1], from_end=len(leads) == 1), seed)
    return found


def _through_the_latent(player: Player, lead: Clip, second: Clip, seed: int) -> dict[str, Danced]:
    read = player.latents(lead)
    walked = walk(read, player.manifest.hop / lead.fps, np.random.default_rng(seed))
    alone = {"variety": 0.0, "latent_mix": 1.0}
    frames = min(len(lead), len(second))
    one, two = read[: len(player.runs(frames))], player.latents(second[:frames])
    share = np.linspace(0.0, 1.0, len(one))[:, None]
    between = (1.0 - share) * one + share * two
    return {
        "latent_walk": {"dancer 1": lead, "partner": player.dance(lead, **alone, latent_other=walked)},
        "latent_interpolation": {
            "dancer 1": lead[:frames],
            "partner": player.dance(lead[:frames], **alone, latent_other=between),
        },
    }


def walk(latents: Array, seconds: float, random: np.random.Generator) -> Array:
    """A random walk (N, latent) over the region that `latents` (N, latent) fill, `seconds` between steps.

    An Ornstein-Uhlenbeck process: at every step it has their mean and spread, so it neither drifts off nor dies.
    """
    keep = np.exp(-seconds / WALK_SECONDS)
    noise = random.standard_normal(latents.shape)
    steps = [noise[0]]
    for drawn in noise[1:]:
        steps.append(keep * steps[-1] + np.sqrt(1.0 - keep * keep) * drawn)
    result: Array = latents.mean(axis=0) + latents.std(axis=0) * np.array(steps)
    return result


def at_rate(clip: Clip, fps: float) -> Clip:
    """The clip at `fps`: whole frames where the rate is a multiple of it, else interpolated."""
    step = round(clip.fps / fps)
    if step >= 1 and abs(clip.fps - step * fps) < 1e-3 * clip.fps:
        return Clip(clip.skeleton, fps, clip.root_positions[::step], clip.rotations[::step])
    return resample(clip, fps)


def _cut(clip: Clip, from_end: bool = False) -> Clip:
    frames = round(SECONDS * clip.fps)
    return clip[-frames:] if from_end else clip[:frames]
