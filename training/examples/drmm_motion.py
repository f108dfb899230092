"""A partner's half seconds: how near drawn ones come to what was danced, and a partner who is told where to go.

The partner dances on stage's own code (server.stages.sampled_partner) beside the demo clip's dancer. With a folder of
couples, what is drawn for their partners stands beside what these did, beside standing still, and going straight on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import numpy as np
from matplotlib import pyplot

from exporters.gif import Sticks, write_sticks
from motion import motion_vectors, sampling
from motion.conditions import Conditions, Space
from motion.ground_frames import facing
from motion.load import READERS, load_humanoid
from motion.motion_layout import FUTURE, RATE, Layout
from motion.motion_vectors import Track
from motion.skeleton import HUMANOID
from server.onnx_model import OnnxModel
from server.protocols.frames import PoseFrame
from server.stages.motion_plan import Planner
from server.stages.sample_wishes import Wishes
from server.stages.sampled_partner import SampledPartner
from training.examples.drmm_studio import Figures, Points, Studio
from training.models.motion_takes import Config, gathered

CLIP = Path(__file__).resolve().parents[2] / "presets/clips/demo_dancer.bvh"
FPS = 60.0
SECONDS = 30.0  # of the demo clip
BEFORE, TOLD = 2.0, 4.0  # seconds of dancing before a wish, and with it
WAYS, FAR = 8, 1.2  # directions, metres
SQUARE = ((1.0, 1.0), (1.0, -1.0), (-1.0, -1.0), (-1.0, 1.0))
BONES = [(joint, parent) for joint, parent in enumerate(HUMANOID.parents) if parent >= 0]
MOMENTS, ASKED = 6, 200  # in the picture, and of couples
HANDS = ("LeftHand", "RightHand")
COLOURS = ("black", "tab:blue", "tab:orange")  # of hips and hands


def motion(studio: Studio) -> dict[str, Figures]:
    """Figures of steering, and, with couples, of half seconds; films and a picture."""
    assert studio.motion_model is not None
    model = OnnxModel(studio.motion_model)
    dancer = _demo()
    rows = {f"told {told}": figures for told, figures in _steering(model, dancer, studio.seed).items()}
    _films(studio, model, dancer)
    pairs = couples(studio.data) if studio.data else []
    if pairs:
        rows |= {f"half a second: {name}": figures for name, figures in _judged(model, pairs, studio.seed).items()}
    else:
        alone = Track(dancer.root[::2], dancer.rotations[::2])
        pairs = [(_danced(model, dancer, {}, len(dancer) / FPS, studio.seed, every=2), alone)]
    _picture(studio.out / "half_seconds.png", model, pairs[0], studio.seed)
    return rows


def _demo() -> Track:
    clip = load_humanoid(CLIP).clip
    chosen = (
        np.round(np.arange(0.0, min(clip.seconds, SECONDS), 1.0 / FPS) * clip.fps).astype(int).clip(max=len(clip) - 1)
    )
    return Track(clip.root_positions[chosen], clip.rotations[chosen])


def _danced(
    model: OnnxModel,
    dancer: Track,
    told: Mapping[float, tuple[str, tuple[float, ...]]],
    seconds: float,
    seed: int,
    every: int = 1,
) -> Track:
    """What a partner dances to the dancer's frames, every so many of them. told: wishes by when they are made."""
    wishes = Wishes(moves=True)
    partner = SampledPartner(Planner(model, seed), wishes)
    waiting, poses = sorted(told.items()), []
    for number in range(min(round(seconds * FPS), len(dancer))):
        time = number / FPS
        while waiting and time >= waiting[0][0]:
            name, numbers = waiting.pop(0)[1]
            if not wishes.obey(f"sample/{name}", numbers):
                raise ValueError(f"{name} {numbers} was refused")
        seen = PoseFrame(HUMANOID, dancer.root[number], dancer.rotations[number], time, time, number)
        made = partner.step(seen, 1.0 / FPS if number else 0.0, {"variety": 0.2})
        poses.append((made.root_position, made.rotations))
    return Track(np.array([root for root, _ in poses][::every]), np.array([turns for _, turns in poses][::every]))


