"""BVH in, BVH out at a higher rate: piece by piece, so that length costs time and no memory.

Poses are put on HUMANOID, which is what models know; what is no body that is known keeps its own skeleton, and the
plain ways serve it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from exporters import gif
from exporters.upsampling import COMPARED, MODELS, SPLINE, Request, Upsampler, Way, frames, pieces, plain
from exporters.whole import together, write_text
from motion import bvh_write
from motion.clip import Clip
from motion.load import load_clip, on_skeleton
from motion.profiles import SkeletonMismatch
from motion.skeleton import HUMANOID
from server.onnx_model import OnnxModel

SHIPPED = MODELS / "upsampler.onnx"
BESIDE = np.array([1.5, 0.0, 0.0])  # metres, where the film shows what came out
FILM_SECONDS = 10.0


def convert(request: Request) -> str:
    """Write what is asked for; says what it was. Raises ValueError and OSError, and then nothing is written."""
    keys = _keys(request)
    way, name = chosen(request, keys)
    count = frames(len(keys), request.rate)
    with together() as places:
        write_text(places.file(request.target), _text(keys, request.rate, count, way))
        for kind, method in COMPARED.items() if request.compare else ():
            write_text(places.file(request.beside(kind)), _text(keys, request.rate, count, plain(method)))
        if request.film:
            _film(request, places.file(request.film), keys, way)
    return f"{count} frames at {keys.fps * request.rate:g} fps from {len(keys)} at {keys.fps:g}, by {name}"


def _keys(request: Request) -> Clip:
    loaded = load_clip(request.source, request.scale)
    try:
        return on_skeleton(loaded, HUMANOID).clip
    except SkeletonMismatch:
        return loaded.clip


def chosen(request: Request, keys: Clip) -> tuple[Way, str]:
    """The way asked for and its name; the spline where there is no model, or none of this body, or where the model's
    own table says that it is better. Raises ModelError for a model that cannot be used.
    """
    if request.method != "model":
        return plain(request.method), request.method
    path = request.model or SHIPPED
    if keys.skeleton is not HUMANOID:
        return plain(SPLINE), f"{SPLINE} on its own skeleton (no body that is known)"
    if request.model is None and not path.is_file():
        return plain(SPLINE), f"{SPLINE} (there is no {path.name})"
    upsampler = Upsampler(OnnxModel(path))
    if (better := upsampler.spline_is_better(keys.fps)) is not None:
        return plain(SPLINE), f"{SPLINE} ({path.name} says it is better from {better:g} fps)"
    return upsampler.way(), path.name


def _text(keys: Clip, rate: float, count: int, way: Way) -> Iterator[str]:
    yield bvh_write.header(keys.skeleton, keys.fps * rate, str(count))
    for piece in pieces(keys, rate, way):
        yield bvh_write.rows(keys.skeleton, piece.root_positions, piece.rotations)


def _film(request: Request, path: Path, keys: Clip, way: Way) -> None:
    """The keys, each held until the next, and what was made of them, beside each other."""
    before = keys[: int(FILM_SECONDS * keys.fps) + 2]
    (after, *_) = pieces(before, request.rate, way)
    moved = Clip(keys.skeleton, after.fps, after.root_positions + BESIDE, after.rotations)
    gif.write_gif(path, {f"{keys.fps:g} fps": before, f"{after.fps:g} fps": moved}, FILM_SECONDS)
