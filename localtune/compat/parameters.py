"""``tune.with_parameters``, which gives trainables the values of references."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import localtune
from localtune.compat.objects import ObjectRef

_T = TypeVar("_T", bound=Callable[..., Any])


def with_parameters(trainable: _T, **kwargs: Any) -> _T:
    """Binds arguments to a trainable, as :func:`localtune.with_parameters` does.

    Args:
        trainable: Function or class; not changed.
        **kwargs: The arguments. In place of a reference, the trainable gets its value.

    Returns:
        A trainable of the same name and kind.
    """
    values = {
        name: value.value() if isinstance(value, ObjectRef) else value
        for name, value in kwargs.items()
    }
    return localtune.with_parameters(trainable, **values)
