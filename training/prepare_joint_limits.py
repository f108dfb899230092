"""Measure how far joints turn in recordings, and write the table that motion.joint_limits reads.

    python -m training.prepare_joint_limits ../shared/data/{salsa_pairs,solo_dance,identity_action}

Every recording is put on HUMANOID, cleaned and taken at 30 fps; left and right are taken together, each the mirror
image of the other. Two percentiles of each number are kept, no pose of anybody. A hand or foot that a recording turns
by more than WRONG is a solver's mistake (back to front, toes behind): that recording says nothing of that joint.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from motion import clean
from motion import rotations as rot
from motion.joint_limits import TABLE, JointLimits, bone_frames
from motion.load import READERS, load_humanoid
from motion.skeleton import HUMANOID, Array
from training.mirror import opposite_joints

FPS = 30.0
DROP_FIRST = 10  # frames; cgspeed's conversions blend in over them
PERCENTILES = (0.5, 99.5)
WRONG = np.radians(140.0)  # from the joint's mean; no wrist or ankle turns so far
WRONG_SHARE = 0.01  # of a recording's frames
ENDS = HUMANOID.both_sides("Hand", "Foot")
CREDIT = (
    "percentiles of recordings from mocap.cs.cmu.edu (CMU Graphics Lab Motion Capture Database, created with funding "
    "from NSF EIA-0196217)"
)


def main(arguments: list[str] | None = None) -> int:
    """The command line. Returns 0, or 2 for an error that has been printed."""
    parser = argparse.ArgumentParser(
        prog="python -m training.prepare_joint_limits", description=__doc__.splitlines()[0]
    )
    parser.add_argument("folders", type=Path, nargs="+", help="recordings of single dancers, at any depth")
    parser.add_argument("--out", type=Path, default=TABLE)
    parser.add_argument("--source", default=CREDIT, help="who is to be credited")
    options = parser.parse_args(arguments)
    try:
        recordings = read(options.folders)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    limits = measure(recordings)
    rotations = np.concatenate(recordings)
    table = {
        "source": options.source,
        "percentiles": PERCENTILES,
        "recordings": len(recordings),
        "frames": len(rotations),
        "joints": limits.to_dict(),
    }
    options.out.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    kept = limits.beyond(rotations).max(axis=-1) <= 0.0
    print(
        f"{options.out}: {len(recordings)} recordings, {len(rotations)} frames; within: {100.0 * kept.mean():.2f} % of "
        f"joints, {100.0 * kept.all(axis=-1).mean():.1f} % of poses"
    )
    return 0


def read(folders: list[Path]) -> list[Array]:
    """Local rotations (T, 22, 4) of every recording. Raises ValueError and OSError."""
    paths = sorted(path for folder in folders for path in folder.rglob("*") if path.suffix.lower() in READERS)
    if not paths:
        raise ValueError(f"no recordings in {', '.join(map(str, folders))}; formats: {', '.join(sorted(READERS))}")
    found = []
    for path in paths:
        mended, _ = clean.repair(load_humanoid(path).clip[DROP_FIRST:])
        found.append(clean.resample(clean.smooth_truth(mended), FPS).rotations)
    return found


def measure(recordings: list[Array]) -> JointLimits:
    """The limits in local rotations (T, 22, 4), each joint's mirror image on the other side being as good as itself."""
    opposite = opposite_joints(HUMANOID)
    both = [
        np.stack([q, q[:, opposite] * [1.0, -1.0, -1.0, 1.0]], axis=1).reshape(-1, *q.shape[1:]) for q in recordings
    ]
    whole = np.concatenate(both)
    centres = np.stack([_mean(whole[:, joint]) for joint in range(len(HUMANOID))])
    locked = np.zeros((len(HUMANOID), 3))
    measured = JointLimits(centres, locked, locked, bone_frames(HUMANOID))
    low, high = np.percentile(measured.numbers(whole), PERCENTILES, axis=0)
    low[0], high[0] = -np.inf, np.inf
    for joint in ENDS:
        wrong = [(rot.angle(q[:, joint], centres[joint]) > WRONG).mean() > WRONG_SHARE for q in both]
        right = np.concatenate([q[:, joint] for q, leave in zip(both, wrong, strict=True) if not leave])
        poses = np.broadcast_to(rot.IDENTITY, (len(right), *whole.shape[1:])).copy()
        poses[:, joint] = right
        low[joint], high[joint] = np.percentile(measured.numbers(poses)[:, joint], PERCENTILES, axis=0)
    return JointLimits(centres, low, high, bone_frames(HUMANOID))


def _mean(q: Array) -> Array:
    """The mean (4,) of rotations (N, 4): the largest eigenvector of their outer products (Markley et al. 2007)."""
    mean: Array = np.linalg.eigh(q.T @ q)[1][:, -1]
    return rot.normalize(mean if mean[3] >= 0.0 else -mean)


if __name__ == "__main__":
    sys.exit(main())
