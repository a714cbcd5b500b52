"""Tensors of PyTorch in a program: their memory is shared, and they come back as they were."""

from __future__ import annotations

import io
import pickle
from typing import Any

import pytest
import torch

from localtune.utils.serialization import dump_by_value


def trip(value: Any) -> tuple[Any, list[pickle.PickleBuffer]]:
    """What comes back from a pickle, and the memory that stayed out of it."""
    file, buffers = io.BytesIO(), list[pickle.PickleBuffer]()
    # A lambda keeps the object from being pickled plainly.
    dump_by_value([value, lambda: None], file, buffers)
    return pickle.loads(file.getvalue(), buffers=[bytearray(each.raw()) for each in buffers])[
        0
    ], buffers


LARGE = torch.arange(100_000, dtype=torch.float32)


@pytest.mark.parametrize(
    "tensor",
    [
        LARGE,
        LARGE.to(torch.bfloat16),
        LARGE.to(torch.complex64),
        LARGE > 5,
        LARGE.reshape(100, 10, 100).permute(2, 0, 1),
        LARGE[10:99_000:7],
        LARGE.clone().requires_grad_(),
        torch.ones(3),
        torch.ones(0, 5),
        torch.tensor(1.5),
        torch.ones(1, 1).expand(300, 300),
    ],
    ids=lambda tensor: f"{tensor.dtype} {tuple(tensor.shape)}",
)
def test_tensors_come_back_as_they_were(tensor: Any) -> None:
    again, _ = trip(tensor)

    assert torch.equal(again, tensor) and again.dtype == tensor.dtype
    assert again.stride() == tensor.stride() and again.requires_grad == tensor.requires_grad
    assert again.storage_offset() == tensor.storage_offset()


def test_the_memory_is_shared_and_not_in_the_pickle() -> None:
    again, buffers = trip({"a": LARGE, "b": LARGE[:10], "c": LARGE.view(torch.int32)})

    (buffer,) = buffers
    assert torch.frombuffer(buffer, dtype=torch.float32).data_ptr() == LARGE.data_ptr()
    again["a"][0] = 7.0
    assert again["b"][0] == 7.0 and again["c"][0] == again["b"].view(torch.int32)[0]
    assert LARGE[0] == 0.0


def test_what_is_more_than_memory_goes_the_way_of_pytorch() -> None:
    marked = torch.ones(1000)
    marked.note = "kept"
    sparse = torch.eye(100).to_sparse()
    again, buffers = trip([marked, sparse, LARGE.to(torch.complex64).conj()])

    assert len(buffers) == 1  # the places in the sparse one
    assert again[0].note == "kept"
    assert torch.equal(again[1].to_dense(), torch.eye(100))
    assert torch.equal(again[2], LARGE.to(torch.complex64))


def test_modules_come_back_as_they_were() -> None:
    module = torch.nn.Sequential(torch.nn.Linear(100, 100), torch.nn.Linear(100, 100))
    module[1].weight = module[0].weight  # tied
    again, buffers = trip(module)

    assert len(buffers) == 1  # the biases are small
    assert again[1].weight is again[0].weight and again[0].weight.requires_grad
    assert torch.equal(again(torch.ones(100)), module(torch.ones(100)))
