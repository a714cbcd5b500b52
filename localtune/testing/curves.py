"""Recorded learning curves, and simulated trainables that replay them.

::

    digits_curves()                 400 networks of the demo, which come with localtune
    curves_of_experiment(path)      the trials of an experiment of yours
            |
          Curves -- trainable(config) --> the recorded configuration that is nearest to config
                 -- param_space       --> a search space of the real hyperparameters
                 -- table_space       --> a search space of the recorded configurations
"""

from __future__ import annotations

import functools
import gzip
import json
import math
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from localtune.result import DONE
from localtune.search import sample
from localtune.search.domains import Domain
from localtune.utils.text import near_miss

ROW = "row"
_FILE = Path(__file__).with_name("curves.json.gz")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A hyperparameter of recorded configurations.

    Attributes:
        lower: Smallest value; for numbers.
        upper: Largest value; for numbers.
        log: Whether distances, and draws, are by the logarithm.
        integer: Whether values are whole numbers.
        categories: All values, where they are no numbers or have no order; else empty.
    """

    lower: float = 0.0
    upper: float = 0.0
    log: bool = False
    integer: bool = False
    categories: tuple[Any, ...] = ()

    def place(self, value: float) -> float:
        """Where a number lies between the bounds: 0 is the lower one, 1 the upper one."""
        low, high, value = self.lower, self.upper, float(value)
        if self.log:
            low, high, value = math.log(low), math.log(high), math.log(max(value, 1e-300))
        return (value - low) / (high - low) if high > low else 0.0

    @property
    def domain(self) -> Domain:
        """What to draw values from."""
        if self.categories:
            return sample.choice(list(self.categories))
        if self.integer:
            low, high = int(self.lower), int(self.upper) + 1
            return sample.lograndint(low, high) if self.log else sample.randint(low, high)
        if self.log:
            return sample.loguniform(self.lower, self.upper)
        return sample.uniform(self.lower, self.upper)


class Curves:
    """Configurations and what they gave, iteration by iteration.

    Args:
        parameters: {name: parameter} of all configurations.
        configs: The configurations.
        results: For each of them its results, as ``step`` returns them; at least one.

    Raises:
        ValueError: if there are no configurations, or not as many curves, or one is empty.

    Attributes:
        parameters: {name: parameter}.
        configs: The configurations.

    Example:
        >>> curves = Curves(
        ...     {"x": Parameter(0.0, 1.0)},
        ...     [{"x": 0.2}, {"x": 0.9}],
        ...     [[{"loss": 2.0}, {"loss": 1.0}], [{"loss": 3.0}]],
        ... )
        >>> curves.nearest({"x": 0.5})
        0
        >>> curves.trainable({"x": 0.5}).step()
        {'loss': 2.0, 'done': False}
    """

    def __init__(
        self,
        parameters: Mapping[str, Parameter],
        configs: Sequence[dict[str, Any]],
        results: Sequence[Sequence[dict[str, Any]]],
    ) -> None:
        if not configs or len(configs) != len(results) or not all(results):
            raise ValueError(
                "Curves need at least one configuration, and at least one result of each, but got "
                f"{len(configs)} configurations and {sum(map(bool, results))} curves with results."
            )
        self.parameters = dict(parameters)
        self.configs = list(configs)
        self._results = results
        self._places = [self._place(config) for config in configs]

    def __len__(self) -> int:
        return len(self.configs)

    def results(self, row: int) -> Sequence[dict[str, Any]]:
        """The results of one configuration, in order; not to be changed.

        Args:
            row: Number of the configuration, from 0.
        """
        return self._results[row]

    def values(self, row: int, metric: str) -> list[Any]:
        """One metric of one configuration, iteration by iteration.

        Args:
            row: Number of the configuration, from 0.
            metric: Its name.
        """
        return [result[metric] for result in self._results[row]]

    def nearest(self, config: Mapping[str, Any], without: Container[int] = ()) -> int:
        """The number of the recorded configuration that is nearest to another one.

        Each number counts by its place between the bounds of its parameter, by the logarithm
        where that is how it is drawn; another category is as far as the whole range.

        Args:
            config: Has a value for each parameter; what else it has is not looked at.
            without: Numbers of configurations that are not meant.

        Raises:
            ValueError: if it lacks one, or no configuration is left.
        """
        place = self._place(config)
        rows = [row for row in range(len(self)) if row not in without]
        if not rows:
            raise ValueError(f"without must leave one of the {len(self)} configurations.")
        return min(rows, key=lambda row: _distance(place, self._places[row]))

    def trainable(self, config: Mapping[str, Any]) -> CurveTrainable:
        """A simulated trainable that replays a curve: of ``config["row"]``, else the nearest.

        Args:
            config: A configuration from :attr:`param_space` or :attr:`table_space`.

        Raises:
            ValueError: if the config lacks a parameter, or the row does not exist.
        """
        row = config.get(ROW)
        if row is None or ROW in self.parameters:
            row = self.nearest(config)
        elif not 0 <= row < len(self):
            raise ValueError(f"row must be from 0 to {len(self) - 1}, but got {row!r}.")
        return CurveTrainable(self._results[row])

    @property
    def param_space(self) -> dict[str, Domain]:
        """A search space of all parameters, for searchers and schedulers that learn from them."""
        return {name: parameter.domain for name, parameter in self.parameters.items()}

    @property
    def table_space(self) -> dict[str, Domain]:
        """A search space of the recorded configurations themselves, by number."""
        return {ROW: sample.randint(0, len(self))}

    def _place(self, config: Mapping[str, Any]) -> list[Any]:
        place: list[Any] = []
        for name, parameter in self.parameters.items():
            if name not in config:
                guess = near_miss(name, config)
                hint = f" Did you mean it by {guess!r}?" if guess else ""
                raise ValueError(f"The config {dict(config)!r} lacks the parameter {name!r}.{hint}")
            value = config[name]
            place.append((value,) if parameter.categories else parameter.place(value))
        return place


def _distance(one: list[Any], other: list[Any]) -> float:
    total = 0.0
    for a, b in zip(one, other, strict=True):
        total += (a != b) if a.__class__ is tuple else (a - b) ** 2
    return total


class CurveTrainable:
    """Replays a curve, and is done at its end.

    Its state is its position: with the state of another trial it goes on from that iteration, on
    its own curve.

    Args:
        results: What ``step`` returns, one after the other; at least one.
    """

    def __init__(self, results: Sequence[dict[str, Any]]) -> None:
        self._results = results
        self._position = 0

    def step(self) -> dict[str, Any]:
        """The next result; at the end of the curve, the last one again."""
        # Whoever goes on beyond the end stays there.
        self._position = min(self._position + 1, len(self._results))
        result = self._results[self._position - 1]
        return {**result, DONE: self._position == len(self._results)}

    def get_state(self) -> int:
        """How many results were returned."""
        return self._position

    def set_state(self, state: int) -> None:
        """Goes on after that many results."""
        self._position = state


@functools.cache
def digits_curves() -> Curves:
    """Learning curves of 400 networks that read handwritten digits.

    They are real: ``scripts/record_curves`` trained them for 50 iterations, each one pass over
    the training data of ``localtune.examples.digits``. Results hold ``accuracy`` and ``loss`` on
    the validation data, and ``time_this_iter_s``, the processor time of the training. The
    configurations are drawn from a wide space, so that many are bad and few are good.

    Returns:
        The curves; the same object at each call.
    """
    data = json.loads(gzip.decompress(_FILE.read_bytes()))
    names = data["metrics"]
    return Curves(
        {name: _parameter(**facts) for name, facts in data["parameters"].items()},
        data["configs"],
        [[dict(zip(names, row, strict=True)) for row in curve] for curve in data["curves"]],
    )


def _parameter(categories: Sequence[Any] = (), **facts: Any) -> Parameter:
    return Parameter(categories=tuple(categories), **facts)
