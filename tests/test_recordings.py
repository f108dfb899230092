"""What becomes of recordings: ranges, rates, bodies, faults, the cache and the report. Takes of a few seconds."""

import json
from pathlib import Path

import numpy as np
import pytest

from motion import kinematics
from motion import rotations as rot
from motion.bvh import write_bvh
from motion.clip import Clip
from motion.skeleton import HUMANOID, Skeleton
from training import cache as caching
from training import dataset, reading
from training.mirror import opposite_joints
from training.models import duet
from training.windows import Windows

SNAKE = Skeleton(("Tail", "Belly", "Tongue"), (-1, 0, 1), np.array([[0, 0.1, 0], [0, 0.8, 0], [0, 0.8, 0]]))


def walk(frames: int, fps: float = 60.0, skeleton: Skeleton = HUMANOID, shift: float = 0.0) -> Clip:
    time = np.arange(frames) / fps
    waves = np.sin(time[:, None, None] * np.linspace(1.0, 3.0, len(skeleton))[:, None] + [0.0, 1.0, 2.0])
    root = np.stack([0.2 * np.sin(time) + shift, 0.9 + 0.0 * time, 0.4 * time], axis=-1)
    return Clip(skeleton, fps, root, rot.from_euler("ZXY", 0.2 * waves))


def folder(path: Path, **clips: Clip) -> Path:
    for name, clip in clips.items():
        write_bvh(path / f"{name}.bvh", clip)
    return path


def config(**keys: object) -> dataset.Config:
    return dataset.Config(
        **{"lead": "a_*.bvh", "follow": "b_*.bvh", "drop_first": 0, "fps": 60.0, "scale": 1.0, **keys}  # type: ignore[arg-type]
    )


def listed(*ranges: tuple[int, int], **keys: object) -> dataset.Config:
    return config(pairs=(dataset.Take("a_1.bvh", "b_1.bvh", ranges=ranges),), **keys)


def test_every_range_is_a_pair_of_its_own(tmp_path: Path) -> None:
    folder(tmp_path, a_1=walk(200), b_1=walk(200, shift=1.0))
    pairs = dataset.load_pairs(listed((20, 80), (100, 190)), tmp_path)
    assert [(pair.name, len(pair)) for pair in pairs] == [("a_1[20:80]", 60), ("a_1[100:190]", 90)]
    assert pairs[1].file_frame(5) == 105
    np.testing.assert_allclose(pairs[0].lead.root[30, [0, 2]], walk(200).root_positions[50, [0, 2]], atol=1e-3)


def test_what_lies_outside_the_ranges_changes_nothing(tmp_path: Path) -> None:
    good, broken = walk(200), walk(200)
    broken.root_positions[:50] += 5.0
    broken.rotations[90:] = rot.IDENTITY
    tracks = []
    for clip in (good, broken):
        folder(tmp_path, a_1=clip, b_1=walk(200))
        tracks.append(dataset.load_pairs(listed((50, 90)), tmp_path)[0].lead)
    np.testing.assert_array_equal(tracks[0].given, tracks[1].given)
    np.testing.assert_array_equal(tracks[0].rotations, tracks[1].rotations)


def test_ranges_count_frames_of_the_file_and_the_lead_in_is_dropped(tmp_path: Path) -> None:
    folder(tmp_path, a_1=walk(100), b_1=walk(100))
    (pair,) = dataset.load_pairs(listed((0, 60), drop_first=10), tmp_path)
    assert (len(pair), pair.first) == (50, 10)


@pytest.mark.parametrize(
    ("ranges", "reason"),
    [(((50, 300),), r"\[\[50, 300\]\] are not within 0\.\.200"), (((0, 1),), "1 frames are left")],
)
def test_ranges_that_do_not_fit_are_named(tmp_path: Path, ranges: tuple[tuple[int, int], ...], reason: str) -> None:
    folder(tmp_path, a_1=walk(200), b_1=walk(200))
    with pytest.raises(ValueError, match=rf"a_1\.bvh.*{reason}"):
        dataset.load_pairs(listed(*ranges), tmp_path)


@pytest.mark.parametrize("ranges", [((50, 40),), ((0, 20), (10, 30))])
def test_ranges_must_grow(ranges: tuple[tuple[int, int], ...]) -> None:
    with pytest.raises(ValueError, match="must grow"):
        dataset.Take("a", "b", ranges=ranges)


def test_two_rates_are_read_by_time(tmp_path: Path) -> None:
    folder(tmp_path, a_1=walk(200, fps=100.0), b_1=walk(100, fps=50.0))
    (pair,) = dataset.load_pairs(config(drop_first=7), tmp_path)
    expected = walk(100_000, fps=50_000.0).root_positions
    for track in (pair.lead, pair.follow):
        frames = np.round((0.07 + np.arange(60) / 60.0) * 50_000).astype(int)
        np.testing.assert_allclose(track.root[:60, [0, 2]], expected[frames][:, [0, 2]], atol=2e-3)
    assert len(pair.lead) == len(pair.follow)


