"""Films: pendulums that keep the time they are told, files of any layout, what is held out, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch

from training import identity_swings as swings
from training.models import identity_films as films_of
from training.models import identity_pendulum as pendulum
from training.models.identity_films import Config
from training.models.identity_takes import Names
from training.models.identity_windows import of_takes

SMALL = pendulum.Config(each=2, steps=60)


def _files(folder: Path, pictures: np.ndarray, labels: np.ndarray, **more: object) -> Config:
    np.savez(folder / "data.npz", pictures)
    np.savez(folder / "labels.npz", labels)
    return Config(**{"images": "data.npz", "labels": "labels.npz", "side": 16, "test_share": 0.0, **more})


def _labels() -> np.ndarray:
    return np.array([[who, what] for who in range(3) for what in range(2) for _ in range(2)])


@pytest.mark.parametrize("look", pendulum.LOOKS)
@pytest.mark.parametrize("action", pendulum.ACTIONS)
def test_a_swing_that_is_seen_has_the_period_of_the_one_that_was_simulated(look: str, action: str) -> None:
    angle = pendulum.swing(action, 60, 0.3)
    seen = pendulum.tracked(pendulum.drawn(look, angle, 64) / 255.0)
    assert np.abs(seen - angle).max() < 0.05  # the rod counts a little
    assert pendulum.period(seen) == pytest.approx(pendulum.period(angle), rel=0.01)


def test_a_small_swing_needs_as_many_frames_as_it_is_told() -> None:
    assert pendulum.period(pendulum.swing("slow", 200, 0.0, wide=0.05)) == pytest.approx(40.0, rel=2e-3)


def test_one_that_fades_swings_less_and_less() -> None:
    angle = np.abs(pendulum.swing("fading", 60, 0.0))
    assert angle[30:].max() < 0.8 * angle[:20].max()


def test_what_never_passes_its_middle_has_no_period() -> None:
    assert np.isnan(pendulum.period(np.zeros(60)))
    assert np.isnan(pendulum.period(np.linspace(-1.0, 1.0, 60)))


def test_a_bob_never_leaves_the_picture() -> None:
    for _, pictures, (look, _) in pendulum.films(pendulum.Config(each=2, steps=45), 64):
        colour = np.array(pendulum.LOOKS[look][0])
        assert (pictures.max(axis=(2, 3)) >= 0.98 * 255 * colour - 1).all()
        assert pictures[..., 0].max() < 255 * colour.max()


class Repeats:
    """What is generated is what was seen, at another pace."""

    def __init__(self, every: int) -> None:
        self.every = every

    def generate(self, x: torch.Tensor, length: int) -> torch.Tensor:
        return x[:, torch.arange(length) * self.every % x.shape[1]]


def test_a_model_that_keeps_time_has_no_period_error_and_one_at_twice_the_pace_half_of_it() -> None:
    data = Config(pendulums=SMALL)
    assert swings.period_error_percent(Repeats(1), data, each=1) < 1e-6
    fast = swings.period_errors(Repeats(2), data, each=1)
    assert np.mean(list(fast.values())) == pytest.approx(
        50.0, abs=5.0
    )  # a film's end does not go on with its beginning


def test_a_model_whose_pendulum_stands_still_is_wrong_by_a_hundred_percent() -> None:
    assert swings.period_error_percent(Repeats(0), Config(pendulums=SMALL), each=1) == 100.0


@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4), (0, 1, 3, 4, 2)])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_every_layout_is_the_same_film(tmp_path: Path, order: tuple[int, ...], dtype: type) -> None:
    plain = np.random.default_rng(0).integers(0, 256, (12, 5, 3, 16, 16), dtype=np.uint8)
    given = plain if dtype is np.uint8 else (plain / 255.0).astype(np.float32)
    films = films_of.load(_files(tmp_path, given.transpose(order), _labels()), tmp_path)
    assert np.array_equal(np.stack([film.pictures for film in films]), plain)
    assert films[-1].cell == ("2", "1")


def test_grey_pictures_of_another_size_are_brought_to_the_side_that_is_asked_for(tmp_path: Path) -> None:
    given = np.full((12, 9, 32, 24), 100, dtype=np.uint8)
    film = films_of.load(_files(tmp_path, given, _labels(), every=2, steps=4), tmp_path)[0]
    assert film.pictures.shape == (4, 1, 16, 16)
    assert (film.pictures == 100).all()


def test_labels_may_be_two_arrays_of_names(tmp_path: Path) -> None:
    config = _files(tmp_path, np.zeros((12, 4, 16, 16), np.uint8), _labels())
    who, what = np.array(["ann", "bob", "cy"])[_labels()[:, 0]], np.array(["smile", "frown"])[_labels()[:, 1]]
    np.savez(tmp_path / "labels.npz", identity=who, action=what)
    assert films_of.load(config, tmp_path)[3].cell == ("ann", "frown")


@pytest.mark.parametrize(
    ("pictures", "labels", "more", "said"),
    [
        (np.zeros((12, 4, 16, 16, 7)), _labels(), {}, r"data.npz has an array \(12, 4, 16, 16, 7\)"),
        (np.full((12, 4, 16, 16), -1.0), _labels(), {}, "pixels from -1 to -1; they must be from 0 to 1 or 0 to 255"),
        (np.zeros((12, 4, 16, 16)), _labels()[:5], {}, r"labels \(5,\) for 12 sequences"),
        (np.zeros((12, 4, 16, 16)), _labels(), {"action_column": 2}, "columns 0 .identity. and 2 .action.*12, 2"),
        (np.zeros((12, 4, 16, 16)), _labels(), {"steps": 8}, "has 4 frames a sequence .every 1.; steps is 8"),
        (np.zeros((12, 4, 16, 16)), np.zeros((12, 2), int), {}, "all 12 takes have one identity, '0'"),
    ],
)
def test_files_that_are_no_such_films_are_refused(
    tmp_path: Path, pictures: np.ndarray, labels: np.ndarray, more: dict, said: str
) -> None:
    config = _files(tmp_path, pictures, labels, **more)
    with pytest.raises(ValueError, match=said):
        films_of.load(config, tmp_path)


def test_a_file_of_several_arrays_must_say_which(tmp_path: Path) -> None:
    config = _files(tmp_path, np.zeros((12, 4, 16, 16)), _labels())
    np.savez(tmp_path / "data.npz", a=np.zeros(3), b=np.zeros(3))
    with pytest.raises(ValueError, match=r"data.npz has the arrays a, b; one of them must be 'images'"):
        films_of.load(config, tmp_path)
    (tmp_path / "data.npz").write_bytes(b"no pictures")
    with pytest.raises(ValueError, match=r"data.npz is no .npz file"):
        films_of.load(config, tmp_path)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"images": "a.npz"}, "images 'a.npz' and labels '' go together"),
        ({"side": 50}, "side 50 a multiple of 16"),
        ({"every": 0}, "every 0 must be 1 or more"),
    ],
)
def test_a_config_is_refused(config: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Config(**config)


def test_people_cells_and_a_share_are_held_out() -> None:
    config = Config(pendulums=SMALL, side=16, test_identities=("blue",), unseen=(("red", "slow"),), test_share=0.2)
    trained, held_out = films_of.split(config, films := films_of.load(config, None), None, 0)
    assert len(trained) + len(held_out) == len(films)
    assert not {cell for film in trained for cell in film.cells} & {
        ("red", "slow"),
        *(("blue", a) for a in pendulum.ACTIONS),
    }
    with pytest.raises(ValueError, match="test_identities: there is no 'pink'; there are: blue, green"):
        films_of.split(Config(pendulums=SMALL, test_identities=("pink",)), films, None, 0)


def test_windows_of_films_are_pictures_and_may_be_seen_in_a_mirror() -> None:
    films = films_of.load(Config(pendulums=SMALL, side=16), None)
    windows = of_takes(films, Names.of(films), 30, mirror=True)
    batch = windows.gather(torch.tensor([0, 1]))
    assert batch["x"].shape == (2, 30, 3, 16, 16)
    assert torch.equal(batch["x"][0], batch["x"][1].flip(-1))
    assert 0.0 <= batch["x"].min() < batch["x"].max() <= 1.0


def test_a_part_of_a_window_is_shown_and_all_of_it_is_read() -> None:
    films = films_of.load(Config(pendulums=SMALL, side=16), None)
    whole, some = (of_takes(films, Names.of(films), 40, True, shown=shown) for shown in (0, 7))
    some.tell_of(lambda pictures: pictures.mean(dim=(1, 2, 3)))
    numbers = torch.arange(5)
    torch.manual_seed(0)
    wanted, batch = (windows.gather(numbers) for windows in (whole, some))
    first = int(batch["first"][0])
    assert batch["x"].shape == batch["pair"].shape == (5, 7, 3, 16, 16)
    assert torch.equal(batch["x"], wanted["x"][:, first : first + 7])
    torch.testing.assert_close(batch["read"], wanted["x"].mean(dim=(2, 3, 4)))
    assert "first" not in wanted
