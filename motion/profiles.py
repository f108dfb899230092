"""Whose joint is whose: for every known skeleton, HUMANOID's joint names -> the names used there.

Trap: in Mixamo, CMU and LaFAN1 "LeftLeg" is the lower leg and "LeftShoulder" the clavicle; in the collar family
"LeftShoulder" is the upper arm. Names are compared without case, namespace ("mixamorig:"), spaces, dots, underscores.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from motion.skeleton import HUMANOID

_TRUNK = ("Hips", "Spine", "Chest", "UpperChest", "Neck", "Head")
_LIMBS = ("Shoulder", "UpperArm", "LowerArm", "Hand", "UpperLeg", "LowerLeg", "Foot", "Toes")
REQUIRED = (
    "Hips",
    "Head",
    *(f"{s}{p}" for s in ("Left", "Right") for p in ("UpperArm", "LowerArm", "UpperLeg", "LowerLeg", "Foot")),
)


def _profile(trunk: str, limbs: str, left: str, right: str) -> dict[str, str]:
    """trunk: 6 names, limbs: 8 names with `*` where the side goes ("-" where there is none)."""
    pairs = list(zip(_TRUNK, trunk.split(), strict=True))
    for side, word in (("Left", left), ("Right", right)):
        pairs += [(side + limb, name.replace("*", word)) for limb, name in zip(_LIMBS, limbs.split(), strict=True)]
    return {ours: theirs for ours, theirs in pairs if theirs != "-"}


# Where two fit equally well the first wins.
PROFILES: dict[str, dict[str, str]] = {
    "humanoid": {name: name for name in HUMANOID.names},
    "mixamo": _profile(
        "Hips Spine Spine1 Spine2 Neck Head",
        "*Shoulder *Arm *ForeArm *Hand *UpLeg *Leg *Foot *ToeBase",
        "Left",
        "Right",
    ),
    "lafan1": _profile(
        "Hips Spine Spine1 Spine2 Neck Head", "*Shoulder *Arm *ForeArm *Hand *UpLeg *Leg *Foot *Toe", "Left", "Right"
    ),
    "cmu": _profile(
        "Hips LowerBack Spine Spine1 Neck Head",
        "*Shoulder *Arm *ForeArm *Hand *UpLeg *Leg *Foot *ToeBase",
        "Left",
        "Right",
    ),
    "daz": _profile("hip abdomen chest - neck head", "*Collar *Shldr *ForeArm *Hand *Thigh *Shin *Foot -", "l", "r"),
    "bandai": _profile(
        "Hips Spine Chest - Neck Head",
        "Shoulder_* UpperArm_* LowerArm_* Hand_* UpperLeg_* LowerLeg_* Foot_* Toes_*",
        "L",
        "R",
    ),
    "xsens": _profile(
        "Pelvis L3 T12 T8 Neck Head",
        "*Shoulder *UpperArm *ForeArm *Hand *UpperLeg *LowerLeg *Foot *Toe",
        "Left",
        "Right",
    ),
    "xsens_short": _profile(
        "Pelvis L3 T12 T8 Neck Head", "*Shoulder *UpperArm *Forearm *Hand *UpperLeg *LowerLeg *Foot *Toe", "L", "R"
    ),
    "xsens_bvh": _profile(
        "Hips Chest Chest2 Chest4 Neck Head",
        "*Collar *Shoulder *Elbow *Wrist *Hip *Knee *Ankle *Toe",
        "Left",
        "Right",
    ),
    "collar": _profile(
        "Hips Chest Chest2 - Neck Head", "*Collar *Shoulder *Elbow *Wrist *Hip *Knee *Ankle *Toe", "Left", "Right"
    ),
    "collar_lowerback": _profile(
        "Hips lowerback Chest Chest2 Neck Head",
        "*Collar *Shoulder *Elbow *Wrist *Hip *Knee *Ankle *Toe",
        "Left",
        "Right",
    ),
    "mocopi": _profile(
        "root torso_2 torso_4 torso_6 neck_1 head",
        "*_shoulder *_up_arm *_low_arm *_hand *_up_leg *_low_leg *_foot *_toes",
        "l",
        "r",
    ),
    "rokoko": _profile(
        "hip spine chest - neck head", "*Shoulder *UpperArm *LowerArm *Hand *UpLeg *Leg *Foot *Toe", "left", "right"
    ),
    "smpl": _profile(
        "pelvis spine1 spine2 spine3 neck head",
        "*_collar *_shoulder *_elbow *_wrist *_hip *_knee *_ankle *_foot",
        "left",
        "right",
    ),
    "anatomical": _profile(
        "Pelvis J_L3 J_T10 J_T4 J_C4 J_Atlas",
        "J_*_Clavicle J_*_Shoulder J_*_Elbow J_*_Hand J_*_Hip J_*_Knee J_*_Ankle J_*_Bale",
        "L",
        "R",
    ),
    "makehuman_default": _profile(
        "root spine04 spine03 spine01 neck01 head",
        "clavicle.* upperarm01.* lowerarm01.* wrist.* upperleg01.* lowerleg01.* foot.* toe1-1.*",
        "L",
        "R",
    ),
    "makehuman": _profile(
        "Root Spine1 Spine2 Spine3 Neck Head",
        "Clavicle_* UpArm_* LoArm_* Hand_* UpLeg_* LoLeg_* Foot_* Toe_*",
        "L",
        "R",
    ),
}

# Where the rest offsets draw no body (Bandai-Namco: every bone along its own x axis): a T-pose in local ZXY degrees.
# The axes are those of the rig, read from its standing takes: hinges of knees and elbows, rounded to right angles.
T_POSES: dict[str, dict[str, tuple[float, float, float]]] = {
    "bandai": {
        "Hips": (90, 0, 0),
        "Spine": (0, 90, 0),
        "LeftShoulder": (-90, 0, -90),
        "RightShoulder": (90, 0, -90),
        "LeftUpperLeg": (180, 0, 0),
        "RightUpperLeg": (180, 0, 180),
        "LeftFoot": (0, 0, -73),
        "RightFoot": (0, 0, -73),
        "LeftToes": (0, 0, -17),
        "RightToes": (0, 0, -17),
    },
}


class SkeletonMismatch(ValueError):
    """No profile fits a skeleton's joint names."""


