"""Whatever a message asks for, the desk does it or says why not, and the tick gets only what it can obey."""

import math
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motion.manifest import Param
from server.cues import CueList
from server.desk import ALIASES, DEEPFAKE_MODE, Desk
from server.errands import Command, Listing
from server.lines import PartnerLine
from server.osc_query import tree
from server.params import Changes
from server.pipeline import Pipeline
from server.preset_control import ADDRESSES, Cue


class Knobs:
    params = (
        Param("variety", 0.5, 0.0, 2.0),
        Param("latent", 0.0, -4.0, 4.0, size=3),
        Param("stillness", 0.0, 0.0, 1.0),
        Param("label/time", 0.5, 0.0, 1.0, names=("low", "medium", "high")),
    )

    def reset(self) -> None:
        pass


def desk() -> tuple[Desk, Pipeline]:
    pipeline = Pipeline([], [PartnerLine("partner1", "dancer1", [Knobs()])])  # type: ignore[list-item]
    cues = (
        Cue(name="rest", still=True, seconds=2.0),
        Cue(freeze=True, reset=True),
        Cue(params={"partner1/latent": 1.0}),
    )
    made = Desk(Changes(), lambda: pipeline, CueList(cues))
    made.commands["show/record"] = made.commands["player/stop"] = Command(str, "does something")
    return made, pipeline


def test_who_only_wants_values_has_no_choices_looked_up() -> None:
    looked: list[str] = []

    def choices() -> list[str]:
        looked.append("through")
        return looked

    made, _ = desk()
    made.commands["show/replay"] = Command(str, "plays", "s", choices)
    nodes = list(made.nodes())
    assert looked == []
    assert tree(nodes)["CONTENTS"]["show"]["CONTENTS"]["replay"]["RANGE"] == [{"VALS": ["through"]}]


def test_a_folder_is_looked_through_when_it_has_changed(tmp_path: Path) -> None:
    looked: list[Path] = []

    def look(folder: Path) -> list[str]:
        looked.append(folder)
        return sorted(path.name for path in folder.iterdir())

    listing = Listing(tmp_path / "takes", look)
    assert listing() == []
    (tmp_path / "takes").mkdir()
    (tmp_path / "takes/a").touch()
    assert [listing(), listing()] == [["a"], ["a"]]
    assert len(looked) == 2  # a folder that has just changed may change again without a sign
    for when, name in enumerate("bc"):
        (tmp_path / "takes" / name).touch()
        os.utime(tmp_path / "takes", (when, when))
        assert listing() == listing() == sorted("abc"[: when + 2])
    assert len(looked) == 4


def test_a_knob_with_names_is_set_by_them() -> None:
    made, pipeline = desk()
    for address, arguments, expected in [
        ("/partner1/label/time", ("high",), 1.0),
        ("/*/label/time", ("low",), 0.0),
        ("/fade/partner1/label/time", ("medium", 2.0), 0.5),
        ("/partner1/label/time", (0.3,), 0.3),
    ]:
        made.ask(address, arguments, print, print)
        for change in made.changes.take():
            assert pipeline.apply(change)
        assert pipeline.params.target("partner1/label/time") == expected


def test_a_name_that_is_none_is_refused_with_those_there_are() -> None:
    made, _ = desk()
    with pytest.raises(ValueError, match="'hihg' is none of low, medium, high"):
        made.ask("/partner1/label/time", ("hihg",), print, print)


KNOWN = "partner1 * variety latent stillness label time freeze still reset record stop start go back current rest"
KNOWN += " 1 3 0 ² １"
words = st.sampled_from([*ADDRESSES, *KNOWN.split(), ""])
addresses = st.one_of(
    st.lists(words | st.text(max_size=4), max_size=4).map(lambda parts: "/" + "/".join(parts)),
    st.sampled_from([f"/{alias}" for alias in (*ALIASES, DEEPFAKE_MODE)]),
)
values = st.one_of(
    st.floats(),
    st.integers(-(2**63), 2**64 - 1),
    st.booleans(),
    st.none(),
    st.binary(max_size=4),
    st.sampled_from(["rest", "start", "", "x" * 100, "partner1", "low"]),
)


@settings(deadline=None, max_examples=500)
@given(st.lists(st.tuples(addresses, st.lists(values, max_size=4)), max_size=4))
def test_any_message_is_obeyed_answered_or_refused_in_words(messages: list[tuple[str, list[Any]]]) -> None:
    made, pipeline = desk()
    said: list[tuple[Any, ...]] = []
    for address, arguments in messages:
        try:
            made.ask(address, tuple(arguments), lambda *answer: said.append(answer), said.append)
        except ValueError as error:
            said.append((str(error),))
    for change in made.changes.take():
        assert pipeline.apply(change), change
    pipeline.params.advance(0.1, "partner1")
    assert all(isinstance(part, int | float) or (isinstance(part, str) and part) for answer in said for part in answer)
    assert tree(made.nodes())["CONTENTS"].keys() == {"show", "player", "cue", "partner1"}
    assert math.isfinite(float(pipeline.params.values["partner1/variety"]))
