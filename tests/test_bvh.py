"""BVH in and out: what a file means, against bvhio's own reading and SciPy's angles."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from bvh_reference import REFERENCE, assert_same
from motion import rotations as rot
from motion.bvh import read_bvh, write_bvh
from motion.clip import Clip
from motion.kinematics import global_positions
from motion.load import load_clip, load_humanoid
from motion.skeleton import HUMANOID

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
