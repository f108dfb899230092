"""Windows of recordings: found by name, split by take, causal where the model looks, mirrored truly."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from motion import kinematics
from motion import rotations as rot
from motion.bvh import write_bvh
from motion.clip import Clip
from motion.skeleton import HUMANOID
from training import dataset
from training.recordings import find_takes
from training.windows import Windows

TAKES = Path("data/salsa_pairs")


def _track(frames: int, seed: int) -> dataset.Track:
    random = np.random.default_rng(seed)
    rotations = rot.normalize(random.normal(size=(frames, len(HUMANOID), 4)))
    root = random.normal(size=(frames, 3))
    given = kinematics.global_positions(HUMANOID, root, rotations).astype(np.float32)
    return dataset.Track(f"{seed}.bvh", f"hash{seed}", given, root, rotations)


def _pairs(count: int, frames: int = 40) -> list[dataset.Pair]:
    return [dataset.Pair(f"take{k}", 120.0, _track(frames, 2 * k), _track(frames, 2 * k + 1)) for k in range(count)]


def _touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).touch()
    return folder


def test_pairs_are_matched_by_the_star(tmp_path: Path) -> None:
    folder = _touch(tmp_path, "60_01.bvh", "61_01.bvh", "60_02.bvh", "61_03.bvh", "note.txt")
    assert find_takes(dataset.Config(), folder) == [dataset.Take("60_01.bvh", "61_01.bvh")]


def test_pairs_can_be_listed_with_ranges(tmp_path: Path) -> None:
    folder = _touch(tmp_path, "a.bvh", "b.bvh")
    take = dataset.Take("a.bvh", "b.bvh", ranges=((5, 50), (60, 90)))
    assert find_takes(dataset.Config(pairs=(take,)), folder) == [take]


def test_no_pairs_names_folder_patterns_and_what_is_there(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"60_\*\.bvh.*61_\*\.bvh.*jazz\.bvh") as error:
        find_takes(dataset.Config(), _touch(tmp_path, "jazz.bvh"))
    assert str(tmp_path) in str(error.value)


@pytest.mark.parametrize("pattern", ["60.bvh", "*_*.bvh"])
def test_a_pattern_needs_exactly_one_star(tmp_path: Path, pattern: str) -> None:
    with pytest.raises(ValueError, match="exactly one star"):
        find_takes(dataset.Config(lead=pattern), tmp_path)


def test_a_listed_file_that_is_missing_is_named(tmp_path: Path) -> None:
    config = dataset.Config(pairs=(dataset.Take("a.bvh", "b.bvh"),))
    with pytest.raises(ValueError, match=r"lacks b\.bvh"):
        find_takes(config, _touch(tmp_path, "a.bvh"))


def test_unequal_takes_are_refused_with_their_lengths(shared: Path, tmp_path: Path) -> None:
    for name, take in (("60_01.bvh", "60_01.bvh"), ("61_01.bvh", "61_03.bvh")):
        (tmp_path / name).write_bytes((shared / TAKES / take).read_bytes())
    with pytest.raises(ValueError, match=r"2242 frames at 120.* against 1830 .*ranges: \[\[0, 1830\]\]"):
        dataset.load_pairs(dataset.Config(), tmp_path)


def test_the_cache_gives_back_what_was_read(shared: Path, tmp_path: Path) -> None:
    config = dataset.Config(pairs=(dataset.Take("60_10.bvh", "61_10.bvh", last=300),))
    fresh = dataset.load_pairs(config, shared / TAKES, tmp_path)[0]
    stored = dataset.load_pairs(config, shared / TAKES, tmp_path)[0]
    assert len(list(tmp_path.iterdir())) == 2
    np.testing.assert_array_equal(fresh.follow.rotations, stored.follow.rotations)
    assert fresh.files() == stored.files()


def test_what_a_model_should_say_stands_on_the_floor(shared: Path) -> None:
    toes = HUMANOID.both_sides("Toes")
    config = dataset.Config(pairs=(dataset.Take("60_10.bvh", "61_10.bvh"),))
    pair = dataset.load_pairs(config, shared / TAKES)[0]
    for track in (pair.lead, pair.follow):
        heights = kinematics.global_positions(HUMANOID, track.root, track.rotations)[:, toes, 1]
        assert np.percentile(heights.min(axis=1), 10) == pytest.approx(HUMANOID.rest_positions[toes[0], 1])


def test_folds_hold_out_every_take_once() -> None:
    pairs = _pairs(5)
    held = [pair.name for k in (1, 2, 3) for pair in dataset.split(pairs, (k, 3))[1]]
    assert sorted(held) == sorted(pair.name for pair in pairs)


def test_a_fold_shares_no_take_between_its_sides() -> None:
    training, held = dataset.split(_pairs(5), (2, 3))
    assert not {pair.name for pair in training} & {pair.name for pair in held}


def test_ranges_of_one_recording_are_never_on_both_sides() -> None:
    first, second, third, fourth = _pairs(4)
    later, bridge = replace(first, name="later"), replace(third, name="bridge", lead=second.lead)  # shares two takes
    pairs = [first, second, third, fourth, later, bridge]
    held = [[pair.name for pair in dataset.split(pairs, (k, 3))[1]] for k in (1, 2, 3)]
    assert held == [["take0", "later"], ["take1", "take2", "bridge"], ["take3"]]


def test_takes_of_their_own_files_are_held_out_in_turn() -> None:
    training, held = dataset.split(_pairs(5), (2, 3))
    assert [pair.name for pair in held] == ["take1", "take4"]
    assert [pair.name for pair in training] == ["take0", "take2", "take3"]


def test_a_recording_in_ranges_alone_cannot_be_split() -> None:
    (pair,) = _pairs(1)
    with pytest.raises(ValueError, match="1 takes leaves a side empty"):
        dataset.split([pair, replace(pair, name="later")], (1, 2))


@pytest.mark.parametrize("fold", [(0, 3), (4, 3), (1, 1), (3, 9)])
def test_a_fold_with_an_empty_side_is_refused(fold: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="empty"):
        dataset.split(_pairs(2), fold)


def test_windows_stay_inside_their_take() -> None:
    pairs = _pairs(2)
    windows = Windows(pairs, past=[1.0], future=[0.0, 1.0])
    batch = windows.gather(torch.tensor([0, 39, 40]))  # first and last of take 0, first of take 1
    np.testing.assert_allclose(batch["dancer"][2, 1], pairs[1].lead.given[0], atol=1e-6)
    np.testing.assert_allclose(batch["partner_root"][1, 1], pairs[0].follow.root[-1], atol=1e-6)


def test_what_a_model_is_given_does_not_know_what_comes_later(tmp_path: Path) -> None:
    """The same take with another end from frame 100 on: the past shown before it is the same bit for bit."""
    walk = np.cumsum(np.random.default_rng(0).normal(scale=0.01, size=(200, 3)), axis=0) + np.array([0.0, 0.95, 0.0])
    still = np.broadcast_to(rot.IDENTITY, (200, len(HUMANOID), 4))
    batches = []
    for ending in (walk[100:], walk[:99:-1]):
        for name in ("60_01.bvh", "61_01.bvh"):
            write_bvh(tmp_path / name, Clip(HUMANOID, 120.0, np.concatenate([walk[:100], ending]), still))
        pairs = dataset.load_pairs(dataset.Config(drop_first=0), tmp_path)
        batches.append(Windows(pairs, past=[0.1, 0.5], future=[0.0]).gather(torch.arange(200)))
    alike = {key: (batches[0][key] == batches[1][key]).flatten(1).all(1) for key in ("dancer", "partner_root")}
    assert alike["dancer"][:100].all()
    assert not alike["dancer"][103:].any()  # the median of five frames knows the new end by now
    assert not alike["partner_root"][95:100].any()  # the answer asked for is smoothed both ways


def test_a_fresh_dancer_has_stood_still_before() -> None:
    pairs = _pairs(1)
    torch.manual_seed(0)
    windows = Windows(pairs, past=[0.05, 0.1], future=[0.0], fresh_share=1.0)
    past = windows.gather(torch.full((50,), 30))["dancer"]
    given = torch.tensor(pairs[0].lead.given)
    shown = {tuple(int((given == frame).flatten(1).all(1).nonzero()) for frame in window) for window in past}
    assert {(30, 30, 30), (30, 24, 24), (30, 24, 18)} <= shown
    assert all(now == 30 and now - 6 <= near and near - 6 <= far <= near for now, near, far in shown)


def test_roles_are_exchanged_whole() -> None:
    pairs = _pairs(1)
    windows = Windows(pairs, past=[], future=[0.0], swap_roles=True)
    batch = windows.gather(torch.tensor([7, 47]))
    np.testing.assert_array_equal(batch["swapped"].flatten(), [0.0, 1.0])
    np.testing.assert_allclose(batch["dancer"][1, 0], pairs[0].follow.given[7])
    np.testing.assert_allclose(batch["partner_root"][1, 0], pairs[0].lead.root[7], atol=1e-6)


def test_mirrored_rotations_give_mirrored_positions() -> None:
    windows = Windows(_pairs(1), past=[], future=[0.0], mirror=True)
    plain, mirrored = windows.gather(torch.tensor([3])), windows.gather(torch.tensor([43]))
    positions = [
        kinematics.global_positions(
            HUMANOID, batch["partner_root"][0, 0], rot.from_6d(batch["partner_rotations"][0, 0])
        )
        for batch in (plain, mirrored)
    ]
    expected = positions[0][dataset.opposite_joints(HUMANOID)] * [-1.0, 1.0, 1.0]
    np.testing.assert_allclose(positions[1], expected, atol=1e-6)


def test_an_epoch_has_every_window_once_and_resumes_in_its_middle() -> None:
    windows = Windows(_pairs(1), past=[], future=[0.0])
    whole = [batch["partner_root"] for batch in windows.batches(10, seed=4)]
    assert len(torch.cat(whole).flatten(1).unique(dim=0)) == 40
    rest = [batch["partner_root"] for batch in windows.batches(10, seed=4, first=2)]
    torch.testing.assert_close(torch.cat(rest), torch.cat(whole[2:]), rtol=0, atol=0)
