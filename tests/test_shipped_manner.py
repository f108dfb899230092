"""The shipped manners: the label is whole, the preset plays, and who is asked for makes a difference, not a slide."""

from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

from exporters import inspect
from motion import kinematics
from motion.clip import Clip
from motion.load import load_humanoid
from motion.skeleton import HUMANOID, Array
from server import preset
from server.pipeline import Pipeline
from server.protocols.frames import PoseFrame
from server.show import build_pipeline
from server.stages.manner import identities
from training.results.sequences import at_rate

PRESETS = Path(__file__).resolve().parents[1] / "presets"
MODEL, PRESET = PRESETS / "models/manner.onnx", PRESETS / "manner.yaml"
WHO = ("follow", "lead", "passer_by", "soloist")
FPS, SECONDS = 60.0, 5.0
TOES = HUMANOID.both_sides("Toes")


@lru_cache(maxsize=1)
def dancer() -> Clip:
    return at_rate(load_humanoid(PRESETS / "clips/demo_dancer.bvh").clip, FPS)[: int(SECONDS * FPS)]


def joints(clip: Clip) -> Array:
    return kinematics.global_positions(HUMANOID, clip.root_positions, clip.rotations)


def pipeline(**params: float) -> Pipeline:
    show = preset.load(PRESET)
    started = {"identity/follow": 0.0, "distance": 0.0} | {name.replace("__", "/"): n for name, n in params.items()}
    show.partners["partner1"].params.update(started)
    return build_pipeline(show, PRESET)


def danced(show: Pipeline, places: range | list[int]) -> Array:
    """The partner's joints (T, 22, 3) while the dancer is at these frames of the clip."""
    clip, made = dancer(), []
    for number, place in enumerate(places):
        frame = PoseFrame(
            HUMANOID, clip.root_positions[place], clip.rotations[place], None, number / FPS, number, "dancer1"
        )
        made.append(next(pose for pose in show.step("dancer1", frame) if pose.actor == "partner1"))
    return joints(
        Clip(HUMANOID, FPS, *(np.array([getattr(p, n) for p in made]) for n in ("root_position", "rotations")))
    )


@lru_cache(maxsize=8)
def whole(who: str) -> Array:
    return danced(pipeline(**({f"identity/{who}": 1.0} if who else {})), range(len(dancer())))


def apart(a: Array, b: Array) -> float:
    """Metres between joints, seen from the hips, after half a second."""
    return float(np.linalg.norm((a - a[:, :1]) - (b - b[:, :1]), axis=-1)[30:].mean())


def test_its_label_names_its_takes_and_its_identities() -> None:
    manifest = inspect.read_manifest(MODEL)
    assert identities(manifest) == WHO
    assert len(manifest.made_from["takes"]) == 52
    assert not {"60_12.bvh", "61_12.bvh", "05_20.bvh"} & {take["take"] for take in manifest.made_from["takes"]}
    assert manifest.made_from["contains_recordings"] is False
    assert "CMU" in manifest.made_from["licence"]
    assert MODEL.stat().st_size < 8e6


def test_their_own_manner_is_nearly_what_they_danced() -> None:
    assert apart(whole(""), joints(dancer())) < 0.035


@pytest.mark.parametrize("who", ["follow", "passer_by", "soloist"])  # it is a lead who dances here
def test_another_manner_is_another_dance_on_the_same_spot(who: str) -> None:
    source, made = joints(dancer()), whole(who)
    assert 0.035 < apart(made, source) < 0.15
    assert np.linalg.norm((made - source)[:, 0, 0::2], axis=-1).max() < 0.4


@pytest.mark.parametrize("who", WHO)
def test_feet_that_stand_do_not_slide(who: str) -> None:
    source, made = joints(dancer())[:, TOES], whole(who)[:, TOES]
    speeds = [np.linalg.norm(np.diff(each[..., 0::2], axis=0), axis=-1) * FPS for each in (source, made)]
    stands = (source[1:, :, 1] < source[..., 1].min() + 0.05) & (speeds[0] < 0.15)
    assert stands.mean() > 0.1
    assert speeds[1][stands].mean() < 0.1  # metres a second


def test_who_is_left_alone_dances_on_and_comes_back() -> None:
    show = pipeline(manner__improvise=1.0, **{"identity/lead": 1.0})
    made = danced(show, [*range(150), *[150] * 600, *range(150, 300)])
    speed = np.linalg.norm(np.diff(made, axis=0), axis=-1).mean(axis=1) * FPS
    assert speed[210:750].mean() > 0.1 * speed[:150].mean()
    assert np.isfinite(made).all()
    assert np.linalg.norm((made - made[150])[150:750, 0, 0::2], axis=-1).max() < 2.5
    assert apart(made[-40:], joints(dancer())[-40:]) < 0.06
