"""AMASS recordings (.npz, SMPL-H parameters) -> Clip of 22 body joints in metres, Y up. No body model is needed.

A file holds `poses` (T, 156): axis-angle in radians of the pelvis, 21 body joints and 30 finger joints (dropped here),
in SMPL-H's order; `trans` (T, 3) metres; `gender`; `mocap_framerate`. The world is Z up, a body at rest Y up, its left
+X. SMPL-X's spelling (`root_orient`, `pose_body`, `mocap_frame_rate`) is read, too.
Source: https://github.com/nghorbani/amass, notebooks/01-AMASS_Visualization.

The true bones follow from `betas` and a licensed body model, which is not here. The table below is an average body from
published anthropometry instead: rotations, speeds and rates are the recording's, bone lengths a stranger's. For the
same reason `trans` is taken for the pelvis itself; the model's own origin lies a fixed 0.2 m beside it.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from motion import rotations as rot
from motion.clip import Clip
from motion.skeleton import Array, Skeleton
from motion.units import body_scale

GENDERS = ("neutral", "female", "male")
STATURE = {"neutral": 1.69, "female": 1.62, "male": 1.76}  # metres, adults
BODY = 22  # joints, of SMPL-H's 52

# Joint centres of a standing T-pose, in shares of the stature: left, up, forward; a right joint mirrors its left one.
# Heights of hip, knee, ankle, shoulder, and arm lengths: Drillis and Contini 1966 (in Winter 2009, figure 4.1). For the
# rest there is no such table: the spine is divided evenly, other places are rounded to half a percent.
_CENTRES: dict[str, tuple[str | None, tuple[float, float, float]]] = {
    "pelvis": (None, (0.0, 0.575, 0.0)),
    "left_hip": ("pelvis", (0.040, 0.530, 0.0)),
    "right_hip": ("pelvis", (-0.040, 0.530, 0.0)),
    "spine1": ("pelvis", (0.0, 0.645, -0.015)),
    "left_knee": ("left_hip", (0.050, 0.285, 0.0)),
    "right_knee": ("right_hip", (-0.050, 0.285, 0.0)),
    "spine2": ("spine1", (0.0, 0.715, -0.005)),
    "left_ankle": ("left_knee", (0.050, 0.039, -0.020)),
    "right_ankle": ("right_knee", (-0.050, 0.039, -0.020)),
    "spine3": ("spine2", (0.0, 0.750, 0.0)),
    "left_foot": ("left_ankle", (0.060, 0.010, 0.055)),
    "right_foot": ("right_ankle", (-0.060, 0.010, 0.055)),
    "neck": ("spine3", (0.0, 0.860, -0.015)),
    "left_collar": ("spine3", (0.045, 0.815, -0.010)),
    "right_collar": ("spine3", (-0.045, 0.815, -0.010)),
    "head": ("neck", (0.0, 0.905, 0.010)),
    "left_shoulder": ("left_collar", (0.105, 0.818, -0.015)),
    "right_shoulder": ("right_collar", (-0.105, 0.818, -0.015)),
    "left_elbow": ("left_shoulder", (0.105 + 0.186, 0.818, -0.020)),
    "right_elbow": ("right_shoulder", (-0.105 - 0.186, 0.818, -0.020)),
    "left_wrist": ("left_elbow", (0.105 + 0.332, 0.818, -0.015)),
    "right_wrist": ("right_elbow", (-0.105 - 0.332, 0.818, -0.015)),
}
_Z_TO_Y = np.array([-np.sqrt(0.5), 0.0, 0.0, np.sqrt(0.5)])  # a quarter turn about X: (x, y, z) -> (x, z, -y)


class AmassError(ValueError):
    """A file that holds no AMASS recording: its name and what is wrong."""


@dataclass(frozen=True)
class Recording:
    """A recording and the sex its file tells; `neutral` where it tells none."""

    clip: Clip
    gender: str


def skeleton(gender: str = "neutral") -> Skeleton:
    """The 22 body joints with SMPL's names, in its order. Raises ValueError for a gender that has no table."""
    if gender not in STATURE:
        raise ValueError(f"no body for gender {gender!r}; choose one of {', '.join(GENDERS)}")
    names = tuple(_CENTRES)
    parents = tuple(-1 if parent is None else names.index(parent) for parent, _ in _CENTRES.values())
    places = STATURE[gender] * np.array([centre for _, centre in _CENTRES.values()])
    offsets = places.copy()
    offsets[1:] -= places[list(parents[1:])]
    return Skeleton(names, parents, offsets)


def is_recording(path: Path) -> bool:
    """Whether an .npz file holds poses at all; AMASS lays body shapes (`shape.npz`) beside them."""
    try:
        return bool({"poses", "root_orient"} & set(_load(path, set())[1]))
    except (AmassError, OSError):
        return True  # broken: reading it says why


