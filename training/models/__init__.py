"""One model, one file. Here: the table of them, and how a checkpoint becomes a model again without any data."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path
from typing import Any

from torch import nn

from motion.skeleton import Skeleton
from training import checkpoint
from training.checkpoint import describe
from training.models import (
    deepfake,
    drmm,
    drmm_motion,
    drmm_pose,
    drmm_tables,
    duet,
    duet_match,
    duet_window,
    identity_action,
    identity_action_config,
    identity_action_training,
    identity_films,
    identity_takes,
    labelled,
    labelled_config,
    labelled_takes,
    labelled_training,
    motion_takes,
    upsampler,
    upsampler_points,
    upsampler_takes,
)
from training.run import Kind

__all__ = ["MODELS", "describe", "load_checkpoint", "read_checkpoint", "rebuild"]

MODELS: dict[str, Kind] = {
    "duet": Kind(duet.Config, duet.Duet, duet.windows, training=duet.Training),
    "duet_match": Kind(duet_match.Config, duet_match.DuetMatch, train=duet_match.train, training=duet_match.Training),
    "duet_window": Kind(
        duet_window.Config, duet_window.DuetWindow, duet_window.windows, duet_window.train, duet_window.Training
    ),
    "deepfake": Kind(deepfake.Config, deepfake.Deepfake, deepfake.windows, deepfake.train, deepfake.Training),
    "drmm": Kind(
        drmm.Config,
        drmm.Drmm,
        drmm_tables.windows,
        drmm_tables.train,
        drmm.Training,
        data=drmm_tables.Config,
        load=drmm_tables.load,
        partners=False,
    ),
    "pose_drmm": Kind(
        drmm_pose.Model,
        drmm_pose.PoseDrmm,
        drmm_pose.windows,
        drmm_pose.train,
        drmm.Training,
        data=drmm_pose.Config,
        load=motion_takes.load_takes,
        partners=False,
    ),
    "motion_drmm": Kind(
        drmm_motion.Model,
        drmm_motion.MotionDrmm,
        drmm_motion.windows,
        drmm_motion.train,
        drmm.Training,
        data=motion_takes.Config,
        load=motion_takes.load_takes,
        partners=False,
    ),
    "labelled": Kind(
        labelled_config.Config,
        labelled.Labelled,
        labelled_training.windows,
        labelled_training.train,
        labelled_training.Training,
        data=labelled_takes.Config,
        load=labelled_takes.load_takes,
        partners=False,
    ),
    "identity_action": Kind(
        identity_action_config.Config,
        identity_action.IdentityAction,
        identity_action_training.windows,
        identity_action_training.train,
        identity_action_training.Training,
        data=identity_takes.Config,
        load=identity_takes.load_takes,
        split=identity_takes.split,
        partners=False,
    ),
    "identity_action_images": Kind(
        identity_action_config.Config,
        identity_action.IdentityAction,
        identity_films.windows,
        identity_action_training.train,
        identity_action_training.Training,
        data=identity_films.Config,
        load=identity_films.load,
        split=identity_films.split,
        partners=False,
        exported=False,
    ),
    "upsampler": Kind(
        upsampler.Config,
        upsampler.Upsampler,
        upsampler.windows,
        upsampler.train,
        upsampler.Training,
        data=upsampler_takes.Config,
        load=upsampler_takes.load_takes,
        partners=False,
    ),
    "upsampler_points": Kind(
        upsampler_points.Config,
        upsampler_points.PointsUpsampler,
        upsampler_points.windows,
        upsampler_points.train,
        upsampler_points.Training,
        data=upsampler_takes.Config,
        load=upsampler_takes.load_takes,
        partners=False,
    ),
}


def load_checkpoint(path: str | Path) -> nn.Module:
    """The model of a checkpoint, in evaluation mode on the CPU. Raises ValueError when the file is none of ours."""
    return rebuild(read_checkpoint(path))


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """The checkpoint's plain contents. Nothing in it is executed. Raises ValueError when the file is none of ours."""
    stored = checkpoint.read(path)
    if stored["kind"] not in MODELS:
        raise ValueError(f"{path} is a checkpoint of {stored['kind']!r}; known: {', '.join(MODELS)}")
    return stored


def rebuild(stored: dict[str, Any]) -> nn.Module:
    """The model described by `describe`. Raises ValueError for one of an older version, which had other weights."""
    kind = MODELS[stored["kind"]]
    model = kind.build(kind.config(**stored["config"]), Skeleton.from_dict(stored["skeleton"]))
    try:
        model.load_state_dict(stored["weights"])
    except RuntimeError:  # torch's own words are a page
        lacks, has = (sorted(a - b) for a, b in permutations((model.state_dict().keys(), stored["weights"].keys())))
        what = f"it lacks {_few(lacks)}, and has {_few(has)}" if lacks or has else "its weights have other shapes"
        raise ValueError(
            f"a checkpoint of {stored['kind']!r} that another version wrote: {what}; train it anew"
        ) from None
    return model.eval()


def _few(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "") or "nothing more"
