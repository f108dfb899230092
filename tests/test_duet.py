"""The duet model: heading does not matter, the step needs no fixed rate, sees no future, and trains and resumes."""

import dataclasses
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from lightning.fabric import Fabric

from exporters.graphs.duet import LEAD, LIVELY, DuetStep
from motion import kinematics
from motion import rotations as rot
from motion.clip import Clip
from motion.skeleton import HUMANOID
from training import dataset, loop, train
from training.kinematics import matrices_from_6d
from training.models import duet, load_checkpoint

CONFIG = duet.Config(placement_width=32, pose_width=32, code=8, latent=4)


def _clip(seconds: float, fps: float, shift: float = 0.0) -> Clip:
    """A body that walks an arc and swings its limbs."""
    now = np.arange(round(seconds * fps)) / fps
    root = np.stack([np.sin(now) + shift, np.full_like(now, 0.88), np.cos(0.5 * now)], axis=-1)
    angles = 0.4 * np.sin(3.0 * now[:, None, None] + np.arange(66).reshape(22, 3))
    rotations = rot.from_euler("ZXY", angles)
    rotations[:, 0] = rot.yaw(0.8 * now)
    return Clip(HUMANOID, fps, root, rotations)


def _track(clip: Clip) -> dataset.Track:
    given = kinematics.global_positions(HUMANOID, clip.root_positions, clip.rotations).astype(np.float32)
    return dataset.Track("made up", "", given, clip.root_positions, clip.rotations)


def _pair() -> dataset.Pair:
    return dataset.Pair("made up", 120.0, _track(_clip(4, 120)), _track(_clip(4, 120, shift=1.0)))


def _windows() -> dataset.Windows:
    return dataset.Windows([_pair()], CONFIG.lags, CONFIG.horizons, stride=2, swap_roles=True)


@pytest.fixture
def model() -> duet.Duet:
    torch.manual_seed(0)
    model = duet.Duet(CONFIG, HUMANOID)
    model.fit_statistics(_windows().sample(200, seed=0))
    return model.eval()


def _walk(step: DuetStep, clip: Clip, noise_seed: int | None = None, **knobs: float) -> torch.Tensor:
    """Every output (frames, D) of a dancer's clip, the partner first and the states behind."""
    positions = kinematics.global_positions(HUMANOID, clip.root_positions, clip.rotations)
    dancer = torch.tensor(positions, dtype=torch.float32).flatten(1)
    random = torch.Generator().manual_seed(noise_seed or 0)
    state = [torch.zeros(1, *shape) for shape in step.ports()[1].values()]
    variety, distance = torch.ones(1, 1), torch.full((1, 1), knobs.get("distance", 0.0))
    outputs = []
    for frame in dancer:
        noise = torch.randn(1, step.latent, generator=random) * (noise_seed is not None)
        partner, *state = step(frame[None], torch.full((1, 1), 1 / clip.fps), noise, variety, distance, *state)
        outputs.append(torch.cat([partner[0], *(values.flatten() for values in state)]))
    return torch.stack(outputs)


def test_features_do_not_depend_on_place_and_heading(model: duet.Duet) -> None:
    dancer = _windows().sample(5, 1)["dancer"]
    turn = torch.tensor(rot.to_matrix(rot.yaw(1.1)), dtype=torch.float32)
    moved = dancer @ turn.T + torch.tensor([3.0, 0.0, -2.0])
    torch.testing.assert_close(model.features(moved), model.features(dancer), atol=1e-5, rtol=0)  # float32, metres


def test_targets_put_back_on_stage_are_the_partner(model: duet.Duet) -> None:
    batch = _windows().sample(4, 2)
    placement, poses = model.targets(batch)
    matrices = matrices_from_6d(poses[..., 1:].unflatten(-1, (-1, 6)))
    joints = model.on_stage(model.positions(poses[..., :1], matrices), placement)
    origin, turn = model.frame(batch["dancer"][:, 0])
    world = joints @ turn.transpose(1, 2)[:, None] + origin[:, None, None]
    q = rot.from_6d(batch["partner_rotations"].numpy())
    expected = kinematics.global_positions(HUMANOID, batch["partner_root"].numpy(), q)
    np.testing.assert_allclose(world.numpy(), expected, atol=1e-5)  # float32


def test_the_first_step_says_what_the_networks_say(model: duet.Duet) -> None:
    batch = _windows().gather(torch.tensor([0]))  # a take's start: its past is its first frame, as the step assumes
    seen = model.standardise(model.features(batch["dancer"]))
    codes = model.codes(seen, torch.zeros(1, 4), torch.zeros(1, 1))
    ahead = LEAD / CONFIG.horizons[1]
    height, _ = model.decode(LIVELY * (codes[:, 0] * (1 - ahead) + codes[:, 1] * ahead))
    partner = _walk(DuetStep(model), _clip(1 / 120, 120))[0]
    torch.testing.assert_close(partner[1:2], height[0], atol=1e-5, rtol=0)


