"""Recordings at a low rate -> the same at a higher one: BVH files, or a folder of OpenPose's JSON.

    python -m exporters.upsample take.bvh --rate 8 --out take_60.bvh
    python -m exporters.upsample FOLDER --rate 2.5 --out OTHER [--compare] [--gif film.gif] [--method cubic]

Every frame that is there is a key; --rate 8 makes eight of one, and fractions will do. Poses are written on the
standard body (what is no body that is known: on its own skeleton, by the spline), and every file is there whole or not
at all. --compare writes the plain ways beside: NAME.linear and NAME.spline. Of OpenPose's people the largest in each
picture counts; what was not found, and pictures without anybody, are bridged.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from exporters import upsample_keypoints, upsample_poses
from exporters.upsampling import Request
from motion.upsampling import OF_POSES

RATES = 1.0, 64.0
CONVERT = {".bvh": upsample_poses.convert, ".json": upsample_keypoints.convert}


def main(arguments: list[str] | None = None) -> int:
    """The command line. Returns 0, or 2 when anything was refused, which has been printed."""
    options = _parser().parse_args(arguments)
    try:
        kind, jobs = _jobs(options.source, options.out)
        requests = [
            Request(
                source=source,
                target=target,
                rate=options.rate,
                method=options.method,
                model=options.model,
                compare=options.compare,
                film=options.gif if number == 0 else None,
                scale=options.scale,
                fps=options.fps,
            )
            for number, (source, target) in enumerate(jobs)
        ]
        _check_places(kind, requests)
        if kind == ".bvh" and options.source.is_dir():
            options.out.mkdir(parents=True, exist_ok=True)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    refused = 0
    for request in requests:
        try:
            print(f"{request.target}: {CONVERT[kind](request)}")
        except (ValueError, OSError) as error:
            text = str(error)
            print(f"error: {text if request.source.name in text else f'{request.source}: {text}'}", file=sys.stderr)
            refused += 1
    return 2 if refused else 0


def _jobs(source: Path, out: Path) -> tuple[str, list[tuple[Path, Path]]]:
    """The kind of recording, what is read and where it goes; a folder of OpenPose's is one job.

    Raises ValueError for what is neither kind, and for a place that will not do.
    """
    if not source.is_dir():
        if source.suffix.lower() != ".bvh" or not source.is_file():
            raise ValueError(f"{source} is no .bvh file and no folder of .bvh or of OpenPose's .json")
        if out.is_dir():
            raise ValueError(f"{out} is a folder; name a file for one recording, such as {out / source.name}")
        if out.suffix.lower() != ".bvh":
            raise ValueError(f"{out}: a recording is written as .bvh; name it {out.with_suffix('.bvh')}")
        return ".bvh", [(source, out)]
    kinds = {kind: sorted(path for path in source.iterdir() if path.suffix.lower() == kind) for kind in CONVERT}
    found = [kind for kind, paths in kinds.items() if paths]
    if len(found) != 1:
        raise ValueError(
            f"{source} has {'both' if found else 'neither'} .bvh and .json files; give a folder of one kind"
        )
    if out.exists() and (not out.is_dir() or out.samefile(source)):
        raise ValueError(f"{out} must be another folder than {source}, or not be there yet")
    (kind,) = found
    return kind, [(source, out)] if kind == ".json" else [(path, out / path.name) for path in kinds[kind]]


def _check_places(kind: str, requests: list[Request]) -> None:
    """Raises ValueError where a source or another result would be written over, and for a film that cannot be made."""
    taken = {request.source.resolve(): "the recording itself" for request in requests}
    for request in requests:
        for path in [*request.results, *([request.film] if request.film else [])]:
            what = f"the film of {request.source.name}" if path == request.film else f"made of {request.source.name}"
            if (before := taken.setdefault(path.resolve(), what)) is not what:
                raise ValueError(f"{path} would be {what}, and is {before}; give another --out or --gif")
        for path in request.results:
            if kind == ".bvh" and path.is_dir():
                raise ValueError(f"{path} is a folder; a file of that name was to be written")
            if kind == ".json" and path.exists() and (not path.is_dir() or any(path.glob("*.json"))):
                raise ValueError(f"{path} has .json files already, or is a file; empty it, or name another folder")
    film = requests[0].film
    if film is None:
        return
    if film.suffix.lower() != ".gif":
        raise ValueError(f"{film}: a film is written as .gif")
    if not film.parent.is_dir() or film.is_dir():
        raise ValueError(f"{film}: {'that is a folder' if film.is_dir() else f'there is no folder {film.parent}'}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m exporters.upsample", description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path, help="a BVH file, a folder of them, or a folder of OpenPose's JSON")
    parser.add_argument("--rate", type=_rate, required=True, help="how many times as many frames: 8, 2.5, ...")
    parser.add_argument(
        "--out", type=Path, required=True, help="the file to write, or the folder where a folder is read"
    )
    parser.add_argument("--compare", action="store_true", help="write linear and spline interpolation beside it")
    parser.add_argument("--gif", type=Path, help="a film of before and after, of the first recording")
    parser.add_argument("--model", type=Path, help="the model (default: the shipped one for poses, or for keypoints)")
    parser.add_argument(
        "--method", choices=("model", *OF_POSES), default="model", help="a plain way instead of a model"
    )
    parser.add_argument("--scale", default="auto", help="metres per unit of a BVH file")
    parser.add_argument(
        "--fps", type=_fps, default=30.0, help="pictures a second of OpenPose's (a BVH file tells its own)"
    )
    return parser


def _rate(text: str) -> float:
    return _number(text, *RATES, "a rate")


def _fps(text: str) -> float:
    return _number(text, 1.0, 1000.0, "pictures a second")


def _number(text: str, low: float, high: float, what: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise argparse.ArgumentTypeError(f"{text!r} is not {what} from {low:g} to {high:g}")
    return value


if __name__ == "__main__":
    sys.exit(main())
