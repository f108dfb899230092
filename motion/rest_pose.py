"""Does somebody stand here as in a T- or A-pose, and if not, what would be their T-pose? Points and turns only.

roles: HUMANOID's joint names -> places among the body's joints, as `motion.profiles.detect` gives them.
"""

from __future__ import annotations

import numpy as np

from motion import rotations as rot
from motion.skeleton import HUMANOID, Array

STANDS = 20.0  # degrees between a limb and the same limb of an upright body, at most, in a rest pose
_SIDES = ("Left", "Right")
_STRAIGHT = (("UpperArm", "LowerArm"), ("LowerArm", "Hand"), ("UpperLeg", "LowerLeg"), ("LowerLeg", "Foot"))


def lean(points: Array, roles: dict[str, int]) -> float:
    """Degrees by which a pose (J, 3) fails to be a T- or A-pose: its worst limb. Arms may hang at any height."""
    at = {role: points[joint] for role, joint in roles.items()}
    up = _unit(at["Head"] - at["Hips"])
    left = at["LeftUpperLeg"] - at["RightUpperLeg"]
    left = _unit(left - (left @ up) * up)
    axis = int(np.argmax(np.abs(up)))
    worst = [_degrees(up, np.eye(3)[axis] * np.sign(up[axis])) - 10.0]  # spines bow, heads jut
    for side, sign in zip(_SIDES, (1.0, -1.0), strict=True):
        worst += [_degrees(at[f"{side}LowerLeg"] - at[f"{side}UpperLeg"], -up)]
        worst += [_degrees(at[f"{side}Foot"] - at[f"{side}LowerLeg"], -up)]
        arm = at[f"{side}LowerArm"] - at[f"{side}UpperArm"]
        ahead = _unit(np.cross(left, up))
        worst += [abs(90.0 - _degrees(arm, ahead))]  # in the body's own plane
        worst += [max(0.0, _degrees(arm, sign * left) - 60.0)]
        if f"{side}Hand" in at:
            worst += [_degrees(at[f"{side}Hand"] - at[f"{side}LowerArm"], arm)]
    return max(worst)


def straightened(points: Array, turns: Array, parents: list[int], roles: dict[str, int]) -> Array:
    """World turns (J, 4) of a pose after standing it up facing +Z and stretching its limbs as a T-pose does.

    Each limb takes the shortest way there, so its roll is the pose's.
    """
    at = {role: points[joint] for role, joint in roles.items()}
    up = _unit(at["Head"] - at["Hips"])
    left = at["LeftUpperLeg"] - at["RightUpperLeg"]
    left = _unit(left - (left @ up) * up)
    upright = rot.inverse(rot.from_matrix(np.stack([left, up, np.cross(left, up)], axis=-1)))
    limbs = {roles[side + upper]: (side + upper, side + lower) for side in _SIDES for upper, lower in _STRAIGHT
             if side + upper in roles and side + lower in roles}  # fmt: skip
    rest = HUMANOID.rest_positions
    added = np.tile(upright, (len(parents), 1))  # what turns a joint, and all that hangs on it, from the pose
    for joint, parent in enumerate(parents[1:], start=1):
        added[joint] = added[parent]
        if joint in limbs:
            upper, lower = limbs[joint]
            wanted = rest[HUMANOID.index(lower)] - rest[HUMANOID.index(upper)]
            now = rot.rotate(added[joint], at[lower] - at[upper])
            added[joint] = rot.multiply(rot.between(_unit(now), _unit(wanted)), added[joint])
    return rot.multiply(added, turns)


def _unit(vector: Array) -> Array:
    return np.asarray(vector / max(float(np.linalg.norm(vector)), 1e-12))


def _degrees(a: Array, b: Array) -> float:
    return float(np.degrees(np.arccos(np.clip(_unit(a) @ _unit(b), -1.0, 1.0))))
