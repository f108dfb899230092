"""Cohen's kappa against its definition counted out, and which lines of two files are about the same movement."""

import math
from fractions import Fraction
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.label_agreement import Agreement, compare, report

LABELS = st.sampled_from(("low", "medium", "high"))


def line(start: float, end: float, label: str, take: str = "a.bvh") -> dict[str, str]:
    return {"take": take, "start": str(start), "end": str(end), "label set": "time", "label": label}


@given(st.lists(st.tuples(LABELS, LABELS), min_size=1, max_size=30))
def test_kappa_is_agreement_beyond_that_of_all_pairings(pairs: list[tuple[str, str]]) -> None:
    same = Fraction(sum(one == other for one, other in pairs), len(pairs))
    ones, others = zip(*pairs, strict=True)
    chance = Fraction(sum(one == other for one, other in product(ones, others)), len(pairs) ** 2)
    agreement = Agreement.of(pairs)
    if chance == 1:
        assert math.isnan(agreement.kappa)
    else:
        assert agreement.kappa == pytest.approx(float((same - chance) / (1 - chance)), abs=1e-12)


def test_kappa_of_a_published_table() -> None:
    # 20 and 15 of 50 proposals both take or both leave, 5 and 10 only one does: kappa is 0.4
    pairs = [("yes", "yes")] * 20 + [("yes", "no")] * 5 + [("no", "yes")] * 10 + [("no", "no")] * 15
    agreement = Agreement.of(pairs, ("yes", "no"))
    assert agreement.kappa == pytest.approx(0.4)
    assert agreement.error == pytest.approx(math.sqrt(0.7 * 0.3 / 50) / 0.5)
    assert agreement.table.tolist() == [[20, 5], [10, 15]]
    assert agreement.told() == "kappa 0.40 ± 0.13, 70 % equal of 50"


def test_kappa_of_nothing_and_of_one_label_cannot_be_told() -> None:
    assert Agreement.of([]).told() == "nothing that both have labelled"
    assert Agreement.of([("low", "low")] * 3).told() == "kappa cannot be told, 100 % equal of 3"


@given(st.lists(st.tuples(LABELS, LABELS), min_size=1, max_size=30))
def test_it_is_the_same_whoever_is_asked_first(pairs: list[tuple[str, str]]) -> None:
    turned = Agreement.of([(other, one) for one, other in pairs])
    assert turned.kappa == pytest.approx(Agreement.of(pairs).kappa, nan_ok=True)


def test_parts_are_the_same_when_they_share_more_than_half() -> None:
    one = [line(0.0, 1.0, "low"), line(1.0, 2.0, "high"), line(5.0, 6.0, "low")]
    other = [line(0.2, 1.2, "low", "a"), line(1.4, 2.4, "low"), line(5.0, 6.0, "low", "b.bvh")]
    assert compare(one, other)["time"].table.tolist() == [[1]]


def test_the_report_has_every_pair_and_the_confusion(tmp_path: Path) -> None:
    files = [tmp_path / f"{name}.csv" for name in ("ada", "ben", "cem")]
    for path in files:
        path.write_text("clip,label set,label\n000.bvh,time,low\n001.bvh,time,high\n002.bvh,time,\n")
    said = report(files)
    assert said.count("kappa 1.00, 100 % equal of 2") == 3
    assert f"{files[0]} (down) and {files[2]} (across), time" in said
    assert "  high    1    0" in said


def test_a_file_alone_is_compared_with_its_second_answers(tmp_path: Path) -> None:
    (tmp_path / "ada.csv").write_text("clip,label set,label\n000.bvh,time,low\n001.bvh,time,high\n")
    assert "label with --repeat" in report([tmp_path / "ada.csv"])
    side = "clip,label set,label,who,when,kind\n000.bvh,time,high,,,again\n001.bvh,time,high,,,again\n"
    (tmp_path / "ada.side.csv").write_text(side + "002.bvh,time,,,,skipped\n")
    assert "ada.csv with itself, time: kappa 0.00" in report([tmp_path / "ada.csv"])


def test_files_about_different_things_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("clip,label set,label\n")
    (tmp_path / "b.csv").write_text("take,start,end,label set,label\n")
    with pytest.raises(ValueError, match=r"a.csv has clip; b.csv has take, start, end"):
        report([tmp_path / "a.csv", tmp_path / "b.csv"])
