"""Laws of rotations over batch shapes and near the identity, with SciPy and roma as independent witnesses."""

import numpy as np
import pytest
import roma
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.spatial.transform import Rotation, Slerp

from motion import rotations as rot

SHAPES = [(), (1,), (5,), (0,), (2, 3), (4, 1, 2)]
TIGHT = 1e-9  # radians: float64 through an arctangent

finite = st.floats(-1.0, 1.0, allow_subnormal=False)


@st.composite
def quaternions(draw, shape: tuple[int, ...] | None = None) -> np.ndarray:
    """Unit quaternions (..., 4), many of them within 1e-8 of the identity or of a half turn."""
    if shape is None:
        shape = draw(hnp.array_shapes(min_dims=0, max_dims=3, min_side=1, max_side=4))
    axes = draw(hnp.arrays(np.float64, (*shape, 3), elements=finite))
    axes = np.where(np.linalg.norm(axes, axis=-1, keepdims=True) > 0.1, axes, [1.0, 0.0, 0.0])
    axes /= np.linalg.norm(axes, axis=-1, keepdims=True)
    angles = st.one_of(st.floats(-np.pi, np.pi), st.floats(-1e-8, 1e-8), st.just(0.0), st.just(np.pi))
    half = draw(hnp.arrays(np.float64, (*shape, 1), elements=angles)) / 2
    return np.concatenate([axes * np.sin(half), np.cos(half)], axis=-1)