@lru_cache(maxsize=4096)
def plain(name: str) -> str:
    """A joint name as profiles compare it."""
    name = re.sub(r"(?<=[^\W_])[\s_.\-]+", "", name.rsplit(":", 1)[-1]).casefold()  # "__Arm_L" is not "Arm_L"
    return name.removeprefix("mixamorig")


def match(names: Sequence[str], profile: str) -> dict[str, int]:
    """HUMANOID's joint names -> places in `names`, as far as `profile` finds them."""
    try:
        table = PROFILES[profile]
    except KeyError:
        raise SkeletonMismatch(f"no profile {profile!r}; known: {', '.join(PROFILES)}") from None
    places = {plain(name): place for place, name in reversed(list(enumerate(names)))}
    return {ours: places[plain(theirs)] for ours, theirs in table.items() if plain(theirs) in places}


def detect(names: Sequence[str], profile: str | None = None) -> tuple[str, dict[str, int]]:
    """The profile that maps the most joints, and its map. Raises SkeletonMismatch when a needed joint is missing."""
    choices = [profile] if profile else list(PROFILES)
    found = {choice: match(names, choice) for choice in choices}
    best = max(choices, key=lambda choice: len(found[choice]))
    missing = [name for name in REQUIRED if name not in found[best]]
    if missing:
        mapped = {names[place] for place in found[best].values()}
        raise SkeletonMismatch(
            f"no joint for {', '.join(missing)} (nearest profile: {best!r}); "
            f"unmapped joints: {', '.join(n for n in names if n not in mapped)}; "
            f"known profiles: {', '.join(PROFILES)}"
        )
    return best, found[best]
