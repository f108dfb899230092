"""FBX files: scene -> Clip in metres, Y up. This file alone knows `ufbx`.

The file is read in a short-lived process of its own (`python -m motion.fbx`): what a damaged file does to native code
then ends as one line about that file. It also outlives a fault of ufbx 0.0.5, whose lists give their elements away
without a reference, so that the second look at one crashes; `_each` keeps all of them until that process ends.
What the nodes mean for a body is said in fbx_body.py. Curves are evaluated by time, with the file's own tangents,
rotation orders, pre- and post-rotations, pivots and scale inheritance.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from motion import rotations as rot
from motion.clip import Clip
from motion.fbx_body import FbxError, Motion, Tree, body, choose
from motion.profiles import SkeletonMismatch, detect
from motion.skeleton import Array, Skeleton
from motion.units import SHORTEST, TALLEST, stature, to_metres

__all__ = ["FbxError", "read_fbx"]

SECONDS = 600.0  # a file that takes longer to read is refused
MOST_FRAMES = 2_000_000
_ROOT = Path(__file__).resolve().parents[1]
_AXES = ((0, 1.0), (0, -1.0), (1, 1.0), (1, -1.0), (2, 1.0), (2, -1.0))  # ufbx's CoordinateAxis: +X -X +Y -Y +Z -Z


def read_fbx(path: str | Path, scale: str | float = "auto", skeleton: str | None = None) -> tuple[Clip, str]:
    """Read an FBX file. Returns the clip in metres, Y up, and a sentence on what was assumed.

    scale: metres per file unit, or "auto": the unit the file states where that makes a body, else the body's height.
    skeleton: the name of a root joint, of a node above it or of its namespace; the first skeleton when None. The rate
    is that of the keys, or of the file where keys are thinned. Raises FbxError, ValueError (a scale that is none, no
    ufbx) and OSError.
    """
    path = Path(path)
    with path.open("rb"):
        pass  # an OSError of the file itself, before another process meets it
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "clip.npz"
        _run(path, out, skeleton)
        with np.load(out) as stored:
            found = {name: stored[name] for name in stored.files}
    told: dict[str, Any] = json.loads(str(found["told"]))
    clip = Clip(
        Skeleton(tuple(told["names"]), tuple(told["parents"]), found["offsets"]),
        told["fps"],
        found["root_positions"],
        found["rotations"],
    )
    clip, note = _in_metres(clip, scale, told["unit"])
    return clip, "; ".join([note, *told["notes"]])


def _in_metres(clip: Clip, scale: str | float, unit: float) -> tuple[Clip, str]:
    """By the unit the file states, unless that makes a known body no adult."""
    if scale not in ("auto", None):
        return to_metres(clip, scale)
    offsets, roots = clip.skeleton.offsets * unit, clip.root_positions * unit
    stated = Clip(clip.skeleton.with_offsets(offsets), clip.fps, roots, clip.rotations)
    tall = stature(stated.skeleton)
    if _known(clip.skeleton) and not SHORTEST <= tall <= TALLEST:
        clip, note = to_metres(stated)
        return clip, f"{note}, after the unit of {unit:g} m that the file states and that made {tall:.3g} m"
    clip, note = to_metres(stated, 1.0)
    return clip, note.replace("scale 1 as given", f"scale {unit:g} as the file states (a body of {tall:.2f} m)")


def _known(skeleton: Skeleton) -> bool:
    try:
        detect(skeleton.names)
    except SkeletonMismatch:
        return False
    return True


def _run(path: Path, out: Path, skeleton: str | None) -> None:
    """Read `path` in a process of its own. Raises FbxError and ValueError with what it said."""
    command = [sys.executable, "-m", "motion.fbx", str(path.resolve()), str(out), skeleton or ""]
    paths = [str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    try:
        done = subprocess.run(
            command,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise FbxError(f"{path.name}: reading did not end within {SECONDS:g} s") from None
    if done.returncode == 0:
        return
    if done.returncode == _REFUSED and done.stderr:
        raise FbxError(f"{path.name}: {done.stderr.splitlines()[-1]}")
    said = done.stderr.strip().splitlines()[-1:] or [f"the reader ended with {done.returncode}"]
    raise FbxError(f"{path.name}: damaged, or of a kind that ufbx cannot read ({said[0]})")


# What follows runs in the process that reads, and knows ufbx.

_REFUSED = 3
_kept: list[Any] = []


def _main(path: str, out: str, skeleton: str) -> int:
    try:
        motion, notes, unit = _read(Path(path), skeleton or None)
        clip, more = body(motion)
    except FbxError as error:
        print(error, file=sys.stderr)
        return _REFUSED
    told = {
        "names": clip.skeleton.names,
        "parents": clip.skeleton.parents,
        "fps": clip.fps,
        "unit": unit,
        "notes": [*notes, *more],
    }
    np.savez(
        out,
        told=json.dumps(told),
        offsets=clip.skeleton.offsets,
        root_positions=clip.root_positions,
        rotations=clip.rotations,
    )
    return 0


def _read(path: Path, wanted: str | None) -> tuple[Motion, list[str], float]:
    """The chosen skeleton's nodes over time, in file units and Y up; notes; metres per unit."""
    try:
        import ufbx
    except ImportError:
        raise FbxError("reading FBX needs ufbx: pip install 'pas-de-deux[fbx]'") from None
    try:
        scene = ufbx.load_file(
            str(path),
            ignore_geometry=True,
            ignore_embedded=True,
            inherit_mode_handling=ufbx.InheritModeHandling.HELPER_NODES,
        )
    except ufbx.UfbxError as error:
        raise FbxError(_reason(path, error)) from None
    _kept.append(scene)
    nodes = _each(scene.nodes)
    tree = Tree(
        [str(node.name) for node in nodes],
        [-1 if node.parent is None else int(node.parent.typed_id) for node in nodes],
        [node.bone is not None for node in nodes],
    )
    joints, notes = choose(tree, wanted)
    stack, others = _stack(scene, [nodes[joint] for joint in joints])
    notes += [f"takes in the file: only the first that moves this skeleton is read, {stack.name!r}"] if others else []
    needed = tree.with_ancestors(joints)
    begin, fps, frames = _times(scene, stack, [nodes[place] for place in needed])
    times = begin + np.arange(frames) / fps
    moving = _moving(stack)
    translations, rotations, scales = {}, {}, {}
    for place in needed:
        node = nodes[place]
        at = times if int(node.element_id) in moving else times[:1]
        values = np.array([_flat(node.evaluate_transform(stack.anim, time)) for time in at.tolist()])  # (T or 1, 10)
        translations[place], rotations[place], scales[place] = values[:, :3], values[:, 3:7], values[:, 7:]
    rest = {
        "bind pose": _bind_pose(scene, needed),
        "default transforms": {place: _flat(nodes[place].local_transform) for place in needed},
        "zero rotations": {place: _zero(ufbx, nodes[place]) for place in needed},
    }
    motion = Motion(tree, joints, needed, fps, translations, rotations, scales, rest, _y_up(scene))
    return motion, notes, float(scene.settings.unit_meters)


