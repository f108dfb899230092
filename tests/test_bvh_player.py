"""The recording as a dancer: the same frames, in time, round after round."""

import threading
import time
from collections.abc import Callable
from contextlib import closing
from itertools import islice
from queue import SimpleQueue

import numpy as np
import pytest

from motion import kinematics
from motion import rotations as rot
from motion.clip import Clip
from motion.skeleton import HUMANOID
from server.protocols.frames import PoseFrame
from server.receivers.bvh_player import BvhPlayer

PATIENCE = 10.0  # seconds; a busy machine may be slow, a broken player never delivers


def dance(frames=150, fps=60.0) -> Clip:
    """Walks 2 m and turns an arm; its end is far from its start."""
    t = np.arange(frames) / frames
    root = np.stack([2.0 * t, 0.9 + 0.0 * t, t], axis=1)
    rotations = np.tile(rot.IDENTITY, (frames, len(HUMANOID), 1))
    rotations[:, HUMANOID.index("LeftUpperArm")] = rot.from_euler("z", (2.0 * t)[:, None])
    return Clip(HUMANOID, fps, root, rotations)


def test_a_recording_played_once_is_the_recording():
    clip = dance()
    frames = list(BvhPlayer(clip, 60.0, loop=False).frames())
    assert [frame.number for frame in frames] == list(range(150))
    assert [frame.sender_time for frame in frames] == [number / 60.0 for number in range(150)]
    assert (np.array([frame.root_position for frame in frames]) == clip.root_positions).all()
    assert (np.array([frame.rotations for frame in frames]) == clip.rotations).all()


def test_a_recording_is_played_at_the_rate_asked_for():
    frames = list(BvhPlayer(dance(), 120.0, loop=False).frames())
    assert len(frames) == 299
    assert frames[1].sender_time == 1 / 120


def test_a_loop_never_jumps_and_its_time_goes_on():
    clip = dance()
    frames = list(islice(BvhPlayer(clip, 60.0, loop=True).frames(), 600))
    joints = kinematics.global_positions(
        HUMANOID, [frame.root_position for frame in frames], [frame.rotations for frame in frames]
    )
    # 2.2 m back in half a second, eased in and out, is at most 1.5 * 2.2 / 30 = 0.11 m a frame; the hand turns as well.
    assert np.linalg.norm(np.diff(joints, axis=0), axis=-1).max() < 0.25
    assert [frame.sender_time for frame in frames] == [number / 60.0 for number in range(600)]


def test_every_round_of_a_loop_is_the_same():
    clip = dance()
    frames = list(islice(BvhPlayer(clip, 60.0, loop=True).frames(), 400))
    round_length = 150 - 30  # half a second dissolves
    for number in range(150, 400 - round_length):
        assert (frames[number].rotations == frames[number + round_length].rotations).all()
        assert (frames[number].root_position == frames[number + round_length].root_position).all()


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_the_shortest_recordings_loop(frames):
    played = list(islice(BvhPlayer(dance(frames), 60.0).frames(), 10))
    assert [frame.number for frame in played] == list(range(10))


def test_an_empty_recording_is_refused():
    with pytest.raises(ValueError, match="no frames"):
        BvhPlayer(dance(3)[0:0], 60.0)


def test_the_thread_plays_the_same_frames_as_the_iterator():
    live = []
    player = BvhPlayer(dance(40), 1000.0, loop=False, on_frame=live.append)
    with closing(player):
        player.start()
        assert player.finished.wait(PATIENCE)
    offline = list(player.frames())
    assert len(live) + player.counts["skipped"] == len(offline)
    for frame in live:
        same = offline[frame.number]
        assert (frame.rotations == same.rotations).all()
        assert (frame.root_position == same.root_position).all()
        assert frame.sender_time == same.sender_time


def test_a_frame_is_never_early():
    live, starts = [], []

    def clock():
        starts.append(time.perf_counter())
        return starts[-1]

    player = BvhPlayer(dance(20), 200.0, loop=False, on_frame=live.append, clock=clock)
    with closing(player):
        player.start()
        assert player.finished.wait(PATIENCE)
    assert all(frame.receive_time >= starts[0] + frame.sender_time for frame in live)


def test_a_player_survives_its_listener_and_closes_in_the_middle():
    arrived = SimpleQueue()

    def on_frame(frame):
        arrived.put(frame)
        raise RuntimeError("no")

    player = BvhPlayer(dance(), 60.0, on_frame=on_frame)
    with closing(player):
        player.start()
        assert [arrived.get(timeout=PATIENCE).number for _ in range(3)] == [0, 1, 2]
    assert str(player.first_error) == "no"


def played(player: BvhPlayer, frames: int, orders: dict[int, Callable[[], object]]) -> list[PoseFrame]:
    """What its thread would send, with orders given after some of the frames."""
    seen = []
    for number in range(frames):
        player._number = number
        seen.append(player._frame(player._playing, number))
        if number in orders:
            orders[number]()
    return seen


def roots(frames: list[PoseFrame]) -> np.ndarray:
    return np.array([frame.root_position[0] for frame in frames])


