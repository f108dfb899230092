import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from motion.manifest import Param
from server.params import Changes, ControlChange, Params

TABLE = [
    Param("partner1/variety", 1.0, 0.0, 2.0, half_life=0.1),
    Param("partner1/now", 0.0, -1.0, 1.0, half_life=0.0),
    Param("partner1/latent", 0.0, -4.0, 4.0, half_life=0.1, size=3),
    Param("partner2/latent", 0.0, -4.0, 4.0, half_life=0.1, size=2),
]


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_target_stays_inside_the_range(value: float) -> None:
    params = Params(TABLE)
    params.set("partner1/variety", value)
    assert 0.0 <= params.target("partner1/variety") <= 2.0


def test_a_value_is_halfway_after_its_half_life() -> None:
    params = Params(TABLE)
    params.set("partner1/variety", 2.0)
    params.advance(0.1, "partner1")
    assert params.values["partner1/variety"] == pytest.approx(1.5)


def test_smoothing_does_not_depend_on_the_tick_rate() -> None:
    fast, slow = Params(TABLE), Params(TABLE)
    for params, steps in ((fast, 24), (slow, 6)):
        params.set("partner1/variety", 0.0)
        for _ in range(steps):
            params.advance(0.2 / steps, "partner1")
    assert fast.values["partner1/variety"] == pytest.approx(slow.values["partner1/variety"])


def test_a_value_arrives_and_stays() -> None:
    params = Params(TABLE)
    params.set("partner1/variety", 0.0)
    for _ in range(600):
        params.advance(1 / 60, "partner1")
    assert params.values["partner1/variety"] == 0.0


def test_no_half_life_acts_at_once() -> None:
    params = Params(TABLE)
    params.set("partner1/now", 0.7)
    params.advance(0.001, "partner1")
    assert params.of("partner1")["now"] == 0.7


def test_an_unknown_param_names_the_choices() -> None:
    with pytest.raises(KeyError, match="partner1/variety"):
        Params(TABLE).set("partner1/varieti", 1.0)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="variety"):
        Params(TABLE).set("partner1/variety", value)


def test_a_vector_moves_component_by_component() -> None:
    params = Params(TABLE)
    params.set("partner1/latent", [1.0, -2.0, 9.0])
    params.advance(0.1, "partner1")
    assert params.of("partner1")["latent"] == pytest.approx([0.5, -1.0, 2.0])
    assert params.target("partner1/latent") == pytest.approx([1.0, -2.0, 4.0])


def test_one_number_sets_every_component() -> None:
    params = Params(TABLE, {"partner1/latent": 0.5})
    assert params.of("partner1")["latent"] == pytest.approx([0.5, 0.5, 0.5])


@pytest.mark.parametrize(
    ("name", "value"),
    [("partner1/latent", (1.0, 2.0)), ("partner1/now", (0.1, 0.2)), ("partner1/latent", (0.0, float("nan"), 0.0))],
)
def test_a_vector_that_does_not_fit_is_refused_and_changes_nothing(name: str, value: tuple[float, ...]) -> None:
    params = Params(TABLE)
    with pytest.raises(ValueError, match=name):
        params.set(name, value)
    assert np.all(params.target(name) == 0.0)


def test_a_star_is_every_actor_that_has_the_knob_and_fits() -> None:
    params = Params(TABLE)
    params.set("*/latent", (1.0, 2.0))
    assert (list(params.target("partner1/latent")), list(params.target("partner2/latent"))) == ([0.0] * 3, [1.0, 2.0])
    with pytest.raises(KeyError, match="colour"):
        params.set("*/colour", 1.0)


def test_a_fade_goes_evenly_and_takes_its_time() -> None:
    params = Params(TABLE)
    params.set("partner1/variety", 2.0, seconds=4.0)
    halfway = [params.advance(1.0, "partner1") or params.values["partner1/variety"] for _ in range(5)]
    assert halfway == pytest.approx([1.25, 1.5, 1.75, 2.0, 2.0])


def test_a_knob_that_is_touched_ends_its_fade() -> None:
    params = Params(TABLE)
    params.set("partner1/now", 1.0, seconds=10.0)
    params.advance(1.0, "partner1")
    params.set("partner1/now", -1.0)
    params.advance(0.001, "partner1")
    assert params.of("partner1")["now"] == -1.0


def test_a_vector_fades() -> None:
    params = Params(TABLE)
    params.set("partner1/latent", (1.0, 2.0, -4.0), seconds=2.0)
    params.advance(1.0, "partner1")
    assert params.of("partner1")["latent"] == pytest.approx([0.5, 1.0, -2.0])


def test_what_waits_for_the_tick_is_the_newest_of_each_name_in_the_order_of_coming() -> None:
    changes = Changes()
    for name, value in (("*/a", 1.0), ("p/a", 2.0), ("show/freeze", 1.0), ("*/a", 3.0)):
        changes.put(ControlChange(name, value))
    assert [(c.name, c.value) for c in changes.take()] == [("p/a", 2.0), ("show/freeze", 1.0), ("*/a", 3.0)]
    assert list(changes.take()) == []
