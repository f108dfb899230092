"""A fit's pace: plain without a limit; with one the schedule is over when the time is, whatever a step takes."""

import pytest

from training.match.pace import Pace


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def walked(pace: Pace, clock: Clock, total: int, share: float, seconds: float) -> list[int]:
    """How far the schedule went after each step, steps of so many seconds."""
    went = []
    for go_on in pace.steps(total, share, "walking"):
        clock.now += seconds
        went.append(go_on)
    return went


def test_without_a_limit_the_schedule_takes_every_step() -> None:
    clock = Clock()
    assert walked(Pace(0.0, clock, quiet=True), clock, 50, 1.0, 1e6) == [1] * 50


def test_enough_time_changes_nothing() -> None:
    clock = Clock()
    assert walked(Pace(1.0, clock, quiet=True), clock, 50, 1.0, 1.0) == [1] * 50


@pytest.mark.parametrize("seconds", [0.7, 3.0, 40.0, 500.0])
def test_a_short_time_is_kept_to_a_step_and_the_schedule_is_gone_through(seconds: float) -> None:
    clock = Clock()
    pace = Pace(1.0, clock, quiet=True)
    went = walked(pace, clock, 1000, 0.25, seconds) + walked(pace, clock, 1000, 0.75, seconds)
    assert sum(went) == 2000
    assert clock.now - 100.0 <= 60.0 + 3 * seconds  # two steps of the first part, one of the second at the least


def test_what_one_part_did_not_need_is_the_next_ones() -> None:
    clock = Clock()
    pace = Pace(1.0, clock, quiet=True)
    walked(pace, clock, 10, 0.5, 0.0)
    assert walked(pace, clock, 59, 0.5, 1.0) == [1] * 59
