"""AMASS as training data: a folder of its subsets -> one file of 21 root-relative 3-D joints.

    python -m training.prepare_amass AMASS amass.h5 [--gender male] [--fps 60]

The folder is laid out as AMASS is: SUBSET/SUBJECT/RECORDING_poses.npz, or is one subset's own. Render-In-Between's six
test subsets become the part `test`, every other one `train`; the first and last tenth of each recording, where people
get into position, is cut. The seed's builder left every recording at its own rate although its training took 60 fps
for granted: here they are brought to --fps. AMASS has its own licence (https://amass.is.tue.mpg.de): neither it nor the
file belongs in a repository.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections import Counter
from pathlib import Path

import h5py
import numpy as np

from motion import kinematics
from motion.amass import GENDERS, AmassError, Recording, is_recording, read_amass, skeleton
from motion.clean import resample
from motion.clip import Clip
from training.amass_data import FORMAT, PARTS
from training.cache import digest

# As AMASS names the folders of today and of the seed's time.
TEST_SUBSETS = (
    *("Transitions", "Transitions_mocap", "SSM", "SSM_synced", "HumanEva", "HDM05", "MPI_HDM05"),
    *("SFU", "MoSh", "MPI_mosh"),
)
# The others that AMASS has had, as folders; to know which folder of a path is the subset.
TRAIN_SUBSETS = (
    *("ACCAD", "BMLhandball", "BMLmovi", "BMLrub", "BioMotionLab_NTroje", "CMU", "CNRS", "DFaust", "DFaust_67"),
    *("DFaust_synced", "DanceDB", "EKUT", "EyesJapanDataset", "Eyes_Japan_Dataset", "GRAB", "HUMAN4D", "KIT"),
    *("MPI_Limits", "PosePrior", "SOMA", "TCDHands", "TCD_handMocap", "TotalCapture", "WEIZMANN"),
)
CUT = 0.1  # of a recording, at either end
SHORTEST = 10  # frames


def main(arguments: list[str] | None = None) -> int:
    """The command line. Returns 0, or 2 for an error that has been printed."""
    options = _parser().parse_args(arguments)
    try:
        counts = prepare(options.folder, options.out, options.gender, options.fps)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(
        f"{options.out}: "
        + ", ".join(f"{part} {counts[part]} clips, {counts[f'{part} frames']} frames" for part in PARTS)
    )
    return 0


def prepare(folder: Path, out: Path, gender: str = "file", fps: float = 60.0) -> Counter[str]:
    """Write `out` from all recordings in `folder`; how many clips and frames each part got.

    A recording that cannot be used is named on stderr and left out. The file is there whole or not at all. Raises
    ValueError when no recording can be used, and OSError.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder} is no folder")
    paths = sorted(path for path in folder.rglob("*.npz") if is_recording(path))
    if not paths:
        raise ValueError(f"{folder} has no AMASS recordings (.npz with poses), at any depth")
    subsets = {path: _subset(folder.resolve(), path.relative_to(folder)) for path in paths}
    if not set(subsets.values()) & {*TEST_SUBSETS, *TRAIN_SUBSETS}:
        print(
            f"warning: no folder in or around {folder} has the name of one of AMASS's subsets: all is for training, "
            f"nothing for the test. Subsets kept for the test: {', '.join(TEST_SUBSETS)}",
            file=sys.stderr,
        )
    counts: Counter[str] = Counter()
    number, name = tempfile.mkstemp(suffix=".part", dir=out.parent)
    os.close(number)
    part = Path(name)
    try:
        with h5py.File(part, "w") as file:
            _begin(file)
            for path in paths:
                try:
                    _add(file, path, path.relative_to(folder), subsets[path], gender, fps, counts)
                except (AmassError, OSError) as error:
                    print(f"left out: {error}", file=sys.stderr)
        if not any(counts[each] for each in PARTS):
            raise ValueError(f"none of the {len(paths)} recordings in {folder} can be used")
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)
    return counts


def _begin(file: h5py.File) -> None:
    body = skeleton()
    file.attrs.update(format=FORMAT, names=list(body.names), parents=body.parents, made_by="training.prepare_amass")
    for name in (*PARTS, "bodies"):
        file.create_group(name)


def _subset(folder: Path, place: Path) -> str:
    """The subset of a recording at a place in a folder, which may be a subset's or a subject's own; else the first
    folder's name."""
    known = {*TEST_SUBSETS, *TRAIN_SUBSETS}
    inside = place.parts[:-1]
    around = (part for part in (*inside, folder.name, folder.parent.name) if part in known)
    return next(around, inside[0] if inside else "")


def _add(file: h5py.File, path: Path, place: Path, subset: str, gender: str, fps: float, counts: Counter[str]) -> None:
    recording = read_amass(path, gender)
    clip = _prepared(recording, fps)
    if len(clip) < SHORTEST:
        raise AmassError(f"{path.name}: {len(clip)} frames are left without its ends")
    body = recording.gender if gender == "file" else gender
    if body not in file["bodies"]:
        file["bodies"].create_dataset(body, data=clip.skeleton.offsets)
    part = "test" if subset in TEST_SUBSETS else "train"
    entry = file[part].create_group(f"{counts[part]:06d}")
    places = kinematics.global_positions(clip.skeleton, clip.root_positions, clip.rotations)
    values = {"joints": places[:, 1:] - places[:, :1], "root": clip.root_positions, "rotations": clip.rotations}
    for name, value in values.items():
        entry.create_dataset(name, data=value.astype(np.float32), compression="lzf")
    entry.attrs.update(name=place.as_posix(), subset=subset, gender=body, fps=clip.fps, sha256=digest(path))
    counts[part] += 1
    counts[f"{part} frames"] += len(clip)


def _prepared(recording: Recording, fps: float) -> Clip:
    """The recording without its ends, at the rate asked for."""
    clip = recording.clip
    cut = int(CUT * len(clip))
    return resample(clip[cut : len(clip) - cut], fps)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training.prepare_amass", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="AMASS: a folder a subset")
    parser.add_argument("out", type=Path, help="the .h5 file to write")
    parser.add_argument(
        "--gender", choices=("file", *GENDERS), default="file", help="whose average bones everybody gets"
    )
    parser.add_argument("--fps", type=_fps, default=60.0, help="frames a second of every clip")
    return parser


def _fps(text: str) -> float:
    try:
        fps = float(text)
    except ValueError:
        fps = 0.0
    if not 1.0 <= fps <= 1000.0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a rate from 1 to 1000 frames a second")
    return fps


if __name__ == "__main__":
    sys.exit(main())
