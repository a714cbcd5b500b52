"""Pickles tensors of PyTorch like arrays: their memory stays out of the pickle.

Tensors that share memory share it in the loading process, too. PyTorch's own pickles contain the
memory, once for each tensor.
"""

from __future__ import annotations

import pickle
import sys
from collections import ChainMap
from typing import Any


def with_tensors(pickler_class: Any, torch: Any) -> Any:
    """Returns a class of picklers that keeps the memory of tensors out of the pickle.

    Args:
        pickler_class: The class of all else. Each instance of the result pickles one object.
        torch: The module.
    """
    table = ChainMap({torch.Tensor: _TensorReducer(torch)}, pickler_class.dispatch_table)

    class Pickler(pickler_class):  # type: ignore[misc]
        dispatch_table = table

    return Pickler


class _TensorReducer:
    """Takes tensors apart, and remembers the memory that it has met."""

    def __init__(self, torch: Any) -> None:
        self._torch = torch
        self._memories: dict[int, _Memory] = {}

    def __call__(self, tensor: Any) -> Any:
        memory = self._memory_of(tensor) if self._is_plain(tensor) else None
        if memory is None:
            return tensor.__reduce_ex__(pickle.HIGHEST_PROTOCOL)
        place = (tensor.storage_offset(), tuple(tensor.size()), tensor.stride())
        return _tensor, (memory, tensor.dtype, *place, tensor.requires_grad)

    def _is_plain(self, tensor: Any) -> bool:
        """Tells whether a tensor is no more than a view of memory that the CPU can read."""
        return (
            tensor.device.type == "cpu"
            and tensor.layout == self._torch.strided
            and tensor.is_leaf
            and not (tensor.is_quantized or tensor.is_conj() or tensor.is_neg())
            and not (tensor._backward_hooks or vars(tensor))
        )

    def _memory_of(self, tensor: Any) -> _Memory | None:
        storage = tensor.untyped_storage()
        if not storage.nbytes():
            return None
        memory = self._memories.get(storage.data_ptr())
        if memory is None:
            try:
                byte = self._torch.uint8
                whole = self._torch.empty(0, dtype=byte).set_(storage)
                memory = _Memory(byte, pickle.PickleBuffer(whole.numpy()))
            except (RuntimeError, TypeError, ValueError):
                return None  # NumPy is not installed, or too new for PyTorch.
            self._memories[storage.data_ptr()] = memory
        return memory


class _Memory:
    """Pickles as the storage of a tensor."""

    def __init__(self, byte: Any, buffer: pickle.PickleBuffer) -> None:
        self._byte = byte
        self._buffer = buffer

    def __reduce__(self) -> Any:
        return _storage, (self._byte, self._buffer)


def _storage(byte: Any, buffer: Any) -> Any:
    # To load the type of bytes, the pickle has imported PyTorch.
    return sys.modules["torch"].frombuffer(buffer, dtype=byte).untyped_storage()


def _tensor(
    storage: Any,
    dtype: Any,
    offset: int,
    size: tuple[int, ...],
    stride: tuple[int, ...],
    requires_grad: bool,
) -> Any:
    tensor = sys.modules["torch"].empty(0, dtype=dtype).set_(storage, offset, size, stride)
    return tensor.requires_grad_(requires_grad)
