"""BVH in and out: what is read, what is refused and where, against bvhio's own reading and SciPy's angles."""

import contextlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from motion import rotations as rot
from motion.bvh import BvhError, read_bvh, write_bvh
from motion.clip import Clip
from motion.kinematics import global_positions
from motion.load import load_clip, load_humanoid
from motion.skeleton import HUMANOID

REFERENCE = """HIERARCHY
ROOT Hips
{
  OFFSET 0.0 0.0 0.0
  CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
  JOINT Spine
  {
    OFFSET 0.0 10.5 0.0
    CHANNELS 3 Zrotation Xrotation Yrotation
    End Site
    {
      OFFSET 0.0 10.0 0.5
    }
  }
}
MOTION
Frames: 2
Frame Time: 0.0333333
-20.5 -17.0 -14.0 -11.0 -8.0 -5.0 -2.0 1.0 4.25
-13.5 -10.0 -7.0 -4.0 -1.0 2.0 5.0 8.0 11.25
"""

SAME = {
    "crlf": REFERENCE.replace("\n", "\r\n"),
    "old mac": REFERENCE.replace("\n", "\r"),
    "tabs": REFERENCE.replace(" ", "\t").replace("End\tSite", "End Site"),
    "lower case": REFERENCE.lower().replace("hips", "Hips").replace("spine", "Spine"),
    "decimal commas": REFERENCE.replace(".", ","),
    "decimal comma in the frame time": REFERENCE.replace("0.0333333", "0,0333333"),
    "no leading zero": REFERENCE.replace("0.0333333", ".0333333"),
    "comments": "# by nobody\n" + REFERENCE.replace("MOTION", "// here\nMOTION") + "# the end\n",
    "blank lines": REFERENCE.replace("\n", "  \n\n"),
    "braces on the same line": REFERENCE.replace("\n{", " {").replace("\n  {", " {").replace("\n    {", "{"),
    "named end site": REFERENCE.replace("End Site", "End Site HeadTop"),
    "channels before offset": REFERENCE.replace(
        "OFFSET 0.0 10.5 0.0\n    CHANNELS 3 Zrotation Xrotation Yrotation",
        "CHANNELS 3 Zrotation Xrotation Yrotation\n    OFFSET 0.0 10.5 0.0",
    ),
}

BROKEN = [
    ("", 1, "the file is empty"),
    ("  \n\n", 1, "the file is empty"),
    (REFERENCE.replace("HIERARCHY\n", ""), 1, "begins with HIERARCHY"),
    (REFERENCE[: REFERENCE.index("MOTION")], 15, "no MOTION"),
    (REFERENCE.replace("  }\n}\nMOTION", "  }\nMOTION"), 15, "'Hips' of line 2 is still open"),
    (REFERENCE.replace("}\nMOTION", "}\n}\nMOTION"), 16, "a closing brace outside a joint"),
    (REFERENCE.replace("JOINT Spine\n  {", "JOINT Spine"), 7, "'Spine' needs an opening brace"),
    (REFERENCE.replace("JOINT Spine", "JOINT"), 6, "without a name"),
    (REFERENCE.replace("    OFFSET 0.0 10.5 0.0\n", ""), 6, "'Spine' has no OFFSET"),
    (REFERENCE.replace("10.5 0.0", "10.5"), 8, "OFFSET has 2 values, it needs 3"),
    (REFERENCE.replace("10.5", "ten"), 8, "'ten' is not a finite number"),
    (REFERENCE.replace("10.5", "1,000.5"), 8, "'1,000.5' is not a finite number"),
    (REFERENCE.replace("10.5", "1e300"), 8, "beyond"),
    (REFERENCE.replace("CHANNELS 3", "CHANNELS 4"), 9, "CHANNELS 4 names 3"),
    (REFERENCE.replace("3 Zrotation", "3 Wrotation"), 9, "unknown channel 'Wrotation'"),
    (REFERENCE.replace("Frames: 2", "Frames: 0"), 17, "no frames"),
    (REFERENCE.replace("Frames: 2", "Frames: 3"), 17, "Frames says 3, but 2 rows follow"),
    (REFERENCE.replace("Frames: 2", "Frames: 1"), 17, "Frames says 1, but 2 rows follow"),
    (REFERENCE.replace("Frames: 2\n", ""), 17, "expected 'Frames: N'"),
    (REFERENCE.replace("0.0333333", "0"), 18, "the frame time must be"),
    (REFERENCE.replace("0.0333333", "nan"), 18, "'nan' is not a finite number"),
    (REFERENCE.replace("11.25", "11.25 3"), 20, "row has 10 values, the channels need 9"),
    (REFERENCE.replace(" 11.25", ""), 20, "row has 8 values, the channels need 9"),
    (REFERENCE.replace("11.25", "1.#QNAN"), 20, "'1.#QNAN' is not a finite number"),
    (REFERENCE.replace("11.25", "1e400"), 20, "beyond"),
    (REFERENCE.replace("11.25", "1.2.3"), 20, "'1.2.3' is not a finite number"),
]