def _each(elements: Any) -> list[Any]:
    """The elements of one of ufbx's lists, each kept until the process ends."""
    found = [elements[place] for place in range(len(elements))]
    _kept.extend([elements, found, *found])
    return found


def _reason(path: Path, error: Exception) -> str:
    """ufbx's reason in words a user knows; ufbx tells no line, and a binary file has none."""
    with path.open("rb") as file:
        head = file.read(64)
    kind = type(error).__name__.removesuffix("Error")
    if not head:
        return "the file is empty"
    if kind == "UnrecognizedFileFormat" or "Not an FBX file" in str(error):
        return f"no FBX file: it begins with {head[:16]!r}"
    version = "binary" if head.startswith(b"Kaydara FBX Binary") else "text"
    words = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in kind).strip()
    detail = " ".join(str(error).split())
    return f"a broken {version} FBX file: {words}" + (f" ({detail})" if detail else "")


def _stack(scene: Any, joints: list[Any]) -> tuple[Any, int]:
    """The first animation stack that moves one of the joints, and how many more there are."""
    ids = {int(node.element_id) for node in joints}
    stacks = _each(scene.anim_stacks)
    moving = [stack for stack in stacks if ids & _moving(stack)]
    if not moving:
        names = ", ".join(repr(str(stack.name)) for stack in stacks) or "none"
        raise FbxError(f"nothing moves the skeleton {str(joints[0].name)!r}; animations in the file: {names}")
    return moving[0], len(moving) - 1


