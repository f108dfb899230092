"""AI-Toolbox's `/player/...` and `/mocap/seq...`: they steer the recordings that play as dancers.

A recording is loaded by its name from the folder of the dancer's own file, and from nowhere else. With several such
dancers the first is meant, or the one that a message names as its last argument.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from motion.load import load_humanoid
from server.errands import Arguments, Command, Listing
from server.preset import Preset
from server.preset_dancers import BvhDancer
from server.receivers import Receiver
from server.receivers.bvh_player import BvhPlayer

_Order = Callable[[BvhPlayer, BvhDancer, Arguments], str]


def player_commands(preset: Preset, receivers: Mapping[str, Receiver]) -> dict[str, Command]:
    """By address without the first slash; none where no recording dances."""
    players = {name: receiver for name, receiver in receivers.items() if isinstance(receiver, BvhPlayer)}
    dancers = {name: dancer for name, dancer in preset.dancers.items() if isinstance(dancer, BvhDancer)}
    if not players:
        return {}
    first = next(iter(players))
    player, dancer = players[first], dancers[first]

    def told(order: _Order, arguments: Arguments) -> str:
        name = first
        if arguments and isinstance(arguments[-1], str) and arguments[-1] in players:
            name, arguments = arguments[-1], arguments[:-1]
        return f"{name} {order(players[name], dancers[name], arguments)}"

    names = Listing(dancer.file.parent, lambda _: [path.name for path in _recordings(dancer)])

    def span() -> tuple[int, int]:
        return player.first, player.last

    to_frame = partial(told, _frame)
    return {
        "player/load": Command(partial(told, _load), "plays another recording of the same folder", "s", names),
        "player/start": Command(partial(told, partial(_run, True)), "the recording goes on"),
        "player/stop": Command(partial(told, partial(_run, False)), "the recording stands still"),
        "player/fps": Command(
            partial(told, _fps), "frames of the recording a second", "f", value=lambda: player.film_fps
        ),
        "player/frame": Command(to_frame, "goes to a frame of the recording", "i", value=lambda: player.frame),
        "player/start_frame": Command(partial(told, _first), "the first frame played", "i", value=lambda: player.first),
        "player/end_frame": Command(partial(told, _last), "the last frame played", "i", value=lambda: player.last),
        "mocap/seqindex": Command(partial(told, _numbered), "plays a recording of the same folder, by number", "i"),
        "mocap/seqframeindex": Command(to_frame, "goes to a frame", "i", value=lambda: player.frame),
        "mocap/seqframerange": Command(partial(told, _range), "the first and last frame played", "ii", value=span),
    }


def _load(player: BvhPlayer, dancer: BvhDancer, arguments: Arguments) -> str:
    there = {path.name: path for path in _recordings(dancer)} | {path.stem: path for path in _recordings(dancer)}
    name = arguments[0] if arguments else ""
    if name not in there:
        names = ", ".join(path.name for path in _recordings(dancer))
        raise ValueError(f"no recording {str(name)[:40]!r} in {dancer.file.parent.name}; there are: {names}")
    return _play(player, dancer, there[name])


def _numbered(player: BvhPlayer, dancer: BvhDancer, arguments: Arguments) -> str:
    there = _recordings(dancer)
    number = _whole(arguments, 0)
    if not 0 <= number < len(there):
        raise ValueError(f"no recording {number}; they are 0..{len(there) - 1}, in the order of their names")
    return _play(player, dancer, there[number])


def _play(player: BvhPlayer, dancer: BvhDancer, path: Path) -> str:
    player.load(load_humanoid(path, dancer.scale).clip)
    return f"plays {path.name}, frames 0..{player.last} at {player.film_fps:g} fps"


def _run(on: bool, player: BvhPlayer, dancer: BvhDancer, arguments: Arguments) -> str:
    player.run(on)
    return f"{'goes on' if on else 'stands'} at frame {player.frame}"


def _fps(player: BvhPlayer, dancer: BvhDancer, arguments: Arguments) -> str:
    fps = arguments[0] if arguments else None
    if not isinstance(fps, int | float):
        raise ValueError(f"takes frames a second, not {str(fps)[:40]!r}")
    player.rate(float(fps))
    return f"plays {player.film_fps:g} frames a second"


def _frame(player: BvhPlayer, dancer: BvhDancer, arguments: Arguments) -> str:
    player.seek(_whole(arguments, 0))
    return f"goes to frame {arguments[0]}"


def _first(player: BvhPlayer, dancer: BvhDancer, arguments: Arguments) -> str:
    return _span(player, _whole(arguments, 0), player.last)


def _last(player: BvhPlayer, dancer: BvhDancer, arguments: Arguments) -> str:
    return _span(player, player.first, _whole(arguments, 0))


def _range(player: BvhPlayer, dancer: BvhDancer, arguments: Arguments) -> str:
    return _span(player, _whole(arguments, 0), _whole(arguments, 1))


def _span(player: BvhPlayer, first: int, last: int) -> str:
    player.span(first, last)
    return f"plays frames {first}..{last}"


def _whole(arguments: Arguments, place: int) -> int:
    value = arguments[place] if place < len(arguments) else None
    if not isinstance(value, int | float) or value % 1 != 0:
        raise ValueError(f"takes a whole number, not {str(value)[:40]!r}")
    return int(value)


def _recordings(dancer: BvhDancer) -> list[Path]:
    return sorted(path for path in dancer.file.parent.iterdir() if path.suffix.lower() == dancer.file.suffix.lower())