REFUSED_CORPUS = {  # file -> the line its error must name
    "channel_count_lies.bvh": 9,
    "deep_chain_1200.bvh": 1003,
    "empty.bvh": 1,
    "extra_value_in_row.bvh": 19,
    "frame_time_zero.bvh": 18,
    "more_rows_than_declared.bvh": 17,
    "nan_inf_values.bvh": 19,
    "no_motion_section.bvh": 15,
    "unbalanced_braces.bvh": 15,
    "unknown_channel.bvh": 9,
    "zero_frames.bvh": 17,
}

SCALES = {  # metres per unit, by what made the file
    "salsa_pairs/60_01.bvh": 1.28,
    "salsa_pairs/61_15.bvh": 1.28,
    "solo_dance/05_02.bvh": 0.01,
    "identity_action/02_01.bvh": 0.01,
    "cmu_31_joint/60_01.bvh": 0.0564444,
    "bvh_corpus/bvh11_cmu_131_01_max.bvh": 0.0564444,
    "bvh_corpus/bvh11_cmu_131_01_scaled_m.bvh": 1.0,
    "bvh_corpus/bvhpython_test_freebvh.bvh": 0.01,
    "bvh_corpus/mocopi_mcp_persor_jump.bvh": 0.01,
    "bvh_corpus/makehuman_walk1.bvh": 0.1,
    "style_content_nc/walk_normal_001.bvh": 0.01,
}


@pytest.fixture
def bvh(tmp_path):
    """Text or bytes -> the path of a file that holds it."""

    def write(content: str | bytes) -> Path:
        path = tmp_path / "take.bvh"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def assert_same(a: Clip, b: Clip, atol: float) -> None:
    assert (a.skeleton.names, a.skeleton.parents) == (b.skeleton.names, b.skeleton.parents)
    np.testing.assert_allclose(a.skeleton.offsets, b.skeleton.offsets, atol=atol)
    np.testing.assert_allclose(a.root_positions, b.root_positions, atol=atol)
    assert rot.angle(a.rotations, b.rotations).max() < atol
    assert a.fps == pytest.approx(b.fps, rel=1e-6)


@pytest.mark.parametrize("variant", SAME)
def test_unambiguous_variants_read_as_the_reference(bvh, variant):
    reference, _ = read_bvh(bvh(REFERENCE), 1.0)
    assert_same(read_bvh(bvh(SAME[variant]), 1.0)[0], reference, atol=1e-9)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "latin-1"])
def test_encodings_are_told_apart(bvh, encoding):
    clip, _ = read_bvh(bvh(REFERENCE.replace("Spine", "Rücken 01 (links)").encode(encoding)), 1.0)
    assert clip.skeleton.names == ("Hips", "Rücken 01 (links)", "Rücken 01 (links)_end")


@pytest.mark.parametrize(("text", "line", "reason"), BROKEN)
def test_broken_text_is_refused_with_file_line_and_reason(bvh, text, line, reason):
    with pytest.raises(BvhError) as caught:
        read_bvh(bvh(text))
    assert str(caught.value).startswith(f"take.bvh:{line}: ")
    assert reason in str(caught.value)


def test_every_corpus_file_is_read_or_refused_at_its_line(shared):
    for path in sorted((shared / "data/bvh_corpus").rglob("*.bvh")):
        if path.name in REFUSED_CORPUS:
            with pytest.raises(BvhError, match=f"^{path.name}:{REFUSED_CORPUS[path.name]}: "):
                read_bvh(path)
        else:
            clip, note = read_bvh(path)
            assert np.isfinite(global_positions(clip.skeleton, clip.root_positions, clip.rotations)).all(), path.name
            assert "scale" in note


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_damaged_bytes_are_read_or_refused_never_worse(bvh, data):
    content = bytearray(REFERENCE.encode())
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(content)))
        content[start : start + data.draw(st.integers(0, 30))] = data.draw(st.binary(max_size=6))
    with contextlib.suppress(BvhError):
        clip, _ = read_bvh(bvh(bytes(content)))
        assert np.isfinite(clip.root_positions).all()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(root=st.permutations(["Xposition", "Yposition", "Zposition", "Xrotation", "Yrotation", "Zrotation"]),
       spine=st.permutations(["Xrotation", "Yrotation", "Zrotation"]), kept=st.integers(0, 3))  # fmt: skip
