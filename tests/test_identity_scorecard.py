"""The scorecard of who and what: which takes teach, which count, which cells are unseen, and what is refused."""

from dataclasses import dataclass

import pytest

from training.models.identity_takes import Names
from training.scorecards.identity_action import cast


@dataclass(frozen=True)
class Take:
    """As much of a take as parts are given by."""

    name: str
    cell: tuple[str, str]

    @property
    def cells(self) -> list[tuple[str, str]]:
        return [self.cell]

    def files(self) -> list[dict[str, str]]:
        return [{"take": self.name, "sha256": f"hash of {self.name}"}]


def _takes(each: int = 3) -> list[Take]:
    cells = [(who, what) for who in ("a", "b") for what in ("hop", "run")]
    return [Take(f"{what}_{who}_{number}.bvh", (who, what)) for who, what in cells for number in range(each)]


def _hashes(*names: str) -> set[str]:
    return {f"hash of {name}" for name in names}


SEEN = [take for take in _takes() if "_0" in take.name or "_1" in take.name]


def test_takes_that_a_model_has_not_seen_count() -> None:
    parts = cast(_takes(), _hashes(*(take.name for take in SEEN)), ())
    assert parts.taught == parts.seen == SEEN
    assert {take.name[-5] for take in parts.judged} == {"2"}
    assert parts.unseen(Names.of(parts.taught)) == []


def test_an_unseen_cell_teaches_the_judge_and_not_the_model() -> None:
    known = [take for take in SEEN if take.cell != ("b", "run")]
    parts = cast(_takes(), _hashes(*(take.name for take in known)), ("*_2.bvh",))
    assert parts.seen == known
    assert parts.taught == SEEN
    assert parts.unseen(Names.of(parts.taught)) == [(1, 1)]
    assert ("b", "run") in [take.cell for take in parts.judged]


@pytest.mark.parametrize(
    ("known", "said"),
    [((), "was trained on none of these"), (_takes(), "EVERY TAKE IS SEEN: these figures prove nothing")],
)
def test_where_no_take_is_left_the_last_of_every_cell_counts_and_it_is_said(known: list[Take], said: str) -> None:
    parts = cast(_takes(), _hashes(*(take.name for take in known)), ())
    assert len(parts.judged) == 4
    assert len(parts.taught) == 8
    assert said in parts.about[0]


def test_who_could_not_be_taught_is_left_out_by_name() -> None:
    takes = [*_takes(), Take("run_c_2.bvh", ("c", "run"))]
    parts = cast(takes, _hashes(*(take.name for take in SEEN)), ())
    assert takes[-1] not in parts.judged
    assert any("run_c_2.bvh" in line for line in parts.about)


def test_takes_of_which_none_can_be_judged_are_refused() -> None:
    with pytest.raises(ValueError, match="4 takes teach the judges and none is left to be judged"):
        cast(_takes(1), _hashes(), ())
    only = [take for take in _takes() if take.cell[0] == "a"]
    with pytest.raises(ValueError, match="are of a and hop, run: it takes two of both"):
        cast(only, _hashes(), ())
