"""Keys as a bad sensor gives them: limbs pointed at noisy places, and joints that were not seen.

After Render-In-Between's training corruption: in some keys the far ends of a few limb bones are beside where they are,
each by its own normal draw with mean zero (the seed's was positive); in others a few were not seen at all. Here a body
has rotations, so its bones are pointed at the noisy places and keep their lengths: noise along a bone is lost, noise
across it stays.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motion import kinematics
from motion import rotations as rot
from motion.skeleton import HUMANOID, Array
from motion.upsampling import Bools

# Each limb bone by the joint that turns it, and the joint at its far end, parents first. A hand's end is no joint.
LIMBS = tuple(
    (f"{side}{bone}", f"{side}{end}" if end else "")
    for bone, end in (
        ("UpperArm", "LowerArm"),
        ("UpperLeg", "LowerLeg"),
        ("LowerArm", "Hand"),
        ("LowerLeg", "Foot"),
        ("Hand", ""),
        ("Foot", "Toes"),
    )
    for side in ("Left", "Right")
)
HAND_LENGTH = 0.08  # metres, where a hand's noise is
_BONES = np.array([HUMANOID.index(bone) for bone, _ in LIMBS], dtype=np.intp)


@dataclass(frozen=True)
class Corruption:
    """How bad. noisy, unseen: shares of the keys, never the same ones; bones: how many of the 12 limb bones in each;
    deviation: metres, of each coordinate."""

    noisy: float = 15 / 41
    noisy_bones: int = 5
    deviation: float = 0.05
    unseen: float = 15 / 41
    unseen_bones: int = 3


def corrupted(
    root: Array, rotations: Array, random: np.random.Generator, how: Corruption | None = None
) -> tuple[Array, Bools]:
    """Key poses of HUMANOID made bad: rotations (K, 22, 4), and which of them were seen (K, 22).

    root (K, 3) metres and rotations (K, 22, 4) local are left as they are. Where nothing was seen
    stands the rest pose.
    """
    how = how or Corruption()
    keys = len(root)
    order = random.permutation(keys)
    noisy = order[: round(how.noisy * keys)]
    unseen = order[len(noisy) : len(noisy) + round(how.unseen * keys)]
    noise = (
        random.normal(0.0, how.deviation, (keys, len(LIMBS), 3))
        * _some(keys, noisy, how.noisy_bones, random)[..., None]
    )
    bad = np.array(rotations)
    bad[noisy] = pointed(root[noisy], rotations[noisy], noise[noisy])
    valid: Bools = np.ones(rotations.shape[:2], dtype=np.bool_)
    valid[:, _BONES] = ~_some(keys, unseen, how.unseen_bones, random)
    bad[~valid] = rot.IDENTITY
    return bad, valid


def pointed(root: Array, rotations: Array, shifts: Array) -> Array:
    """Rotations (K, 22, 4) with each limb bone pointed at where its far end is, moved by shifts (K, 12, 3) metres.

    Bones turn the shortest way, so that twists stay; a bone whose end does not move still points at it from wherever
    its own joint has come to.
    """
    places, matrices = kinematics.forward(HUMANOID, root, rotations)
    turned = rot.from_matrix(matrices)
    starts = places.copy()
    for limb, (bone, end) in enumerate(LIMBS):
        joint = HUMANOID.index(bone)
        child = HUMANOID.index(end) if end else None
        arm = HUMANOID.offsets[child] if child is not None else HAND_LENGTH * _unit(HUMANOID.offsets[joint])
        along = rot.rotate(turned[:, joint], arm)
        aim = places[:, joint] + along + shifts[:, limb]
        turned[:, joint] = rot.multiply(rot.between(along, aim - starts[:, joint]), turned[:, joint])
        if child is not None:
            starts[:, child] = starts[:, joint] + rot.rotate(turned[:, joint], arm)
    return kinematics.global_to_local(HUMANOID, turned)


def _some(keys: int, chosen: NDArray[np.intp], bones: int, random: np.random.Generator) -> Bools:
    """(keys, 12): so many limb bones of each chosen key."""
    some: Bools = np.zeros((keys, len(LIMBS)), dtype=np.bool_)
    picks = np.argsort(random.random((len(chosen), len(LIMBS))), axis=1)[:, :bones]
    some[chosen[:, None], picks] = True
    return some


def _unit(vector: Array) -> Array:
    return np.asarray(vector / np.linalg.norm(vector))