def test_every_channel_order_and_count_reads_as_bvhio_reads_it(bvh, root, spine, kept):
    text = REFERENCE.replace("Xposition Yposition Zposition Zrotation Xrotation Yrotation", " ".join(root))
    text = text.replace("3 Zrotation Xrotation Yrotation", f"{kept} {' '.join(spine[:kept])}")
    rows = "\n".join(" ".join(str(v) for v in np.arange(6 + kept) * 17.5 - shift) for shift in (60.0, 31.0))
    path = bvh(text[: text.index("-20.5")] + rows)
    assert_agrees_with_bvhio(path, atol=1e-5)  # float32 inside bvhio: measured 1e-6


def assert_agrees_with_bvhio(path: Path, atol: float) -> None:
    import bvhio  # not at the top: it warns on import, which motion.bvh has already silenced

    clip, _ = read_bvh(path, 1.0)
    for joint, _, _ in bvhio.readAsBvh(str(path)).Root.layout():
        place = clip.skeleton.index(joint.Name)
        theirs = np.array([[k.Rotation.x, k.Rotation.y, k.Rotation.z, k.Rotation.w] for k in joint.Keyframes])
        assert (
            rot.angle(clip.rotations[:, place], rot.normalize(theirs)).max() < 1e-5
        )  # bvhio: float32, measured 1.5e-6
        if place == 0:
            np.testing.assert_allclose(clip.root_positions, [list(k.Position) for k in joint.Keyframes], atol=atol)
        else:
            np.testing.assert_allclose(clip.skeleton.offsets[place], list(joint.Keyframes[0].Position), atol=atol)


@pytest.mark.parametrize(
    "name",
    ["salsa_pairs/60_10", "cmu_31_joint/60_10", "bvh_corpus/pybvh_test2", "bvh_corpus/mocopi_mcp_persor_jump",
     "bvh_corpus/pybvh_rotation_first_root", "bvh_corpus/bvhtoolbox_walk01"],
)  # fmt: skip
def test_real_files_read_as_bvhio_reads_them(shared, name):
    assert_agrees_with_bvhio(shared / f"data/{name}.bvh", atol=1e-4)  # file units in float32: measured 3e-5


def test_a_repeated_axis_turns_by_each_of_its_angles(bvh):
    clip, _ = read_bvh(bvh(REFERENCE.replace("3 Zrotation Xrotation Yrotation", "3 Zrotation Yrotation Zrotation")))
    expected = Rotation.from_euler("ZYZ", [[-2.0, 1.0, 4.25], [5.0, 8.0, 11.25]], degrees=True).as_quat()
    assert rot.angle(clip.rotations[:, 1], expected).max() < 1e-9


def test_position_channels_replace_a_roots_offset(bvh):
    clip, _ = read_bvh(bvh(REFERENCE.replace("OFFSET 0.0 0.0 0.0", "OFFSET 5.0 90.0 -3.0")), 1.0)
    np.testing.assert_allclose(clip.root_positions[0], [-20.5, -17.0, -14.0])
    np.testing.assert_allclose(clip.skeleton.offsets[0], [5.0, 90.0, -3.0])


def with_spine_positions(first: str, second: str) -> str:
    text = REFERENCE.replace("CHANNELS 3 Z", "CHANNELS 6 Xposition Yposition Zposition Z")
    text = text.replace("    End Site", "    End Site\n    {\n      OFFSET 1 0 0\n    }\n    End Site")
    text = text.replace("  JOINT Spine", "  JOINT Leg\n  {\n    OFFSET 0 -9 0\n    CHANNELS 0\n  }\n  JOINT Spine")
    return text.replace("-5.0 -2.0", f"-5.0 {first} -2.0").replace("2.0 5.0", f"2.0 {second} 5.0")


def test_a_joints_constant_position_becomes_its_offset(bvh):
    clip, _ = read_bvh(bvh(with_spine_positions("1 11 0", "1 11 0")), 1.0)
    np.testing.assert_allclose(clip.skeleton.offsets[clip.skeleton.index("Spine")], [1.0, 11.0, 0.0])


def test_positions_near_zero_are_displacements_from_the_offset(bvh):
    clip, note = read_bvh(bvh(with_spine_positions("0 0 0", "0 0 0")), 1.0)
    np.testing.assert_allclose(clip.skeleton.offsets[clip.skeleton.index("Spine")], [0.0, 10.5, 0.0])
    assert "added to OFFSET" in note


