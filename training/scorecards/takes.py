"""Takes of two dancers for a scorecard: the raw lead for the model, the truth at 30 fps, and who has seen them.

Two versions of the lead are kept apart. What a live partner is given goes through the causal median only; the truth is
filtered with zero phase, which looks ahead, and is never an input.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

import motion
from motion.clean import resample, smooth_truth, trailing_median
from motion.clip import Clip
from motion.load import READERS, load_humanoid
from motion.manifest import Manifest
from motion.metrics.joints import FPS, body_points
from motion.skeleton import HUMANOID, Array


@dataclass(frozen=True)
class Reading:
    """How takes are read: fps the partner lives at, frames left out at the start, metres per unit.

    Exporters blend in over the first frames: a partner who met those would rush to where the dancer really is.
    """

    fps: float = 120.0
    drop_first: int = 10
    scale: str | float = "auto"


@dataclass(frozen=True)
class Take:
    """One take of two dancers.

    lead: the raw dancer on HUMANOID at the live rate. The rest is (T, 24, 3) at 30 fps: given, the lead as a live
    partner sees it; leader and follower, the truth. All begin after the frames that are left out.
    """

    name: str
    hashes: tuple[str, str]
    lead: Clip
    given: Array
    leader: Array
    follower: Array

    def __len__(self) -> int:
        return len(self.follower)

    def compared(self, partner: Clip) -> Array:
        """The points of a partner danced to `lead`, frame for frame, at the frames of the truth, (T, 24, 3)."""
        return body_points(at_thirty(partner))[: len(self)]


def read_takes(pairs: Sequence[tuple[Path, Path]], reading: Reading, cache: Path | None = None) -> list[Take]:
    """Reads pairs of recordings, from the folder `cache` where they have been read before. Raises as `read_take`."""
    return [
        read_take(lead, follow, reading) if cache is None else _cached(lead, follow, reading, cache)
        for lead, follow in pairs
    ]


def read_take(lead: Path, follow: Path, reading: Reading) -> Take:
    """Reads a pair of recordings. Raises ValueError when they are not one take, and as `load_humanoid`."""
    clips = [load_humanoid(path, reading.scale).clip for path in (lead, follow)]
    rates, lengths = [clip.fps for clip in clips], [len(clip) for clip in clips]
    if abs(rates[0] - rates[1]) > 1e-3 * rates[0] or abs(lengths[0] - lengths[1]) > 1:
        raise ValueError(
            f"{lead.name} and {follow.name} must be one take, frame for frame: {lengths[0]} frames at {rates[0]:g} fps "
            f"against {lengths[1]} at {rates[1]:g}"
        )
    clips = [clip[reading.drop_first :] for clip in clips]
    live = at_rate(clips[0], reading.fps)
    given = body_points(at_thirty(trailing_median(live)))
    truth = [body_points(at_thirty(smooth_truth(clip))) for clip in clips]
    frames = min(len(given), *map(len, truth))
    if frames < 2 * FPS:
        raise ValueError(f"{lead.name} is too short to judge: {frames / FPS:.1f} s after the first frames are left out")
    hashes = (digest(lead), digest(follow))
    return Take(lead.stem, hashes, live, given[:frames], truth[0][:frames], truth[1][:frames])


def _cached(lead: Path, follow: Path, reading: Reading, cache: Path) -> Take:
    """`read_take`, kept under the hash of the two files, of how they are read, and of the code that reads them."""
    hashes = (digest(lead), digest(follow))
    key = hashlib.sha256(f"2 {hashes} {reading} {_code()}".encode()).hexdigest()[:24]
    file = cache / f"{key}.npz"
    if file.is_file():
        with np.load(file) as kept:
            clip = Clip(HUMANOID, reading.fps, kept["root"], kept["rotations"])
            return Take(lead.stem, hashes, clip, kept["given"], kept["leader"], kept["follower"])
    take = read_take(lead, follow, reading)
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=cache, suffix=".part", delete=False) as part:
        values = {"given": take.given, "leader": take.leader, "follower": take.follower}
        np.savez(part, root=take.lead.root_positions, rotations=take.lead.rotations, **values)
    Path(part.name).replace(file)
    return take


@lru_cache(maxsize=1)
def _code() -> str:
    """A hash of the source of `motion`, which says how a file becomes a clip and a clip points."""
    sources = sorted(Path(motion.__file__).parent.rglob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()


def at_rate(clip: Clip, fps: float) -> Clip:
    """The clip at `fps`; a rate that is only written differently (120.005) is taken as it is."""
    if abs(clip.fps - fps) < 1e-3 * fps:
        return Clip(clip.skeleton, fps, clip.root_positions, clip.rotations)
    return resample(clip, fps)


def at_thirty(clip: Clip) -> Clip:
    """The clip at 30 fps: whole frames where the rate is a multiple, else interpolated."""
    step = round(clip.fps / FPS)
    if step >= 1 and abs(clip.fps - step * FPS) < 1e-3 * clip.fps:
        return Clip(clip.skeleton, FPS, clip.root_positions[::step], clip.rotations[::step])
    return resample(clip, FPS)


def digest(path: Path) -> str:
    """The SHA-256 of a file, as manifests name it."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def has_seen(manifest: Manifest, take: Take) -> bool:
    """Whether a model was trained on either dancer of the take."""
    return not set(training_hashes(manifest)).isdisjoint(take.hashes)