def test_two_lengths_are_told_with_both_and_the_way_out(tmp_path: Path) -> None:
    folder(tmp_path, a_1=walk(200), b_1=walk(150))
    with pytest.raises(ValueError, match=r"200 frames at 60 fps against 150 at 60; .*ranges: \[\[0, 150\]\]"):
        dataset.load_pairs(config(), tmp_path)
    assert len(dataset.load_pairs(listed((0, 150)), tmp_path)[0]) == 150
    with pytest.raises(ValueError, match=r"b_1\.bvh: ranges reach frame 180 of a_1\.bvh.*against 150"):
        dataset.load_pairs(listed((0, 180)), tmp_path)


def test_two_lengths_at_two_rates_are_told_in_seconds(tmp_path: Path) -> None:
    folder(tmp_path, a_1=walk(200, fps=100.0), b_1=walk(150, fps=50.0))
    with pytest.raises(ValueError, match=r"200 frames at 100 fps against 150 at 50, 2\.00 s against 3\.00 s"):
        dataset.load_pairs(config(), tmp_path)


def test_all_faults_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    folder(tmp_path, a_1=walk(90), b_1=walk(80), a_2=walk(90), b_2=walk(90), a_3=walk(90), b_3=walk(90, skeleton=SNAKE))
    text = (tmp_path / "a_2.bvh").read_text().splitlines()
    (tmp_path / "a_2.bvh").write_text("\n".join([*text[:-1], text[-1] + " 7"]))
    (tmp_path / "b_2.bvh").write_bytes(b"\x00\xff" * 50)
    with pytest.raises(ValueError, match="a_1") as error:
        dataset.load_pairs(config(), tmp_path)
    lines = str(error.value).splitlines()
    assert [line.split(" ")[0].split(":")[0] for line in lines] == ["a_1.bvh", "a_2.bvh", "b_2.bvh", "b_3.bvh"]
    assert f"a_2.bvh:{len(text)}: row has 70 values, the channels need 69" in lines[1]
    assert "skeleton: native" in lines[3]


def test_any_skeleton_trains_natively(tmp_path: Path) -> None:
    longer = SNAKE.with_offsets(SNAKE.offsets * 1.5)
    folder(tmp_path, a_1=walk(90, skeleton=SNAKE), b_1=walk(90, skeleton=longer))
    (pair,) = dataset.load_pairs(config(skeleton="native", on_floor=False), tmp_path)
    assert pair.skeleton.names == SNAKE.names
    np.testing.assert_allclose(pair.follow.root * 1.5, walk(90).root_positions, atol=1e-3)
    windows = Windows([pair], [0.1], [0.0])
    assert windows.gather(windows.past[:0].new_tensor([4]))["partner_rotations"].shape == (1, 1, 3, 6)


def test_a_native_body_keeps_its_own_lengths(tmp_path: Path) -> None:
    tall = HUMANOID.with_offsets(HUMANOID.offsets * 1.2)
    folder(tmp_path, a_1=walk(60, skeleton=tall), b_1=walk(60))
    (pair,) = dataset.load_pairs(config(skeleton="native"), tmp_path)
    np.testing.assert_allclose(pair.skeleton.offsets[1:], tall.offsets[1:], atol=1e-6)
    assert pair.follow.root[0, 1] > 1.0  # the small one is as tall as the body that is trained


def test_native_skeletons_that_differ_are_told_apart(tmp_path: Path) -> None:
    folder(tmp_path, a_1=walk(60), b_1=walk(60, skeleton=SNAKE))
    with pytest.raises(ValueError, match=r"b_1\.bvh: .* 3 joints, .* 22 .*only here: Tail.*only there: Hips.*humanoid"):
        dataset.load_pairs(config(skeleton="native"), tmp_path)


def test_repair_takes_a_glitch_out_of_the_truth_only(tmp_path: Path) -> None:
    clip = walk(200)
    clip.rotations[100:103, 3] = rot.from_euler("X", np.array([2.0]))  # three frames: longer than a median of five sees
    folder(tmp_path, a_1=clip, b_1=walk(200))
    plain, repaired = (dataset.load_pairs(config(repair=value), tmp_path)[0].lead for value in (False, True))
    still = walk(200).rotations[101, 3]
    assert rot.angle(plain.rotations[101, 3], still) > 0.5
    assert rot.angle(repaired.rotations[101, 3], still) < 0.1
    np.testing.assert_array_equal(plain.given, repaired.given)


