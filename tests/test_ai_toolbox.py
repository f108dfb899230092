"""AI-Toolbox: what its python-osc receivers get, in their order and units."""

import numpy as np
import pytest
from pythonosc.osc_message import OscMessage

from motion import kinematics
from motion import rotations as rot
from motion.skeleton import HUMANOID, Skeleton
from server.protocols.ai_toolbox import QUANTITIES, AiToolboxEncoder
from server.protocols.frames import PoseFrame


def pose() -> PoseFrame:
    random = np.random.default_rng(3)
    return PoseFrame(HUMANOID, random.normal(size=3), rot.normalize(random.normal(size=(22, 4))), None, 0.0, 0)


def sent(**options) -> dict[str, np.ndarray]:
    messages = [OscMessage(datagram) for datagram in AiToolboxEncoder(HUMANOID, **options).encode(pose())]
    return {message.address: np.array(message.params).reshape(22, -1) for message in messages}


def test_each_quantity_is_one_plain_message():
    assert list(sent(number=2)) == [f"/mocap/2/joint/{quantity}" for quantity in QUANTITIES]
    assert all(len(datagram) <= 1472 for datagram in AiToolboxEncoder(HUMANOID).encode(pose()))


def test_the_older_form_has_no_number():
    assert list(sent(number=None)) == [f"/mocap/joint/{quantity}" for quantity in QUANTITIES]


def test_more_joints_than_a_datagram_holds_are_refused():
    crowd = Skeleton(tuple(f"j{n}" for n in range(80)), (-1, *range(79)), np.zeros((80, 3)))
    with pytest.raises(ValueError, match="rot_local alone takes 1632 bytes; a datagram holds 1472"):
        AiToolboxEncoder(crowd)


def test_rotations_go_out_as_w_x_y_z():
    frame, messages = pose(), sent()
    local, world = messages["/mocap/0/joint/rot_local"], messages["/mocap/0/joint/rot_world"]
    assert np.allclose(np.roll(local, -1, axis=1), frame.rotations, atol=1e-7)
    expected = kinematics.local_to_global(HUMANOID, frame.rotations)
    assert np.allclose(np.roll(world, -1, axis=1), expected, atol=1e-6)


@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_positions_are_metres_times_the_scale(scale):
    frame, messages = pose(), sent(scale=scale)
    world = kinematics.global_positions(HUMANOID, frame.root_position, frame.rotations)
    assert np.allclose(messages["/mocap/0/joint/pos_world"] / scale, world, atol=1e-6)
    assert np.allclose(messages["/mocap/0/joint/pos_local"][0] / scale, frame.root_position, atol=1e-6)
    assert np.allclose(messages["/mocap/0/joint/pos_local"][1:] / scale, HUMANOID.offsets[1:], atol=1e-6)


def test_only_the_quantities_asked_for_go_out():
    assert list(sent(quantities=["pos_world"])) == ["/mocap/0/joint/pos_world"]


def test_an_unknown_quantity_is_refused_with_the_choices():
    with pytest.raises(ValueError, match="no quantity euler; choose from rot_local, pos_world"):
        AiToolboxEncoder(HUMANOID, quantities=["euler"])


def test_a_frame_with_other_joints_is_refused():
    encoder = AiToolboxEncoder(Skeleton(("Hips",), (-1,), np.zeros((1, 3))))
    with pytest.raises(ValueError, match="sends 1 joints, the frame has 22"):
        encoder.encode(pose())