def training_hashes(manifest: Manifest) -> tuple[str, ...]:
    """The hashes of a model's training takes: lead, follow, lead, follow ..."""
    return tuple(str(entry["sha256"]) for entry in manifest.made_from.get("takes", ()))


class Library:
    """Training takes of models, found by hash among the given takes and in `folders`; each file is read once.

    Files that lie in the folders themselves may have any name; further down they are looked for under the names that
    the manifest tells.
    """

    def __init__(
        self, given: Sequence[Take], folders: Iterable[Path], reading: Reading, cache: Path | None = None
    ) -> None:
        self._cache = cache
        self._folders = list(dict.fromkeys(folders))
        self._reading = reading
        self._read = {take.hashes: take for take in given}
        self._by_model: dict[tuple[str, ...], list[Take]] = {}

    def of(self, manifest: Manifest) -> list[Take]:
        """A model's training takes; none when any of their files is missing."""
        hashes = training_hashes(manifest)
        if hashes not in self._by_model:
            self._by_model[hashes] = self._find(manifest, hashes)
        return self._by_model[hashes]

    def trainers(self, manifest: Manifest, take: Take) -> list[Take]:
        """What a baseline may learn from when it is judged by `take`."""
        return [other for other in self.of(manifest) if set(other.hashes).isdisjoint(take.hashes)]

    def _find(self, manifest: Manifest, hashes: tuple[str, ...]) -> list[Take]:
        pairs = list(zip(hashes[::2], hashes[1::2], strict=False))
        if not all(pair in self._read for pair in pairs):
            names = {str(entry.get("take", "")) for entry in manifest.made_from["takes"]}
            files = {digest(path): path for folder in self._folders for path in _candidates(folder, names)}
            if not files.keys() >= set(hashes):
                return []
            unread = [pair for pair in pairs if pair not in self._read]
            paths = [(files[lead], files[follow]) for lead, follow in unread]
            self._read |= zip(unread, read_takes(paths, self._reading, self._cache), strict=True)
        return [self._read[pair] for pair in pairs]


def _candidates(folder: Path, names: set[str]) -> list[Path]:
    """Recordings in a folder, and those below it that have one of the names."""
    if not folder.is_dir():
        return []
    beside = [path for path in folder.iterdir() if path.suffix.lower() in READERS]
    below = [path for path in folder.rglob("*/*") if path.name in names and path.suffix.lower() in READERS]
    return sorted({*beside, *below})
