"""Checks what user code reports, and makes it plain."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

# Largest size of the metrics of one result. A result travels through a pipe, into files and into
# a database; what is larger belongs into a file of the trial or into a checkpoint.
MAX_RESULT_BYTES = 16 * 1024 * 1024

_SCALARS = frozenset({float, int, bool, type(None)})
# A text or list shorter than this counts nothing: adding up would cost more than it tells.
_SMALL = 1024
_BYTES_PER_ELEMENT = 8


def clean_metrics(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Copy reported metrics, with NumPy's scalars turned into Python's.

    NaN and the infinities are kept, and so are arrays.

    Args:
        metrics: What user code reported; left as it is.

    Returns:
        A new dict. Nested dicts, lists and tuples are new only where something in them changed.

    Raises:
        ValueError: A value is a tensor or a module of PyTorch, or the metrics are larger than
            ``MAX_RESULT_BYTES``.
    """
    cleaned = dict(metrics)
    scan: _Scan | None = None
    for key, value in metrics.items():
        kind = type(value)
        if (kind in _SCALARS or (kind is str and len(value) < _SMALL)) and type(key) is str:
            continue
        if scan is None:
            scan = _Scan()
        scan.enter(key)
        cleaned[key] = scan.clean(value, str(key))
    if scan is not None:
        scan.check_size()
    return cleaned


class _Scan:
    """One pass over the values of a result that are not plain."""

    def __init__(self) -> None:
        # User code may be importing these in another thread: look for each name.
        numpy = sys.modules.get("numpy")
        torch = sys.modules.get("torch")
        self._numbers = _types(numpy, "number") + _types(numpy, "bool_")
        self._tensors = _types(torch, "Tensor")
        self._modules = _types(getattr(torch, "nn", None), "Module")
        self._bytes: dict[str, int] = {}
        self._key = ""

    def enter(self, key: Any) -> None:
        """Start with a value of the result itself, to which sizes are ascribed from here on."""
        self._refuse_torch(key, "A key of the metrics")
        self._key = str(key)

    def clean(self, value: Any, path: str) -> Any:
        kind = type(value)
        if kind in _SCALARS:
            return value
        if isinstance(value, self._numbers):
            return value.item()  # type: ignore[attr-defined]
        if isinstance(value, (str, bytes, bytearray)):
            self._count(len(value))
            return value
        if isinstance(value, dict):
            return self._clean_dict(value, path)
        if isinstance(value, (list, tuple)):
            return self._clean_sequence(value, path)
        self._refuse_torch(value, f"The metric {path!r}")
        size = getattr(value, "nbytes", 0)
        self._count(size if isinstance(size, int) else 0)
        return value

    def _clean_dict(self, values: dict[Any, Any], path: str) -> dict[Any, Any]:
        for key in values:
            self._refuse_torch(key, f"A key of the metric {path!r}")
        cleaned = {key: self.clean(value, f"{path}/{key}") for key, value in values.items()}
        if all(cleaned[key] is value for key, value in values.items()):
            return values
        return cleaned

    def _clean_sequence(self, values: list[Any] | tuple[Any, ...], path: str) -> Any:
        self._count(len(values) * _BYTES_PER_ELEMENT)
        if _SCALARS.issuperset(map(type, values)):
            return values
        cleaned = [self.clean(value, f"{path}/{index}") for index, value in enumerate(values)]
        if all(new is old for new, old in zip(cleaned, values, strict=True)):
            return values
        if isinstance(values, list):
            return cleaned
        return type(values)(*cleaned) if hasattr(values, "_fields") else tuple(cleaned)

    def _refuse_torch(self, value: Any, what: str) -> None:
        if isinstance(value, self._tensors):
            raise ValueError(
                f"{what} is a torch.Tensor, which would tie the result to PyTorch and to a "
                "device. Report a number, value.item(), or a list, value.tolist()."
            )
        if isinstance(value, self._modules):
            raise ValueError(
                f"{what} is a torch.nn.Module. Save its state_dict() to a file in a checkpoint, "
                "and report numbers."
            )

    def _count(self, size_bytes: int) -> None:
        if size_bytes >= _SMALL:
            self._bytes[self._key] = self._bytes.get(self._key, 0) + size_bytes

    def check_size(self) -> None:
        total = sum(self._bytes.values())
        if total <= MAX_RESULT_BYTES:
            return
        key = max(self._bytes, key=self._bytes.__getitem__)
        raise ValueError(
            f"A result may hold at most {MAX_RESULT_BYTES} bytes, but this one holds about "
            f"{total}, {self._bytes[key]} of them in {key!r}. Write such data to a file in the "
            "trial's directory or in a checkpoint, and report numbers."
        )


def _types(module: Any, name: str) -> tuple[type, ...]:
    kind = getattr(module, name, None)
    return (kind,) if isinstance(kind, type) else ()