def test_the_cache_is_keyed_by_content_and_settings(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    folder(tmp_path, a_1=walk(90), b_1=walk(90, shift=1.0))
    first = dataset.load_pairs(config(), tmp_path, cache)
    again = dataset.load_pairs(config(), tmp_path, cache)
    np.testing.assert_array_equal(first[0].follow.given, again[0].follow.given)
    assert len(list(cache.iterdir())) == 2
    for keys in ({"fps": 30.0}, {"repair": True}, {"skeleton": "native"}, {"drop_first": 3}, {"scale": 0.5}):
        before = len(list(cache.iterdir()))
        dataset.load_pairs(config(**keys), tmp_path, cache)
        assert len(list(cache.iterdir())) == before + 2, keys
    folder(tmp_path, a_1=walk(91), b_1=walk(91))
    assert len(dataset.load_pairs(config(), tmp_path, cache)[0]) == 91


def test_the_cache_is_read_instead_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder(tmp_path, a_1=walk(90), b_1=walk(90))
    dataset.load_pairs(config(), tmp_path, tmp_path / "cache")
    monkeypatch.setattr(reading, "load_clip", lambda *_: pytest.fail("the file was read again"))
    dataset.load_pairs(config(), tmp_path, tmp_path / "cache")


def test_other_code_or_libraries_are_another_key(monkeypatch: pytest.MonkeyPatch) -> None:
    before = caching.key("content", {})
    monkeypatch.setattr(caching, "code_digest", lambda: "changed")
    after = caching.key("content", {})
    monkeypatch.setattr(caching, "library_versions", lambda: ("ufbx 9",))
    assert len({before, after, caching.key("content", {})}) == 3


def test_a_broken_cache_file_is_made_again(tmp_path: Path) -> None:
    folder(tmp_path, a_1=walk(90), b_1=walk(90))
    first = dataset.load_pairs(config(), tmp_path, tmp_path / "cache")
    for path in (tmp_path / "cache").iterdir():
        path.write_bytes(path.read_bytes()[:1000])
    again = dataset.load_pairs(config(), tmp_path, tmp_path / "cache")
    np.testing.assert_array_equal(first[0].lead.root, again[0].lead.root)


def test_the_report_says_what_was_read_cleaned_and_dropped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clip = walk(200, fps=120.0)
    clip.rotations[100, 3] = rot.from_euler("X", np.array([2.0]))
    folder(tmp_path, a_1=clip, b_1=walk(200, fps=120.0), a_9=walk(50))
    for cache in (tmp_path / "cache", tmp_path / "cache"):  # once read, once remembered
        dataset.load_pairs(config(drop_first=10), tmp_path, cache, tmp_path / "run")
        report = json.loads((tmp_path / "run/data_report.json").read_text())
        assert report["total"] == {
            "files": 2,
            "takes": 1,
            "minutes": pytest.approx(95 / 60 / 60),
            "frames": 400,
            "dropped_frames": 20,
            "glitch_frames": report["files"][0]["glitch_frames"],
        }
        assert 1 <= report["files"][0]["glitch_frames"] <= 5
        assert report["alone"] == ["a_9.bvh"]
        assert "| a_1.bvh | 200 | 120 | 22 | 190 | 10 |" in (tmp_path / "run/data_report.md").read_text()
        assert "dropped: 5.0 % of the frames; 1 recordings have no partner" in capsys.readouterr().out


@pytest.mark.parametrize(
    "names",
    [
        ("Hips", "LeftLeg", "RightLeg"),
        ("hip", "lThigh", "rThigh"),
        ("Hips", "UpperLeg_L", "UpperLeg_R"),
        ("pelvis", "left_hip", "right_hip"),
        ("root", "upperleg01.L", "upperleg01.R"),
        ("anna:hip", "anna:lThigh", "anna:rThigh"),
        ("root", "l_leg", "r_leg"),
        ("J", "J_L_Hip", "J_R_Hip"),
    ],
)
def test_sides_are_found_however_they_are_named(names: tuple[str, ...]) -> None:
    skeleton = Skeleton(names, (-1, 0, 0), np.array([[0, 0.9, 0], [0.1, 0, 0], [-0.1, 0, 0]]))
    assert opposite_joints(skeleton) == [0, 2, 1]


def test_a_body_that_is_no_mirror_image_cannot_be_mirrored() -> None:
    lopsided = Skeleton(("Hips", "LeftLeg", "RightLeg"), (-1, 0, 0), np.array([[0, 0.9, 0], [0.1, 0, 0], [0.1, 0, 0]]))
    with pytest.raises(ValueError, match=r"'LeftLeg' is no mirror image of 'RightLeg'.*mirror: false"):
        opposite_joints(lopsided)


def test_native_mirroring_mirrors_positions(shared: Path) -> None:
    data = dataset.Config(pairs=(dataset.Take("60_10.bvh", "61_10.bvh", last=40),), skeleton="native", fps=120.0)
    (pair,) = dataset.load_pairs(data, shared / "data/salsa_pairs")
    assert len(pair.skeleton) == 43
    opposite = opposite_joints(pair.skeleton)
    turned = pair.lead.rotations[:, opposite] * [1.0, -1.0, -1.0, 1.0]
    flat = np.array([-1.0, 1.0, 1.0])
    plain = kinematics.global_positions(pair.skeleton, pair.lead.root, pair.lead.rotations)
    mirrored = kinematics.global_positions(pair.skeleton, pair.lead.root * flat, turned)
    np.testing.assert_allclose(mirrored, plain[:, opposite] * flat, atol=6e-3)  # the body itself is 5 mm uneven


def test_a_model_of_the_standard_body_refuses_another() -> None:
    with pytest.raises(ValueError, match=r"no LeftUpperLeg, .*needs: set data: skeleton: humanoid"):
        duet.Duet(duet.Config(), SNAKE)
