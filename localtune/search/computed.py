"""Domains whose values are computed from the rest of the configuration."""

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
    """Base class of domains whose values are computed from the rest of the configuration."""

    def evaluate(self, config: Any, rng: random.Random) -> Any:
        """Computes the value for one configuration.

        Args:
            config: The known part of the configuration.
            rng: Source of randomness.
        """
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
    """A domain whose values a function computes.

    Args:
        func: Function without arguments, or with the resolved configuration as its argument.

    Raises:
        TypeError: if ``func`` is not callable.
        SearchSpaceError: if ``func`` needs more than one argument.
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
    """A domain whose values a Python expression computes: ``{"eval": expression}``.

    The expression may use ``spec`` (the configuration), ``random`` (seeded like all draws) and
    ``np``.

    Args:
        text: The expression.

    Raises:
        SearchSpaceError: for invalid syntax, or if ``text`` uses ``np`` and NumPy is missing.
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
            # localtune does not depend on NumPy: only such an expression needs it.
            numpy = import_module("numpy")
        except ImportError as error:
            raise SearchSpaceError(
                f'{{"eval": {self.text!r}}} uses np, but NumPy is not installed.'
            ) from error
        return {"np": numpy}


def _takes_config(func: Callable[..., Any]) -> bool:
    """Returns whether a function takes the configuration as its argument.

    Raises:
        TypeError: if ``func`` is not callable.
        SearchSpaceError: if ``func`` needs more arguments.
    """
    import inspect

    if not callable(func):
        raise TypeError(f"sample_from needs a function, but got {func!r}.")
    try:
        parameters = list(inspect.signature(func).parameters.values())
    except ValueError as error:
        raise SearchSpaceError(
            f"sample_from cannot read the signature of {func!r}. Wrap it in a lambda."
        ) from error
    positional = [each for each in parameters if each.kind <= each.VAR_POSITIONAL]
    needed = [
        each
        for each in parameters
        if each.default is each.empty and each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
    ]
    if len(needed) > 1 or any(each.kind is each.KEYWORD_ONLY for each in needed):
        raise SearchSpaceError(
            "The function of sample_from must take no argument, or the configuration alone, "
            f"but {func!r} needs {', '.join(each.name for each in needed)}."
        )
    return bool(positional)
