"""FBX: what is read is where the joints are, in metres and Y up; what cannot be read is refused in one line."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motion import clean, fbx, fbx_body, kinematics
from motion import rotations as rot
from motion.clip import Clip
from motion.fbx_body import FbxError, Motion, Tree
from motion.load import load_clip, load_humanoid
from motion.skeleton import HUMANOID, Skeleton
from training import dataset

TICKS = 46_186_158_000  # of FBX's clock in a second


def write_fbx(
    path: Path,
    clips: dict[str, Clip],
    orders: tuple[int, ...] = (0,),
    unit: float = 1.0,
    axes: tuple[tuple[int, int], tuple[int, int], tuple[int, int]] = ((0, 1), (1, 1), (2, 1)),
    turned: float = 0.0,
    scene_fps: float | None = None,
) -> Path:
    """Clips as skeletons of one text FBX 7.4: cm-per-unit `unit`, rotation orders in turn, pre- and post-rotations.

    axes: (axis, sign) that are right, up and to the viewer; the caller's clips are already told in them. turned:
    degrees of the pre-rotation about x that every joint below the root has, the half of it as a post-rotation.
    """
    objects, connections, number = [], [], iter(range(1000, 10**6))
    (right, right_sign), (up, up_sign), (front, front_sign) = axes
    stack, layer = next(number), next(number)
    fps = next(iter(clips.values())).fps
    last = int(max(len(clip) - 1 for clip in clips.values()) / fps * TICKS)
    objects.append(f'AnimationStack: {stack}, "AnimStack::Take", "" {{ Properties70: {{\n')
    objects.append(
        f'P: "LocalStop", "KTime", "Time", "",{last}\nP: "ReferenceStop", "KTime", "Time", "",{last}\n}} }}\n'
    )
    objects.append(f'AnimationLayer: {layer}, "AnimLayer::Base", "" {{ }}\n')
    connections.append((layer, stack, None))
    for title, clip in clips.items():
        ids: list[int] = []
        for joint, name in enumerate(clip.skeleton.names):
            model, attribute, order = next(number), next(number), orders[joint % len(orders)]
            ids.append(model)
            parent = clip.skeleton.parents[joint]
            pre = rot.from_euler("X", np.radians([turned if joint else 0.0]))
            post = rot.from_euler("X", np.radians([turned / 2 if joint else 0.0]))
            inner = rot.multiply(rot.multiply(rot.inverse(pre), clip.rotations[:, joint]), post)
            sequence = ("XYZ", "XZY", "YZX", "YXZ", "ZXY", "ZYX")[order]
            angles = np.degrees(np.unwrap(rot.to_euler(sequence[::-1], inner), axis=0))[:, ::-1]
            euler = np.empty_like(angles)
            euler[:, ["XYZ".index(axis) for axis in sequence]] = angles
            moved = clip.root_positions if parent < 0 else np.tile(clip.skeleton.offsets[joint], (len(clip), 1))
            title_and_name = f"{title}:{name}" if title else name
            objects.append(f'NodeAttribute: {attribute}, "NodeAttribute::{title_and_name}", "LimbNode" {{\n')
            objects.append('TypeFlags: "Skeleton"\n}\n')
            objects.append(
                f'Model: {model}, "Model::{title_and_name}", "LimbNode" {{\nVersion: 232\nProperties70: {{\n'
            )
            offset = moved[0] / unit
            objects.append(f'P: "RotationActive", "bool", "", "",1\nP: "RotationOrder", "enum", "", "",{order}\n')
            if joint:
                objects.append(f'P: "PreRotation", "Vector3D", "Vector", "",{turned},0,0\n')
                objects.append(f'P: "PostRotation", "Vector3D", "Vector", "",{turned / 2},0,0\n')
            objects.append('P: "Lcl Translation", "Lcl Translation", "", "A",{},{},{}\n'.format(*offset))
            objects.append('P: "Lcl Rotation", "Lcl Rotation", "", "A",0,0,0\n} }\n')
            connections += [(attribute, model, None), (model, 0 if parent < 0 else ids[parent], None)]
            values = {"Lcl Rotation": euler} | ({"Lcl Translation": moved / unit} if parent < 0 else {})
            for what, series in values.items():
                node = next(number)
                kind = what[4]
                objects.append(f'AnimationCurveNode: {node}, "AnimCurveNode::{kind}", "" {{ Properties70: {{\n')
                objects += [f'P: "d|{axis}", "Number", "", "A",{series[0, k]}\n' for k, axis in enumerate("XYZ")]
                objects.append("} }\n")
                connections += [(node, layer, None), (node, model, what)]
                for k, axis in enumerate("XYZ"):
                    curve = next(number)
                    objects.append(_curve(curve, series[:, k], clip.fps))
                    connections.append((curve, node, f"d|{axis}"))
    kinds = {"Model", "NodeAttribute", "AnimationStack", "AnimationLayer", "AnimationCurveNode", "AnimationCurve"}
    definitions = "".join(f'ObjectType: "{kind}" {{ Count: 1 }}\n' for kind in sorted(kinds))
    links = "".join(
        f'C: "OO",{child},{parent}\n' if what is None else f'C: "OP",{child},{parent}, "{what}"\n'
        for child, parent, what in connections
    )
    path.write_text(
        "; FBX 7.4.0 project file\nFBXHeaderExtension: {\nFBXHeaderVersion: 1003\nFBXVersion: 7400\n}\n"
        "GlobalSettings: {\nVersion: 1000\nProperties70: {\n"
        f'P: "UpAxis", "int", "Integer", "",{up}\nP: "UpAxisSign", "int", "Integer", "",{up_sign}\n'
        f'P: "FrontAxis", "int", "Integer", "",{front}\nP: "FrontAxisSign", "int", "Integer", "",{front_sign}\n'
        f'P: "CoordAxis", "int", "Integer", "",{right}\nP: "CoordAxisSign", "int", "Integer", "",{right_sign}\n'
        f'P: "UnitScaleFactor", "double", "Number", "",{100.0 * unit}\n'
        f'P: "TimeMode", "enum", "", "",14\nP: "CustomFrameRate", "double", "Number", "",{scene_fps or fps}\n}}\n}}\n'
        f"Definitions: {{\n{definitions}}}\nObjects: {{\n{''.join(objects)}}}\nConnections: {{\n{links}}}\n"
    )
    return path


def _curve(number: int, values: np.ndarray, fps: float) -> str:
    times = ",".join(str(round(k / fps * TICKS)) for k in range(len(values)))
    numbers = ",".join(f"{value:.9g}" for value in values)
    count = len(values)
    return (
        f'AnimationCurve: {number}, "AnimCurve::", "" {{\nDefault: 0\nKeyVer: 4008\n'
        f"KeyTime: *{count} {{\na: {times}\n}}\nKeyValueFloat: *{count} {{\na: {numbers}\n}}\n"
        f"KeyAttrFlags: *1 {{\na: 4\n}}\nKeyAttrDataFloat: *4 {{\na: 0,0,0,0\n}}\n"
        f"KeyAttrRefCount: *1 {{\na: {count}\n}}\n}}\n"
    )


def _dance(frames: int = 30, fps: float = 60.0, skeleton: Skeleton = HUMANOID, seed: int = 0) -> Clip:
    random = np.random.default_rng(seed)
    waves = np.sin(np.linspace(0.0, 3.0, frames)[:, None, None] * random.uniform(0.5, 2.0, (1, len(skeleton), 3)))
    rotations = rot.from_euler("ZXY", 0.5 * waves)
    root = np.cumsum(random.normal(scale=0.01, size=(frames, 3)), axis=0) + np.array([0.3, 0.95, -0.2])
    return Clip(skeleton, fps, root, rotations)


def _joints(clip: Clip) -> np.ndarray:
    return kinematics.global_positions(clip.skeleton, clip.root_positions, clip.rotations)


def test_a_recording_comes_back_where_it_was(tmp_path: Path) -> None:
    dance = _dance()
    clip, note = fbx.read_fbx(write_fbx(tmp_path / "a.fbx", {"": dance}, unit=0.01))
    assert clip.skeleton.names == HUMANOID.names
    assert clip.fps == pytest.approx(60.0)
    assert "scale 0.01 as the file states" in note
    np.testing.assert_allclose(_joints(clip), _joints(dance), atol=1e-5)


@settings(max_examples=6, deadline=None)
@given(
    orders=st.lists(st.integers(0, 5), min_size=1, max_size=4).map(tuple),
    unit=st.sampled_from([1.0, 0.01, 0.0254]),
    turned=st.floats(-90.0, 90.0),
    seed=st.integers(0, 99),
)
def test_any_rotation_order_unit_and_pre_rotation_is_undone(
    tmp_path_factory: pytest.TempPathFactory, orders: tuple[int, ...], unit: float, turned: float, seed: int
) -> None:
    dance = _dance(5, seed=seed)
    path = write_fbx(tmp_path_factory.mktemp("orders") / "a.fbx", {"": dance}, orders, unit, turned=turned)
    np.testing.assert_allclose(_joints(load_clip(path).clip), _joints(dance), atol=1e-5)


def test_z_up_files_stand_up(tmp_path: Path) -> None:
    dance = _dance(10)
    to_z = rot.from_euler("X", np.radians([90.0]))  # Y up -> Z up
    skeleton = HUMANOID.with_offsets(rot.rotate(to_z, HUMANOID.offsets))
    turned = rot.multiply(rot.multiply(to_z, dance.rotations), rot.inverse(to_z))
    lying = Clip(skeleton, dance.fps, rot.rotate(to_z, dance.root_positions), turned)
    path = write_fbx(tmp_path / "z.fbx", {"": lying}, axes=((0, 1), (2, 1), (1, -1)))
    np.testing.assert_allclose(_joints(load_clip(path).clip), _joints(dance), atol=1e-5)


def test_the_rate_is_that_of_the_keys(tmp_path: Path) -> None:
    clip = load_clip(write_fbx(tmp_path / "a.fbx", {"": _dance(40, fps=120.0)}, scene_fps=24.0)).clip
    assert clip.fps == pytest.approx(120.0)
    assert len(clip) == 40


def test_thinned_keys_are_filled_in_by_time(tmp_path: Path) -> None:
    slow = _dance(5, fps=15.0)
    clip = load_clip(write_fbx(tmp_path / "a.fbx", {"": slow}, scene_fps=60.0)).clip
    assert (clip.fps, len(clip)) == (60.0, 17)
    np.testing.assert_allclose(_joints(clip[::4]), _joints(slow), atol=1e-5)


def test_one_of_two_dancers_is_read_by_name(tmp_path: Path) -> None:
    dancers = {"Anna": _dance(8, seed=1), "Ben": _dance(8, seed=2)}
    path = write_fbx(tmp_path / "both.fbx", dancers)
    for name, dance in dancers.items():
        np.testing.assert_allclose(_joints(load_clip(path, skeleton=name).clip), _joints(dance), atol=1e-5)
    first = load_clip(path)
    assert "only 'Anna:Hips' is read" in first.note
    with pytest.raises(FbxError, match=r"both\.fbx: no skeleton 'Cleo'.*Anna:Hips.*Ben:Hips"):
        load_clip(path, skeleton="Cleo")


def test_a_body_retargets_like_its_bvh(tmp_path: Path) -> None:
    dance = _dance(10)
    path = write_fbx(tmp_path / "a.fbx", {"": dance}, unit=0.01)
    np.testing.assert_allclose(_joints(load_humanoid(path).clip), _joints(dance), atol=1e-5)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (bytes(range(7, 256)) * 40, "no FBX file"),
        (b"Kaydara FBX Binary  \x00\x1a\x00\xe8\x1c\x00\x00" + bytes(range(256)) * 40, "broken binary FBX"),
        (b"HIERARCHY\nROOT Hips\n{\n", "FBX"),
    ],
)
def test_what_is_no_fbx_is_refused_in_one_line(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "junk.fbx"
    path.write_bytes(content)
    with pytest.raises(FbxError, match=reason) as error:
        load_clip(path)
    assert str(error.value).startswith("junk.fbx: ")
    assert "\n" not in str(error.value)


def test_a_scene_without_a_skeleton_is_refused(tmp_path: Path) -> None:
    path = write_fbx(tmp_path / "cube.fbx", {"": _dance(3)})
    path.write_text(path.read_text().replace('"LimbNode"', '"Mesh"'))
    with pytest.raises(FbxError, match=r"cube\.fbx: no skeleton: none of its 22 nodes is a joint"):
        load_clip(path)


def test_a_skeleton_that_nothing_moves_is_refused(tmp_path: Path) -> None:
    path = write_fbx(tmp_path / "still.fbx", {"": _dance(3)})
    path.write_text("".join(x for x in path.read_text().splitlines(keepends=True) if not x.startswith('C: "OP"')))
    with pytest.raises(FbxError, match="nothing moves the skeleton 'Hips'; animations in the file: 'Take'"):
        load_clip(path)


def test_a_number_that_is_none_is_refused_with_its_joint(tmp_path: Path) -> None:
    path = write_fbx(tmp_path / "nan.fbx", {"": _dance(3)})
    text = path.read_text()
    values = text.index("a: ", text.index("KeyValueFloat"))
    path.write_text(text[:values] + "a: 1e400" + text[text.index(",", values) :])
    with pytest.raises(FbxError, match=r"nan\.fbx: joint 'Hips' has a value that is no finite number in frame 0"):
        load_clip(path)


def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load_clip(tmp_path / "none.fbx")


def test_a_reader_that_crashes_is_a_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    crashed = subprocess.CompletedProcess([], -11, "", "")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: crashed)
    path = tmp_path / "a.fbx"
    path.touch()
    with pytest.raises(FbxError, match=r"a\.fbx: damaged.*ended with -11"):
        load_clip(path)


def test_a_body_that_never_stands_is_straightened() -> None:
    """Every bone along its own y axis, as Blender has them, and no T-pose in the file: the limbs still line up."""
    dance = _dance(20)
    bone = rot.normalize(np.random.default_rng(3).normal(size=(len(HUMANOID), 4)))  # each joint's odd own axes
    turns = kinematics.local_to_global(HUMANOID, dance.rotations)
    local = kinematics.global_to_local(HUMANOID, rot.multiply(turns, bone))
    offsets = rot.rotate(rot.inverse(bone[list(HUMANOID.parents)]), HUMANOID.offsets)
    joints = list(range(1, len(HUMANOID) + 1))
    tree = Tree(["", *HUMANOID.names], [-1, *(p + 1 for p in HUMANOID.parents)], [False, *[True] * len(HUMANOID)])
    ones = {node: np.ones((1, 3)) for node in [0, *joints]}
    motion = Motion(
        tree,
        joints,
        [0, *joints],
        60.0,
        {0: np.zeros((1, 3)), **{j: offsets[j - 1][None] for j in joints}, 1: dance.root_positions},
        {0: rot.IDENTITY[None], **{j: local[:, j - 1] for j in joints}},
        ones,
        {"zero rotations": {j: np.concatenate([offsets[j - 1], rot.IDENTITY, np.ones(3)]) for j in [*joints]}},
        np.eye(3),
    )
    clip, notes = fbx_body.body(motion)
    assert "straightened" in notes[-1]
    np.testing.assert_allclose(_joints(clip), _joints(dance), atol=1e-9)
    knee, foot = (clip.skeleton.rest_positions[HUMANOID.index(name)] for name in ("LeftLowerLeg", "LeftFoot"))
    np.testing.assert_allclose((foot - knee) / np.linalg.norm(foot - knee), [0.0, -1.0, 0.0], atol=1e-6)


def test_corpus_files_are_read(shared: Path) -> None:
    for path in sorted((shared / "data/fbx_corpus").glob("*.fbx")):
        clip = load_clip(path).clip
        assert len(clip) > 20
        assert np.isfinite(_joints(clip)).all()


def test_both_dancers_of_one_file_make_a_pair(tmp_path: Path) -> None:
    dancers = {"Anna": _dance(40, seed=1), "Ben": _dance(40, seed=2)}
    write_fbx(tmp_path / "both_1.fbx", dancers, unit=0.01)
    config = dataset.Config(
        lead="both_*.fbx", follow="both_*.fbx", lead_skeleton="Anna", follow_skeleton="Ben", drop_first=0, fps=60.0
    )
    (pair,) = dataset.load_pairs(config, tmp_path, tmp_path / "cache")
    for track, dance in ((pair.lead, dancers["Anna"]), (pair.follow, dancers["Ben"])):
        np.testing.assert_allclose(track.given[20], _joints(clean.trailing_median(dance))[20], atol=1e-5)
