"""The content of a lease: what is written is read, and what others write is judged."""

from __future__ import annotations

import json
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localtune.execution.shared.leases import (
    MAX_BYTES,
    MAX_NAMES,
    MAX_TEXT,
    Lease,
    LeaseError,
    Wish,
    decode,
    encode,
    from_units,
    to_units,
)

LEASE = Lease(
    "a1",
    pid=7,
    command="train.py --lr 0.1",
    since=1e9,
    total=to_units({"CPU": 8, "memory": 2.0**35}),
    gpu_ids=("0", "GPU-5"),
    holds=to_units({"CPU": 0.3, "GPU": 1}),
    gpus=to_units({"GPU-5": 1}),
    trials=3,
    wish=Wish(to_units({"CPU": 2}), 1e9 + 5, 12.5),
)


def test_what_is_written_is_read() -> None:
    assert decode("a1", encode(LEASE)) == LEASE
    assert decode("a1", encode(LEASE).ljust(4096)) == LEASE, "with room behind it"
    empty = Lease("b")
    assert decode("b", encode(empty)) == empty


def test_amounts_are_added_exactly() -> None:
    assert sum(to_units({"CPU": each})["CPU"] for each in (0.1, 0.2, 0.7)) == 10_000
    assert from_units(to_units({"CPU": 0.1, "GPU": 0})) == {"CPU": 0.1}


def sealed(body: bytes) -> bytes:
    """A lease with the right checksum at its end, in place of the one that it has."""
    body = body[: body.rfind(b', "crc"')]
    return body + b', "crc": "%08x"}' % zlib.crc32(body)


def changed(**values: Any) -> bytes:
    return sealed(json.dumps({**json.loads(encode(LEASE)), **values}).encode())


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "not JSON"),
        (encode(LEASE)[:-9], "not JSON"),
        (b"\xff\xfe{}", "not JSON"),
        (b"[" * 30_000, "not JSON"),
        (b" " * MAX_BYTES + b"{}", "larger than"),
        (b"[]", "not as its sweep"),
        (b"{}", "not as its sweep"),
        (encode(LEASE).replace(b": 3,", b": 2,"), "not as its sweep"),
        (changed(format=2), "no lease"),
        (changed(pid="7"), "'pid'"),
        (changed(pid=True), "'pid'"),
        (changed(trials=-1), "'trials'"),
        (changed(command=None), "'command'"),
        (changed(command="x" * (MAX_TEXT + 1)), "'command'"),
        (changed(holds=[]), "'holds'"),
        (changed(holds={"CPU": -1}), "'CPU'"),
        (changed(holds={"CPU": "1"}), "'CPU'"),
        (changed(holds={"x" * (MAX_TEXT + 1): 1}), "'holds'"),
        (changed(holds={str(each): 1 for each in range(MAX_NAMES + 1)}), "'holds'"),
        (changed(gpu_ids={"0": 1}), "'gpu_ids'"),
        (changed(gpu_ids=[0]), "'gpu_ids'"),
        (changed(total={"CPU": 10**400}), "'CPU'"),
        (changed(since=None), "'since'"),
        (sealed(encode(LEASE).replace(b'"trials": 3', b'"trials": NaN')), "not JSON"),
        (sealed(encode(LEASE).replace(b'"trials": 3', b'"trials": 1e999')), "'trials'"),
        (changed(waits_since=None), "'waits_since'"),
        (changed(asked_at="now"), "'asked_at'"),
    ],
    ids=str,
)
def test_content_that_is_no_lease_is_refused_with_the_reason(content: bytes, problem: str) -> None:
    with pytest.raises(LeaseError, match=problem):
        decode("a1", content)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=10,
)


@given(st.dictionaries(st.sampled_from(list(json.loads(encode(LEASE)))), JSON))
def test_any_json_is_a_lease_or_is_refused(values: dict[str, Any]) -> None:
    try:
        lease = decode("a1", changed(**values))
    except LeaseError:
        return
    assert min(lease.holds.values(), default=0) >= 0


@given(st.binary())
def test_any_bytes_are_refused(content: bytes) -> None:
    with pytest.raises(LeaseError):
        decode("a1", content)


def test_a_lease_that_is_too_large_is_not_written() -> None:
    total = {f"{number}{'x' * 250}": 1 for number in range(MAX_NAMES)}
    with pytest.raises(LeaseError, match="larger than"):
        encode(Lease("a", total=total, holds=total))
