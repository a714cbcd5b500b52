"""Lease: what one sweep holds of a machine, and what it waits for; as JSON and back.

Other users may have written the file of a lease. Nothing of it is trusted before its size, its
types and its ranges were checked here. A checksum tells a lease that is being written at this
moment, or was edited.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# Amounts are counted in ten-thousandths, so that 0.1 + 0.2 + 0.7 is exactly 1.
UNITS = 10_000
# No file of a lease is larger.
MAX_BYTES = 64 * 1024
# Most resources, GPUs and characters of a text in a lease.
MAX_NAMES = 200
MAX_TEXT = 300

_FORMAT = 1
# The last value of a lease is the checksum of what is before it.
_CHECK = b', "crc": "'
# More of a resource is no amount of it.
_MAX_AMOUNT = 1e18


class LeaseError(ValueError):
    """Reports content that is no lease; its text is a clause."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A request for which a sweep waits.

    Attributes:
        needs: {resource: amount in units}.
        since: Since when the sweep waits, Unix time.
        asked_at: When it asked last, by the monotonic clock of the machine, in seconds. A sweep
            that does not ask any more, because it was stopped for instance, keeps nobody waiting.
    """

    needs: Mapping[str, int]
    since: float
    asked_at: float


@dataclass(frozen=True, slots=True)
class Lease:
    """What one sweep holds, and what it waits for.

    Attributes:
        lease_id: Tells the leases of a ledger apart.
        pid: Process id of the parent, to be shown only.
        command: Its command line, to be shown only.
        since: When the sweep began, Unix time.
        total: {resource: amount in units} of the machine, as the sweep knows it.
        gpu_ids: The GPUs that the sweep may use.
        holds: {resource: amount in units} of its trials.
        gpus: {id of a GPU: amount in units} of its trials.
        trials: How many trials hold that.
        wish: What it waits for; None if it does not wait.
    """

    lease_id: str
    pid: int = 0
    command: str = ""
    since: float = 0.0
    total: Mapping[str, int] = field(default_factory=dict)
    gpu_ids: tuple[str, ...] = ()
    holds: Mapping[str, int] = field(default_factory=dict)
    gpus: Mapping[str, int] = field(default_factory=dict)
    trials: int = 0
    wish: Wish | None = None


def to_units(amounts: Mapping[str, float]) -> dict[str, int]:
    """Returns amounts in units, without those of zero."""
    units = {name: round(amount * UNITS) for name, amount in amounts.items()}
    return {name: amount for name, amount in units.items() if amount}


def from_units(units: Mapping[str, int]) -> dict[str, float]:
    """Returns amounts that were counted in units."""
    return {name: amount / UNITS for name, amount in units.items()}


def encode(lease: Lease) -> bytes:
    """Returns the content of the file of a lease.

    Raises:
        LeaseError: if it would be too large.
    """
    wish = lease.wish
    record = {
        "format": _FORMAT,
        "pid": lease.pid,
        "command": lease.command[:MAX_TEXT],
        "since": lease.since,
        "total": from_units(lease.total),
        "gpu_ids": list(lease.gpu_ids),
        "holds": from_units(lease.holds),
        "gpus": from_units(lease.gpus),
        "trials": lease.trials,
        "waits_for": None if wish is None else from_units(wish.needs),
        "waits_since": None if wish is None else wish.since,
        "asked_at": None if wish is None else wish.asked_at,
    }
    body = json.dumps(record).encode()[:-1]
    content = b'%b%b%08x"}' % (body, _CHECK, zlib.crc32(body))
    if len(content) > MAX_BYTES:
        raise LeaseError(f"it is larger than {MAX_BYTES} bytes")
    return content


def decode(lease_id: str, content: bytes) -> Lease:
    """Returns the lease of a file.

    Args:
        lease_id: Its id, from the name of the file.
        content: The content of the file.

    Raises:
        LeaseError: if it is no lease.
    """
    if len(content) > MAX_BYTES:
        raise LeaseError(f"it is larger than {MAX_BYTES} bytes")
    try:
        record = json.loads(content.decode(), parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise LeaseError("it is not JSON") from None
    body = content[: content.rfind(_CHECK)]
    if not isinstance(record, dict) or record.get("crc") != f"{zlib.crc32(body):08x}":
        raise LeaseError("it is not as its sweep has written it")
    if record.get("format") != _FORMAT:
        raise LeaseError("it is no lease of this version of localtune")
    wish = None
    if record.get("waits_for") is not None:
        wish = Wish(
            _amounts(record, "waits_for"),
            _number(record, "waits_since", least=-math.inf),
            _number(record, "asked_at", least=-math.inf),
        )
    return Lease(
        lease_id,
        int(_number(record, "pid")),
        _text(record.get("command"), "command"),
        _number(record, "since", least=-math.inf),
        _amounts(record, "total"),
        tuple(_text(each, "gpu_ids") for each in _names(record.get("gpu_ids"), list, "gpu_ids")),
        _amounts(record, "holds"),
        _amounts(record, "gpus"),
        int(_number(record, "trials")),
        wish,
    )


def _refuse(name: str) -> Any:
    raise ValueError(name)


def _amounts(record: Mapping[str, Any], key: str) -> dict[str, int]:
    amounts = _names(record.get(key), dict, key)
    return to_units({_text(name, key): _number(amounts, name) for name in amounts})


def _names(value: Any, kind: type[list[Any]] | type[dict[str, Any]], key: str) -> Any:
    if not isinstance(value, kind) or len(value) > MAX_NAMES:
        raise LeaseError(f"its {key!r} is no {kind.__name__} of at most {MAX_NAMES} entries")
    return value


def _text(value: Any, key: str) -> str:
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise LeaseError(f"its {key!r} is no text of at most {MAX_TEXT} characters")
    return value


def _number(record: Mapping[str, Any], key: str, *, least: float = 0.0) -> float:
    value: Any = record.get(key)
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not least <= value <= _MAX_AMOUNT:
        raise LeaseError(f"its {key[:MAX_TEXT]!r} is no number from {least:g} to {_MAX_AMOUNT:g}")
    return float(value)
