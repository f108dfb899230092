"""Clips -> one small film of stick figures (.gif, .mp4): all on one floor, seen by a camera that does not move."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from motion import kinematics
from motion.clip import Clip
from motion.skeleton import Array

COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7")  # Okabe and Ito 2008
RATES = {".gif": 12.5, ".mp4": 25.0}  # frames a second; a GIF counts in hundredths of a second: 8 of them
_SIZE, _DPI = (4.8, 3.2), 100
_TILT, _PAN = np.radians(18.0), np.radians(25.0)  # the camera looks down, and a little from the side
_SHADES = 64  # one palette for all pictures
_MARGIN = 0.35  # metres around everybody


@dataclass(frozen=True)
class Sticks:
    """A figure that is no clip: points (T, J, 3) metres at a rate, and its bones as pairs of points. Points (T, J, 2)
    of a picture are drawn as they are, without a floor.
    """

    points: Array
    fps: float
    bones: Sequence[tuple[int, int]]


def write_gif(path: str | Path, clips: Mapping[str, Clip], seconds: float = 10.0) -> Path:
    """Write the first `seconds` of clips by their names, who begin together. Raises ValueError as `write_sticks`."""
    fps = _rate(path, clips)
    return write_sticks(path, {name: _sticks(clip, seconds, fps) for name, clip in clips.items()}, seconds)


def write_sticks(path: str | Path, figures: Mapping[str, Sticks], seconds: float = 10.0) -> Path:
    """The same of figures that are no clips. Raises ValueError when there is none, or the path ends otherwise."""
    fps = _rate(path, figures)
    bodies = [sticks.points[_chosen(len(sticks.points), sticks.fps, seconds, fps)] for sticks in figures.values()]
    pictures = _pictures(figures, bodies)
    if Path(path).suffix.lower() == ".mp4":
        with imageio.imopen(path, "w", plugin="pyav") as film:
            film.init_video_stream("libx264", fps=fps)
            for picture in pictures:
                film.write_frame(picture)
        return Path(path)
    shaded: list[Image.Image] = []
    for picture in pictures:
        palette = shaded[0] if shaded else None
        shaded.append(Image.fromarray(picture).quantize(_SHADES, palette=palette, dither=Image.Dither.NONE))
    shaded[0].save(path, "GIF", save_all=True, append_images=shaded[1:], duration=1000.0 / fps, loop=0)
    return Path(path)


def write_pictures(path: str | Path, pictures: NDArray[np.uint8], fps: float) -> Path:
    """Write pictures (T, H, W, 3) as a GIF, in colours that all share, at the nearest rate that it can count."""
    some = pictures[:: max(len(pictures) // 8, 1)]
    palette = Image.fromarray(np.concatenate(some)).quantize()
    shown = [Image.fromarray(each).quantize(palette=palette, dither=Image.Dither.NONE) for each in pictures]
    shown[0].save(path, "GIF", save_all=True, append_images=shown[1:], duration=10.0 * round(100.0 / fps), loop=0)
    return Path(path)


def _rate(path: str | Path, figures: Mapping[str, object]) -> float:
    if not figures:
        raise ValueError(f"{path}: no clips to write")
    suffix = Path(path).suffix.lower()
    if suffix not in RATES:
        raise ValueError(f"{path}: a film is written as {' or '.join(RATES)}")
    return RATES[suffix]


def _pictures(figures: Mapping[str, Sticks], bodies: Sequence[Array]) -> Iterator[NDArray[np.uint8]]:
    """Pictures (height, width, 3) of bodies, whose frames are the film's; who ends early stands."""
    floor, low, high = _stage(bodies)
    figure = Figure(figsize=_SIZE, dpi=_DPI)
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect="equal")
    axes.add_collection(LineCollection(floor, colors="#d0d0d0", linewidths=0.6))
    drawn = []
    for (name, sticks), colour in zip(figures.items(), COLOURS * len(figures), strict=False):
        lines = LineCollection([], colors=colour, linewidths=2.2, capstyle="round", label=name)
        drawn.append((axes.add_collection(lines), np.array(sticks.bones, dtype=np.intp).reshape(-1, 2)))
    axes.legend(loc="upper left", frameon=False, fontsize=8)
    canvas.draw()
    still = canvas.copy_from_bbox(figure.bbox)  # what does not move is drawn once
    for frame in range(max(map(len, bodies))):
        canvas.restore_region(still)
        for (lines, bones), body in zip(drawn, bodies, strict=True):
            lines.set_segments(_seen(body[min(frame, len(body) - 1)])[bones])
            axes.draw_artist(lines)
        yield np.array(canvas.buffer_rgba())[..., :3]


def _chosen(frames: int, fps: float, seconds: float, rate: float) -> NDArray[np.intp]:
    """The frames nearest to the film's, of that rate."""
    times = np.arange(0.0, min(seconds, frames / fps), 1.0 / rate)
    return np.minimum(np.round(times * fps).astype(np.intp), frames - 1)


def _sticks(clip: Clip, seconds: float, rate: float) -> Sticks:
    """A clip at the film's rate."""
    chosen = _chosen(len(clip), clip.fps, seconds, rate)
    points = kinematics.global_positions(clip.skeleton, clip.root_positions[chosen], clip.rotations[chosen])
    bones = [(joint, parent) for joint, parent in enumerate(clip.skeleton.parents) if parent >= 0]
    return Sticks(points, rate, bones)


def _seen(points: Array) -> Array:
    """Points (..., 3) as the camera sees them from afar, (..., 2); points of a picture stay."""
    if points.shape[-1] == 2:
        return points
    x, y, z = points[..., 0], points[..., 1], points[..., 2]
    across, towards = x * np.cos(_PAN) - z * np.sin(_PAN), x * np.sin(_PAN) + z * np.cos(_PAN)
    return np.stack([across, y * np.cos(_TILT) - towards * np.sin(_TILT)], axis=-1)


def _stage(bodies: Sequence[Array]) -> tuple[list[Array], Array, Array]:
    """Lines of a floor grid of one metre, and the corners of the picture."""
    points = np.concatenate([body.reshape(-1, body.shape[-1]) for body in bodies])
    seen = _seen(points)
    low, high = seen.min(axis=0) - _MARGIN, seen.max(axis=0) + _MARGIN
    if points.shape[-1] == 2:
        return [], low, high
    first, last = np.floor(points.min(axis=0) - 0.2), np.ceil(points.max(axis=0) + 0.2)
    xs, zs = np.arange(first[0], last[0] + 1), np.arange(first[2], last[2] + 1)
    lines = [np.array([[x, 0.0, zs[0]], [x, 0.0, zs[-1]]]) for x in xs]
    lines += [np.array([[xs[0], 0.0, z], [xs[-1], 0.0, z]]) for z in zs]
    return [_seen(line) for line in lines], low, high
