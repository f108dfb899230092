"""From the nodes of a scene to a body: which skeleton, which rest pose, a Clip. Numbers only, no file is read here.

A joint of this project has no rotation at rest, in a pose that draws the body. FBX joints may point anywhere, and what
a file calls rest may be any pose. So a rest pose is looked for (bind pose, default transforms, zero rotations, then
the frames) until one stands as a T- or A-pose does; where none stands, the one that comes nearest is put upright and
its limbs straightened. Rotations are then told against it, W(t)·W(rest)⁻¹ in the world: no motion is lost.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from motion import rotations as rot
from motion.clip import Clip
from motion.kinematics import global_to_local
from motion.profiles import SkeletonMismatch, detect
from motion.rest_pose import STANDS, lean, straightened
from motion.skeleton import Array, Skeleton

SAMPLES = 300  # frames that are asked whether somebody stands there


class FbxError(ValueError):
    """An FBX file is refused: `walk.fbx: no skeleton: it has 3 nodes, none of them a joint (Cube, Light, Camera)`."""


@dataclass(frozen=True)
class Tree:
    """All nodes of a scene: names, parents (-1 for the scene's root) and which are joints."""

    names: list[str]
    parents: list[int]
    joints: list[bool]

    def with_ancestors(self, nodes: list[int]) -> list[int]:
        """The nodes and all above them, parents first."""
        found: set[int] = set()
        for node in nodes:
            while node >= 0 and node not in found:
                found.add(node)
                node = self.parents[node]
        return sorted(found, key=self.depth)

    def depth(self, node: int) -> int:
        depth = 0
        while (node := self.parents[node]) >= 0:
            depth += 1
        return depth


@dataclass(frozen=True)
class Motion:
    """One skeleton over time, in file units and axes. needed: its joints and all above them, parents first.

    translations, rotations (xyzw), scales: node -> (T, 3 or 4), or one row where nothing moves it. rest: name of a
    possible rest pose -> node -> its local transform (10,) or its matrix to the world (3, 4). y_up: (3, 3).
    """

    tree: Tree
    joints: list[int]
    needed: list[int]
    fps: float
    translations: dict[int, Array]
    rotations: dict[int, Array]
    scales: dict[int, Array]
    rest: dict[str, dict[int, Array] | None]
    y_up: Array


def choose(tree: Tree, wanted: str | None) -> tuple[list[int], list[str]]:
    """The joints of a skeleton, parents first and otherwise in the file's order, and notes.

    wanted: its root joint's name, its namespace or the name of a node above it; None: the first one with two joints.
    Raises FbxError when there is no such skeleton, with what there is.
    """
    skeletons = [_below(tree, place) for place in _roots(tree)]
    if not skeletons:
        some = ", ".join(name for name in tree.names[1:7] if name) + (" ..." if len(tree.names) > 7 else "")
        raise FbxError(f"no skeleton: none of its {len(tree.names) - 1} nodes is a joint ({some or 'it is empty'})")
    titles = [_titles(tree, joints[0]) for joints in skeletons]
    listed = ", ".join(f"{names[0]!r} ({len(joints)} joints)" for names, joints in zip(titles, skeletons, strict=True))
    if wanted is not None:
        for names, joints in zip(titles, skeletons, strict=True):
            if wanted in names:
                return joints, []
        raise FbxError(f"no skeleton {wanted!r}; it has: {listed}")
    joints = next((joints for joints in skeletons if len(joints) > 1), skeletons[0])
    if len(joints) < 2:
        raise FbxError(f"no skeleton of two joints or more; it has: {listed}")
    others = [f"{len(skeletons)} skeletons: only {tree.names[joints[0]]!r} is read of {listed}"]
    return joints, others if len(skeletons) > 1 else []


def body(motion: Motion) -> tuple[Clip, list[str]]:
    """The motion as a clip in file units, Y up as the file says, and notes. Raises FbxError when it cannot be one."""
    notes: list[str] = []
    positions, turns = _globals(motion)  # (T, J, 3), (T, J, 4)
    names = _unique([motion.tree.names[joint] for joint in motion.joints], notes)
    if not (np.isfinite(positions).all() and np.isfinite(turns).all()):
        frame, joint = np.argwhere(~np.isfinite(positions).all(-1) | ~np.isfinite(turns).all(-1))[0]
        raise FbxError(f"joint {names[joint]!r} has a value that is no finite number in frame {frame}")
    place = {node: new for new, node in enumerate(motion.joints)}
    parents = [-1, *(place[_joint_above(motion.tree, node)] for node in motion.joints[1:])]
    first = _carrier(positions, parents)
    if first:
        notes.append(f"{names[0]!r} is folded into {names[first]!r}, which carries the motion")
        kept = [joint for joint in range(first, len(names)) if _is_below(parents, joint, first)]
        positions, turns = positions[:, kept], turns[:, kept]
        names, parents = [names[j] for j in kept], [-1, *(kept.index(parents[j]) for j in kept[1:])]
        motion = replace(motion, joints=[motion.joints[joint] for joint in kept])
    rest, said = _rest(motion, names, parents, positions, turns)
    notes += said
    turns = rot.multiply(turns, rot.inverse(rest))
    above = np.array(parents[1:], dtype=np.intp)
    bones = rot.rotate(rot.inverse(turns[:, above]), positions[:, 1:] - positions[:, above])  # (T, J-1, 3)
    offsets = np.concatenate([positions[:1, 0] * 0.0, np.median(bones, axis=0)])
    size = float(np.abs(offsets).sum(axis=0).max())
    if np.ptp(bones, axis=0).max(initial=0.0) > 1e-2 * size:
        notes.append("moving offsets below the root are frozen at their median")
    skeleton = Skeleton(tuple(names), tuple(parents), offsets)
    offsets[0, 1] = -skeleton.rest_positions[:, 1].min()  # at rest it stands on the floor
    skeleton = skeleton.with_offsets(offsets)
    local = global_to_local(skeleton, turns)
    return Clip(skeleton, motion.fps, positions[:, 0], rot.continuous(rot.normalize(local))), notes


def _roots(tree: Tree) -> list[int]:
    """Joints without a joint above them, in the order of the file."""
    return [node for node, is_joint in enumerate(tree.joints) if is_joint and _joint_above(tree, node) < 0]


def _below(tree: Tree, root: int) -> list[int]:
    """root and the joints below it, each parent before its children, children in the file's order."""
    children: list[list[int]] = [[] for _ in tree.names]
    for node, parent in enumerate(tree.parents):
        if parent >= 0:
            children[parent].append(node)
    found, waiting = [], [root]
    while waiting:
        node = waiting.pop()
        found += [node] if tree.joints[node] else []
        waiting += children[node][::-1]
    return found


def _joint_above(tree: Tree, node: int) -> int:
    node = tree.parents[node]
    while node >= 0 and not tree.joints[node]:
        node = tree.parents[node]
    return node


def _titles(tree: Tree, root: int) -> list[str]:
    """What a skeleton may be called: its root joint, the nodes above it, its namespace."""
    names = [tree.names[root]]
    node = tree.parents[root]
    while node > 0:
        names.append(tree.names[node])
        node = tree.parents[node]
    return [*names, *(name.rsplit(":", 1)[0] for name in names if ":" in name)]


def _globals(motion: Motion) -> tuple[Array, Array]:
    """Joint positions (T, J, 3) and turns (T, J, 4) in the world, Y up, file units."""
    worlds: dict[int, tuple[Array, Array]] = {}
    frames = max(len(values) for table in (motion.translations, motion.rotations) for values in table.values())
    positions, turns = np.empty((frames, len(motion.joints), 3)), np.empty((frames, len(motion.joints), 4))
    place = {node: new for new, node in enumerate(motion.joints)}
    for node in motion.needed:
        local = rot.to_matrix(motion.rotations[node]) * motion.scales[node][:, None, :]
        world = _compose(worlds.get(motion.tree.parents[node]), local, motion.translations[node])
        worlds[node] = world
        if node in place:
            positions[:, place[node]] = world[1] @ motion.y_up.T
            turns[:, place[node]] = _turn(world[0], motion.y_up, motion.tree.names[node])
    return positions, turns


def _compose(above: tuple[Array, Array] | None, matrix: Array, translation: Array) -> tuple[Array, Array]:
    if above is None:
        return matrix, translation
    return np.matmul(above[0], matrix), np.matmul(above[0], translation[..., None])[..., 0] + above[1]


def _turn(matrices: Array, y_up: Array, name: str) -> Array:
    """The rotation (..., 4) in matrices (..., 3, 3) that may scale, in other axes."""
    if not np.isfinite(matrices).all():
        return np.full((*matrices.shape[:-2], 4), np.nan)
    if (np.linalg.det(matrices) <= 0.0).any():
        raise FbxError(f"joint {name!r} is mirrored or flattened by its scale")
    u, _, vt = np.linalg.svd(matrices)
    return rot.from_matrix(y_up @ (u @ vt) @ y_up.T)


def _carrier(positions: Array, parents: list[int]) -> int:
    """The joint that carries the motion: the root, or what moves as its only child."""
    size = float(np.ptp(positions[0], axis=0).max()) or 1.0
    first = 0
    while True:
        below = [joint for joint, parent in enumerate(parents) if parent == first]
        if len(below) != 1 or first + 1 >= len(parents) - 1:
            return first
        apart = np.linalg.norm(positions[:, below[0]] - positions[:, first], axis=-1)
        if np.ptp(apart) <= 1e-3 * size:
            return first
        first = below[0]


def _is_below(parents: list[int], joint: int, root: int) -> bool:
    while joint > root:
        joint = parents[joint]
    return joint == root


def _rest(
    motion: Motion, names: list[str], parents: list[int], positions: Array, turns: Array
) -> tuple[Array, list[str]]:
    """World turns (J, 4) of the joints at rest, and a note that says where they are from."""
    tried = {name: _pose(motion, table) for name, table in motion.rest.items() if table is not None}
    poses = {name: pose for name, pose in tried.items() if pose is not None}
    try:
        _, roles = detect(names)
    except SkeletonMismatch:
        name = next(iter(poses))
        return poses[name][1], [f"rest: its {name}"]
    for name, (points, rest) in poses.items():
        if lean(points, roles) <= STANDS:
            return rest, [f"rest: its {name}"]
    frames = np.unique(np.linspace(0, len(positions) - 1, SAMPLES).astype(np.intp))
    best = min(frames.tolist(), key=lambda frame: lean(positions[frame], roles))
    rest = straightened(positions[best], turns[best], parents, roles)
    return rest, [f"no rest pose in the file stands, so frame {best} is taken with its limbs straightened"]


def _pose(motion: Motion, table: dict[int, Array]) -> tuple[Array, Array] | None:
    """Positions (J, 3) and turns (J, 4) of a rest pose; None where it lacks a joint."""
    if not all(node in table for node in motion.joints):
        return None
    worlds: dict[int, tuple[Array, Array]] = {}
    for node in motion.needed:
        values = np.asarray(table.get(node, [0.0] * 6 + [1.0] * 4), dtype=np.float64)
        if values.ndim == 2:
            worlds[node] = values[:, :3], values[:, 3]
            continue
        local = rot.to_matrix(values[3:7]) * values[7:]
        worlds[node] = _compose(worlds.get(motion.tree.parents[node]), local, values[:3])
    positions = np.array([worlds[node][1] for node in motion.joints]) @ motion.y_up.T
    turns = np.array([_turn(worlds[node][0], motion.y_up, motion.tree.names[node]) for node in motion.joints])
    return (positions, turns) if np.isfinite(positions).all() and np.isfinite(turns).all() else None


def _unique(names: list[str], notes: list[str]) -> list[str]:
    """Names without repeats: a second `Hand` is called `Hand_2`."""
    seen: set[str] = set()
    result = []
    for name in names:
        free, count = name, 1
        while free in seen:
            count += 1
            free = f"{name}_{count}"
        if free != name:
            notes.append(f"a second joint {name!r} is called {free!r}")
        seen.add(free)
        result.append(free)
    return result
