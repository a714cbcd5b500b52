"""Recorded learning curves, and simulated trainables that replay them.

::

    digits_curves()                 400 networks of the demo, which are part of localtune
    curves_of_experiment(path)      the trials of an experiment
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
        lower: Smallest value of a number.
        upper: Largest value of a number.
        log: Whether distances and draws are on a logarithmic scale.
        integer: Whether values are whole numbers.
        categories: All values of a parameter without an order; empty for numbers.
    """

    lower: float = 0.0
    upper: float = 0.0
    log: bool = False
    integer: bool = False
    categories: tuple[Any, ...] = ()

    def place(self, value: float) -> float:
        """Returns the place of a number between the bounds: 0 for ``lower``, 1 for ``upper``."""
        low, high, value = self.lower, self.upper, float(value)
        if self.log:
            low, high, value = math.log(low), math.log(high), math.log(max(value, 1e-300))
        return (value - low) / (high - low) if high > low else 0.0

    @property
    def domain(self) -> Domain:
        """The domain from which values are drawn."""
        if self.categories:
            return sample.choice(list(self.categories))
        if self.integer:
            low, high = int(self.lower), int(self.upper) + 1
            return sample.lograndint(low, high) if self.log else sample.randint(low, high)
        if self.log:
            return sample.loguniform(self.lower, self.upper)
        return sample.uniform(self.lower, self.upper)


class Curves:
    """Configurations and their recorded results, iteration by iteration.

    Args:
        parameters: {name: parameter} of all configurations.
        configs: The configurations.
        results: The results of each configuration, as ``step`` returns them; at least one each.

    Raises:
        ValueError: if there are no configurations, another number of curves, or an empty curve.

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
                "Curves need at least one configuration and at least one result of each, but got "
                f"{len(configs)} configurations and {sum(map(bool, results))} curves with results."
            )
        self.parameters = dict(parameters)
        self.configs = list(configs)
        self._results = results
        self._places = [self._place(config) for config in configs]

    def __len__(self) -> int:
        return len(self.configs)

    def results(self, row: int) -> Sequence[dict[str, Any]]:
        """Returns the results of one configuration, in order. They must not be changed.

        Args:
            row: Number of the configuration, from 0.
        """
        return self._results[row]

    def values(self, row: int, metric: str) -> list[Any]:
        """Returns the values of one metric of one configuration, iteration by iteration.

        Args:
            row: Number of the configuration, from 0.
            metric: Name of the metric.
        """
        return [result[metric] for result in self._results[row]]

    def nearest(self, config: Mapping[str, Any], without: Container[int] = ()) -> int:
        """Returns the number of the recorded configuration that is nearest to a given one.

        Numbers are compared by their places between the bounds of their parameter, on its scale.
        Two different categories are as far apart as the two bounds.

        Args:
            config: A configuration with a value for each parameter. Other keys are ignored.
            without: Numbers of configurations to leave out.

        Raises:
            ValueError: if a parameter is missing, or no configuration is left.
        """
        place = self._place(config)
        rows = [row for row in range(len(self)) if row not in without]
        if not rows:
            raise ValueError(f"without must leave out fewer than all {len(self)} configurations.")
        return min(rows, key=lambda row: _distance(place, self._places[row]))

    def trainable(self, config: Mapping[str, Any]) -> CurveTrainable:
        """Returns a simulated trainable that replays a curve.

        The curve is that of row ``config["row"]``, or else of the nearest configuration.

        Args:
            config: A configuration from :attr:`param_space` or :attr:`table_space`.

        Raises:
            ValueError: if a parameter is missing, or the row does not exist.
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
                hint = f" Is it named {guess!r}?" if guess else ""
                raise ValueError(
                    f"A config must have the parameter {name!r}, but got {dict(config)!r}.{hint}"
                )
            value = config[name]
            place.append((value,) if parameter.categories else parameter.place(value))
        return place


def _distance(one: list[Any], other: list[Any]) -> float:
    total = 0.0
    for a, b in zip(one, other, strict=True):
        total += (a != b) if a.__class__ is tuple else (a - b) ** 2
    return total


class CurveTrainable:
    """A simulated trainable that replays a curve, and is done at its end.

    Its state is the iteration. With the state of another trial, it goes on from that iteration of
    its own curve.

    Args:
        results: The results that ``step`` returns, in order; at least one.
    """

    def __init__(self, results: Sequence[dict[str, Any]]) -> None:
        self._results = results
        self._position = 0

    def step(self) -> dict[str, Any]:
        """Returns the next result; at the end of the curve, the last one again."""
        self._position = min(self._position + 1, len(self._results))
        result = self._results[self._position - 1]
        return {**result, DONE: self._position == len(self._results)}

    def get_state(self) -> int:
        """Returns the number of results so far."""
        return self._position

    def set_state(self, state: int) -> None:
        """Sets the number of results so far."""
        self._position = state


@functools.cache
def digits_curves() -> Curves:
    """Returns the learning curves of 400 networks that read handwritten digits.

    ``scripts/record_curves`` trained the networks for 50 iterations, each one pass over the
    training data of ``localtune.examples.digits``. Results hold ``accuracy`` and ``loss`` on the
    validation data, and ``time_this_iter_s``, the processor time of the training in seconds. The
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
