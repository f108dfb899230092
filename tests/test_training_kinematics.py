"""training.kinematics says the same as motion: two copies of the maths, held together here."""

import numpy as np
import torch

from motion import kinematics as reference
from motion import rotations as rot
from motion.skeleton import HUMANOID
from training import kinematics
from training.models import window_vae

LEFT, RIGHT = HUMANOID.index("LeftUpperLeg"), HUMANOID.index("RightUpperLeg")
OFFSETS = torch.tensor(HUMANOID.offsets)


def _poses(shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(3)
    return random.normal(size=(*shape, 3)), rot.normalize(random.normal(size=(*shape, len(HUMANOID), 4)))


def test_6d_becomes_the_same_matrices() -> None:
    _, q = _poses((4,))
    matrices = kinematics.matrices_from_6d(torch.tensor(rot.to_6d(q)))
    np.testing.assert_allclose(matrices.numpy(), rot.to_matrix(q), atol=1e-12)


def test_6d_that_is_not_orthonormal_is_read_as_motion_reads_it() -> None:
    raw = np.random.default_rng(1).normal(size=(50, 6))
    expected = rot.to_matrix(rot.from_6d(raw))
    np.testing.assert_allclose(kinematics.matrices_from_6d(torch.tensor(raw)).numpy(), expected, atol=1e-9)


def test_6d_and_matrices_are_inverse() -> None:
    sixd = torch.tensor(rot.to_6d(_poses((5,))[1]))
    again = kinematics.sixd_from_matrices(kinematics.matrices_from_6d(sixd))
    torch.testing.assert_close(again, sixd, atol=1e-12, rtol=0)


def test_forward_kinematics_agrees_over_batch_shapes() -> None:
    for shape in ((), (7,), (2, 3)):
        root, q = _poses(shape)
        matrices = torch.tensor(rot.to_matrix(q))
        positions = kinematics.global_positions(HUMANOID.parents, OFFSETS, torch.tensor(root), matrices)
        np.testing.assert_allclose(positions.numpy(), reference.global_positions(HUMANOID, root, q), atol=1e-12)


def test_forward_kinematics_has_right_gradients() -> None:
    root, q = _poses((2,))
    matrices = torch.tensor(rot.to_matrix(q), requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda m: kinematics.global_positions(HUMANOID.parents, OFFSETS, torch.tensor(root), m), matrices
    )


def test_joint_positions_agree_with_forward_kinematics_and_so_do_their_gradients() -> None:
    given = torch.tensor(_poses((2, 3))[1]).permute(3, 2, 0, 1).requires_grad_()  # (4, J, 2, 3)
    pull = torch.randn(3, len(HUMANOID), 2, 3, dtype=torch.float64)
    q = torch.nn.functional.normalize(given, dim=0)
    fast = kinematics.joint_positions(HUMANOID.parents, OFFSETS, q)
    matrices = window_vae.matrices(q.permute(2, 3, 1, 0))
    plain = kinematics.global_positions(HUMANOID.parents, OFFSETS, torch.zeros(2, 3, 3), matrices).permute(3, 2, 0, 1)
    torch.testing.assert_close(fast, plain, atol=1e-12, rtol=0)
    expected, made = (torch.autograd.grad((points * pull).sum(), given, retain_graph=True) for points in (plain, fast))
    torch.testing.assert_close(made, expected, atol=1e-11, rtol=0)


def test_a_body_turned_by_yaw_faces_there() -> None:
    for yaw in (0.0, 0.7, -2.5):
        q = np.tile(rot.IDENTITY, (len(HUMANOID), 1))
        q[0] = rot.yaw(yaw)
        positions = torch.tensor(reference.global_positions(HUMANOID, np.zeros(3), q))
        turn = kinematics.heading_matrix(kinematics.across(positions, LEFT, RIGHT))
        np.testing.assert_allclose(turn.numpy(), rot.to_matrix(rot.yaw(yaw)), atol=1e-12)


def test_heading_of_a_body_without_hips_is_finite() -> None:
    positions = torch.zeros(len(HUMANOID), 3)
    assert torch.isfinite(kinematics.heading_matrix(kinematics.across(positions, LEFT, RIGHT))).all()
