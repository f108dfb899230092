"""OpenPose's JSON in, OpenPose's JSON out at a higher rate: every keypoint of the largest person.

What is not valid is bridged first, so that every answer is a number; confidences go from key to key on a line. The
model knows 19 points: fifteen of the body, two toes, and a hand's mean, with which its fingers move. The others, and
all where there is no model, go by a plain way.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.ndimage import binary_dilation

from exporters import gif
from exporters.openpose_folder import FIELDS, Keypoints, read_folder, write_folder
from exporters.upsampling import COMPARED, MODELS, SPLINE, PointsUpsampler, Request, frames
from exporters.whole import together
from motion import key_window
from motion.skeleton import Array
from motion.upsampling import Bools, fill_points, points_at
from server.onnx_model import OnnxModel

SHIPPED = MODELS / "upsampler_2d.onnx"
FILM_SECONDS = 10.0
_BODY = np.array([*range(15), 19, 22])  # of BODY_25: what OPENPOSE_19 begins with
_HANDS = FIELDS[1:3]  # left, right
_FOREARMS = ((6, 7), (3, 4))  # elbow and wrist of each
_HAND = 0.34  # a hand's middle beyond the wrist, in forearms
_Y_UP = np.array([1.0, -1.0])
_HEIGHT = 1.7  # metres of the film that the person's height in pixels becomes
_BONES = (
    *((1, 0), (2, 1), (3, 2), (4, 3), (5, 1), (6, 5), (7, 6), (8, 1), (9, 8), (10, 9), (11, 10), (12, 8), (13, 12)),
    *((14, 13), (15, 0), (16, 0), (17, 15), (18, 16), (19, 14), (22, 11)),
)


def convert(request: Request) -> str:
    """Write what is asked for; says what it was. Raises ValueError and OSError, and then nothing is written."""
    read = read_folder(request.source)
    keys = bridged(read)
    count = frames(len(keys.points), request.rate)
    queries = np.arange(count) / request.rate
    model, name = _chosen(request)
    made = at(keys, queries, SPLINE if request.method == "model" else request.method)
    if model is not None:
        made = corrected(made, read, queries, model, request.fps)
    with together() as places:
        write_folder(places.folder(request.target), made)
        for kind, other in COMPARED.items() if request.compare else ():
            write_folder(places.folder(request.beside(kind)), at(keys, queries, other))
        if request.film:
            _film(request, places.file(request.film), keys, made)
    return f"{count} pictures from {len(keys.points)}, by {name}"


def _chosen(request: Request) -> tuple[PointsUpsampler | None, str]:
    """The model, if any, and what the way is called. Raises ModelError for one that cannot be used."""
    if request.method != "model":
        return None, request.method
    path = request.model or SHIPPED
    if request.model is None and not path.is_file():
        return None, f"{SPLINE} (there is no {path.name})"
    model = PointsUpsampler(OnnxModel(path))
    if (better := model.spline_is_better(request.fps)) is not None:
        return None, f"{SPLINE} ({path.name} says it is better from {better:g} fps)"
    return model, path.name


def corrected(made: Keypoints, read: Keypoints, queries: Array, model: PointsUpsampler, fps: float) -> Keypoints:
    """What a plain way made of the keypoints that were read, with the model's points in the place of its 19."""
    points, valid = _nineteen(read)
    seen = valid.any(axis=0)
    times = np.arange(len(points), dtype=np.float64)
    whole = fill_points(times, points, valid)
    whole[:, ~seen] = whole[:, seen].mean(axis=1, keepdims=True)  # somewhere on the body, so that its size is right
    # A point that is lost for longer than the model looks is told to it as bridged: it would know nothing of it.
    near = binary_dilation(valid, np.ones((2 * key_window.SPARSE - 1, 1)))
    told = model.between(times / fps, whole * _Y_UP, valid | ~near, queries / fps) * _Y_UP
    plain = points_at(SPLINE, times, whole, queries)
    answer = made.points.copy()
    answer[:, _BODY[seen[:17]]] = told[:, :17][:, seen[:17]]
    for hand, field in enumerate(_HANDS, start=17):
        if field in made.places:
            answer[:, made.places[field]] += (told - plain)[:, hand, None]
    answer[made.confidences <= 0.0] = 0.0
    return replace(made, points=answer)


def _nineteen(keys: Keypoints) -> tuple[Array, Bools]:
    """The model's points (K, 19, 2) and which are valid. A hand that was not found goes on along its forearm."""
    points, valid = keys.points[:, _BODY], keys.valid[:, _BODY]
    for field, (elbow, wrist) in zip(_HANDS, _FOREARMS, strict=True):
        hand = points[:, wrist] + _HAND * (points[:, wrist] - points[:, elbow])
        known = valid[:, elbow] & valid[:, wrist]
        if field in keys.places:
            fingers, found = keys.points[:, keys.places[field]], keys.valid[:, keys.places[field]]
            enough = found.mean(axis=1) >= 0.5
            mean = (fingers * found[..., None]).sum(axis=1) / np.maximum(found.sum(axis=1), 1)[:, None]
            hand, known = np.where(enough[:, None], mean, hand), known | enough
        points = np.concatenate([points, hand[:, None]], axis=1)
        valid = np.concatenate([valid, known[:, None]], axis=1)
    return points, valid


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


def _film(request: Request, path: Path, keys: Keypoints, made: Keypoints) -> None:
    """The body of the keys, each held until the next, and what was made of them, beside each other."""
    found = keys.points[:, :25][keys.confidences[:, :25] > 0.0]
    low, high = found.min(axis=0), found.max(axis=0)
    size = _HEIGHT / max(float(high[1] - low[1]), 1.0)
    width = float(high[0] - low[0]) * size + 0.5

    def seen(points: Array, shift: float) -> Array:
        return (points[:, :25] - [low[0], high[1]]) * [size, -size] + [shift, 0.0]

    fps, more = request.fps, request.fps * request.rate
    there = [bone for bone in _BONES if (keys.confidences[:, list(bone)] > 0.0).any(axis=0).all()]
    sticks = {
        f"{fps:g} fps": gif.Sticks(seen(keys.points, 0.0), fps, there),
        f"{more:g} fps": gif.Sticks(seen(made.points, width), more, there),
    }
    gif.write_sticks(path, sticks, FILM_SECONDS)
