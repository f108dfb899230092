"""Labelling without a page: what is written after every word, what comes next, undo, repeats, files of others."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from made_up_takes import made_up_clip
from motion import rotations as rot
from motion.bvh import write_bvh
from motion.ground_frames import facing
from motion.skeleton import HUMANOID
from training import label_windows, labels
from training.label_book import CLIPS, TAKES, Book, side_of
from training.label_session import GAP, Session
from training.label_windows import Cut, Window

TIME, SPACE = ("time", ("low", "medium", "high")), ("space", ("direct", "indirect"))
BEGIN, SECONDS = datetime(2020, 1, 1, tzinfo=UTC), count()


def windows(number: int = 6, take: str = "a.bvh") -> list[Window]:
    still = np.zeros((2, 3)), np.tile(rot.IDENTITY, (2, len(HUMANOID), 1))
    return [Window(take, float(place), place + 1.0, 2.0, *still) for place in range(number)]


def book(path: Path, deck: list[Window], sets: tuple = (TIME,), about: tuple = TAKES, who: str = "Ada") -> Book:
    return Book(path, about, sets, deck, who, clock=lambda: BEGIN + timedelta(seconds=next(SECONDS)))


def session(path: Path, number: int = 6, repeat: float = 0.0, **more: object) -> Session:
    deck = windows(number)
    return Session(deck, book(path, deck, **more), repeat)


def rows(path: Path) -> list[tuple[float, str, str]]:
    return [(each.start, each.label_set, each.label) for each in labels.read(path)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "labels.csv"


def test_every_word_is_in_the_file_at_once(path: Path) -> None:
    one = session(path)
    one.label("time", "low")
    assert rows(path) == [(0.0, "time", "low")]
    one.label("time", "high")
    assert rows(path) == [(0.0, "time", "low"), (1.0, "time", "high")]
    assert [file.name for file in path.parent.iterdir()] == ["labels.csv"]


def test_a_window_is_done_when_all_sets_are_said(path: Path) -> None:
    one = session(path, sets=(TIME, SPACE))
    first = one.window
    one.label("time", "low")
    assert one.window is first
    one.label("space", "direct")
    assert one.window is not first
    assert one.counts() == {"time": Counter(low=1, medium=0, high=0), "space": Counter(direct=1, indirect=0)}


def test_another_session_goes_on_where_one_stopped(path: Path) -> None:
    one = session(path)
    one.label("time", "low")
    one.skip()
    another = session(path)
    assert another.window.start == 2.0
    assert another.progress() == (1, 1, 6)


def test_undo_takes_back_the_file_and_the_card(path: Path) -> None:
    one = session(path)
    assert not one.undo()
    for label in ("low", "high"):
        one.label("time", label)
    one.skip()
    assert one.undo()
    assert one.undo()
    assert rows(path) == [(0.0, "time", "low")]
    assert (one.window.start, one.progress()) == (1.0, (1, 0, 6))


def test_a_former_window_can_be_said_otherwise_or_not_at_all(path: Path) -> None:
    one = session(path)
    one.label("time", "low")
    one.previous()
    assert one.said("time") == "low"
    one.label("time", "high")
    assert rows(path) == [(0.0, "time", "high")]
    one.previous()
    one.skip()
    assert rows(path) == []
    assert one.progress() == (0, 1, 6)
    one.previous()
    one.label("time", "medium")
    assert one.progress() == (1, 0, 6)


def test_what_is_passed_over_comes_at_the_end_and_then_all_is_done(path: Path) -> None:
    one = session(path, 3)
    one.next()
    starts = []
    while one.card:
        starts.append(one.window.start)
        one.label("time", "low")
    assert starts == [1.0, 2.0, 0.0]
    one.previous()
    assert one.window.start == 0.0


def test_passing_over_everything_goes_round(path: Path) -> None:
    one = session(path, 3)
    starts = []
    for _ in range(7):
        starts.append(one.window.start)
        one.next()
    assert starts == [0.0, 1.0, 2.0, 0.0, 1.0, 2.0, 0.0]


def test_some_windows_come_again_later_and_are_kept_out_of_the_labels(path: Path) -> None:
    one = session(path, 40, repeat=0.2)
    asked = []
    while one.card:
        asked.append(one.card)
        assert one.said("time") == ""  # what was said before is not shown
        one.label("time", "high" if one.card.again else "low")
    again = [place for place, card in enumerate(asked) if card.again]
    assert len(again) == 8
    for place in again:
        first = next(other for other, card in enumerate(asked) if card.window == asked[place].window)
        between = {card.window for card in asked[first + 1 : place] if not card.again}
        assert len(between) >= GAP or place >= 40  # the last ones have fewer left
    assert {label for _, _, label in rows(path)} == {"low"}
    assert side_of(path).read_text().count("high") == 8
    assert session(path, 40, repeat=0.2).card is None


def test_windows_of_another_person_do_not_come_again(path: Path) -> None:
    ada = session(path, 30, repeat=1.0)
    while not ada.card.again:
        ada.label("time", "low")
    ben = session(path, 30, repeat=1.0, who="Ben")
    while not ben.card.again:
        ben.label("time", "low")
    assert ben.book.said_when(ben.window, "time")[0] == "Ben"


def test_lines_columns_and_sets_of_others_are_kept(path: Path) -> None:
    given = "take,start,end,label set,label,why\na,0.5,1.5,time,low,by hand\na,4,9,weight,light,\n"
    path.write_text(given)
    one = session(path)
    assert one.window.start == 2.0  # 0.5 to 1.5 s covers parts of two windows
    one.label("time", "high")
    lines = path.read_text().splitlines()
    assert lines[0] == "take,start,end,label set,label,why,who,when"
    assert [line.rstrip(",") for line in lines[1:3]] == given.replace("light,", "light").splitlines()[1:]
    assert lines[3].startswith("a.bvh,2.0,3.0,time,high,,Ada,2020-01-01T")


def test_a_file_that_somebody_else_has_changed_is_not_written_over(path: Path) -> None:
    one = session(path)
    one.label("time", "low")
    others = path.read_text() + "a,9,10,time,low,,\n"
    path.write_text(others)
    with pytest.raises(OSError, match="another program has changed"):
        one.label("time", "low")
    assert path.read_text() == others
    assert one.progress() == (1, 0, 6)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("clip,label set,label\n", "has the columns clip, label set, label; take, start, end, label set, label are"),
        ("take,start,end,label set,label\na,0,1,time,hi\n", "the label 'hi' of time; --set has: low, medium, high"),
        ("take,start,end,label set,label\nb.bvh,0,1,time,low\n", "no take 'b.bvh'; there are: a.bvh"),
        ("take,start,end,label set,label\na,0,1,time,\n", "labels.csv:2: label is empty"),
        ("take,start,end,label set,label\na,0,9,time,low\n", "cover all 6 windows"),
    ],
)
def test_a_file_that_does_not_fit_is_told(path: Path, text: str, said: str) -> None:
    path.write_text(text)
    with pytest.raises(ValueError, match=said):
        session(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("clip,label\n", "lacks label set; its columns must be: clip, label set, label"),
        ("clip,label set,label\nb.bvh,time,\n", "the clip 'b.bvh', which is not there"),
        ("clip,label set,label\na.bvh,space,\n", "does not ask for 'time'; it asks for: space"),
    ],
)
def test_a_form_that_does_not_fit_is_told(path: Path, text: str, said: str) -> None:
    path.write_text(text)
    with pytest.raises(ValueError, match=said):
        book(path, windows(), about=CLIPS)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("takes")
    for name, seconds in (("a", 2.0), ("b", 3.0), ("c", 0.4)):
        write_bvh(folder / f"{name}.bvh", made_up_clip(seconds, 60.0))
    return folder


def test_windows_lie_side_by_side_and_takes_take_turns(recordings: Path) -> None:
    cut = Cut(15, 30.0, drop_first=6)
    deck, faults = label_windows.of_folder(recordings, cut, 0)
    assert faults == ["c.bvh: 9 frames at 30 fps are shorter than a window, 15"]
    bounds = sorted((window.take, window.start, window.end) for window in deck)
    assert bounds[:3] == [("a.bvh", 0.1, 0.6), ("a.bvh", 0.6, 1.1), ("a.bvh", 1.1, 1.6)]
    assert {window.take for window in deck[:2]} == {window.take for window in deck[2:4]} == {"a.bvh", "b.bvh"}
    same, _ = label_windows.of_folder(recordings, cut, 0)
    other, _ = label_windows.of_folder(recordings, cut, 1)
    order = [(window.take, window.start) for window in deck]
    assert order == [(window.take, window.start) for window in same]
    assert order != [(window.take, window.start) for window in other]


def test_training_finds_every_labelled_window_as_it_was_seen(recordings: Path, path: Path) -> None:
    deck, _ = label_windows.of_folder(recordings, Cut(15, 30.0, drop_first=6), 0)
    one = Session(deck, book(path, deck))
    while one.card:
        one.label("time", "high")
    of_a = labels.of_file(labels.read(path), "a.bvh")
    frames = labels.of_frames(of_a, 0.1, 57, 30.0, (TIME,))
    assert np.flatnonzero(labels.of_windows(frames, 15, 0)[:, 0] == 2)[[0, -1]].tolist() == [0, 30]


def test_a_window_is_moved_to_the_middle_and_looks_ahead_halfway(recordings: Path) -> None:
    (window, *_), _ = label_windows.of_folder(recordings, Cut(15, 30.0), 0)
    root, rotations = label_windows.to_the_middle(window)
    np.testing.assert_allclose(0.5 * (root.min(axis=0) + root.max(axis=0))[[0, 2]], 0.0, atol=0.05)
    assert abs(facing(rotations[7, 0])) < 1e-9
    steps = [np.linalg.norm(np.diff(each, axis=0), axis=1) for each in (root, window.root)]
    np.testing.assert_allclose(*steps)
    np.testing.assert_allclose(root[:, 1], window.root[:, 1])
