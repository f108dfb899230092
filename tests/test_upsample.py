"""The offline upsampler: BVH and OpenPose's JSON at a higher rate, and what it refuses."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from exporters import upsample
from exporters.openpose_folder import BODY, FolderError, read_folder
from made_up_takes import made_up_clip
from motion import rotations as rot
from motion import upsampling
from motion.bvh import read_bvh, write_bvh
from motion.clip import Clip
from motion.skeleton import Skeleton

KEYS = 30


@pytest.fixture
def take(tmp_path) -> Path:
    path = tmp_path / "take.bvh"
    write_bvh(path, made_up_clip(KEYS / 15, 15.0), decimals=9)
    return path


def run(source: Path, out: Path, *options: str, rate: float = 8) -> int:
    return upsample.main([str(source), "--out", str(out), "--rate", str(rate), *options])


@pytest.mark.parametrize("rate", [1, 2, 2.5, 8, 16])
def test_any_rate_makes_so_many_frames_and_keeps_the_keys(take, tmp_path, rate):
    out = tmp_path / "made.bvh"
    assert run(take, out, "--method", "catmull_rom", rate=rate) == 0
    keys, made = read_bvh(take, 1.0)[0], read_bvh(out, 1.0)[0]
    assert made.fps == pytest.approx(15.0 * rate, rel=1e-6)
    assert len(made) == int((KEYS - 1) * rate) + 1
    every = int(rate) if rate == int(rate) else round(2 * rate)
    step = 1 if rate == int(rate) else 2
    kept = made[::every]
    np.testing.assert_allclose(kept.root_positions, keys.root_positions[::step][: len(kept)], atol=1e-6)
    assert rot.angle(kept.rotations, keys.rotations[::step][: len(kept)]).max() < 1e-6


def test_the_plain_ways_stand_beside_what_was_made(take, tmp_path):
    out = tmp_path / "made.bvh"
    assert run(take, out, "--method", "hold", "--compare") == 0
    keys = read_bvh(take, 1.0)[0]
    times, queries = np.arange(KEYS) / 15.0, np.arange(8 * (KEYS - 1) + 1) / 120.0
    for name, method in (("made", "hold"), ("made.linear", "slerp"), ("made.spline", "cubic")):
        made = read_bvh(tmp_path / f"{name}.bvh", 1.0)[0]
        root, rotations = upsampling.poses_at(method, times, keys.root_positions, keys.rotations, queries + 1e-9)
        np.testing.assert_allclose(made.root_positions, root, atol=1e-5)
        assert rot.angle(made.rotations, rotations).max() < 1e-4
    assert sorted(path.name for path in tmp_path.glob("*")) == [
        "made.bvh",
        "made.linear.bvh",
        "made.spline.bvh",
        "take.bvh",
    ]


def test_pieces_make_one_whole(take, tmp_path, monkeypatch):
    out = tmp_path / "made.bvh"
    assert run(take, out, "--method", "cubic") == 0
    whole = out.read_text()
    monkeypatch.setattr("exporters.upsampling.PIECE", 17)
    assert run(take, out, "--method", "cubic") == 0
    assert out.read_text() == whole


def test_a_film_shows_before_and_after(take, tmp_path):
    film = tmp_path / "film.gif"
    assert run(take, tmp_path / "made.bvh", "--method", "slerp", "--gif", str(film)) == 0
    with Image.open(film) as picture:
        assert picture.n_frames > 20


def test_a_folder_of_recordings_goes_into_a_folder(take, tmp_path, capsys):
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a.bvh", "b.bvh"):
        (folder / name).write_bytes(take.read_bytes())
    (folder / "c.bvh").write_text("HIERARCHY\nROOT Hips\n{\nOFFSET 0 0 zero\n")
    assert run(folder, tmp_path / "out", "--method", "slerp") == 2
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.bvh", "b.bvh"]
    said = capsys.readouterr()
    assert said.err.startswith("error: ")
    assert "c.bvh:4" in said.err
    assert "zero" in said.err
    assert f"{8 * (KEYS - 1) + 1} frames at 120 fps from {KEYS} at 15, by slerp" in said.out


@pytest.mark.parametrize("rate", ["0", "-2", "nan", "inf", "fast", "0.5", "65"])
def test_a_rate_that_is_none_is_refused(take, tmp_path, rate, capsys):
    with pytest.raises(SystemExit) as stop:
        upsample.main([str(take), "--out", str(tmp_path / "made.bvh"), f"--rate={rate}"])
    assert stop.value.code == 2
    assert f"'{rate}' is not a rate from 1 to 64" in capsys.readouterr().err


def test_what_is_no_body_keeps_its_own_skeleton(tmp_path, capsys):
    skeleton = Skeleton(("Crane", "Hook"), (-1, 0), np.array([[0.0, 0.0, 0.0], [0.0, -1.0, 0.0]]))
    turns = np.tile(rot.yaw(np.linspace(0.0, 1.0, 5))[:, None], (1, 2, 1))
    source, out = tmp_path / "crane.bvh", tmp_path / "made.bvh"
    write_bvh(source, Clip(skeleton, 10.0, np.zeros((5, 3)), turns))
    assert run(source, out, rate=2) == 0
    assert "by cubic on its own skeleton" in capsys.readouterr().out
    made = read_bvh(out, 1.0)[0]
    assert made.skeleton.names == skeleton.names
    assert rot.angle(made.rotations[:, 1], rot.yaw(np.linspace(0.0, 1.0, 9))).max() < 1e-3


def test_one_frame_has_nothing_between(tmp_path, capsys):
    source = tmp_path / "still.bvh"
    write_bvh(source, made_up_clip(1 / 15, 15.0))
    assert run(source, tmp_path / "made.bvh", "--method", "cubic") == 2
    assert "still.bvh: 1 key frame; it takes two" in capsys.readouterr().err
    assert not (tmp_path / "made.bvh").exists()


def test_what_cannot_be_read_or_written_is_refused_in_words(take, tmp_path, capsys):
    folder, other = tmp_path / "in", tmp_path / "empty"
    folder.mkdir()
    other.mkdir()
    (folder / "a.bvh").write_bytes(take.read_bytes())
    (folder / "a.json").write_text("{}")
    for source, out, said in (
        (tmp_path / "nowhere.bvh", tmp_path / "made.bvh", "is no .bvh file"),
        (other, tmp_path / "out", "neither .bvh and .json"),
        (folder, tmp_path / "out", "both .bvh and .json"),
        (take, take, "is the recording itself"),
        (take, folder, "is a folder; name a file"),
        (take, tmp_path / "no" / "such" / "made.bvh", "No such file"),
    ):
        assert run(source, out, "--method", "cubic") == 2
        assert said in capsys.readouterr().err


def test_a_run_that_fails_leaves_what_was_there(take, tmp_path, monkeypatch):
    out = tmp_path / "made.bvh"
    out.write_text("before")
    monkeypatch.setattr("motion.bvh_write.rows", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    assert run(take, out, "--method", "cubic") == 2
    assert out.read_text() == "before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["made.bvh", "take.bvh"]


def test_nothing_is_written_over_a_recording_or_another_result(take, tmp_path, capsys):
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a.bvh", "a.linear.bvh"):
        (folder / name).write_bytes(take.read_bytes())
    beside = tmp_path / "made.linear.bvh"
    beside.write_bytes(take.read_bytes())
    (tmp_path / "link.gif").symlink_to(take)
    before = take.read_bytes()
    for source, out, options in (
        (beside, tmp_path / "made.bvh", ["--compare"]),
        (folder, tmp_path / "out", ["--compare"]),
        (take, tmp_path / "x.bvh", ["--gif", str(tmp_path / "link.gif")]),
    ):
        assert run(source, out, "--method", "linear", *options) == 2
        assert "give another --out or --gif" in capsys.readouterr().err
    assert beside.read_bytes() == take.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "link.gif", "made.linear.bvh", "take.bvh"]


@pytest.mark.parametrize(
    ("out", "film", "said"),
    [
        ("made.bvh", "no/film.gif", "there is no folder"),
        ("made.bvh", "film.mp4", "film.mp4: a film is written as .gif"),
        ("made.bvh", "take.bvh", "give another --out or --gif"),
        ("made.bvh", "made.bvh", "give another --out or --gif"),
        ("made.txt", "film.gif", "a recording is written as .bvh"),
    ],
)
def test_places_that_will_not_do_are_refused_before_anything_is_written(take, tmp_path, capsys, out, film, said):
    assert run(take, tmp_path / out, "--method", "linear", "--gif", str(tmp_path / film)) == 2
    assert said in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["take.bvh"]


def test_a_film_that_fails_leaves_nothing(take, tmp_path, monkeypatch):
    monkeypatch.setattr("exporters.gif.write_gif", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    assert run(take, tmp_path / "made.bvh", "--method", "linear", "--compare", "--gif", str(tmp_path / "f.gif")) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["take.bvh"]


# ---- OpenPose


def body(now: float, size: float = 100.0, sure: float = 0.9) -> list[float]:
    """25 keypoints of somebody who sways."""
    keypoints = []
    for point in range(BODY):
        keypoints += [
            300.0 + size * np.cos(point) + 20.0 * np.sin(now),
            200.0 + size * np.sin(point) + 10.0 * now,
            sure,
        ]
    return keypoints


def picture(folder: Path, number: int, *people: dict, name: str = "dance_") -> Path:
    path = folder / f"{name}{number:012d}_keypoints.json"
    path.write_text(json.dumps({"version": 1.3, "people": list(people)}))
    return path


@pytest.fixture
def pictures(tmp_path) -> Path:
    """Nobody in picture 3, the hips not found in picture 5, and somebody smaller in front in all."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(9):
        keypoints, small = body(0.3 * number), {"pose_keypoints_2d": body(0.3 * number, 20.0, 1.0)}
        if number == 5:
            keypoints[3 * 8 : 3 * 9] = 5.0, 5.0, 0.1
        person = {"person_id": [-1], "pose_keypoints_2d": keypoints, "hand_left_keypoints_2d": body(0.3 * number)[:63]}
        picture(folder, number, *([] if number == 3 else [small, person]))
    return folder


