"""Frame numbers: lost, late, repeated, begun again, and past 32 bits."""

import pytest

from server.protocols.numbering import Numbering


@pytest.mark.parametrize(
    ("numbers", "lost", "restarts"),
    [
        ([], 0, 0),
        ([9], 0, 0),
        ([9, 10, 11], 0, 0),
        ([9, 12], 2, 0),
        ([9, 12, 11], 1, 0),
        ([9, 12, 12, 13], 2, 0),
        ([5000, 1, 2], 0, 1),
        ([5000, 1, 4], 2, 1),
        ([2**32 - 2, 2**32 - 1, 0, 1], 0, 0),
        ([2**32 - 1, 2], 2, 0),
    ],
)
def test_numbers_tell_what_happened(numbers, lost, restarts):
    numbering = Numbering()
    for number in numbers:
        numbering.note(number)
    assert (numbering.lost, numbering.restarts) == (lost, restarts)
