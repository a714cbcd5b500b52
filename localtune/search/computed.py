"""Parameters whose values follow from the rest of the configuration."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from importlib import import_module
from typing import Any

from localtune.error import SearchSpaceError
from localtune.search.domains import Domain
from localtune.search.rng import RandomSource, as_random


class Computed(Domain):
    """Base class: values that follow from the rest of the configuration."""

    def evaluate(self, config: Any, rng: random.Random) -> Any:
        """The value for one configuration."""
        raise NotImplementedError

    def sample(self, config: Any = None, size: int = 1, random_state: RandomSource = None) -> Any:
        rng = as_random(random_state)
        if size == 1:
            return self.evaluate(config, rng)
        return [self.evaluate(config, rng) for _ in range(size)]

    def is_function(self) -> bool:
        return True

    def is_valid(self, value: Any) -> bool:
        return True


class Function(Computed):
    """Values that a function computes.

    Args:
        func: Takes no argument, or one: the configuration with all else resolved.

    Raises:
        TypeError: if it is not callable.
        SearchSpaceError: if it needs more than one argument.
    """

    def __init__(self, func: Callable[..., Any]) -> None:
        self.func = func
        self.takes_config = _takes_config(func)

    def evaluate(self, config: Any, rng: random.Random) -> Any:
        return self.func(config) if self.takes_config else self.func()

    @property
    def domain_str(self) -> str:
        return f"({getattr(self.func, '__qualname__', self.func)!s})"


class Expression(Computed):
    """Values of a Python expression, which a search space holds as ``{"eval": expression}``.

    It may use ``spec`` (the configuration), ``random`` (seeded like all draws) and ``np``.

    Args:
        text: The expression.

    Raises:
        SearchSpaceError: if it is none, or uses ``np`` and NumPy is not installed.
    """

    def __init__(self, text: str) -> None:
        self.text = text.strip()
        try:
            compile(self.text, "<eval>", "eval")
        except (SyntaxError, ValueError) as error:
            raise SearchSpaceError(
                f'{{"eval": {text!r}}} must hold a Python expression: {error}.'
            ) from error
        self._libraries()

    def evaluate(self, config: Any, rng: random.Random) -> Any:
        return eval(self.text, {**self._libraries(), "spec": config, "random": rng})

    @property
    def domain_str(self) -> str:
        return f"({self.text!r})"

    def _libraries(self) -> dict[str, Any]:
        if not re.search(r"\bnp\b", self.text):
            return {}
        try:
            # Only who writes np needs NumPy; localtune does not depend on it.
            numpy = import_module("numpy")
        except ImportError as error:
            raise SearchSpaceError(
                f'{{"eval": {self.text!r}}} uses np, but NumPy is not installed.'
            ) from error
        return {"np": numpy}


def _takes_config(func: Callable[..., Any]) -> bool:
    """Whether the function has room for the configuration.

    Raises:
        TypeError: if it is not callable.
        SearchSpaceError: if it needs more than that.
    """
    import inspect

    if not callable(func):
        raise TypeError(f"sample_from needs a function, but got {func!r}.")
    try:
        parameters = list(inspect.signature(func).parameters.values())
    except ValueError as error:
        raise SearchSpaceError(
            f"sample_from cannot tell the arguments of {func!r}. Wrap it in a lambda."
        ) from error
    positional = [each for each in parameters if each.kind <= each.VAR_POSITIONAL]
    needed = [
        each
        for each in parameters
        if each.default is each.empty and each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
    ]
    if len(needed) > 1 or any(each.kind is each.KEYWORD_ONLY for each in needed):
        raise SearchSpaceError(
            "The function of sample_from must take no argument or one, the configuration, "
            f"but {func!r} needs {', '.join(each.name for each in needed)}."
        )
    return bool(positional)