def read_npz(path: Path, scale: str | float = "auto", skeleton: str | None = None) -> tuple[Clip, str]:
    """As motion.load reads any recording: with the body of the gender that the file tells. Raises as `read_amass`."""
    recording = read_amass(path)
    clip = recording.clip
    if skeleton not in (None, clip.skeleton.names[0]):
        raise AmassError(f"{path.name}: no skeleton {skeleton!r}; it has: {clip.skeleton.names[0]}")
    metres, note = body_scale(clip.skeleton, scale)
    body = clip.skeleton.with_offsets(metres * clip.skeleton.offsets)
    return Clip(
        body, clip.fps, metres * clip.root_positions, clip.rotations
    ), f"AMASS, average {recording.gender}; {note}"


def read_amass(path: str | Path, gender: str = "file") -> Recording:
    """Read a recording. gender: whose bones it gets: one of `GENDERS`, or "file" for the one it tells.

    Raises AmassError that begins with the file's name, ValueError for a gender that is none, and OSError.
    """
    path = Path(path)
    if gender != "file":
        skeleton(gender)
    values, found = _load(path, _WANTED)
    turns, trans, fps = _poses(path, values, found), _trans(path, values), _fps(path, values)
    if len(turns) != len(trans):
        raise AmassError(f"{path.name}: {len(turns)} poses but {len(trans)} rows of trans")
    told = _told(values.get("gender"))
    rotations = _from_axis_angle(turns)
    rotations[:, 0] = rot.multiply(_Z_TO_Y, rotations[:, 0])
    body = skeleton(told if gender == "file" else gender)
    return Recording(Clip(body, fps, rot.rotate(_Z_TO_Y, trans), rotations), told)


_WANTED = {"poses", "root_orient", "pose_body", "trans", "gender", "mocap_framerate", "mocap_frame_rate"}


def _load(path: Path, wanted: set[str]) -> tuple[dict[str, Any], list[str]]:
    """Those of the wanted arrays that are there, and the names of all."""
    try:
        with path.open("rb") as opened:
            file = np.load(opened, allow_pickle=False)
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise ValueError("a single array")
            with file:
                return {name: file[name] for name in wanted & set(file.files)}, file.files
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise AmassError(f"{path.name}: no .npz file that can be read: {error}") from None


def _poses(path: Path, values: dict[str, Any], found: list[str]) -> Array:
    """Axis-angle (T, 22, 3)."""
    if "poses" in values:
        poses = _numbers(path, "poses", values["poses"])
    elif {"root_orient", "pose_body"} <= values.keys():
        root, body = (_numbers(path, name, values[name]) for name in ("root_orient", "pose_body"))
        if len(root) != len(body):
            raise AmassError(f"{path.name}: {len(root)} rows of root_orient but {len(body)} of pose_body")
        poses = np.concatenate([root, body], axis=1)
    else:
        raise AmassError(f"{path.name}: no poses; the file has: {', '.join(found) or 'nothing'}")
    if poses.shape[1] < 3 * BODY or not len(poses):
        raise AmassError(f"{path.name}: poses {poses.shape}; AMASS has a row of 156 numbers for every frame")
    return poses[:, : 3 * BODY].reshape(-1, BODY, 3)


def _trans(path: Path, values: dict[str, Any]) -> Array:
    if "trans" not in values:
        raise AmassError(f"{path.name}: no trans, the place of the body in every frame")
    trans = _numbers(path, "trans", values["trans"])
    if trans.shape[1] != 3:
        raise AmassError(f"{path.name}: trans {trans.shape}, not 3 numbers for every frame")
    return trans


def _fps(path: Path, values: dict[str, Any]) -> float:
    told = values.get("mocap_framerate", values.get("mocap_frame_rate"))
    try:
        fps = float(np.asarray(told, dtype=np.float64).reshape(()))
    except (TypeError, ValueError):
        fps = float("nan")
    if not 1.0 <= fps <= 1000.0:
        raise AmassError(f"{path.name}: mocap_framerate is {told}, not a rate from 1 to 1000 frames a second")
    return fps


def _numbers(path: Path, name: str, values: Any) -> Array:
    """A finite table (T, n)."""
    try:
        table = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise AmassError(f"{path.name}: {name} holds no numbers") from None
    if table.ndim != 2:
        raise AmassError(f"{path.name}: {name} has shape {table.shape}, not a row for every frame")
    if not np.isfinite(table).all():
        row = int(np.flatnonzero(~np.isfinite(table).all(axis=1))[0])
        raise AmassError(f"{path.name}: {name} has a number in frame {row} that is not finite")
    return table


def _told(value: Any) -> str:
    """The gender in a file: a string, or bytes, as an array of no dimension."""
    if value is None or np.ndim(value):
        return "neutral"
    text = value.item()
    text = text.decode("ascii", "replace") if isinstance(text, bytes) else str(text)
    return text if text in GENDERS else "neutral"


def _from_axis_angle(turns: Array) -> Array:
    """Unit quaternions (..., 4) of rotation vectors (..., 3) in radians."""
    half = 0.5 * np.linalg.norm(turns, axis=-1, keepdims=True)
    return np.concatenate([0.5 * turns * np.sinc(half / np.pi), np.cos(half)], axis=-1)