def test_the_step_remembers_what_training_looks_up(model: duet.Duet) -> None:
    """Fed at 30 fps every lag falls on a sample, so a step's features are the training window's, to rounding."""
    clip = _clip(2, 30)
    step = DuetStep(model)
    state = _walk(step, clip[:-1])[-1]
    history = state[135 + 35 + 4 + 2 :][: 32 * 18].view(32, 6, 3)
    given = torch.tensor(kinematics.global_positions(HUMANOID, clip.root_positions, clip.rotations)).float()
    torch.testing.assert_close(history[4], model.marks(given[-6]), atol=1e-6, rtol=0)


def test_nothing_after_a_frame_changes_what_came_before(model: duet.Duet) -> None:
    clip = _clip(2, 60)
    changed = Clip(HUMANOID, 60, clip.root_positions.copy(), clip.rotations.copy())
    changed.root_positions[70:] += 0.5
    a, b = (_walk(DuetStep(model), each, noise_seed=1) for each in (clip, changed))
    assert torch.equal(a[:70], b[:70])
    assert not torch.equal(a[70], b[70])


@pytest.mark.parametrize("fps", [24, 50, 60, 90, 120, 240])
def test_the_rate_hardly_matters(model: duet.Duet, fps: int) -> None:
    at_30, other = _walk(DuetStep(model), _clip(3, 30)), _walk(DuetStep(model), _clip(3, fps))
    now = [t for t in range(90) if (t * fps) % 30 == 0]
    difference = at_30[now, :135] - other[[t * fps // 30 for t in now], :135]
    assert difference.abs().mean() < 0.01  # metres and matrix entries; measured up to 0.006 with an untrained model


def test_rubbish_in_the_first_moment_is_forgotten(model: duet.Duet) -> None:
    clip = _clip(2, 120)
    rubbish = Clip(HUMANOID, 120, clip.root_positions.copy(), clip.rotations.copy())
    rubbish.root_positions[:10] += 3.0
    a, b = (_walk(DuetStep(model), each)[:, :135] for each in (clip, rubbish))
    assert not torch.equal(a[:10], b[:10])
    assert torch.equal(a[12:], b[12:])


def test_a_dancer_who_jumps_across_the_stage_is_followed_at_a_run(model: duet.Duet) -> None:
    clip = _clip(2, 60)
    clip.root_positions[60:] += 5.0
    partner = _walk(DuetStep(model), clip)[10:, [0, 2]]
    assert partner.diff(dim=0).norm(dim=-1).max() * 60 <= 2.8 + 1e-3  # m/s; float32 metres


def test_pushes_do_not_show(model: duet.Duet) -> None:
    partner = _walk(DuetStep(model), _clip(3, 120))[30:, :3]
    acceleration = partner.diff(n=2, dim=0).norm(dim=-1)
    push = torch.arange(len(acceleration)) % 4
    shares = torch.stack([acceleration[push == phase].mean() for phase in range(4)])
    assert shares.max() < 3.5 * shares.min()  # measured 2.6 with an untrained model


def test_distance_moves_the_partner_away_by_metres(model: duet.Duet) -> None:
    pose = _clip(1, 30)[:1]
    clip = Clip(HUMANOID, 30, pose.root_positions.repeat(30, 0), pose.rotations.repeat(30, 0))  # who stands
    near, far = (_walk(DuetStep(model), clip, distance=metres)[:, [0, 2]] for metres in (0.5, 1.0))
    dancer = torch.tensor(clip.root_positions[:, [0, 2]]).float()
    gained = (far - dancer).norm(dim=-1) - (near - dancer).norm(dim=-1)
    torch.testing.assert_close(gained[-10:], torch.full((10,), 0.5), atol=1e-4, rtol=0)


def test_rotations_that_come_out_are_rotations(model: duet.Duet) -> None:
    sixd = _walk(DuetStep(model), _clip(1, 30), noise_seed=3)[:, 3:135].reshape(-1, 2, 3)
    torch.testing.assert_close(sixd @ sixd.transpose(1, 2), torch.eye(2).expand(len(sixd), 2, 2), atol=1e-5, rtol=0)


def test_zero_noise_is_the_mean_partner_and_seeds_differ(model: duet.Duet) -> None:
    step, clip = DuetStep(model), _clip(1, 60)
    mean, one, two = (_walk(step, clip, noise_seed=seed)[:, :135] for seed in (None, 1, 2))
    assert torch.equal(mean, _walk(step, clip)[:, :135])
    assert (one - two).abs().max() > 1e-3
    assert torch.equal(one[:, [0, 2]], two[:, [0, 2]])  # the placement is not a matter of taste


@pytest.mark.parametrize("dt", [0.0, -1.0, 30.0])
def test_a_broken_clock_gives_finite_poses(model: duet.Duet, dt: float) -> None:
    step = DuetStep(model)
    state = [torch.zeros(1, *shape) for shape in step.ports()[1].values()]
    knob = torch.zeros(1, 1)
    for _ in range(4):
        partner, *state = step(torch.zeros(1, 66), torch.full((1, 1), dt), torch.zeros(1, 4), knob, knob, *state)
    assert all(torch.isfinite(values).all() for values in (partner, *state))


def _train(out: Path, epochs: int, resume: bool = False, stop_after: int | None = None) -> torch.Tensor:
    fabric = Fabric(accelerator="cpu", devices=1)
    torch.manual_seed(0)
    model = duet.Duet(CONFIG, HUMANOID)
    windows = _windows()
    model.fit_statistics(windows.sample(200, seed=0))
    if stop_after is not None:
        windows.batches = _interrupting(windows.batches, stop_after)  # type: ignore[method-assign]
    config = loop.Config(epochs=epochs, batch_size=64)
    loop.train("duet", model, windows, windows, config, out, fabric, resume=resume)
    return torch.cat([weights.detach().flatten() for weights in model.parameters()])


def _interrupting(batches: Callable[..., Iterator], after: int) -> Callable[..., Iterator]:
    """The same batches, with a Ctrl-C before the one numbered `after`."""

    def interrupted(size: int, seed: int, first: int = 0) -> Iterator:
        for number, batch in enumerate(batches(size, seed, first)):
            if number == after:
                signal.raise_signal(signal.SIGINT)
            yield batch

    return interrupted


def test_a_stopped_run_continues_as_if_it_had_not_stopped(tmp_path: Path) -> None:
    whole = _train(tmp_path / "whole", 2)
    with pytest.raises(loop.Stopped, match=r"last\.ckpt"):
        _train(tmp_path / "parts", 2, stop_after=2)
    assert torch.equal(_train(tmp_path / "parts", 2, resume=True), whole)


def test_training_improves_and_leaves_its_history(tmp_path: Path) -> None:
    _train(tmp_path, 5)
    rows = (tmp_path / "history.csv").read_text().splitlines()
    assert rows[0].startswith("epoch,total,root,facing,pose")
    assert float(rows[-1].split(",")[1]) < float(rows[1].split(",")[1])
    assert loop.plot_history(tmp_path).stat().st_size > 1000


def test_a_checkpoint_rebuilds_the_model_alone(tmp_path: Path) -> None:
    weights = _train(tmp_path, 1)
    model = load_checkpoint(tmp_path / "last.ckpt")
    assert torch.equal(torch.cat([values.flatten() for values in model.parameters()]), weights)
    assert model.config == CONFIG


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.ckpt").write_bytes(b"no checkpoint")
    for path in (tmp_path / "x.ckpt", tmp_path / "absent.ckpt"):
        with pytest.raises(ValueError, match="no checkpoint"):
            load_checkpoint(path)


def test_the_shipped_config_is_read(tmp_path: Path) -> None:
    path = Path(__file__).resolve().parents[1] / "presets/training/duet.yaml"
    sections = train.read_config("duet", path)
    assert dataclasses.asdict(sections["model"]).keys() == dataclasses.asdict(duet.Config()).keys()


def test_every_fault_of_a_config_is_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text("model: {latnet: 4, code: many}\ntrainnig: {}\ndata: {fps: true}\n")
    with pytest.raises(ValueError, match="latnet") as error:
        train.read_config("duet", path)
    for expected in ("did you mean latent?", "did you mean training?", "code = 'many'", "fps = True"):
        assert expected in str(error.value)


def test_one_command_trains_exports_and_says_how_to_go_live(
    shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pairs = [{"lead": f"60_{take}.bvh", "follow": f"61_{take}.bvh", "last": 400} for take in ("03", "10")]
    model = {"placement_width": 16, "pose_width": 16, "code": 4, "latent": 2}
    config = tmp_path / "small.yaml"
    config.write_text(yaml.safe_dump({"data": {"pairs": pairs}, "model": model, "training": {"batch_size": 64}}))
    data, out = shared / "data/salsa_pairs", tmp_path / "mine"
    command = ["duet", str(config), "--data", str(data), "--out", str(out), "--fold", "2/2", "--epochs", "1"]
    assert train.main(command) == 0
    assert capsys.readouterr().out.rstrip().endswith(f"python run_server.py {out / 'live.yaml'}")
    assert (out / "mine.onnx").is_file()
    assert (out / "history.png").is_file()


def test_a_wrong_folder_is_an_error_line_not_a_traceback(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = Path(__file__).resolve().parents[1] / "presets/training/duet.yaml"
    assert train.main(["duet", str(config), "--data", str(tmp_path / "none"), "--out", str(tmp_path)]) == 1
    assert "none is no folder" in capsys.readouterr().err
