"""Frames arrive in any portions, and hold plain data only."""

from __future__ import annotations

import pickle
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localtune.execution.cluster.wire import FrameReader, Kind, frame


@given(st.lists(st.binary(max_size=40), max_size=5), st.integers(1, 30))
def test_messages_are_the_same_however_their_bytes_arrive(parts: list[bytes], size: int) -> None:
    sent = [(Kind.REPLIED, number, part) for number, part in enumerate(parts)]
    data = b"".join(frame([each]) for each in sent) + frame([(Kind.PONG,)])
    reader = FrameReader()
    found = []
    for start in range(0, len(data), size):
        found += reader.feed(data[start : start + size])
    assert found == [*sent, (Kind.PONG,)]


def test_a_frame_that_would_make_an_object_is_refused() -> None:
    data = pickle.dumps([(0, FrameReader)])
    with pytest.raises(pickle.UnpicklingError, match="no plain data"):
        FrameReader().feed(struct.pack("!Q", len(data)) + data)