def _steering(model: OnnxModel, dancer: Track, seed: int) -> dict[str, Figures]:
    """Eight places around, eight ways to look: what is missed when they are told, and at the end of each second."""
    until = BEFORE + TOLD
    here = _danced(model, dancer, {}, BEFORE, seed).root[-1]
    ways = [math.tau * way / WAYS for way in range(WAYS)]
    places = [(here[0] + FAR * math.sin(way), here[2] + FAR * math.cos(way)) for way in ways]
    missed: dict[str, list[Points]] = {"where to go, metres missed": [], "where to look, degrees missed": []}
    for way, place in zip(ways, places, strict=True):
        made = _danced(model, dancer, {BEFORE: ("goto", place)}, until, seed)
        missed["where to go, metres missed"].append(np.hypot(*(made.root[:, [0, 2]] - place).T))
        made = _danced(model, dancer, {BEFORE: ("facing", (math.degrees(way),))}, until, seed)
        off = np.angle(np.exp(1j * (facing(made.rotations[:, 0]) - way)), deg=True)
        missed["where to look, degrees missed"].append(np.abs(off))
    figures = {}
    for told, values in missed.items():
        at = {f"after {second:g} s": round((BEFORE + second) * FPS) - 1 for second in range(int(TOLD) + 1)}
        figures[told] = {name: float(np.mean([each[frame] for each in values])) for name, frame in at.items()}
        figures[told]["farthest, at the end"] = float(np.max([each[-1] for each in values]))
    return figures


def _films(studio: Studio, model: OnnxModel, dancer: Track) -> None:
    """Round the dancer by four corners; and on the spot, looking four ways."""
    corners = {BEFORE + TOLD * number: ("goto", place) for number, place in enumerate(SQUARE)}
    looks = {BEFORE + TOLD * number: ("facing", (90.0 * number,)) for number in range(len(SQUARE))}
    seconds = BEFORE + TOLD * len(SQUARE)
    marks = {
        f"corner {number + 1}": Sticks(_cross(place), FPS, [(0, 1), (2, 3)]) for number, place in enumerate(SQUARE)
    }
    for name, told, more in (("goto", corners, marks), ("facing", looks, {})):
        made = _danced(model, dancer, told, seconds, studio.seed)
        count = len(made)
        figures = {
            "dancer": Sticks(dancer.positions[:count], FPS, BONES),
            "partner": Sticks(made.positions, FPS, BONES),
        }
        write_sticks(studio.out / f"motion_{name}.mp4", figures | more, seconds)


def _cross(place: tuple[float, float]) -> Points:
    x, z = place
    return np.array([[[x - 0.1, 0.0, z], [x + 0.1, 0.0, z], [x, 0.0, z - 0.1], [x, 0.0, z + 0.1]]])