def _moving(stack: Any) -> set[int]:
    """Ids of the elements that a stack animates."""
    properties = [prop for layer in _each(stack.layers) for prop in _each(layer.anim_props)]
    return {int(prop.element.element_id) for prop in properties}


def _times(scene: Any, stack: Any, nodes: list[Any]) -> tuple[float, float, int]:
    """First key's time in seconds, frames a second, number of frames."""
    ids = {int(node.element_id) for node in nodes}
    curves = []
    for layer in _each(stack.layers):
        for prop in _each(layer.anim_props):
            if int(prop.element.element_id) in ids and str(prop.prop_name).startswith("Lcl "):
                curves += [curve for curve in prop.anim_value.curves if curve is not None and len(curve.keyframes)]
    if not curves:
        raise FbxError(f"the animation {str(stack.name)!r} has no keys")
    _kept.append(curves)
    first, last = min(curve.min_time for curve in curves), max(curve.max_time for curve in curves)
    if max(first, stack.time_begin) < min(last, stack.time_end):
        first, last = max(first, stack.time_begin), min(last, stack.time_end)
    densest = max(curves, key=lambda curve: len(curve.keyframes)).keyframes
    keys = np.array([densest[place].time for place in range(len(densest))])
    fps = float(scene.settings.frames_per_second)
    if not np.isfinite([first, last, fps]).all() or not 1e-2 <= fps <= 1e5:
        raise FbxError(f"times from {first} to {last} s at {fps} frames a second make no recording")
    if len(keys) > 2 and (spacing := float(np.median(np.diff(keys)))) > 1e-5 and 1.0 / spacing > 1.01 * fps:
        fps = 1.0 / spacing
        fps = float(round(fps)) if abs(fps - round(fps)) < 2e-3 * fps else fps
    frames = int(np.floor((last - first) * fps + 0.02)) + 1
    if frames > MOST_FRAMES:
        raise FbxError(f"{frames} frames ({last - first:g} s at {fps:g} fps) are more than {MOST_FRAMES}")
    return first, fps, frames


def _flat(transform: Any) -> Array:
    return np.array([*transform.translation, *transform.rotation, *transform.scale])


def _zero(ufbx: Any, node: Any) -> Array:
    """The node's transform with its rotation channels at zero: what is left are pre- and post-rotation."""
    flat = _flat(node.local_transform)
    turn = rot.IDENTITY
    for name, power in (("PreRotation", 1.0), ("PostRotation", -1.0)):
        prop = ufbx.find_prop(node.props, name)
        if prop is not None:
            x, y, z = np.radians(tuple(prop.value_vec4)[:3])
            one = rot.from_euler("ZYX", np.array([z, y, x]))  # FBX's order XYZ: about the fixed x axis first
            turn = rot.multiply(turn, one if power > 0 else rot.inverse(one))
            _kept.append(prop)
    return np.concatenate([flat[:3], turn, flat[7:]])


def _bind_pose(scene: Any, needed: list[int]) -> dict[int, Array] | None:
    """Node -> its (3, 4) matrix to the world in the file's bind poses; None when a joint is missing there."""
    found: dict[int, Array] = {}
    for pose in _each(scene.poses):
        for bone in _each(pose.bone_poses) if pose.is_bind_pose else []:
            found.setdefault(int(bone.bone_node.typed_id), np.array(bone.bone_to_world).T)
    return found or None


def _y_up(scene: Any) -> Array:
    """The (3, 3) matrix from the file's axes to +X right, +Y up, +Z to the viewer."""
    axes = scene.settings.axes
    matrix = np.zeros((3, 3))
    for row, axis in enumerate((axes.right, axes.up, axes.front)):
        if not 0 <= int(axis) < len(_AXES):
            return np.eye(3)  # the file states no axes; the body itself will tell
        column, sign = _AXES[int(axis)]
        matrix[row, column] = sign
    return matrix if abs(np.linalg.det(matrix)) == 1.0 else np.eye(3)


if __name__ == "__main__":
    status = _main(*sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # ufbx must not tidy up, see above
