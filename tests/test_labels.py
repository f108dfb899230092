"""Labels: the file, its faults, what becomes of windows, shares of it, and the labels that nobody had to give."""

from pathlib import Path

import numpy as np
import pytest

from training import labels, labels_proxy
from training.labels import NONE, Label

HEAD = "take,start,end,label set,label\n"
SETS = (("time", ("low", "high")),)


def _file(folder: Path, text: str) -> Path:
    path = folder / "labels.csv"
    path.write_text(text)
    return path


def _label(start: float, end: float, label: str = "low", take: str = "a.bvh", label_set: str = "time") -> Label:
    return Label(take, start, end, label_set, label)


def test_a_file_written_is_the_file_read(tmp_path: Path) -> None:
    given = [_label(0.0, 1.5), _label(1.5, 3.25, "high"), _label(0.0, 9.0, "near, here", label_set="space")]
    read = labels.read(labels.write(tmp_path / "labels.csv", given))
    assert [(each.take, each.start, each.end, each.label_set, each.label) for each in read] == [
        (each.take, each.start, each.end, each.label_set, each.label) for each in given
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("take,start,end,label\n", "lacks label set; its columns must be: take, start, end, label set, label"),
        (HEAD + "a,0,1,time,low\na,zero,1,time,low\n", r"labels.csv:3: start 'zero' and end '1' must be seconds"),
        (HEAD + "a,2,1,time,low\n", r"labels.csv:2: from 2 s to 1 s"),
        (HEAD + "a,0,inf,time,low\n", r"labels.csv:2: from 0 s to inf s"),
        (HEAD + "a,0,1,time,\n", r"labels.csv:2: label is empty"),
        (
            HEAD + "a,0,2,time,low\na.bvh,1,3,time,high\n",
            r"labels.csv:3: time of a.bvh is 'high' from 1 s to 3 s, and 'low' from 0 s to 2 s \(labels.csv:2\)",
        ),
    ],
)
def test_what_is_wrong_with_a_file_is_told_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        labels.read(_file(tmp_path, text))


