"""OpenPose's JSON in, OpenPose's JSON out at a higher rate: every keypoint of the largest person.

What is not valid is bridged first, so that every answer is a number; confidences go from key to key on a line.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from exporters import gif
from exporters.openpose_folder import Keypoints, read_folder, write_folder
from exporters.upsampling import COMPARED, SPLINE, Request, frames
from motion.skeleton import Array
from motion.upsampling import fill_points, points_at

FILM_SECONDS = 10.0
_HEIGHT = 1.7  # metres of the film that the person's height in pixels becomes
_BONES = (
    *((1, 0), (2, 1), (3, 2), (4, 3), (5, 1), (6, 5), (7, 6), (8, 1), (9, 8), (10, 9), (11, 10), (12, 8), (13, 12)),
    *((14, 13), (15, 0), (16, 0), (17, 15), (18, 16), (19, 14), (22, 11)),
)


def convert(request: Request) -> str:
    """Write what is asked for; says what it was. Raises ValueError and OSError."""
    keys = bridged(read_folder(request.source))
    count = frames(len(keys.points), request.rate)
    queries = np.arange(count) / request.rate
    method = SPLINE if request.method == "model" else request.method
    made = at(keys, queries, method)
    write_folder(request.target, made)
    for kind, other in COMPARED.items() if request.compare else ():
        write_folder(request.beside(kind), at(keys, queries, other))
    if request.film:
        _film(request, keys, made)
    return f"{count} pictures from {len(keys.points)}, by {method}"


def bridged(keys: Keypoints) -> Keypoints:
    """The same with every point that was not found on the line between those around it in time, and how sure, too."""
    times = np.arange(len(keys.points), dtype=np.float64)
    known = np.concatenate([keys.points, keys.confidences[..., None]], axis=-1)
    filled = fill_points(times, known, keys.valid)
    return replace(keys, points=filled[..., :2], confidences=filled[..., 2])


def at(keys: Keypoints, queries: Array, method: str) -> Keypoints:
    """Bridged keys at any queries (Q,), in pictures from the first."""
    times = np.arange(len(keys.points), dtype=np.float64)
    points = points_at("linear" if method == "slerp" else method, times, keys.points, queries)
    return replace(keys, points=points, confidences=points_at("linear", times, keys.confidences, queries))


def _film(request: Request, keys: Keypoints, made: Keypoints) -> None:
    """The body of the keys, each held until the next, and what was made of them, beside each other."""
    found = keys.points[:, :25][keys.confidences[:, :25] > 0.0]
    low, high = found.min(axis=0), found.max(axis=0)
    size = _HEIGHT / max(float(high[1] - low[1]), 1.0)
    width = float(high[0] - low[0]) * size + 0.5

    def seen(points: Array, shift: float) -> Array:
        flat = (points[:, :25] - [low[0], high[1]]) * [size, -size] + [shift, 0.0]
        return np.concatenate([flat, np.zeros((*flat.shape[:2], 1))], axis=-1)

    fps, more = request.fps, request.fps * request.rate
    there = [bone for bone in _BONES if (keys.confidences[:, list(bone)] > 0.0).any(axis=0).all()]
    sticks = {
        f"{fps:g} fps": gif.Sticks(seen(keys.points, 0.0), fps, there),
        f"{more:g} fps": gif.Sticks(seen(made.points, width), more, there),
    }
    gif.write_sticks(request.film, sticks, FILM_SECONDS)