def pair(seed: int, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    return tuple(rot.normalize(random.normal(size=(*shape, 4))) for _ in range(2))


@pytest.mark.parametrize("shape", SHAPES)
def test_every_function_keeps_the_batch_shape(shape):
    a, b = pair(1, shape)
    vectors = np.ones((*shape, 3))
    for result in (
        rot.multiply(a, b),
        rot.inverse(a),
        rot.normalize(a),
        rot.slerp(a, b, 0.3),
        rot.between(vectors, -vectors),
    ):
        assert result.shape == (*shape, 4)
    assert rot.rotate(a, vectors).shape == (*shape, 3)
    assert rot.to_matrix(a).shape == (*shape, 3, 3)
    assert rot.from_matrix(rot.to_matrix(a)).shape == (*shape, 4)
    assert rot.to_6d(a).shape == (*shape, 6)
    assert rot.from_6d(rot.to_6d(a)).shape == (*shape, 4)
    assert rot.angle(a, b).shape == shape
    assert rot.from_euler("ZXY", vectors).shape == (*shape, 4)


@given(quaternions())
def test_a_rotation_and_its_inverse_cancel(q):
    assert rot.angle(rot.multiply(q, rot.inverse(q)), rot.IDENTITY).max() < TIGHT


@given(quaternions((3,)), quaternions((3,)), quaternions((3,)))
def test_products_associate(a, b, c):
    left, right = rot.multiply(rot.multiply(a, b), c), rot.multiply(a, rot.multiply(b, c))
    np.testing.assert_allclose(left, right, atol=1e-14)


@given(quaternions((4,)), quaternions((4,)))
def test_products_are_scipys(a, b):
    theirs = (Rotation.from_quat(a) * Rotation.from_quat(b)).as_quat()
    assert rot.angle(rot.multiply(a, b), theirs).max() < TIGHT


@given(quaternions((4,)), quaternions((4,)))
def test_products_are_romas(a, b):
    theirs = roma.quat_product(torch.from_numpy(a), torch.from_numpy(b)).numpy()
    np.testing.assert_allclose(rot.multiply(a, b), theirs, atol=1e-14)


@given(quaternions((4,)))
def test_matrices_are_scipys_and_romas(q):
    matrices = rot.to_matrix(q)
    np.testing.assert_allclose(matrices, Rotation.from_quat(q).as_matrix(), atol=1e-14)
    np.testing.assert_allclose(matrices, roma.unitquat_to_rotmat(torch.from_numpy(q)).numpy(), atol=1e-14)


@given(quaternions())
def test_matrices_are_orthonormal_and_right_handed(q):
    matrices = rot.to_matrix(q)
    np.testing.assert_allclose(
        matrices @ np.swapaxes(matrices, -1, -2), np.broadcast_to(np.eye(3), matrices.shape), atol=1e-13
    )
    np.testing.assert_allclose(np.linalg.det(matrices), 1.0, atol=1e-13)


@given(quaternions())
def test_matrix_and_back_is_the_same_rotation(q):
    assert rot.angle(rot.from_matrix(rot.to_matrix(q)), q).max() < 1e-7  # a half turn costs half the digits


@given(quaternions())
def test_6d_and_back_is_the_same_rotation(q):
    assert rot.angle(rot.from_6d(rot.to_6d(q)), q).max() < 1e-7


@given(quaternions((3,)), hnp.arrays(np.float64, (3, 6), elements=st.floats(-0.02, 0.02)))
def test_6d_off_the_manifold_is_romas_gram_schmidt(q, noise):
    noisy = rot.to_6d(q) + noise
    columns = (
        torch.from_numpy(noisy.reshape(3, 2, 3)).transpose(-1, -2).contiguous()
    )  # roma: (3, 2), columns side by side
    theirs = roma.special_gramschmidt(columns).numpy()
    np.testing.assert_allclose(rot.to_matrix(rot.from_6d(noisy)), theirs, atol=1e-12)


@given(quaternions((5,)), hnp.arrays(np.float64, (5, 3), elements=st.floats(-10, 10)))
def test_turning_a_vector_is_multiplying_by_the_matrix(q, vectors):
    np.testing.assert_allclose(rot.rotate(q, vectors), np.einsum("nij,nj->ni", rot.to_matrix(q), vectors), atol=1e-12)


@given(quaternions((2,)), quaternions((2,)), hnp.arrays(np.float64, (2, 3), elements=st.floats(-10, 10)))
def test_a_product_turns_by_the_right_one_first(a, b, vectors):
    np.testing.assert_allclose(
        rot.rotate(rot.multiply(a, b), vectors), rot.rotate(a, rot.rotate(b, vectors)), atol=1e-12
    )


@pytest.mark.parametrize("order", ["XYZ", "XZY", "YXZ", "YZX", "ZXY", "ZYX", "ZYZ", "XYX"])
@given(angles=hnp.arrays(np.float64, (4, 3), elements=st.floats(-3.1, 3.1)))
def test_euler_angles_read_as_a_product_from_left_to_right(order, angles):
    expected = np.broadcast_to(rot.IDENTITY, (4, 4))
    for axis, angle in zip(order, angles.T, strict=True):
        single = np.zeros((4, 4))
        single[:, "XYZ".index(axis)], single[:, 3] = np.sin(angle / 2), np.cos(angle / 2)
        expected = rot.multiply(expected, single)
    assert rot.angle(rot.from_euler(order, angles), expected).max() < TIGHT


@given(angles=hnp.arrays(np.float64, (4, 3), elements=st.floats(-1.4, 1.4)))
def test_euler_angles_and_back_agree_off_gimbal_lock(angles):
    np.testing.assert_allclose(rot.to_euler("ZXY", rot.from_euler("ZXY", angles)), angles, atol=1e-9)


ORDERS = ["XYZ", "XZY", "YXZ", "YZX", "ZXY", "ZYX"]


@given(st.sampled_from(ORDERS), quaternions((4,)))
def test_euler_angles_of_any_rotation_give_it_back(order, q):
    assert rot.angle(rot.from_euler(order, rot.to_euler(order, q)), q).max() < 1e-7  # arctan2 near the lock


@given(st.sampled_from(ORDERS), st.floats(-3.1, 3.1), st.sampled_from([-1, 1]), st.floats(-3.1, 3.1))
def test_in_gimbal_lock_the_last_angle_is_zero(order, first, side, last):
    q = rot.from_euler(order, np.array([first, side * np.pi / 2, last]))
    angles = rot.to_euler(order, q)
    assert angles[2] == 0.0
    assert rot.angle(rot.from_euler(order, angles), q) < 1e-7


def test_an_order_that_names_an_axis_twice_has_no_way_back():
    with pytest.raises(ValueError, match="'ZYZ'"):
        rot.to_euler("ZYZ", rot.IDENTITY)


@given(quaternions((4,)), quaternions((4,)))
def test_angles_are_scipys_symmetric_and_blind_to_sign(a, b):
    theirs = (Rotation.from_quat(a).inv() * Rotation.from_quat(b)).magnitude()
    np.testing.assert_allclose(rot.angle(a, b), theirs, atol=TIGHT)
    np.testing.assert_allclose(rot.angle(a, b), rot.angle(-b, a), atol=TIGHT)


def test_tiny_angles_keep_their_digits():
    tiny = np.array([1e-3, 1e-6, 1e-9, 1e-12])
    np.testing.assert_allclose(rot.angle(rot.IDENTITY, rot.yaw(tiny)), tiny, rtol=1e-9)


@settings(deadline=None)
@given(quaternions((1,)), quaternions((1,)), st.floats(0.0, 1.0))
def test_slerp_is_scipys_off_half_turns(a, b, t):
    if rot.angle(a, b)[0] > 3.1:
        b = a  # both ways round are as short
    theirs = Slerp([0.0, 1.0], Rotation.from_quat(np.concatenate([a, b])))([t]).as_quat()
    assert rot.angle(rot.slerp(a, b, t), theirs).max() < 1e-6  # below 1e-6 rad ours is linear


@given(quaternions((3,)), quaternions((3,)))
def test_slerp_starts_at_one_end_and_stops_at_the_other(a, b):
    assert rot.angle(rot.slerp(a, b, 0.0), a).max() < 1e-7
    assert rot.angle(rot.slerp(a, b, 1.0), b).max() < 1e-7


@given(hnp.arrays(np.float64, (4, 3), elements=finite), hnp.arrays(np.float64, (4, 3), elements=finite))
def test_between_turns_one_direction_into_the_other(a, b):
    a, b = (np.where(np.linalg.norm(v, axis=-1, keepdims=True) > 0.1, v, [0.0, 1.0, 0.0]) for v in (a, b))
    a, b = (v / np.linalg.norm(v, axis=-1, keepdims=True) for v in (a, b))
    np.testing.assert_allclose(rot.rotate(rot.between(a, b), a), b, atol=1e-4)  # within 4e-5 rad of opposite: any axis


@pytest.mark.parametrize("direction", np.eye(3).tolist() + (-np.eye(3)).tolist())
def test_between_opposite_directions_is_a_half_turn(direction):
    q = rot.between(direction, np.negative(direction))
    np.testing.assert_allclose(rot.rotate(q, direction), np.negative(direction), atol=1e-12)
    assert rot.angle(q, rot.IDENTITY) == pytest.approx(np.pi)


@given(quaternions((9, 2)), hnp.arrays(np.bool_, (9, 2, 1)))
def test_continuous_flips_signs_only(q, flips):
    flipped = np.where(flips, -q, q)
    smooth = rot.continuous(flipped)
    np.testing.assert_array_equal(np.abs(smooth), np.abs(flipped))
    assert (np.sum(smooth[1:] * smooth[:-1], axis=-1) >= 0.0).all()


def test_normalize_makes_unit_and_takes_nonsense_for_the_identity():
    rubbish = np.array([[0.0, 0.0, 0.0, 0.0], [np.nan, 0.0, 0.0, 1.0], [np.inf, 0.0, 0.0, 1.0], [0.0, 2.0, 0.0, 0.0]])
    expected = np.array([rot.IDENTITY, rot.IDENTITY, rot.IDENTITY, [0.0, 1.0, 0.0, 0.0]])
    np.testing.assert_allclose(rot.normalize(rubbish), expected)


def test_yaw_turns_forward_towards_the_left():
    forward = np.array([0.0, 0.0, 1.0])
    np.testing.assert_allclose(rot.rotate(rot.yaw(np.pi / 2), forward), [1.0, 0.0, 0.0], atol=1e-15)
    np.testing.assert_allclose(rot.rotate(rot.yaw(0.0), forward), forward)


@given(quaternions())
def test_a_rotation_s_vector_is_scipy_s_and_gives_the_rotation_back(q):
    vectors = rot.to_vector(q)
    assert rot.angle(rot.from_vector(vectors), q).max() < TIGHT
    expected = Rotation.from_quat(q.reshape(-1, 4)).magnitude()
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=-1).ravel(), expected, atol=TIGHT)
