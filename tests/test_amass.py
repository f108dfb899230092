"""AMASS recordings, made here in its format: read, and prepared for training."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from motion import amass, kinematics
from motion import rotations as rot
from motion.load import load_clip, load_humanoid
from motion.skeleton import HUMANOID
from training import prepare_amass
from training.amass_data import read_clips

FPS = 120.0


def recording(path: Path, frames: int = 60, **changes) -> Path:
    """Somebody who stands upright in AMASS's Z-up world, turns left by a quarter and lifts the left arm."""
    poses = np.zeros((frames, 156))
    for frame, share in enumerate(np.linspace(0.0, 1.0, frames)):
        upright, turn = [np.sqrt(0.5), 0.0, 0.0, np.sqrt(0.5)], 0.25 * np.pi * share
        q = rot.multiply(np.array([0.0, 0.0, np.sin(turn), np.cos(turn)]), np.array(upright))
        angle = 2.0 * np.arctan2(np.linalg.norm(q[:3]), q[3])
        poses[frame, :3] = q[:3] / np.linalg.norm(q[:3]) * angle
        poses[frame, 3 * 16 + 2] = 0.5 * np.pi * share  # left shoulder, about the body's own +Z: up
    trans = np.stack([np.full(frames, 0.3), np.linspace(0.0, -1.0, frames), np.full(frames, 0.95)], axis=-1)
    values = {"poses": poses, "trans": trans, "betas": np.zeros(16), "gender": "female", "mocap_framerate": FPS}
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **{name: value for name, value in {**values, **changes}.items() if value is not None})
    return path


def test_a_body_stands_upright_and_faces_where_it_did(tmp_path):
    clip = amass.read_amass(recording(tmp_path / "a_poses.npz")).clip
    places = kinematics.global_positions(clip.skeleton, clip.root_positions, clip.rotations)
    at = clip.skeleton.index
    assert clip.fps == FPS
    np.testing.assert_allclose(clip.root_positions[-1], [0.3, 0.95, 1.0], atol=1e-9)  # Z-up (0.3, -1, 0.95)
    assert places[0, at("head"), 1] > places[0, at("left_ankle"), 1] + 1.0
    across = places[:, at("left_hip")] - places[:, at("right_hip")]
    np.testing.assert_allclose(across[0] / np.linalg.norm(across[0]), [1.0, 0.0, 0.0], atol=1e-9)
    np.testing.assert_allclose(across[-1] / np.linalg.norm(across[-1]), [0.0, 0.0, -1.0], atol=1e-9)  # turned left
    arm = places[-1, at("left_elbow")] - places[-1, at("left_shoulder")]
    assert arm[1] > 0.99 * np.linalg.norm(arm)


def test_it_goes_onto_the_standard_body(tmp_path):
    loaded = load_humanoid(recording(tmp_path / "a_poses.npz"))
    assert loaded.note.startswith("AMASS, average female; scale 1 ")
    ours = loaded.clip
    places = kinematics.global_positions(HUMANOID, ours.root_positions, ours.rotations)
    hand, shoulder = HUMANOID.index("LeftHand"), HUMANOID.index("LeftUpperArm")
    assert places[-1, hand, 1] - places[-1, shoulder, 1] > 0.5


def test_it_is_one_skeleton_and_may_be_scaled(tmp_path):
    path = recording(tmp_path / "a_poses.npz")
    assert load_clip(path, 2.0, "pelvis").clip.root_positions[0, 1] == pytest.approx(1.9)
    with pytest.raises(ValueError, match="no skeleton 'Hips'; it has: pelvis"):
        load_clip(path, skeleton="Hips")


def test_a_body_is_symmetric_and_as_tall_as_its_gender_says():
    for gender in amass.GENDERS:
        body = amass.skeleton(gender)
        for name in body.names:
            if name.startswith("left"):
                left, right = body.offsets[body.index(name)], body.offsets[body.index(name.replace("left", "right"))]
                np.testing.assert_allclose(left * [-1.0, 1.0, 1.0], right)
        assert 0.85 < np.ptp(body.rest_positions[:, 1]) / amass.STATURE[gender] < 0.95  # to the head's joint


def test_the_gender_is_the_files_or_the_one_asked_for(tmp_path):
    path = recording(tmp_path / "a_poses.npz", gender=np.array(b"male"))
    assert amass.read_amass(path).clip.skeleton.rest_positions[0, 1] == pytest.approx(0.575 * 1.76)
    assert amass.read_amass(path, "female").clip.skeleton.rest_positions[0, 1] == pytest.approx(0.575 * 1.62)
    with pytest.raises(ValueError, match="'tall'; choose one of neutral, female, male"):
        amass.read_amass(path, "tall")


