"""BVH text: which spellings are read alike, and what is refused with its file and line."""

import contextlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bvh_reference import REFERENCE, assert_same
from motion.bvh import BvhError, read_bvh
from motion.kinematics import global_positions

SAME = {
    "crlf": REFERENCE.replace("\n", "\r\n"),
    "old mac": REFERENCE.replace("\n", "\r"),
    "tabs": REFERENCE.replace(" ", "\t").replace("End\tSite", "End Site"),
    "lower case": REFERENCE.lower().replace("hips", "Hips").replace("spine", "Spine"),
    "decimal commas": REFERENCE.replace(".", ","),
    "decimal comma in the frame time": REFERENCE.replace("0.0333333", "0,0333333"),
    "no leading zero": REFERENCE.replace("0.0333333", ".0333333"),
    "comments": "# by nobody\n" + REFERENCE.replace("MOTION", "// here\nMOTION") + "# the end\n",
    "blank lines": REFERENCE.replace("\n", "  \n\n"),
    "braces on the same line": REFERENCE.replace("\n{", " {").replace("\n  {", " {").replace("\n    {", "{"),
    "named end site": REFERENCE.replace("End Site", "End Site HeadTop"),
    "channels before offset": REFERENCE.replace(
        "OFFSET 0.0 10.5 0.0\n    CHANNELS 3 Zrotation Xrotation Yrotation",
        "CHANNELS 3 Zrotation Xrotation Yrotation\n    OFFSET 0.0 10.5 0.0",
    ),
}
BROKEN = [
    ("", 1, "the file is empty"),
    ("  \n\n", 1, "the file is empty"),
    (REFERENCE.replace("HIERARCHY\n", ""), 1, "begins with HIERARCHY"),
    (REFERENCE[: REFERENCE.index("MOTION")], 15, "no MOTION"),
    (REFERENCE.replace("  }\n}\nMOTION", "  }\nMOTION"), 15, "'Hips' of line 2 is still open"),
    (REFERENCE.replace("}\nMOTION", "}\n}\nMOTION"), 16, "a closing brace outside a joint"),
    (REFERENCE.replace("JOINT Spine\n  {", "JOINT Spine"), 7, "'Spine' needs an opening brace"),
    (REFERENCE.replace("JOINT Spine", "JOINT"), 6, "without a name"),
    (REFERENCE.replace("    OFFSET 0.0 10.5 0.0\n", ""), 6, "'Spine' has no OFFSET"),
    (REFERENCE.replace("10.5 0.0", "10.5"), 8, "OFFSET has 2 values, it needs 3"),
    (REFERENCE.replace("10.5", "ten"), 8, "'ten' is not a finite number"),
    (REFERENCE.replace("10.5", "1,000.5"), 8, "'1,000.5' is not a finite number"),
    (REFERENCE.replace("10.5", "1e300"), 8, "beyond"),
    (REFERENCE.replace("CHANNELS 3", "CHANNELS 4"), 9, "CHANNELS 4 names 3"),
    (REFERENCE.replace("3 Zrotation", "3 Wrotation"), 9, "unknown channel 'Wrotation'"),
    (REFERENCE.replace("Frames: 2", "Frames: 0"), 17, "no frames"),
    (REFERENCE.replace("Frames: 2", "Frames: 3"), 17, "Frames says 3, but 2 rows follow"),
    (REFERENCE.replace("Frames: 2", "Frames: 1"), 17, "Frames says 1, but 2 rows follow"),
    (REFERENCE.replace("Frames: 2\n", ""), 17, "expected 'Frames: N'"),
    (REFERENCE.replace("0.0333333", "0"), 18, "the frame time must be"),
    (REFERENCE.replace("0.0333333", "nan"), 18, "'nan' is not a finite number"),
    (REFERENCE.replace("11.25", "11.25 3"), 20, "row has 10 values, the channels need 9"),
    (REFERENCE.replace(" 11.25", ""), 20, "row has 8 values, the channels need 9"),
    (REFERENCE.replace("11.25", "1.#QNAN"), 20, "'1.#QNAN' is not a finite number"),
    (REFERENCE.replace("11.25", "1e400"), 20, "beyond"),
    (REFERENCE.replace("11.25", "1.2.3"), 20, "'1.2.3' is not a finite number"),
]
REFUSED_CORPUS = {  # file -> the line its error must name
    "channel_count_lies.bvh": 9,
    "deep_chain_1200.bvh": 1003,
    "empty.bvh": 1,
    "extra_value_in_row.bvh": 19,
    "frame_time_zero.bvh": 18,
    "more_rows_than_declared.bvh": 17,
    "nan_inf_values.bvh": 19,
    "no_motion_section.bvh": 15,
    "unbalanced_braces.bvh": 15,
    "unknown_channel.bvh": 9,
    "zero_frames.bvh": 17,
}


@pytest.mark.parametrize("variant", SAME)
def test_unambiguous_variants_read_as_the_reference(bvh, variant):
    reference, _ = read_bvh(bvh(REFERENCE), 1.0)
    assert_same(read_bvh(bvh(SAME[variant]), 1.0)[0], reference, atol=1e-9)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "latin-1"])
def test_encodings_are_told_apart(bvh, encoding):
    clip, _ = read_bvh(bvh(REFERENCE.replace("Spine", "Rücken 01 (links)").encode(encoding)), 1.0)
    assert clip.skeleton.names == ("Hips", "Rücken 01 (links)", "Rücken 01 (links)_end")


@pytest.mark.parametrize(("text", "line", "reason"), BROKEN)
def test_broken_text_is_refused_with_file_line_and_reason(bvh, text, line, reason):
    with pytest.raises(BvhError) as caught:
        read_bvh(bvh(text))
    assert str(caught.value).startswith(f"take.bvh:{line}: ")
    assert reason in str(caught.value)


def test_every_corpus_file_is_read_or_refused_at_its_line(shared):
    for path in sorted((shared / "data/bvh_corpus").rglob("*.bvh")):
        if path.name in REFUSED_CORPUS:
            with pytest.raises(BvhError, match=f"^{path.name}:{REFUSED_CORPUS[path.name]}: "):
                read_bvh(path)
        else:
            clip, note = read_bvh(path)
            assert np.isfinite(global_positions(clip.skeleton, clip.root_positions, clip.rotations)).all(), path.name
            assert "scale" in note


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_damaged_bytes_are_read_or_refused_never_worse(bvh, data):
    content = bytearray(REFERENCE.encode())
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(content)))
        content[start : start + data.draw(st.integers(0, 30))] = data.draw(st.binary(max_size=6))
    with contextlib.suppress(BvhError):
        clip, _ = read_bvh(bvh(bytes(content)))
        assert np.isfinite(clip.root_positions).all()
