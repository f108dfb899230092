"""Bytes that nobody meant: every decoder takes thousands of them and raises nothing but PacketError.

The nightly run is `python -m benchmarks.fuzz --inputs 1000000`, and there time is a bar, too; here it is looked at
with room, for machines that do other things.
"""

import pytest

from benchmarks import fuzz
from benchmarks.fuzz_seeds import Target, decoders, targets

TARGETS = targets()
INPUTS = 20000  # a decoder; 80 µs each


@pytest.mark.parametrize("name", TARGETS)
def test_a_decoder_takes_any_bytes(name: str):
    result = fuzz.fuzz(TARGETS[name], INPUTS)
    assert [fault for fault in result.faults if "takes" not in fault] == []
    assert result.refused > INPUTS / 3
    assert result.slowest_ms < 5.0  # 1 is the bar, on a machine that does nothing else


def test_every_decoder_is_among_them():
    assert len(TARGETS) >= len(decoders()) + 2
    assert {"vmc", "aitoolbox", "mocopi", "rokoko", "xsens", "packed", "osc"} <= TARGETS.keys()


@pytest.mark.parametrize("name", TARGETS)
def test_what_is_broken_was_whole(name: str):
    """Datagrams that nobody reads would test nothing."""
    feed = TARGETS[name].fresh()
    for number, datagram in enumerate(TARGETS[name].seeds):
        feed(datagram, number / 60)
    assert max(map(len, TARGETS[name].heavy)) > 2 * max(map(len, TARGETS[name].seeds))


def faulty(datagram: bytes, now: float) -> list:
    if len(datagram) % 7 == 0:
        raise IndexError("an end that was not looked for")
    if len(datagram) % 5 == 0:
        bytearray(16_000_000)
    if len(datagram) % 11 == 0:
        sum(range(200_000))
    return []


def test_a_decoder_with_faults_is_found_out():
    result = fuzz.fuzz(Target(lambda: faulty, [bytes(100)], [bytes(1000)]), 200)
    assert any("IndexError: an end" in fault for fault in result.faults)
    assert any("allocates 16.0 MB" in fault for fault in result.faults)
    assert any("takes" in fault for fault in result.faults)


def test_the_same_seed_gives_the_same_inputs():
    first, again, other = (list(fuzz.inputs(TARGETS["vmc"], 50, fuzz.Random(seed))) for seed in (1, 1, 2))
    assert first == again
    assert first != other