def test_all_end_sites_of_a_joint_are_kept(bvh):
    clip, _ = read_bvh(bvh(with_spine_positions("0 10.5 0", "0 10.5 0")), 1.0)
    assert {"Spine_end", "Spine_end_2"} <= set(clip.skeleton.names)


def test_a_joint_above_the_moving_hips_is_folded_into_them(shared):
    path = shared / "data/style_content_nc/walk_normal_001.bvh"
    clip, note = read_bvh(path)
    assert clip.skeleton.names[0] == "Hips"
    assert "'joint_Root' is folded into 'Hips'" in note
    travelled = np.linalg.norm(clip.root_positions[-1] - clip.root_positions[0])
    assert travelled > 5.0  # it walks for nine seconds


def test_only_the_first_of_several_roots_is_read(shared):
    clip, note = read_bvh(shared / "data/bvh_corpus/synthetic/multiple_roots.bvh", 1.0)
    assert clip.skeleton.names == ("Hips", "Spine", "Spine_end")
    assert "2 roots (Hips, Hips2)" in note


def test_a_second_joint_of_the_same_name_gets_another(bvh):
    text = with_spine_positions("0 10.5 0", "0 10.5 0").replace("JOINT Leg", "JOINT Spine")
    clip, note = read_bvh(bvh(text), 1.0)
    assert clip.skeleton.names[1:3] == ("Spine", "Spine_2")
    assert "'Spine_2'" in note


@pytest.mark.parametrize("name", SCALES)
def test_the_unit_is_told_by_the_bodys_height(shared, name):
    path = shared / "data" / name
    clip, note = read_bvh(path)
    raw, _ = read_bvh(path, 1.0)
    assert clip.root_positions == pytest.approx(raw.root_positions * SCALES[name], abs=1e-9)
    assert f"scale {SCALES[name]:g} " in note


@pytest.mark.parametrize("scale", ["big", 0.0, -1.0, float("nan")])
def test_a_scale_that_is_none_is_refused(bvh, scale):
    with pytest.raises(ValueError, match="scale must be 'auto' or a positive number"):
        read_bvh(bvh(REFERENCE), scale)


def test_z_up_files_stand_upright(shared):
    clip, note = read_bvh(shared / "data/bvh_corpus/makehuman_walk1.bvh")
    positions = global_positions(clip.skeleton, clip.root_positions, clip.rotations)
    up = positions[:, clip.skeleton.index("Head")] - positions[:, clip.skeleton.index("Foot_L")]
    assert (up[:, 1] > 1.2).all()
    assert "Z was up" in note


def random_clip(skeleton, frames: int, fps: float) -> Clip:
    random = np.random.default_rng(5)
    rotations = rot.normalize(random.normal(size=(frames, len(skeleton), 4)))
    return Clip(skeleton, fps, random.normal(size=(frames, 3)) * 3, rotations)


@pytest.mark.parametrize("fps", [23.976, 30.0, 119.88, 120.0])
def test_what_is_written_reads_back(tmp_path, fps):
    clip = random_clip(HUMANOID, 40, fps)
    write_bvh(tmp_path / "out.bvh", clip)
    assert_same(read_bvh(tmp_path / "out.bvh", 1.0)[0], clip, atol=1e-5)  # 7 decimals; gimbal lock costs some
    assert load_clip(tmp_path / "out.bvh").note.startswith("scale 1 (metres")


def test_a_recording_written_again_moves_the_same(shared, tmp_path):
    clip = load_clip(shared / "data/salsa_pairs/60_10.bvh").clip[:200]
    write_bvh(tmp_path / "out.bvh", clip)
    again, _ = read_bvh(tmp_path / "out.bvh", 1.0)
    moved = [global_positions(c.skeleton, c.root_positions, c.rotations) for c in (clip, again)]
    np.testing.assert_allclose(moved[0], moved[1], atol=1e-5)


def test_bvhio_itself_reads_what_is_written(tmp_path):
    clip = random_clip(HUMANOID, 3, 60.0)
    write_bvh(tmp_path / "out.bvh", clip)
    assert_agrees_with_bvhio(tmp_path / "out.bvh", atol=1e-5)


def test_an_unknown_suffix_names_the_choices(tmp_path):
    with pytest.raises(ValueError, match=r"take\.mp4: no reader for '\.mp4'; known: .*\.bvh"):
        load_clip(tmp_path / "take.mp4")


def test_load_humanoid_says_what_it_assumed(shared):
    loaded = load_humanoid(shared / "data/salsa_pairs/60_10.bvh")
    assert loaded.clip.skeleton is HUMANOID
    assert "scale 1.28" in loaded.note
    assert "daz joints" in loaded.note
