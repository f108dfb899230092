"""The remote control over a real socket: what it obeys, what it answers, and what it shrugs off."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import OscMessageBuilder

from motion.manifest import Param
from server.control import LONGEST, Control, ControlError
from server.cues import CueList
from server.desk import Desk
from server.errands import MOST_WAITING, Command
from server.lines import PartnerLine
from server.params import Changes, ControlChange
from server.pipeline import Pipeline
from server.preset_control import Control as Settings
from server.preset_control import Cue
from server.stats import Rate, Recent

Said = tuple[str, list[Any]]


class Knobs:
    """A stage with knobs and nothing else."""

    params = (
        Param("variety", 0.5, 0.0, 2.0),
        Param("latent_mix", 0.0, 0.0, 1.0, size=32),
        Param("latent_offset", 0.0, -4.0, 4.0, size=32),
        Param("mix", 0.0, 0.0, 1.0),
        Param("stillness", 0.0, 0.0, 1.0),
    )


CUES = (
    Cue(name="opening", params={"partner1/variety": 2.0}, seconds=4.0),
    Cue(freeze=True, reset=True),
    Cue(name="rest", still=True, freeze=False),
    Cue(params={"partner9/variety": 1.0}),
)


def answers(arguments: tuple[Any, ...]) -> str:
    if arguments == ("nothing",):
        raise ValueError("there is nothing to record")
    return f"records {arguments[0]}"


class Peer:
    """A control surface and the control port it speaks to."""

    def __init__(self, token: str = "", **settings: Any) -> None:
        self.time, self.errors = 0.0, 0
        pipeline = Pipeline([], [PartnerLine("partner1", "dancer1", [Knobs()])])  # type: ignore[list-item]
        self.desk = Desk(Changes(), lambda: pipeline, CueList(CUES))
        self.desk.commands["show/record"] = Command(answers, "records", "s")
        self.control = Control(Settings(port=0, **settings), self.desk, lambda: self.time, token)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(5.0)
        self.control.start()
        self.desk.errands.start()

    def send(self, *datagrams: bytes) -> None:
        for datagram in datagrams:
            self.socket.sendto(datagram, ("127.0.0.1", self.control.port))

    def ask(self, address: str, *arguments: object) -> Said:
        self.send(message(address, *arguments))
        return self.said()

    def said(self) -> Said:
        answer = OscMessage(self.socket.recv(65536))
        return answer.address, list(answer.params)

    def heard(self) -> list[ControlChange]:
        """The changes of all that was sent: what is asked last is answered last."""
        self.send(message("/show/reply", self.socket.getsockname()[1]))
        while (said := self.said()[0]) != "/reply/show/reply":
            self.errors += said == "/error"
        return list(self.desk.changes.take())

    def close(self) -> None:
        self.control.close()
        self.desk.errands.close()
        self.socket.close()


@pytest.fixture
def peers() -> Iterator[Callable[..., Peer]]:
    made: list[Peer] = []

    def make(**settings: Any) -> Peer:
        made.append(Peer(**settings))
        return made[-1]

    yield make
    for peer in made:
        peer.close()


@pytest.fixture
def peer(peers: Callable[..., Peer]) -> Peer:
    return peers()


def await_that(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5.0
    while not holds():
        assert time.monotonic() < deadline


def message(address: str, *arguments: object) -> bytes:
    builder = OscMessageBuilder(address)
    for argument in arguments:
        builder.add_arg(argument)
    return builder.build().dgram


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        (message("/partner1/variety", 0.5), ControlChange("partner1/variety", 0.5)),
        (message("/partner1/variety", True), ControlChange("partner1/variety", 1.0)),
        (message("/partner1/latent_mix", *[0.5] * 32), ControlChange("partner1/latent_mix", (0.5,) * 32)),
        (message("/fade/partner1/variety", 1.5, 3.0), ControlChange("partner1/variety", 1.5, 3.0)),
        (message("/synth/encodingmix", *[0.25] * 32), ControlChange("*/latent_mix", (0.25,) * 32)),
        (message("/synth/encodingoffset", *[2.0] * 32), ControlChange("*/latent_offset", (2.0,) * 32)),
        (message("/mocap/deepfakemode", 1), ControlChange("*/mix", 1.0)),
        (message("/mocap/deepfakemode", 2), ControlChange("*/mix", 0.0)),
        (message("/show/freeze", 1), ControlChange("show/freeze", 1.0)),
        (message("/show/freeze"), ControlChange("show/freeze", 1.0)),
        (message("/show/still", 0, 3.0), ControlChange("*/stillness", 0.0, 3.0)),
        (message("/show/reset"), ControlChange("show/reset", 1.0)),
        (message("/cue/opening"), ControlChange("partner1/variety", 2.0, 4.0)),
        (message("/cue/opening/start"), ControlChange("partner1/variety", 2.0, 4.0)),
        (message("/go"), ControlChange("partner1/variety", 2.0, 4.0)),
        (message("/cue/go", "rest"), ControlChange("*/stillness", 1.0, 1.5)),
    ],
)
def test_a_message_becomes_a_change(peer: Peer, sent: bytes, meant: ControlChange) -> None:
    peer.send(sent)
    assert peer.heard()[-1] == meant


def test_a_fader_that_floods_ends_where_it_was_left(peer: Peer) -> None:
    peer.send(*(message("/partner1/variety", n / 100) for n in range(200)))
    changes = peer.heard()
    assert changes[-1].value == pytest.approx(1.99)


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ([("/partner1/variety", 1.0), ("/partner1/variety", 2.0)], [1]),
        ([("/partner1/variety", 1.0), ("/partner1/variety",)], [0, 1]),
        ([("/partner1/variety",), ("/partner1/variety", 1.0), ("/partner1/variety",)], [0, 1, 2]),
        ([("/abc", 1.0), ("/abc",), ("/abc", 2.0)], [1, 2]),
        ([("/go",), ("/go",)], [0, 1]),
        ([("/go", 1), ("/go", 0), ("/go", 1)], [0, 1, 2]),
        ([("/gong/variety", 1.0), ("/gong/variety", 2.0)], [1]),
    ],
)
def test_of_what_waits_the_newest_setting_is_read_and_every_question_and_command(
    peer: Peer, sent: list[tuple[Any, ...]], read: list[int]
) -> None:
    control = Control(Settings(port=0), peer.desk)  # nobody reads it but this test
    datagrams = [message(*each) for each in sent]
    for datagram in datagrams:
        peer.socket.sendto(datagram, ("127.0.0.1", control.port))
    assert [data for data, _ in control._read()] == [datagrams[place] for place in read]
    control.close()


def test_letting_go_of_a_pad_asks_for_nothing(peer: Peer) -> None:
    peer.send(message("/show/reset", 0), message("/cue/go", 0), message("/cue/1", 0.0))
    assert peer.heard() == []


def test_a_button_is_pressed_with_a_1_and_let_go_with_a_0(peer: Peer) -> None:
    peer.desk.commands["show/calibrate"] = Command(lambda arguments: f"calibrates {arguments}", "", "s", button=True)
    peer.send(message("/show/calibrate", 1.0), message("/show/calibrate", 0.0), message("/show/calibrate", "all", 0))
    peer.send(message("/show/calibrate", 5))
    assert [peer.said()[1][0] for _ in range(3)] == ["calibrates ()", "calibrates ('all', 0)", "calibrates (5,)"]


def test_a_param_without_a_number_is_a_question(peer: Peer) -> None:
    assert peer.ask("/partner1/variety") == ("/reply/partner1/variety", [0.5])


@pytest.mark.parametrize(
    ("address", "arguments", "why"),
    [
        ("/partner1/varieti", (0.5,), "no param 'partner1/varieti'; there are: partner1/variety"),
        ("/partner1/variety", ("much",), "takes a number, not 'much'"),
        ("/partner1/variety", (float("nan"),), "takes a number, not nan"),
        ("/partner1/variety", (0.1, 0.2), "takes one number, got 2"),
        ("/*/colour", (0.5,), "no param '*/colour'"),
        ("/fade/partner1/variety", (1.0, -1.0), "-1 seconds; it takes 0 to 600"),
        ("/show/freez", (1,), "there are: /show/freeze, /show/record, /show/reset, /show/still"),
        ("/show/replay", ("start",), "there are: /show/freeze"),
        ("/show/record", ("nothing",), "there is nothing to record"),
        ("/show/still", ("yes",), "takes 1 or 0"),
        ("/cue/99", (), "no cue '99'; there are: 1 opening, 2, 3 rest, 4"),
        ("/cue/back", (), "no cue came before"),
        ("/cue/4", (), "no param 'partner9/variety'"),
        ("/show/subscribe", ("long",), "takes seconds"),
        ("/show/reply", (70000,), "takes a port"),
    ],
)
def test_what_makes_no_sense_changes_nothing_and_is_answered(
    peer: Peer, address: str, arguments: tuple[object, ...], why: str
) -> None:
    said, (about, text) = peer.ask(address, *arguments)
    assert (said, about) == ("/error", address)
    assert why in text
    assert peer.control.counts["refused"] == 1
    assert peer.heard() == []


def test_a_command_says_what_it_did(peer: Peer) -> None:
    assert peer.ask("/show/record", "start") == ("/reply/show/record", ["records start"])
    assert peer.ask("/show/freeze", 1) == ("/reply/show/freeze", [1])


def test_commands_are_done_one_after_the_other_and_too_many_are_refused(peer: Peer) -> None:
    go_on = threading.Event()
    peer.desk.commands["show/record"] = Command(lambda arguments: f"{go_on.wait(5.0)} {arguments[0]}", "waits", "i")
    peer.send(*(message("/show/record", n) for n in range(MOST_WAITING + 8)))
    peer.heard()
    assert peer.errors in (7, 8)  # the first is being done while the others wait, or waits as well
    go_on.set()
    done = [peer.said() for _ in range(MOST_WAITING + 8 - peer.errors)]
    assert {said for said, _ in done} == {"/reply/show/record"}
    numbers = [int(texts[0].split()[1]) for _, texts in done]
    assert numbers == sorted(numbers)


def test_a_command_that_fails_in_no_way_it_should_is_counted_and_the_next_one_runs(peer: Peer) -> None:
    peer.desk.commands["show/record"] = Command(lambda arguments: arguments[0] + 1, "fails", "s")
    assert peer.ask("/show/record", "x")[0] == "/error"
    assert peer.desk.errands.faults == 1
    peer.desk.commands["show/record"] = Command(answers, "records", "s")
    assert peer.ask("/show/record", "start") == ("/reply/show/record", ["records start"])


def test_cues_go_on_and_back(peer: Peer) -> None:
    walk = [peer.ask(f"/cue/{where}")[1] for where in ("current", "go", "go", "go", "back", "current")]
    assert walk == [[0, "none"], [1, "1 opening"], [2, "2"], [3, "3 rest"], [2, "2"], [2, "2"]]
    assert ControlChange("show/freeze", 1.0) in peer.heard()


def test_a_cue_that_fails_does_not_move_the_list(peer: Peer) -> None:
    assert peer.ask("/cue/4")[0] == "/error"
    assert peer.ask("/cue/go")[1] == [1, "1 opening"]


@pytest.mark.parametrize("garbage", [b"", b"\0", b"#bundle\0", b"\xff" * 400, b"#bundle\0" + b"\x7f" * 64])
def test_garbage_is_counted_and_the_next_message_heard(peer: Peer, garbage: bytes) -> None:
    peer.send(garbage, message("/show/freeze", 1))
    assert peer.said()[0] == "/error"
    assert peer.said()[0] == "/reply/show/freeze"
    assert peer.control.counts["garbage"] == 1


def test_a_datagram_that_is_too_long_is_not_read(peer: Peer) -> None:
    assert "at most 8192" in peer.ask("/partner1/variety", "x" * LONGEST)[1][1]


def test_answers_are_never_answered(peer: Peer) -> None:
    """Two servers that talk to each other would go on for ever."""
    peer.send(message("/error", "/show/freez", "nothing here"), message("/reply/show/freeze", 1))
    assert peer.heard() == []
    assert peer.control.counts == {"ignored": 2}


def test_only_so_many_errors_a_second_are_answered(peer: Peer) -> None:
    peer.send(*[message("/show/freez")] * 100)
    assert peer.heard() == []
    peer.socket.settimeout(0.1)
    with pytest.raises(TimeoutError):
        peer.said()
    assert peer.control.counts["refused"] == 100
    assert peer.errors == 50


def test_answers_go_where_the_sender_wants_them(peers: Callable[..., Peer]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as elsewhere:
        elsewhere.bind(("127.0.0.1", 0))
        elsewhere.settimeout(5.0)
        by_preset = peers(reply_port=elsewhere.getsockname()[1])
        by_preset.send(message("/show/freeze", 1))
        assert OscMessage(elsewhere.recv(4096)).address == "/reply/show/freeze"
        by_message = peers()
        by_message.send(message("/show/reply", elsewhere.getsockname()[1]), message("/show/freeze", 0))
        assert [OscMessage(elsewhere.recv(4096)).address for _ in range(2)] == [
            "/reply/show/reply",
            "/reply/show/freeze",
        ]


def test_a_subscriber_is_told_what_changes_until_the_time_is_up(peer: Peer) -> None:
    assert peer.ask("/show/subscribe", 10) == ("/reply/show/subscribe", [10.0])
    peer.time = 1.0
    told = dict(peer.said() for _ in range(9))
    assert told["/partner1/variety"] == [0.5]
    assert told["/show/freeze"] == [0]
    peer.time = 2.0
    assert peer.ask("/cue/go")[0] == "/reply/cue/go"
    assert peer.said() == ("/cue/current", [1])
    peer.time = 20.0
    peer.send(message("/cue/go"))
    assert peer.heard()[-1].name == "show/reset"
    await_that(lambda: not peer.control._subscribers)


def test_only_who_is_allowed_is_heard(peers: Callable[..., Peer]) -> None:
    stranger = peers(allow=("192.0.2.0/24",))
    stranger.send(message("/show/freeze", 1))
    await_that(lambda: bool(stranger.control.counts))
    assert stranger.control.counts == {"dropped_source": 1}
    with pytest.raises(ValueError, match="'nobody' must be an address or a network"):
        peers(allow=("nobody",))


def test_a_sender_is_heard_once_it_has_shown_the_token(peers: Callable[..., Peer]) -> None:
    peer = peers(token="open sesame")
    assert peer.ask("/show/freeze", 1) == (
        "/error",
        ["/token", "this show hears whoever has sent /token and its token"],
    )
    assert peer.ask("/token", "open sesam")[0] == "/error"
    assert peer.ask("/token", 7)[0] == "/error"
    assert peer.ask("/token")[0] == "/error"
    assert not peer.desk.changes.take()
    assert peer.ask("/token", "open sesame") == ("/reply/token", [])
    assert peer.ask("/show/freeze", 1) == ("/reply/show/freeze", [1])
    assert peer.control.counts == {"dropped_token": 4}


def test_a_token_may_come_in_one_bundle_with_what_it_is_for(peers: Callable[..., Peer]) -> None:
    peer = peers(token="open sesame")
    said = [message("/token", "open sesame"), message("/show/freeze", 1)]
    peer.send(b"#bundle\0" + bytes(8) + b"".join(len(one).to_bytes(4, "big") + one for one in said))
    assert [peer.said()[0] for _ in range(2)] == ["/reply/token", "/reply/show/freeze"]


def test_another_port_of_the_same_machine_is_another_sender(peers: Callable[..., Peer]) -> None:
    peer = peers(token="open sesame")
    assert peer.ask("/token", "open sesame")[0] == "/reply/token"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.sendto(message("/show/freeze", 1), ("127.0.0.1", peer.control.port))
        await_that(lambda: bool(peer.control.counts["dropped_token"]))
    assert not peer.desk.changes.take()


def test_a_token_is_told_nobody(peers: Callable[..., Peer]) -> None:
    peer = peers(token="open sesame")
    peer.ask("/token", "open sesame")
    said = [peer.ask("/token", "open sesamo"), peer.ask("/token/open sesame"), peer.ask("/show/subscribe", 1)]
    said += [peer.said() for _ in range(8)]
    nodes = [(node.address, node.about, node.value) for node in peer.desk.nodes()]
    assert "sesam" not in repr(said).replace("/token/open sesame", "")  # an address that is not there is named
    assert "sesam" not in repr((nodes, peer.control.counts))


def test_a_show_without_a_token_takes_any(peer: Peer) -> None:
    assert peer.ask("/token", "open sesame") == ("/reply/token", [])
    assert peer.ask("/show/freeze", 1)[0] == "/reply/show/freeze"


def test_one_address_is_heard_so_many_times_a_second(peers: Callable[..., Peer]) -> None:
    peer = peers(rate=10)
    peer.send(*[message("/show/freeze", 1)] * 30)
    await_that(lambda: peer.control.counts["dropped_rate"] == 10)
    assert len([peer.said() for _ in range(20)]) == 20
    peer.time = 0.1
    assert peer.ask("/show/freeze", 0) == ("/reply/show/freeze", [0])
    peer.send(message("/show/freeze", 1))
    await_that(lambda: peer.control.counts["dropped_rate"] == 11)


def test_whoever_guesses_at_the_token_has_ten_guesses_a_second(peers: Callable[..., Peer]) -> None:
    peer = peers(token="open sesame")
    guess = message("/token", "open sesamo")
    peer.send(*[b"#bundle\0" + bytes(8) + len(guess).to_bytes(4, "big") + guess] * 100)
    await_that(lambda: sum(peer.control.counts.values()) == 100)
    assert peer.control.counts == {"dropped_token": 20, "dropped_rate": 80}
    peer.time = 1.0
    peer.send(*[b"#bundle\0" + bytes(8) + len(guess).to_bytes(4, "big") + guess] * 100)
    await_that(lambda: sum(peer.control.counts.values()) == 200)
    assert peer.control.counts["dropped_token"] == 30


def test_a_control_port_in_use_names_the_key(peer: Peer) -> None:
    with pytest.raises(ControlError, match=rf"127\.0\.0\.1:{peer.control.port}.*set control\.port"):
        Control(Settings(port=peer.control.port), peer.desk)


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
