"""Old attributes and methods of classes."""

from __future__ import annotations

from typing import Any

from localtune.old_names import use as old


class OldAttribute:
    """Stands for an attribute or method of earlier releases, in the body of a class.

    Without ``localtune.compat``, access raises ``AttributeError`` with what to write. With it, the
    value is that of the descriptor that is its translation: a function, a property or a class
    method.

    Args:
        name: Name in the table, such as ``Result.log_dir``.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, instance: object, owner: type | None = None) -> Any:
        old.use(self._name, AttributeError)
        translation: Any = old.translation_of(self._name)
        return translation.__get__(instance, owner)