def test_the_largest_person_is_read_and_what_was_not_found_is_not_valid(pictures):
    read = read_folder(pictures)
    assert read.fields == (("pose_keypoints_2d", 25), ("hand_left_keypoints_2d", 21))
    assert read.stem == "dance_"
    np.testing.assert_allclose(read.points[0, :25].ravel(), np.reshape(body(0.0), (25, 3))[:, :2].ravel())
    expected = np.ones((9, 46), dtype=bool)
    expected[3], expected[5, 8] = False, False
    np.testing.assert_array_equal(read.valid, expected)


def test_pictures_become_more_pictures_and_nothing_is_missing(pictures, tmp_path):
    out = tmp_path / "out"
    assert run(pictures, out, "--method", "cubic", "--compare", rate=2.5) == 0
    made, keys = read_folder(out), read_folder(pictures)
    assert [path.name for path in sorted(out.iterdir())][:2] == [f"dance_{n:012d}_keypoints.json" for n in (0, 1)]
    assert len(made.points) == 21
    assert made.valid.all()
    np.testing.assert_allclose(made.points[:16:5], keys.points[:7:2], atol=1e-3)  # pictures 0, 2, 4, 6 are keys
    hips = np.array([np.reshape(body(0.3 * number), (25, 3))[8, :2] for number in np.arange(21) / 2.5])
    assert np.abs(made.points[:, 8] - hips).max() < 2.0  # pixels, of 24 that they move
    linear = read_folder(tmp_path / "out.linear")
    assert np.abs(linear.points[:, 8] - hips).max() > np.abs(made.points[:, 8] - hips).max()
    assert (tmp_path / "out.spline").is_dir()