def test_the_other_spelling_is_the_same_recording(tmp_path):
    one = recording(tmp_path / "a_poses.npz")
    poses = np.load(one)["poses"]
    other = recording(
        tmp_path / "b_stageii.npz",
        **{"poses": None, "mocap_framerate": None, "mocap_frame_rate": FPS},
        root_orient=poses[:, :3],
        pose_body=poses[:, 3:66],
    )
    np.testing.assert_array_equal(amass.read_amass(one).clip.rotations, amass.read_amass(other).clip.rotations)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"poses": None}, "no poses; the file has: .*trans"),
        ({"poses": np.zeros((60, 30))}, r"poses \(60, 30\)"),
        ({"poses": np.zeros((0, 156)), "trans": np.zeros((0, 3))}, r"poses \(0, 156\)"),
        ({"poses": np.full((60, 156), np.nan)}, "poses has a number in frame 0 that is not finite"),
        ({"poses": np.full((60, 156), "x")}, "poses holds no numbers"),
        ({"poses": np.zeros(156)}, "not a row for every frame"),
        ({"trans": None}, "no trans"),
        ({"trans": np.zeros((60, 2))}, r"trans \(60, 2\)"),
        ({"trans": np.zeros((59, 3))}, "60 poses but 59 rows"),
        ({"mocap_framerate": None}, "mocap_framerate is None"),
        ({"mocap_framerate": 0.0}, "mocap_framerate is 0.0"),
        ({"mocap_framerate": "fast"}, "mocap_framerate is fast"),
    ],
)
def test_what_is_no_recording_is_refused_with_its_name_and_the_reason(tmp_path, changes, said):
    path = recording(tmp_path / "odd_poses.npz", **changes)
    with pytest.raises(amass.AmassError, match=f"^odd_poses.npz: .*{said}"):
        amass.read_amass(path)


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04 broken", b"\x80\x04K\x01.", b"text", b"\x93NUMPY\x01\x00 broken"]
)
def test_a_broken_file_is_refused(tmp_path, content):
    path = tmp_path / "broken.npz"
    path.write_bytes(content)
    with pytest.raises(amass.AmassError, match=r"^broken.npz: no .npz file"):
        amass.read_amass(path)


@pytest.fixture
def library(tmp_path) -> Path:
    folder = tmp_path / "AMASS"
    recording(folder / "CMU" / "01" / "01_01_poses.npz")
    recording(folder / "KIT" / "3" / "walk_poses.npz", gender="male", mocap_framerate=100.0)
    recording(folder / "SSM_synced" / "20160330" / "jump_poses.npz")
    recording(folder / "CMU" / "01" / "odd_poses.npz", mocap_framerate=0.0)
    np.savez(folder / "CMU" / "01" / "shape.npz", betas=np.zeros(16), gender="female")
    return folder


def test_a_library_becomes_root_relative_joints_in_the_seeds_parts(library, tmp_path, capsys):
    out = tmp_path / "amass.h5"
    assert prepare_amass.main([str(library), str(out)]) == 0
    said = capsys.readouterr()
    assert "train 2 clips" in said.out
    assert "test 1 clips" in said.out
    assert said.err == "left out: odd_poses.npz: mocap_framerate is 0.0, not a rate from 1 to 1000 frames a second\n"
    train, test = list(read_clips(out, "train")), list(read_clips(out, "test"))
    assert [clip.name for clip in train] == ["CMU/01/01_01_poses.npz", "KIT/3/walk_poses.npz"]
    assert [(clip.subset, clip.gender) for clip in test] == [("SSM_synced", "female")]
    whole = amass.read_amass(library / "CMU" / "01" / "01_01_poses.npz").clip
    inner = whole[6:54:2]  # a tenth off either end, 120 fps to 60
    places = kinematics.global_positions(inner.skeleton, inner.root_positions, inner.rotations)
    np.testing.assert_allclose(train[0].joints, places[:, 1:] - places[:, :1], atol=1e-6)  # float32
    np.testing.assert_allclose(train[0].clip.root_positions, inner.root_positions, atol=1e-6)
    assert train[0].clip.fps == train[1].clip.fps == 60.0
    again = kinematics.global_positions(train[1].clip.skeleton, np.zeros(3), train[1].clip.rotations)
    np.testing.assert_allclose(again[:, 1:], train[1].joints, atol=1e-5)


@pytest.mark.parametrize("inside", ["", "0005"])
def test_a_subsets_own_folder_stays_a_subset(tmp_path, capsys, inside):
    folder, out = tmp_path / "SFU" / inside, tmp_path / "amass.h5"
    recording(tmp_path / "SFU" / "0005" / "walk_poses.npz")
    assert prepare_amass.main([str(folder), str(out)]) == 0
    said = capsys.readouterr()
    assert "train 0 clips, 0 frames, test 1 clips" in said.out
    assert said.err == ""
    assert [clip.subset for clip in read_clips(out, "test")] == ["SFU"]


def test_a_library_without_names_that_are_known_is_warned_of(tmp_path, capsys):
    recording(tmp_path / "mine" / "a" / "walk_poses.npz")
    assert prepare_amass.main([str(tmp_path / "mine"), str(tmp_path / "amass.h5")]) == 0
    said = capsys.readouterr()
    assert "train 1 clips" in said.out
    assert said.err.startswith("warning: no folder in or around ")
    assert "SFU" in said.err


def test_everybody_can_get_the_same_bones(library, tmp_path):
    out = tmp_path / "amass.h5"
    assert prepare_amass.main([str(library), str(out), "--gender", "neutral"]) == 0
    assert {clip.gender for clip in read_clips(out, "train")} == {"neutral"}


def test_nothing_to_read_leaves_no_file(tmp_path, capsys):
    out = tmp_path / "amass.h5"
    recording(tmp_path / "AMASS" / "odd_poses.npz", trans=None)
    assert prepare_amass.main([str(tmp_path / "AMASS"), str(out)]) == 2
    assert prepare_amass.main([str(tmp_path / "nowhere"), str(out)]) == 2
    assert "none of the 1 recordings" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["AMASS"]


def test_a_file_of_something_else_is_refused(tmp_path):
    path = tmp_path / "other.h5"
    with pytest.raises(FileNotFoundError, match=r"training\.prepare_amass"):
        next(read_clips(path))
    path.write_bytes(b"text")
    with pytest.raises(ValueError, match="no HDF5 file"):
        next(read_clips(path))
    h5py.File(path, "w").close()
    with pytest.raises(ValueError, match="not written by"):
        next(read_clips(path))
    with pytest.raises(ValueError, match="'all'; choose one of train, test"):
        next(read_clips(path, "all"))
