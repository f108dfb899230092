"""From two recordings to a partner in one command, and what it says where recordings are of no use."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from made_up_takes import made_up_clip
from motion.bvh import write_bvh
from motion.clip import Clip
from server import preset
from server.dry_run import dry_run
from server.show import build_pipeline
from training import quickstart, train, two_recordings

SECONDS = 24.0


def dancer(seconds: float = SECONDS, fps: float = 30.0, shift: float = 0.0, **changes: object) -> Clip:
    return replace(made_up_clip(seconds, fps, shift), **changes)


@pytest.fixture
def recorded(tmp_path: Path) -> Callable[[Clip, Clip], tuple[Path, Path]]:
    def write(lead: Clip, follow: Clip) -> tuple[Path, Path]:
        for name, clip in (("lead", lead), ("follow", follow)):
            write_bvh(tmp_path / f"{name}.bvh", clip, decimals=4)
        return tmp_path / "lead.bvh", tmp_path / "follow.bvh"

    return write


def follower(seconds: float = SECONDS, fps: float = 30.0) -> Clip:
    """Somebody else: a second ahead of the leader, a metre from them."""
    return dancer(seconds + 1.0, fps, shift=1.0)[round(fps) :]


def test_two_recordings_become_a_partner_and_a_stopped_run_goes_on(
    recorded: Callable[[Clip, Clip], tuple[Path, Path]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lead, follow = recorded(dancer(), follower())
    out = tmp_path / "out"
    command = [str(lead), str(follow), "--out", str(out), "--minutes", "0.02"]

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(train, "run", stop)
        assert quickstart.main(command) == 130
    said = capsys.readouterr().out
    assert f"stopped while training and judging; what is finished is kept in {out}" in said
    assert (out / "takes/follow_2.bvh").is_file()

    assert quickstart.main(command) == 0
    said = capsys.readouterr().out
    assert f"going on in {out}" in said
    assert "metres from where the follower was" in said
    show = out / "partner/live.yaml"
    assert f"python run_server.py {show}" in said
    tried = dry_run(build_pipeline(preset.load(show), show), 60.0, seconds=0.3)
    assert tried.faults == ()
    scorecard = json.loads((out / "judged/scorecard.json").read_text())
    assert scorecard["model"]["takes_seen"] == 0
    assert scorecard["ridge"]["root_ade_m"] is not None  # it learned from the part that the model learned from
    assert yaml.safe_load((out / "config.yaml").read_text())["data"]["source"] == "lead.bvh and follow.bvh"

    assert quickstart.main([*command, "--seed", "1"]) == 1
    assert f"{out} holds a run of other recordings or options" in capsys.readouterr().err


def refusal(paths: tuple[Path, Path], **options: object) -> str:
    with pytest.raises(ValueError, match=r".") as refused:
        two_recordings.read(*paths, **options)  # type: ignore[arg-type]
    return str(refused.value)


def raised(clip: Clip, metres: float) -> Clip:
    """The clip, climbing so many metres in its course."""
    climb = np.linspace(0.0, metres, len(clip))[:, None] * [0.0, 1.0, 0.0]
    return replace(clip, root_positions=clip.root_positions + climb)


@pytest.mark.parametrize(
    ("lead", "follow", "said"),
    [
        (dancer(), dancer(), "are the same recording; name the leader's file and the follower's"),
        (dancer(), dancer(shift=1.0), "show the same person, moving alike to 2 cm; export each dancer"),
        (dancer(), follower(22.0), "lead.bvh lasts 24.00 s and follow.bvh 22.00 s: .* --trim cuts both at 22.00 s"),
        (dancer(12.0), follower(12.0), "12.0 s are too short: a partner needs 20 s at least"),
        (
            dancer(),
            raised(follower(), 2.0),
            "follow.bvh: there is no level floor: the height of the lower foot wanders",
        ),
        (
            dancer(root_positions=np.tile([0.0, 0.9, 0.0], (720, 1))),
            follower(),
            "lead.bvh: its hips never leave their place; export it with the root's movement",
        ),
        (
            dancer(root_positions=100.0 * dancer().root_positions),
            follower(),
            "lead.bvh: its hips move at .* m/s .*: the root's positions are in another unit than the bones",
        ),
    ],
)
def test_recordings_that_are_of_no_use_are_refused_with_what_to_do(
    recorded: Callable[[Clip, Clip], tuple[Path, Path]], lead: Clip, follow: Clip, said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        two_recordings.read(*recorded(lead, follow))


def test_a_scale_that_makes_no_person_is_refused_with_the_choices(
    recorded: Callable[[Clip, Clip], tuple[Path, Path]],
) -> None:
    said = refusal(recorded(dancer(), follower()), scale="0.01")
    assert "with scale 0.01 the body is 0.0168 m tall; leave --scale out" in said
    assert "1 (metres)" in said
    assert "0.01 (centimetres)" in said


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("lead.txt", "dance", r"lead.txt: no reader for '.txt'; known: .bvh, .fbx, .npz"),
        ("lead.bvh", "dance", "lead.bvh:1: a BVH file begins with HIERARCHY, not 'dance'"),
    ],
)
def test_what_is_no_recording_is_named(
    recorded: Callable[[Clip, Clip], tuple[Path, Path]],
    capsys: pytest.CaptureFixture[str],
    name: str,
    text: str,
    said: str,
) -> None:
    _, follow = recorded(dancer(), follower())
    bad = follow.with_name(name)
    bad.write_text(text)
    assert quickstart.main([str(bad), str(follow), "--out", str(follow.parent / "out")]) == 1
    assert said in capsys.readouterr().err
    assert not (follow.parent / "out").exists()


def test_a_recording_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert quickstart.main([str(tmp_path / "none.bvh"), "other.bvh", "--out", str(tmp_path / "out")]) == 1
    assert "none.bvh" in capsys.readouterr().err


def test_another_rate_and_unit_are_brought_to_the_leads(
    recorded: Callable[[Clip, Clip], tuple[Path, Path]],
) -> None:
    other = follower(fps=50.0)
    inches = other.skeleton.with_offsets(other.skeleton.offsets / 0.0254)
    other = Clip(inches, other.fps, other.root_positions / 0.0254, other.rotations)
    lead, follow, found = two_recordings.read(*recorded(dancer(), other), trim=True)
    assert (len(lead), lead.fps) == (len(follow), follow.fps)
    assert np.abs(follow.root_positions - follower().root_positions[: len(follow)]).max() < 2e-3  # between frames
    assert "scale 0.0254 (inches: a body of 1.68 m)" in found[1]
