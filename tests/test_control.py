"""The remote control over a real socket, and the figures behind the status line."""

import socket
import time
from collections.abc import Iterator

import pytest
from pythonosc.osc_message_builder import OscMessageBuilder

from server.control import Control, ControlError
from server.params import ControlChange
from server.stats import Rate, Recent


@pytest.fixture
def control() -> Iterator[Control]:
    control = Control("127.0.0.1", 0)
    control.start()
    yield control
    control.close()


def send(control: Control, *datagrams: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for datagram in datagrams:
            sender.sendto(datagram, ("127.0.0.1", control.port))


def heard(control: Control) -> ControlChange:
    """The newest change, as soon as there is one."""
    end = time.monotonic() + 5.0
    while time.monotonic() < end:
        if changes := list(control.changes.take()):
            return changes[-1]
    raise TimeoutError("nothing was heard")


def message(address: str, *arguments: object) -> bytes:
    builder = OscMessageBuilder(address)
    for argument in arguments:
        builder.add_arg(argument)
    return builder.build().dgram


def test_a_param_moves_by_osc(control: Control) -> None:
    send(control, message("/partner1/variety", 0.5))
    assert heard(control) == ControlChange("partner1/variety", 0.5)


def test_a_vector_param_takes_all_its_numbers(control: Control) -> None:
    send(control, message("/partner1/latent_offset", 0.5, 1, -2.0))
    assert heard(control) == ControlChange("partner1/latent_offset", (0.5, 1.0, -2.0))


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        (message("/synth/encodingmix", *[0.25] * 32), ControlChange("*/latent_mix", (0.25,) * 32)),
        (message("/synth/encodingoffset", *[2.0] * 32), ControlChange("*/latent_offset", (2.0,) * 32)),
        (message("/mocap/deepfakemode", 1), ControlChange("*/mix", 1.0)),
        (message("/mocap/deepfakemode", 2), ControlChange("*/mix", 0.0)),
    ],
)
def test_ai_toolboxs_addresses_are_understood(control: Control, sent: bytes, meant: ControlChange) -> None:
    send(control, sent)
    assert heard(control) == meant


def test_a_command_without_an_argument_is_a_press(control: Control) -> None:
    send(control, message("/show/reset"))
    assert heard(control) == ControlChange("show/reset", 1.0)


@pytest.mark.parametrize("garbage", [b"", b"\0", b"#bundle\0", b"\xff" * 400, b"#bundle\0" + b"\x7f" * 64])
def test_garbage_is_counted_and_the_next_message_heard(control: Control, garbage: bytes) -> None:
    send(control, garbage, message("/show/freeze", 1))
    assert heard(control) == ControlChange("show/freeze", 1.0)


def test_an_argument_that_is_no_number_is_counted(control: Control) -> None:
    send(control, message("/partner1/variety", "much"), message("/partner1/mix", 0.5, "x"), message("/show/freeze", 0))
    assert heard(control) == ControlChange("show/freeze", 0.0)
    assert control.counts["garbage"] == 2


def test_a_control_port_in_use_names_the_key(control: Control) -> None:
    with pytest.raises(ControlError, match=rf"127\.0\.0\.1:{control.port}.*set control\.port"):
        Control("127.0.0.1", control.port)


def test_percentiles_are_of_what_came_last() -> None:
    recent = Recent(size=100)
    assert recent.percentile(50) is None
    for value in range(250):
        recent.add(float(value))
    assert recent.percentile(0) == 150.0
    assert recent.percentile(100) == 249.0


def test_frames_of_one_packet_have_no_rate_yet() -> None:
    rate = Rate()
    for _ in range(3):
        rate.tick(1.0)
    assert rate.value(1.0) == 0.0


def test_a_rate_falls_to_zero_when_events_stop() -> None:
    rate = Rate()
    for n in range(120):
        rate.tick(n / 60)
    assert rate.value(119 / 60) == pytest.approx(60.0)
    assert rate.value(60.0) == 0.0
