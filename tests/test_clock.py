import pytest

from server.clock import FakeClock, MonotonicClock, Pacer


def test_deadlines_are_absolute_so_a_slow_tick_does_not_shift_the_next() -> None:
    clock = FakeClock()
    pacer = Pacer(clock, fps=100.0)
    starts = []
    for work in (0.002, 0.009, 0.001, 0.0):
        starts.append(pacer.wait())
        clock.advance(work)
    assert starts == pytest.approx([0.0, 0.01, 0.02, 0.03])


def test_missed_deadlines_are_skipped_not_caught_up() -> None:
    clock = FakeClock()
    pacer = Pacer(clock, fps=100.0)
    pacer.wait()
    clock.advance(0.055)
    assert pacer.wait() == pytest.approx(0.05)
    assert pacer.skipped == 4
    assert pacer.wait() == pytest.approx(0.06)


def test_the_real_clock_never_wakes_early() -> None:
    clock = MonotonicClock()
    deadline = clock.now() + 0.003
    clock.sleep_until(deadline)
    assert clock.now() >= deadline