def test_a_film_of_pictures(pictures, tmp_path):
    film = tmp_path / "film.gif"
    assert run(pictures, tmp_path / "out", "--method", "linear", "--gif", str(film), "--fps", "7.5") == 0
    with Image.open(film) as opened:
        assert opened.n_frames > 10


def test_pictures_of_an_earlier_run_do_not_stay_among_new_ones(pictures, tmp_path, capsys):
    out = tmp_path / "out"
    assert run(pictures, out, "--method", "linear", rate=8) == 0
    assert run(pictures, out, "--method", "linear", rate=2) == 2
    assert "out has .json files already" in capsys.readouterr().err
    (tmp_path / "other.spline").mkdir()
    picture(tmp_path / "other.spline", 0)
    assert run(pictures, tmp_path / "other", "--method", "linear", "--compare", rate=2) == 2
    assert not (tmp_path / "other").exists()


def test_a_run_that_fails_leaves_no_pictures(pictures, tmp_path, monkeypatch):
    monkeypatch.setattr("exporters.gif.write_sticks", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    assert run(pictures, tmp_path / "out", "--method", "linear", "--gif", str(tmp_path / "f.gif")) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["pictures"]


@pytest.mark.parametrize("method", ["model", "cubic", "linear"])
def test_somebody_who_was_never_seen_surely_is_nobody(tmp_path, capsys, method):
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(3):
        hand = body(number)[:63]
        picture(folder, number, {"pose_keypoints_2d": body(number, sure=0.15), "hand_left_keypoints_2d": hand})
    assert run(folder, tmp_path / "out", "--method", method, rate=2) == 2
    assert "nobody in any of 3 files" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_keypoint_that_is_never_found_stays_so(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(3):
        picture(folder, number, {"pose_keypoints_2d": [*body(number)[:72], 7.0, 7.0, 0.0]})
    assert run(folder, tmp_path / "out", "--method", "cubic", rate=2) == 0
    made = read_folder(tmp_path / "out")
    assert (made.confidences[:, 24] == 0.0).all()
    assert (made.points[:, 24] == 0.0).all()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"people": [\n{"pose_keypoints_2d": [1, 2,\n}', r"_keypoints.json:3: no JSON: "),
        ("[1, 2]", "no list `people`"),
        ('{"people": {}}', "no list `people`"),
        ('{"people": [7]}', r"people\[0\] is int"),
        ('{"people": [{"pose_keypoints_2d": [1, 2]}]}', r"people\[0\].pose_keypoints_2d is not a list of x, y, c"),
        ('{"people": [{"pose_keypoints_2d": [1, 2, 3]}]}', r"has 1 keypoints, BODY_25 has 25"),
        ('{"people": [{"pose_keypoints_2d": [1, 2, "x"]}]}', r"pose_keypoints_2d\[2\] is 'x', not a number"),
        ('{"people": [{}]}', "has 0 keypoints"),
        ('{"people": []}', "nobody in any of 1 files"),
        ('{"people": [{"pose_keypoints_2d": [' + "1" * 400 + ", 2, 3]}]}", "no float can hold"),
    ],
)
def test_a_file_of_something_else_is_refused_with_its_name_and_the_place(tmp_path, content, said):
    path = picture(tmp_path, 0)
    path.write_text(content)
    with pytest.raises(FolderError, match=said):
        read_folder(tmp_path)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e300"])
def test_a_number_of_no_use_is_a_keypoint_that_was_not_found(tmp_path, number):
    path = picture(tmp_path, 0, {"pose_keypoints_2d": body(0.0)})
    keypoints = [number, *map(str, body(0.0)[1:])]
    path.write_text('{"people": [{"pose_keypoints_2d": [' + ", ".join(keypoints) + "]}]}")
    read = read_folder(tmp_path)
    assert not read.valid[0, 0]
    assert read.valid[0, 1:].all()
    assert np.isfinite(read.points).all()