def couples(folder: Path) -> list[tuple[Track, Track]]:
    """Partner and dancer of every take of two. Raises ValueError when there is none."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in READERS)
    takes = gathered(Config(), paths)[0] if paths else []
    pairs = [(take.dancers[1].track(), take.dancers[0].track()) for take in takes if len(take.dancers) == 2]
    if not pairs:
        raise ValueError(f"{folder} has no recordings of two: files are named like {' and '.join(Config.together[0])}")
    return pairs


def _judged(model: OnnxModel, pairs: Sequence[tuple[Track, Track]], seed: int) -> dict[str, Figures]:
    """How far 13 points of the body are from where they were, metres, at the four moments of the half second."""
    layout, random = Layout(), np.random.default_rng(seed)
    found: dict[str, list[Points]] = {"drawn": [], "the best of 64": [], "standing still": [], "going straight on": []}
    for number in range(ASKED):
        partner, dancer = pairs[number % len(pairs)]
        now = random.choice(motion_vectors.moments(min(len(partner), len(dancer))))
        truth = _points(layout, motion_vectors.encode(layout, np.array([now]), partner, dancer)[0])
        past, until = (Track(each.root[: now + 1], each.rotations[: now + 1]) for each in (partner, dancer))
        drawn = _points(layout, _half_seconds(model, layout, past, until, random))
        far = np.linalg.norm(drawn - truth, axis=-1).mean(axis=2)  # (64, moments)
        found["drawn"].append(far.mean(axis=0))
        found["the best of 64"].append(far[far.mean(axis=1).argmin()])
        frame = motion_vectors.frame_of(partner, np.array([now]))
        joints = [0, *(HUMANOID.index(name) for name in motion_vectors.BESIDE)]
        here, before = (frame.points(partner.positions[[each]][:, joints])[0] for each in (now, now - 1))
        pace = np.array(FUTURE)[:, None, None] * (here - before)
        for name, guess in (("standing still", here[None]), ("going straight on", here + pace)):
            found[name].append(np.linalg.norm(guess - truth, axis=-1).mean(axis=1))
    return {
        name: {f"{1000 * step / RATE:.0f} ms, metres": float(value) for step, value in zip(FUTURE, far, strict=True)}
        for name, far in ((name, np.mean(values, axis=0)) for name, values in found.items())
    }


def _half_seconds(
    model: OnnxModel, layout: Layout, partner: Track, dancer: Track, random: np.random.Generator
) -> Points:
    """Vectors (candidates, width) of what may follow, drawn by their weights."""
    space = Space.of(model.manifest)
    values, known, _ = motion_vectors.now_known(layout, partner, dancer)
    wanted = Conditions(space).know(list(np.array(layout.names)[known]), values[known])
    shape = next(port.shape for port in model.manifest.inputs if port.name == "gumbel")
    gumbel = sampling.chance(random, (1, *map(int, shape[1:])))

    def run(inputs: sampling.Values) -> sampling.Values:
        model.inputs.update(inputs)
        return model.step()

    return sampling.draw(run, space, wanted.question(), gumbel, random, noise=1.0).samples[0]


def _points(layout: Layout, vectors: Points) -> Points:
    """The partner's root and points to come, (..., moments, 13, 3) metres, in the vectors' frame."""
    block = vectors[..., layout.select("partner.future")].reshape(*vectors.shape[:-1], len(FUTURE), -1, 3)
    return np.concatenate([block[..., :1, :], block[..., :1, :] + block[..., 1:, :]], axis=-2)


def _picture(path: Path, model: OnnxModel, pair: tuple[Track, Track], seed: int) -> None:
    """From above: what was, what may come of hips and hands, and what came."""
    layout, random = Layout(), np.random.default_rng(seed)
    partner, dancer = pair
    figure, axes = pyplot.subplots(2, MOMENTS // 2, figsize=(15, 10), constrained_layout=True)
    chosen = motion_vectors.moments(min(map(len, pair)))
    chosen = chosen[np.linspace(0.1 * len(chosen), 0.9 * len(chosen), MOMENTS).astype(int)]
    places = [0, *(1 + motion_vectors.BESIDE.index(hand) for hand in HANDS)]
    joints = [0, *(HUMANOID.index(hand) for hand in HANDS)]
    for axis, now in zip(axes.flat, chosen, strict=True):
        past = Track(partner.root[: now + 1], partner.rotations[: now + 1])
        seen = Track(dancer.root[: now + 1], dancer.rotations[: now + 1])
        frame = motion_vectors.frame_of(partner, np.array([now]))
        drawn = _points(layout, _half_seconds(model, layout, past, seen, random))[:, :, places]
        ahead = now + np.arange(FUTURE[-1] + 1)
        here = frame.points(partner.positions[[now]][:, joints])
        came, other = (frame.points(each.positions[ahead][:, joints]) for each in pair)
        for number, (name, colour) in enumerate(
            zip(("hips", *HANDS), ("black", "tab:blue", "tab:orange"), strict=True)
        ):
            paths = np.concatenate([np.repeat(here, len(drawn), axis=0)[:, None], drawn], axis=1)[:, :, number]
            axis.plot(*paths[..., [0, 2]].transpose(2, 1, 0), color=colour, alpha=0.15, linewidth=0.8)
            axis.plot(*came[:, number, [0, 2]].T, color=colour, linewidth=2.5, label=name)
            axis.plot(*other[:, number, [0, 2]].T, color=colour, linewidth=1.5, linestyle=":")
        axis.set(title=f"{now / RATE:.1f} s", aspect="equal")
    axes[0, 0].legend()
    figure.suptitle("from above: 64 half seconds drawn, what was danced (thick), the dancer (dotted)")
    figure.savefig(path, dpi=80)
    pyplot.close(figure)
