"""What a model file asks for is known before it is opened: operators of its own, files elsewhere, too much room."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from server import onnx_file
from server.onnx_model import ModelError, OnnxModel

FLOAT = TensorProto.FLOAT
X, Y = helper.make_tensor_value_info("x", FLOAT, [1, 3]), helper.make_tensor_value_info("y", FLOAT, [1, 3])
MODELS = sorted((Path(__file__).resolve().parents[1] / "presets/models").glob("*.onnx"))


def written(path: Path, *nodes: onnx.NodeProto, weights: onnx.TensorProto | None = None, **more: object) -> Path:
    graph = helper.make_graph(list(nodes), "g", [X], [Y], [weights] if weights is not None else [])
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ours", 1)]
    path.write_bytes(helper.make_model(graph, opset_imports=opsets, **more).SerializeToString())
    return path


def node(kind: str = "Identity", domain: str = "", **attributes: object) -> onnx.NodeProto:
    return helper.make_node(kind, ["x"], ["y"], domain=domain, **attributes)


def refusal(path: Path) -> str:
    with pytest.raises(ModelError) as error:
        OnnxModel(path)
    said = str(error.value)
    assert said.startswith(f"{path} is not a model that onnxruntime can run: ")
    return said


def elsewhere(location: str) -> onnx.TensorProto:
    """Weights that are kept in another file."""
    tensor = TensorProto(name="w", data_type=FLOAT, dims=[1, 3], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=location)
    return tensor


@pytest.mark.parametrize("name", [path.name for path in MODELS])
def test_shipped_models_ask_for_nothing(name: str) -> None:
    onnx_file.check(MODELS[0].with_name(name))


def test_an_operator_of_somebodys_own_is_refused_in_words(tmp_path: Path) -> None:
    said = refusal(written(tmp_path / "m.onnx", node("Spell", "com.example")))
    assert "operators of somebody's own (com.example.Spell), which would be code from elsewhere" in said


def test_an_operator_is_found_wherever_it_hides(tmp_path: Path) -> None:
    spell = helper.make_node("Spell", [], ["z"], domain="com.example")
    branch = helper.make_graph([spell], "branch", [], [helper.make_tensor_value_info("z", FLOAT, [1, 3])])
    inner = helper.make_node("If", ["x"], ["z"], then_branch=branch, else_branch=branch)
    outer = helper.make_graph([inner], "outer", [], [helper.make_tensor_value_info("z", FLOAT, [1, 3])])
    assert "com.example.Spell" in refusal(
        written(tmp_path / "a.onnx", node("If", then_branch=outer, else_branch=outer))
    )
    function = helper.make_function("ours", "Twice", ["x"], ["y"], [node("Spell", "com.example")], [])
    assert "com.example.Spell" in refusal(written(tmp_path / "b.onnx", node("Twice", "ours"), functions=[function]))


def test_a_function_that_the_file_is_made_of_is_none_of_somebodys_own(tmp_path: Path) -> None:
    function = helper.make_function("ours", "Twice", ["x"], ["y"], [node()], [helper.make_opsetid("", 18)])
    onnx_file.check(written(tmp_path / "m.onnx", node("Twice", "ours"), functions=[function]))


@pytest.mark.parametrize("location", ["../w.bin", "/etc/hostname", "weights/../../w.bin", "link.bin"])
def test_weights_outside_the_models_folder_are_refused(tmp_path: Path, location: str) -> None:
    folder = tmp_path / "models"
    (folder / "weights").mkdir(parents=True)
    (tmp_path / "w.bin").write_bytes(bytes(12))
    (folder / "link.bin").symlink_to("../w.bin")
    said = refusal(written(folder / "m.onnx", node(), weights=elsewhere(location)))
    assert f"it keeps weights in {location!r}, outside its own folder" in said


def test_weights_that_hide_in_an_attribute_are_found(tmp_path: Path) -> None:
    constant = helper.make_node("Constant", [], ["y"], value=elsewhere("../w.bin"))
    assert "outside its own folder" in refusal(written(tmp_path / "m.onnx", constant))


def test_weights_beside_the_model_are_read(tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(np.array([1.0, 2.0, 3.0], np.float32).tobytes())
    add = helper.make_node("Add", ["x", "w"], ["y"])
    path = written(tmp_path / "m.onnx", add, weights=elsewhere("w.bin"))
    onnx_file.check(path)
    (tmp_path / "w.bin").unlink()
    assert "'w.bin', which is not there" in refusal(path)


def test_a_model_has_at_most_so_many_bytes_with_its_weights(tmp_path: Path) -> None:
    path = written(tmp_path / "m.onnx", node(), weights=elsewhere("w.bin"))
    with (tmp_path / "w.bin").open("wb") as weights:
        weights.truncate(onnx_file.LARGEST)  # a hole: no disk is filled
    assert "with its weights; a model has at most 2,000,000,000" in refusal(path)
    with (tmp_path / "large.onnx").open("wb") as large:
        large.truncate(onnx_file.LARGEST + 1)
    assert "a model has at most 2,000,000,000" in refusal(tmp_path / "large.onnx")


@pytest.mark.parametrize("content", [b"", b"no model", b"\x0b", b"\x3a\xff\xff\xff\xff\x7f", b"\xff" * 64, b"\x39\0"])
def test_bytes_that_are_no_model_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    refusal(path)


def test_cut_anywhere_a_model_is_refused_or_whole_in_what_it_asks(tmp_path: Path) -> None:
    weights = numpy_helper.from_array(np.zeros((1, 3), np.float32), "w")
    whole = written(tmp_path / "m.onnx", node("Spell", "com.example"), weights=weights).read_bytes()
    (tmp_path / "cut").mkdir()
    for end in range(1, len(whole)):
        path = tmp_path / "cut/m.onnx"
        path.write_bytes(whole[:end])
        try:
            onnx_file.check(path)
        except ValueError:
            continue
        assert b"com.example" not in whole[:end]


def test_the_numbers_of_fields_are_those_of_the_format() -> None:
    for kind, parts in onnx_file.MESSAGES.items():
        fields = getattr(onnx, kind).DESCRIPTOR.fields_by_number
        assert {number: fields[number].message_type.name for number in parts} == parts
        matter = set(onnx_file.MESSAGES) - {"StringStringEntryProto"}  # pairs of texts; only a tensor's name files
        assert {f.number for f in fields.values() if f.message_type and f.message_type.name in matter} <= set(parts)
        texts = onnx_file.TEXTS.get(kind, {})
        assert {number: fields[number].name for number in texts} == texts
