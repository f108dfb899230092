"""The two contracts between training and the server: model vectors and manifests; and the standard skeleton."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from motion import features
from motion import rotations as rot
from motion.manifest import Manifest, ManifestError, Param, Port
from motion.skeleton import HUMANOID, Skeleton

POSE = ("root_position", "rotations_6d")
MANIFEST = Manifest(
    name="test",
    kind="duet",
    skeleton=HUMANOID,
    inputs=(
        Port("dancer", "motion", ("batch", 66), ("global_positions",)),
        Port("memory", "state", ("batch", 4)),
        Port("variety", "condition", ("batch", 1)),
    ),
    outputs=(
        Port("partner", "motion", ("batch", 135), POSE),
        Port("memory_next", "state", ("batch", 4), feeds="memory"),
    ),
    params=(Param("variety", 1.0, 0.0, 2.0),),
)


@given(st.integers(0, 2**32 - 1), st.sampled_from([(), (3,), (2, 5)]))
def test_a_pose_survives_the_model_vector(seed: int, batch: tuple[int, ...]) -> None:
    random = np.random.default_rng(seed)
    root, q = random.normal(size=(*batch, 3)), rot.normalize(random.normal(size=(*batch, 22, 4)))
    root_back, q_back = features.decode(POSE, 22, features.encode(POSE, HUMANOID, root, q))
    np.testing.assert_allclose(root_back, root, atol=1e-6)  # float32 vectors
    np.testing.assert_allclose(rot.angle(q_back, q), 0.0, atol=1e-5)


def test_a_layouts_blocks_stand_in_its_order() -> None:
    assert features.slices(("rotations_6d", "root_position"), 22) == {
        "rotations_6d": slice(0, 132),
        "root_position": slice(132, 135),
    }


def test_an_unknown_block_names_the_choices() -> None:
    with pytest.raises(ValueError, match="global_positions"):
        features.width(("positions",), 22)


def test_positions_alone_determine_no_pose() -> None:
    with pytest.raises(ValueError, match="rotations_6d"):
        features.decode(("global_positions",), 22, np.zeros(66))


def test_a_manifest_survives_its_json() -> None:
    back = Manifest.from_json(MANIFEST.to_json())
    assert back.to_json() == MANIFEST.to_json()
    assert back.skeleton.names == HUMANOID.names


def test_every_fault_of_a_manifest_is_named() -> None:
    with pytest.raises(ManifestError) as error:
        replace(MANIFEST, kind="duett", outputs=(), params=(Param("wildness", 3.0, 0.0, 2.0),))
    for part in ("'duett'", "state memory is never fed", "'wildness' has no condition input", "3.0 is not in 0.0..2.0"):
        assert part in str(error.value)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 1}', '{"format": 2}', '{"format": 1, "name": 3}'])
def test_a_broken_manifest_is_refused(text: str) -> None:
    with pytest.raises(ManifestError):
        Manifest.from_json(text)


def test_the_humanoid_stands_on_the_floor_like_an_adult() -> None:
    assert len(HUMANOID) == 22
    rest = HUMANOID.rest_positions
    assert 0.0 < rest[:, 1].min() < 0.05
    assert 1.4 < rest[HUMANOID.index("Head"), 1] < 1.6
    assert rest[HUMANOID.index("LeftHand"), 0] > 0 > rest[HUMANOID.index("RightHand"), 0]


def test_a_skeleton_survives_its_json() -> None:
    back = Skeleton.from_dict(HUMANOID.to_dict())
    assert back.topology_hash == HUMANOID.topology_hash
    np.testing.assert_array_equal(back.offsets, HUMANOID.offsets)


@pytest.mark.parametrize(
    ("names", "parents", "reason"),
    [(("a", "b"), (-1, 1), "parents must come first"), (("a", "a"), (-1, 0), "repeat"), (("a",), (0,), "root")],
)
def test_an_impossible_skeleton_is_refused(names: tuple[str, ...], parents: tuple[int, ...], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Skeleton(names, parents, np.zeros((len(names), 3)))


def test_an_unknown_joint_names_the_choices() -> None:
    with pytest.raises(KeyError, match="LeftUpperLeg"):
        HUMANOID.index("LeftThigh")
