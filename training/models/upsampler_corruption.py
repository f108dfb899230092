"""Keys made wrong as detectors and cheap suits make them: noise without a mean, bones that are missing, legs swapped.

As motion.corruption, which judges: in a third of the keys 5 of 12 limb bones point at places that are N(0, 5 cm) off,
in another third 3 of them were not seen; and in a few keys left and right legs are exchanged.
"""

from __future__ import annotations

import torch
from torch import Tensor

from motion.corruption import LIMBS
from motion.skeleton import HUMANOID
from training.models.upsampler_body import Body
from training.models.upsampler_keys import filled

BONES = tuple(HUMANOID.index(bone) for bone, end in LIMBS if end)
ENDS = tuple(HUMANOID.index(end) for _, end in LIMBS if end)
_HANDS = sum(not end for _, end in LIMBS)  # limb bones whose end is no joint
_LEGS = [
    [HUMANOID.index(side + joint) for joint in ("UpperLeg", "LowerLeg", "Foot", "Toes")] for side in ("Left", "Right")
]
NOISE = 0.05  # metres
NOISY, MISSING, SWAPPED = 15 / 41, 15 / 41, 0.02  # shares of the keys
_BODY = Body(HUMANOID)


def corrupt(keys: Tensor, times: Tensor, valid: Tensor, spoilt: Tensor) -> tuple[Tensor, Tensor]:
    """Keys (B, K, J, 3) on HUMANOID's bones and which rotations were seen (B, K, J), rows `spoilt` (B,) made wrong.

    What is moved keeps the lengths of its bones; what is missing is on the way between the keys that have it.
    """
    count, slots = keys.shape[:2]
    kind, order = torch.rand(count, slots), torch.rand(count, slots, len(LIMBS))
    noise = torch.randn(count, slots, len(ENDS), 3)
    rows = spoilt.nonzero()[:, 0]
    kind, noise, some = kind[rows], NOISE * noise[rows], keys[rows].clone()
    chosen = order[rows].argsort(dim=-1).argsort(dim=-1)[..., : len(ENDS)]
    noisy = (kind < NOISY)[..., None] & (chosen < 5)
    some[:, :, ENDS] += noise * noisy[..., None]
    swapped = (kind > 1.0 - SWAPPED)[..., None, None]
    one, other = _LEGS
    some[:, :, one + other] = torch.where(swapped, some[:, :, other + one], some[:, :, one + other])
    missing = ((kind >= NOISY) & (kind < NOISY + MISSING))[..., None] & (chosen < 3)
    seen = valid[rows].clone()
    seen[:, :, BONES] *= (~missing).float()
    some = _BODY.standing(_bridged(some, times[rows], seen))
    keys, valid = keys.clone(), valid.clone()
    keys[rows], valid[rows] = some, seen
    return keys, valid


def _bridged(keys: Tensor, times: Tensor, seen: Tensor) -> Tensor:
    """Keys whose unseen bones point as those of the keys around."""
    bones = keys - _BODY.take(keys, "above")
    bones[:, :, 0] = keys[:, :, 0]
    own = seen[:, :, :1].expand_as(seen).clone()
    own[:, :, ENDS] = seen[:, :, BONES]
    return torch.matmul(_BODY.below, filled(bones, times, own))