def test_a_recording_that_is_stopped_stands_and_goes_on_from_there():
    player = BvhPlayer(dance(600), 60.0)
    frames = played(player, 300, {100: lambda: player.run(False), 200: lambda: player.run(True)})
    walked = roots(frames)
    assert np.ptp(walked[131:200]) == 0.0
    assert walked[299] == pytest.approx(2.0 * (100 + 99) / 600, abs=0.01)
    assert [frame.sender_time for frame in frames] == [number / 60.0 for number in range(300)]


def test_a_jump_dissolves():
    player = BvhPlayer(dance(600), 60.0)
    walked = roots(played(player, 200, {100: lambda: player.seek(400)}))
    assert walked[199] == pytest.approx(2.0 * (400 + 98) / 600)
    # 1 m in half a second, eased: at most 1.5 * 1 / 30 a frame, and the walk itself.
    assert np.abs(np.diff(walked)).max() < 0.055


def test_a_part_is_played_round_and_round():
    player = BvhPlayer(dance(600), 60.0)
    walked = roots(played(player, 400, {10: lambda: player.span(300, 400)}))
    assert (player.first, player.last) == (300, 400)
    assert walked[60:].min() == pytest.approx(2.0 * 300 / 600, abs=0.11)
    assert walked[60:].max() <= 2.0 * 400 / 600


def test_another_rate_goes_on_from_the_same_frame():
    player = BvhPlayer(dance(600), 60.0)
    played(player, 101, {100: lambda: player.rate(30.0)})
    assert player.frame == 100
    walked = roots(played(player, 200, {}))
    assert np.diff(walked)[150:].max() == pytest.approx(0.5 * 2.0 / 600)


def test_however_many_orders_come_nothing_is_copied_or_kept():
    clip = dance(600)
    player = BvhPlayer(clip, 60.0)
    for number in range(300):
        player.rate(1.0 + number % 50)
    assert player._playing.before.before is None
    assert np.shares_memory(player._playing.reel.clip.rotations, clip.rotations)


@pytest.mark.parametrize("fps", [1.0, 7.0, 59.94, 240.0, 1000.0])
def test_at_any_rate_a_recording_is_seen_between_its_frames(fps):
    player = BvhPlayer(dance(600), 60.0, loop=False)
    player.rate(fps)
    walked = roots(list(player.frames()))
    assert len(walked) == int(599 * 60 / fps + 1e-6) + 1
    assert np.diff(walked) == pytest.approx(2.0 / 600 * fps / 60.0)


@pytest.mark.parametrize("fps", [1.0, 25.0, 59.94, 120.0])
def test_at_any_rate_a_loop_has_no_seam(fps):
    player = BvhPlayer(dance(100), 60.0)
    player.rate(fps)
    walked = roots(list(islice(player.frames(), round(60 * 250 / fps))))
    # Half a second, or half of the recording, goes back by 2 m at most, eased; the walk itself is 2 m a round.
    assert np.abs(np.diff(walked)).max() < 1.5 * 2.0 / (60 * min(0.5, 50 / fps)) + 2.0 / 100 * fps / 60


def test_another_recording_is_played_from_its_beginning():
    player = BvhPlayer(dance(600), 60.0)
    walked = roots(played(player, 300, {200: lambda: player.load(dance(900, fps=120.0))}))
    assert player.last == 899
    assert walked[299] == pytest.approx(2.0 * 2 * 98 / 900, abs=0.01)


def test_a_recording_that_has_ended_starts_again_when_told_to():
    arrived = SimpleQueue()
    player = BvhPlayer(dance(30), 240.0, loop=False, on_frame=arrived.put)
    with closing(player):
        player.start()
        assert player.finished.wait(PATIENCE)
        played_once = [arrived.get(timeout=PATIENCE) for _ in range(arrived.qsize())]
        player.run(True)
        again = arrived.get(timeout=PATIENCE)
    assert again.number > played_once[-1].number
    assert again.sender_time == again.number / 240.0


def test_an_order_given_while_a_recording_plays_does_not_play_it_again_at_its_end():
    live = []
    player = BvhPlayer(dance(30, fps=1000.0), 1000.0, loop=False, on_frame=live.append)

    class NoMore(threading.Event):
        """No order comes any more: who waits for one waits until the show is over."""

        def wait(self, timeout=None):
            if not self.is_set():
                player._closing.set()
            return True

    player._ordered = NoMore()
    player.seek(10)
    player._run()
    assert player.finished.is_set()
    assert len(live) + player.counts["skipped"] == 21  # the frame that was seen, and 10..29


@pytest.mark.parametrize(
    ("order", "why"),
    [
        (lambda player: player.seek(600), "frame 600 is not in 0..599"),
        (lambda player: player.span(10, 10), "frames 10 to 10"),
        (lambda player: player.span(0, 600), r"has 0\.\.599"),
        (lambda player: player.rate(0.0), "0 frames a second"),
        (lambda player: player.rate(float("nan")), "nan frames a second"),
        (lambda player: player.load(dance(3)[0:0]), "no frames"),
    ],
)
def test_an_order_that_cannot_be_is_refused_and_changes_nothing(order, why):
    player = BvhPlayer(dance(600), 60.0)
    before = player._playing
    with pytest.raises(ValueError, match=why):
        order(player)
    assert player._playing is before
    assert (player.first, player.last, player.film_fps) == (0, 599, 60.0)
