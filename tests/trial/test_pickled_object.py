"""PickledObject: the text of an object that is not opened."""

from __future__ import annotations

import pickle
from fractions import Fraction

from localtune.trial.pickled_object import PickledObject
from localtune.utils.text import one_line

CLOSED = PickledObject("fractions.Fraction", "1/4", pickle.dumps(Fraction(1, 4)))


def test_it_shows_as_the_text_of_the_object_wherever_it_stands() -> None:
    assert [str(CLOSED), repr(CLOSED), one_line(CLOSED), one_line(CLOSED, None)] == ["1/4"] * 4
    assert one_line([CLOSED, {"share": CLOSED}]) == "[1/4, {'share': 1/4}]"