def test_a_file_in_another_encoding_is_told_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "old.csv"
    path.write_bytes("take,start,end,label set,label\na.bvh,0,1,Qualität,x\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"old\.csv is not UTF-8 \(byte \d+\): save it as `CSV UTF-8`"):
        labels.read(path)


def test_a_long_label_contradicts_all_it_covers() -> None:
    given = [_label(0.0, 9.0), _label(1.0, 2.0), _label(5.0, 6.0, "high"), _label(5.0, 6.0, "x", label_set="space")]
    assert len(labels.contradictions(given)) == 1


def test_equal_labels_may_overlap_and_other_takes_may_differ() -> None:
    given = [_label(0.0, 2.0), _label(1.0, 3.0), _label(3.0, 4.0, "high"), _label(0.0, 4.0, "high", "b.1.bvh")]
    assert labels.contradictions(given) == []


def test_labels_of_takes_that_are_not_there_are_told() -> None:
    given = [_label(0.0, 1.0, take=take) for take in ("a", "a.bvh", "c")]
    assert labels.unknown_takes(given, ["a.bvh", "b.bvh"]) == [": there is no take 'c'; there are: a.bvh, b.bvh"]


def test_labels_stand_as_their_order_says_else_as_they_come() -> None:
    given = [_label(0.0, 1.0, "high"), _label(1.0, 2.0, "low"), _label(0.0, 1.0, "wide", label_set="space")]
    assert labels.sets_of(given, {}) == (("space", ("wide",)), ("time", ("high", "low")))
    assert labels.sets_of(given, {"time": ("low", "medium", "high")})[1] == ("time", ("low", "medium", "high"))


@pytest.mark.parametrize(
    ("orders", "said"),
    [({"tim": ("low",)}, "'tim' is none of the label sets time"), ({"time": ("low",)}, "time has no 'high'")],
)
def test_an_order_that_does_not_fit_is_told(orders: dict[str, tuple[str, ...]], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        labels.sets_of([_label(0.0, 1.0), _label(1.0, 2.0, "high")], orders)


def test_frames_are_counted_from_where_a_take_begins() -> None:
    frames = labels.of_frames([_label(1.0, 1.5), _label(1.5, 9.0, "high")], 0.5, 40, 10.0, SETS)[:, 0]
    assert frames.tolist() == [NONE] * 5 + [0] * 5 + [1] * 30


def test_a_gap_between_equal_labels_is_filled_if_it_is_short() -> None:
    frames = np.array([0, 0, NONE, NONE, 0, NONE, 1, NONE, NONE, NONE, 1])[:, None]
    assert labels.filled(frames, 2)[:, 0].tolist() == [0, 0, 0, 0, 0, NONE, 1, NONE, NONE, NONE, 1]
    assert labels.filled(frames, 3)[:, 0].tolist() == [0, 0, 0, 0, 0, NONE, 1, 1, 1, 1, 1]


def test_a_label_counts_for_windows_a_little_to_either_side() -> None:
    frames = np.full((30, 1), NONE)
    frames[10:18] = 1
    labelled = labels.of_windows(frames, window=8, spread=2)[:, 0]
    assert np.flatnonzero(labelled == 1).tolist() == [8, 9, 10, 11, 12]
    assert labels.of_windows(frames, window=8, spread=0)[:, 0].tolist().index(1) == 10


def test_a_take_shorter_than_a_window_has_no_windows() -> None:
    assert labels.of_windows(np.zeros((5, 1), dtype=np.int64), 8, 0).shape == (0, 1)


def test_a_cut_take_knows_nothing_of_the_labels_beyond_the_cut() -> None:
    given = [_label(0.0, 2.0), _label(3.0, 5.0)]
    whole = labels.filled(labels.of_frames(given, 0.0, 50, 10.0, SETS), 10)
    before, after = (
        labels.filled(labels.of_frames(given, begin, count, 10.0, SETS), 10) for begin, count in ((0.0, 25), (2.5, 25))
    )
    assert (whole == 0).all()
    assert (before[20:] == NONE).all()
    assert (after[:5] == NONE).all()


def test_a_share_of_the_labels_is_that_share_and_has_every_label() -> None:
    random = np.random.default_rng(0)
    windows = [np.repeat(random.integers(0, 3, 50), 40)[:, None] for _ in range(4)]
    windows[0][:40] = 3  # one piece has a label that no other has
    for share in (0.02, 0.1, 0.5):
        left = labels.kept(windows, share, 40, seed=1)
        assert (np.concatenate(left) != NONE).mean() == pytest.approx(share, abs=0.012)
        assert set(np.concatenate(left)[:, 0]) == {NONE, 0, 1, 2, 3}
    assert (np.concatenate(labels.kept(windows, 0.0, 40, 1)) == NONE).all()
    assert all((a == b).all() for a, b in zip(labels.kept(windows, 1.0, 40, 1), windows, strict=True))


def test_a_label_without_a_window_is_told() -> None:
    (fault,) = labels.missing([np.zeros((5, 1), dtype=np.int64)], SETS)
    assert fault == "time: no window of the takes trained on is labelled 'high'; windows of the others: low 5"


def _moved(amount: float, frames: int = 60) -> np.ndarray:
    """A body whose every joint swings along X as cos(t) does, `amount` metres."""
    return amount * np.cos(np.arange(frames) / 30.0)[:, None, None] * np.eye(3)[0] + np.zeros((frames, 22, 3))


def test_acceleration_is_that_of_the_closed_form() -> None:
    window = _moved(2.0)[:40]
    expected = 2.0 * np.abs(np.cos(np.arange(1, 39) / 30.0)).mean()
    assert labels_proxy.acceleration(window, 30.0) == pytest.approx(expected, rel=1e-3)  # second differences


def test_directness_is_one_on_a_line_and_none_on_a_way_back() -> None:
    line = np.arange(40)[:, None, None] * np.ones((22, 3))
    assert labels_proxy.directness(line, 30.0) == pytest.approx(1.0)
    assert labels_proxy.directness(np.concatenate([line, line[::-1]]), 30.0) == pytest.approx(0.0)


def test_figures_of_a_take_are_those_of_its_windows() -> None:
    take = np.random.default_rng(0).normal(size=(50, 22, 3))
    made = labels_proxy.of_take("time", take, 30.0, 40)
    assert made == pytest.approx([float(labels_proxy.acceleration(take[n : n + 40], 30.0)) for n in range(11)])
    assert len(labels_proxy.of_take("time", take[:39], 30.0, 40)) == 0


def test_tertiles_part_windows_in_three() -> None:
    figures = np.random.default_rng(0).normal(size=3000)
    counts = np.bincount(labels_proxy.labelled(figures, labels_proxy.tertiles([figures[:1000], figures[1000:]])))
    assert counts.tolist() == [1000, 1000, 1000]


def test_a_proxy_that_is_none_is_told() -> None:
    with pytest.raises(ValueError, match="no proxy 'weight'; there are: time, space"):
        labels_proxy.label_sets(["weight"])
