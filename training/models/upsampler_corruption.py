"""Keys made wrong as detectors and cheap suits make them: noise without a mean, bones that are missing, legs swapped.

As motion.corruption, which judges: in a third of the keys 5 of 12 limb bones point at places that are N(0, 5 cm) off,
in another third 3 of them were not seen; and in a few keys left and right legs are exchanged.
"""

from __future__ import annotations

import torch
from torch import Tensor

from motion.corruption import LIMBS
from motion.skeleton import HUMANOID
from training.kinematics import sixd_from_matrices
from training.models.upsampler_body import Body, oriented
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


def corrupt(keys: Tensor, turns: Tensor, times: Tensor, valid: Tensor, spoilt: Tensor) -> tuple[Tensor, Tensor]:
    """Keys (B, K, J, 3) on HUMANOID's bones and which rotations were seen (B, K, J), rows `spoilt` (B,) made wrong.

    turns (B, K, J, 6): the keys' local rotations. What is moved keeps the lengths of its bones; what was not seen turns
    as it does between the keys in which it was, and carries what hangs on it.
    """
    count, slots = keys.shape[:2]
    kind, order = torch.rand(count, slots), torch.rand(count, slots, len(LIMBS))
    noise = torch.randn(count, slots, len(ENDS), 3)
    rows = spoilt.nonzero()[:, 0]
    kind, noise, some, sixd = kind[rows], NOISE * noise[rows], keys[rows].clone(), turns[rows]
    chosen = order[rows].argsort(dim=-1).argsort(dim=-1)[..., : len(ENDS)]
    noisy = (kind < NOISY)[..., None] & (chosen < 5)
    some[:, :, ENDS] += noise * noisy[..., None]
    swapped = (kind > 1.0 - SWAPPED)[..., None, None]
    one, other = _LEGS
    some[:, :, one + other] = torch.where(swapped, some[:, :, other + one], some[:, :, one + other])
    missing = ((kind >= NOISY) & (kind < NOISY + MISSING))[..., None] & (chosen < 3)
    seen = valid[rows].clone()
    seen[:, :, BONES] *= (~missing).float()
    root = some[:, :, 0]
    _, whole = _BODY(root, oriented(sixd[..., :3], sixd[..., 3:]))
    local = sixd_from_matrices(_BODY.local(_BODY.posed(some, whole)[1]))
    bridged = filled(local, times[rows], seen)
    keys, valid = keys.clone(), valid.clone()
    keys[rows], valid[rows] = _BODY(root, oriented(bridged[..., :3], bridged[..., 3:]))[0], seen
    return keys, valid
