"""What a training run leaves to look at opens again and shows what was danced."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import imageio.v3 as imageio
import numpy as np
import pygltflib
import pytest
import torch
from PIL import Image

from exporters import fbx, onnx
from exporters.gif import write_gif
from exporters.gltf import write_gltf
from motion import kinematics
from motion import rotations as rot
from motion.bvh import read_bvh, write_bvh
from motion.clip import Clip
from motion.skeleton import HUMANOID
from training import dataset, results
from training.models import MODELS, describe
from training.results import sequences, style
from training.results.player import Player, overlap_add

SMALL = {"window": 8, "hop": 2, "fps": 30.0, "latent": 4, "layers": 1, "size": 8, "dense": (8,)}
SMALL_DUET = {"placement_width": 16, "pose_width": 16, "code": 4, "latent": 2}


def _clip(seconds: float = 2.0, shift: float = 0.0, fps: float = 30.0) -> Clip:
    """A body that walks an arc and swings its limbs."""
    now = np.arange(round(seconds * fps)) / fps
    root = np.stack([np.sin(now) + shift, np.full_like(now, 0.88), np.cos(0.5 * now)], axis=-1)
    rotations = rot.from_euler("ZXY", 0.4 * np.sin(3.0 * now[:, None, None] + np.arange(66).reshape(22, 3)))
    rotations[:, 0] = rot.yaw(0.8 * now)
    return Clip(HUMANOID, fps, root, rotations)


def _pair(seconds: float = 2.0) -> dataset.Pair:
    tracks = []
    for clip in (_clip(seconds, fps=60.0), _clip(seconds, 1.0, 60.0)):
        given = kinematics.global_positions(HUMANOID, clip.root_positions, clip.rotations).astype(np.float32)
        tracks.append(dataset.Track("made up", "", given, clip.root_positions, clip.rotations))
    return dataset.Pair("made up", 60.0, *tracks)


def _model(kind: str, folder: Path) -> Path:
    torch.manual_seed(0)
    module = MODELS[kind].build(MODELS[kind].config(**(SMALL_DUET if kind == "duet" else SMALL)), HUMANOID)
    torch.save({**describe(kind, module), "about": {}}, folder / "last.ckpt")
    return onnx.export(folder / "last.ckpt", folder / f"{kind}.onnx")


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {kind: _model(kind, tmp_path_factory.mktemp(kind)) for kind in ("duet", "duet_window", "deepfake")}


# ---- files


def test_a_gltf_file_moves_as_the_clip_does(tmp_path: Path) -> None:
    clip = _clip()
    document = pygltflib.GLTF2().load(write_gltf(tmp_path / "x.glb", {"ann": clip, "ben": _clip(1.0, 1.0)}))
    names = [node.name for node in document.nodes if node.name]
    assert names == [f"{who}/{joint}" for who in ("ann", "ben") for joint in HUMANOID.names]
    channels = document.animations[0].channels
    assert len(channels) == 2 * (len(HUMANOID) + 1)
    joint = HUMANOID.index("LeftLowerArm")
    sampler = document.animations[0].samplers[channels[joint].sampler]
    assert document.nodes[channels[joint].target.node].name == "ann/LeftLowerArm"
    values = [_values(document, number) for number in (sampler.input, sampler.output)]
    np.testing.assert_allclose(values[0][:, 0], np.arange(60) / 30.0, atol=1e-6)  # float32
    assert rot.angle(values[1], clip.rotations[:, joint]).max() < 1e-3


def _values(document: pygltflib.GLTF2, number: int) -> np.ndarray:
    accessor = document.accessors[number]
    view = document.bufferViews[accessor.bufferView]
    blob = document.binary_blob()[view.byteOffset : view.byteOffset + view.byteLength]
    return np.frombuffer(blob, dtype=np.float32).reshape(accessor.count, -1)


def test_the_bones_of_a_gltf_file_reach_from_joint_to_joint(tmp_path: Path) -> None:
    document = pygltflib.GLTF2().load(write_gltf(tmp_path / "x.glb", {"ann": _clip()}))
    hips = document.nodes[HUMANOID.index("LeftUpperLeg")]
    bone = next(document.nodes[child] for child in hips.children if document.nodes[child].mesh is not None)
    tip = rot.rotate(np.array(bone.rotation), np.array([0.0, bone.scale[1], 0.0]))
    np.testing.assert_allclose(tip, HUMANOID.offsets[HUMANOID.index("LeftLowerLeg")], atol=1e-9)


def test_a_gif_shows_both_dancers_move(tmp_path: Path) -> None:
    with Image.open(write_gif(tmp_path / "x.gif", {"ann": _clip(1.0), "ben": _clip(2.0, 1.0)}, seconds=1.6)) as film:
        assert film.n_frames == 20
        assert film.info["duration"] == 80
        pictures = []
        for frame in (0, 19):
            film.seek(frame)
            pictures.append(np.asarray(film.convert("RGB"), dtype=int))
    for colour in ((0x00, 0x72, 0xB2), (0xE6, 0x9F, 0x00)):
        places = [np.abs(picture - colour).sum(axis=-1) < 60 for picture in pictures]
        assert min(place.sum() for place in places) > 100
        assert (places[0] != places[1]).sum() > 100


def test_an_mp4_is_the_same_film_twice_as_smooth(tmp_path: Path) -> None:
    path = write_gif(tmp_path / "x.mp4", {"ann": _clip(1.0), "ben": _clip(2.0, 1.0)}, seconds=1.6)
    pictures = imageio.imread(path, plugin="pyav")
    assert pictures.shape == (40, 320, 480, 3)
    assert imageio.immeta(path, plugin="pyav")["fps"] == 25.0
    assert (np.abs(pictures[0].astype(int) - pictures[-1]).sum(axis=-1) > 200).sum() > 200
    with pytest.raises(ValueError, match=r"x\.avi: a film is written as \.gif or \.mp4"):
        write_gif(tmp_path / "x.avi", {"ann": _clip()})


@pytest.mark.parametrize("write", [write_gif, write_gltf])
def test_nothing_to_write_is_refused(tmp_path: Path, write: object) -> None:
    with pytest.raises(ValueError, match="no clips"):
        write(tmp_path / "x", {})


def test_fbx_says_why_it_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ValueError, match="bpy is not installed"):
        fbx.write_fbx(tmp_path / "x.fbx", _clip())


def test_fbx_comes_back_as_the_clip(tmp_path: Path) -> None:
    pytest.importorskip("bpy", reason="Blender's bpy is not installed")
    from motion.fbx import read_fbx

    clip = _clip(1.0)
    back = read_fbx(fbx.write_fbx(tmp_path / "x.fbx", clip))[0]
    points = [
        kinematics.global_positions(each.skeleton, each.root_positions, each.rotations)[
            :30, each.skeleton.index("LeftHand")
        ]
        for each in (clip, back)
    ]
    np.testing.assert_allclose(points[1], points[0], atol=1e-3)  # metres; keys are written in float32


# ---- playing


def test_windows_that_agree_add_up_to_the_dance() -> None:
    clip, starts = _clip(1.0), list(range(-6, 30, 2))
    places = [np.clip(np.arange(start, start + 8), 0, 29) for start in starts]
    windows = [np.stack([values[frames] for frames in places]) for values in (clip.root_positions, clip.rotations)]
    root, rotations = overlap_add(*windows, starts, 30)
    np.testing.assert_allclose(root, clip.root_positions, atol=1e-12)
    assert rot.angle(rotations, clip.rotations).max() < 1e-6


@pytest.mark.parametrize(("frames", "starts"), [(5, [-6, -4, -2, 0, 2, 4]), (1, [-6, -4, -2, 0])])
def test_every_frame_is_danced_by_all_windows_that_hold_it(models: dict, frames: int, starts: list[int]) -> None:
    assert Player(models["duet_window"]).runs(frames) == starts


@pytest.mark.parametrize("kind", ["duet", "duet_window", "deepfake"])
def test_an_exported_model_dances_a_whole_clip(models: dict, kind: str) -> None:
    clip = _clip()
    made, again = (Player(models[kind], seed=3).dance(clip) for _ in range(2))
    assert len(made) == len(clip)
    assert np.isfinite(made.root_positions).all()
    np.testing.assert_array_equal(made.rotations, again.rotations)


def test_what_is_predicted_is_shown_at_the_moment_it_is_meant_for(models: dict, tmp_path: Path) -> None:
    plain = Player(models["duet_window"])
    ahead = Player(models["duet_window"])
    ahead.manifest = dataclasses.replace(plain.manifest, ahead_frames=4)
    clip = _clip()
    early, late = ahead.dance(clip, variety=0.0), plain.dance(clip, variety=0.0)
    np.testing.assert_allclose(early.root_positions[14:50], late.root_positions[10:46], atol=1e-5)  # float32


def test_a_latent_that_is_given_back_is_the_same_dance(models: dict) -> None:
    player, clip = Player(models["duet_window"]), _clip()
    latents = player.latents(clip)
    given = player.dance(clip, variety=0.0, latent_mix=1.0, latent_other=latents)
    assert rot.angle(given.rotations, player.dance(clip, variety=0.0).rotations).max() < 1e-3


def test_a_walk_keeps_the_mean_and_the_spread_and_does_not_jump() -> None:
    random = np.random.default_rng(0)
    latents = 0.3 + 0.2 * random.standard_normal((20000, 3))
    walked = sequences.walk(latents, 0.3, random)
    np.testing.assert_allclose(walked.mean(axis=0), 0.3, atol=0.03)  # 20000 steps are about 2900 independent ones
    np.testing.assert_allclose(walked.std(axis=0), 0.2, atol=0.02)
    assert np.abs(np.diff(walked, axis=0)).mean() < 0.6 * np.abs(np.diff(latents, axis=0)).mean()


# ---- all of it


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("duet", ["original", "predicted"]),
        ("duet_window", ["original", "predicted", "latent_walk", "latent_interpolation"]),
        (
            "deepfake",
            ["original", "d1_to_d1", "d1_to_d2", "d2_to_d1", "d2_to_d2", "latent_walk", "latent_interpolation"],
        ),
    ],
)
def test_results_are_files_that_open_again(models: dict, tmp_path: Path, kind: str, names: list[str]) -> None:
    lines = results.write(tmp_path, kind, models[kind], [_pair(4.0 if kind == "deepfake" else 1.0)])
    folder = tmp_path / "results"
    for name in names:
        assert pygltflib.GLTF2().load(folder / f"{name}.glb").animations[0].channels
        with Image.open(folder / f"{name}.gif") as film:
            assert film.n_frames > 5
        clips = [read_bvh(folder / f"{name}_{number}.bvh", 1.0)[0] for number in (1, 2)]
        assert len(clips[0]) == len(clips[1]) > 20
    assert {path.stem for path in folder.glob("*.glb")} == set(names)
    assert ("bpy" in lines[-1]) == bool(fbx.missing())
    assert (folder / "style.json").is_file() == (kind == "deepfake")


def test_a_dancer_has_their_own_style_and_not_the_others() -> None:
    class Copies:
        def dance(self, dancer: Clip, **knobs: float) -> Clip:
            return dancer

    quick = _clip(12.0)
    slow = Clip(HUMANOID, 30.0, quick.root_positions, rot.slerp(rot.IDENTITY, quick.rotations, 0.2))
    figures = style.distances(Copies(), [quick], [slow])
    assert figures["d1_to_d2_style_from_d1"] == pytest.approx(0.0, abs=1e-3)
    assert figures["d1_to_d2_style_from_d2"] == pytest.approx(1.0, abs=1e-3)
    assert figures["d1_to_d2_kept_m"] == 0.0
    assert figures["d1_to_d2_body_from_d1"] == pytest.approx(0.0, abs=1e-3)
    assert figures["d1_to_d2_feet_correlation"] == pytest.approx(1.0)
    assert figures["d1_to_d2_taken_for_d2"] is None  # of one take nobody could have learned the dancers
    assert figures["d1_to_d1_true_from_d1"] == pytest.approx(0.0, abs=1e-3)  # one's own movements on one's own path
    assert len(style.sentences(figures)) == 6


def test_the_style_of_a_body_does_not_depend_on_its_path() -> None:
    class Copies:
        def dance(self, dancer: Clip, **knobs: float) -> Clip:
            return dancer

    one = _clip(12.0)
    turn = rot.yaw(2.0 * np.arange(len(one)) / 30.0)
    two = Clip(HUMANOID, 30.0, rot.rotate(turn, one.root_positions), one.rotations.copy())
    two.rotations[:, 0] = rot.multiply(turn, one.rotations[:, 0])
    other = Clip(HUMANOID, 30.0, one.root_positions, rot.slerp(rot.IDENTITY, one.rotations, 0.2))
    figures = style.distances([Copies(), Copies()], [one, two], [other, other])
    alone = style.distances([Copies()], [one], [other])
    assert figures["body_between_dancers"] == pytest.approx(alone["body_between_dancers"], rel=0.1)
    assert figures["style_between_dancers"] != pytest.approx(alone["style_between_dancers"], rel=0.1)


def test_who_dances_as_the_other_is_taken_for_them() -> None:
    slow, quick = ([_clip(seconds) for seconds in (8.0, 9.0, 10.0)] for _ in range(2))
    quick = [Clip(HUMANOID, 30.0, clip.root_positions, rot.slerp(rot.IDENTITY, clip.rotations, 0.2)) for clip in quick]

    class Other:
        def dance(self, dancer: Clip, mix: float, **knobs: float) -> Clip:
            return (slow, quick)[int(mix)][[8, 9, 10].index(round(len(dancer) / 30.0))]

    figures = style.distances(Other(), slow, quick)
    assert (figures["d1_taken_for_d2"], figures["d2_taken_for_d2"]) == (0.0, 1.0)
    assert (figures["d1_to_d2_taken_for_d2"], figures["d2_to_d1_taken_for_d2"]) == (1.0, 0.0)
    assert figures["d1_to_d2_body_from_d2"] == pytest.approx(0.0, abs=1e-3)


def test_every_take_may_have_a_dancer_of_its_own() -> None:
    class Copies:
        def dance(self, dancer: Clip, **knobs: float) -> Clip:
            return dancer

    class Stands:
        def dance(self, dancer: Clip, **knobs: float) -> Clip:
            return Clip(
                HUMANOID,
                dancer.fps,
                dancer.root_positions[:1].repeat(len(dancer), 0),
                dancer.rotations[:1].repeat(len(dancer), 0),
            )

    takes = [_clip(12.0), _clip(9.0)]
    figures = style.distances([Copies(), Stands()], takes, takes[::-1])
    assert figures["d1_to_d1_kept_m"] > 0.0
    assert style.distances([Copies(), Copies()], takes, takes[::-1])["d1_to_d1_kept_m"] == 0.0


def test_style_joins_a_scorecard_once(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"model": {"bed": 0.4}}')
    (tmp_path / "a.md").write_text("# Scorecard\n")
    for _ in range(2):
        for name in ("a.json", "a.md"):
            style.add_to(tmp_path / name, {"style_between_dancers": None})
    assert json.loads((tmp_path / "a.json").read_text()) == {
        "model": {"bed": 0.4},
        "style": {"style_between_dancers": None},
    }
    assert (tmp_path / "a.md").read_text().count("## Style") == 1


def test_style_reads_recordings_as_the_training_did(
    models: dict, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, shift in (("lead_1", 0.0), ("follow_1", 1.0)):
        write_bvh(tmp_path / f"{name}.bvh", _clip(4.0, shift))
    (tmp_path / "config.yaml").write_text(
        "data: {lead: lead_*.bvh, follow: follow_*.bvh, drop_first: 0, scale: 1.0}\ntraining: {epochs: 1}\n"
    )
    command = [str(models["deepfake"]), "--data", str(tmp_path)]
    assert style.main(command) == 1
    assert "60_" in capsys.readouterr().err
    assert style.main([*command, "--config", str(tmp_path / "config.yaml")]) == 0
    assert "d1_to_d2" in capsys.readouterr().out
    (tmp_path / "config.yaml").write_text("data: {leed: lead_*.bvh}\n")
    assert style.main([*command, "--config", str(tmp_path / "config.yaml")]) == 1
    assert "did you mean lead?" in capsys.readouterr().err


def test_style_begins_without_a_warning() -> None:
    command = [sys.executable, "-W", "error::RuntimeWarning", "-m", "training.results.style", "--help"]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (made.returncode, made.stderr) == (0, "")


def test_style_of_takes_too_short_is_not_made_up() -> None:
    figures = style.distances(None, [_clip(1.0)], [_clip(1.0)])
    assert figures == {"style_between_dancers": None}
    assert "not measured" in style.sentences(figures)[0]
