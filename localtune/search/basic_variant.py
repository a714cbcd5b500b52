"""BasicVariantGenerator: the default search, by random draws and all combinations of grids."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from localtune.config.checks import check_num_samples
from localtune.error import SearchSpaceError
from localtune.search.containers import path_text
from localtune.search.presets import with_preset
from localtune.search.rng import RandomSource, derive_seed
from localtune.search.search_algorithm import SearchAlgorithm
from localtune.search.space import SearchSpace, Variant
from localtune.search.suggestion import Suggestion
from localtune.search.variant_generator import format_vars, variant_label

__all__ = ["BasicVariantGenerator"]

# Environment variable that fixes the random part of trial ids, for users' tests of names.
PREFIX_VARIABLE = "_TEST_TUNE_TRIAL_UUID"


class BasicVariantGenerator(SearchAlgorithm):
    """Samples a search space ``num_samples`` times, each time for all combinations of its grids.

    Each trial depends only on the seed and on its number. A resumed run therefore creates the
    same further trials as the interrupted run would have.

    Args:
        points_to_evaluate: Configurations to begin with, complete or partial. Each counts as one
            of the ``num_samples``. Missing values are drawn, or taken from the grid, as usual.
        max_concurrent: Limit of trials that have been suggested and not completed; 0 for none.
        constant_grid_search: Whether random values are drawn once per sample, and kept for all
            combinations of the grids.
        random_state: Seed: None, an integer, a ``random.Random``, or a generator of NumPy. None
            takes it from NumPy's global generator if NumPy is imported, else from Python's.

    Raises:
        TypeError: if ``points_to_evaluate`` is no list of dicts.
        ValueError: for a negative ``max_concurrent``; before the first trial, for a point that
            the search space cannot give.

    Example:
        >>> from localtune.search.sample import grid_search, randint
        >>> generator = BasicVariantGenerator(random_state=1)
        >>> generator.setup({"a": grid_search([1, 2]), "b": randint(0, 3)}, num_samples=2)
        >>> generator.total_samples
        4
        >>> [generator.next_suggestion().config["a"] for _ in range(4)]
        [1, 2, 1, 2]
    """

    def __init__(
        self,
        points_to_evaluate: Sequence[dict[str, Any]] | None = None,
        max_concurrent: int = 0,
        constant_grid_search: bool = False,
        random_state: RandomSource = None,
    ) -> None:
        if points_to_evaluate is not None and not (
            isinstance(points_to_evaluate, Sequence)
            and all(isinstance(point, dict) for point in points_to_evaluate)
        ):
            raise TypeError(
                "points_to_evaluate must be a list of dicts (configurations or parts of them), "
                f"but got {points_to_evaluate!r}."
            )
        if not isinstance(max_concurrent, int) or max_concurrent < 0:
            raise ValueError(
                f"max_concurrent must be 0 (no limit) or more, but got {max_concurrent!r}."
            )
        self._points = list(points_to_evaluate or ())
        self._max_concurrent = max_concurrent
        self._constant_grid_search = constant_grid_search
        self._random_state = random_state
        self._presets: list[SearchSpace] = []
        self._space = SearchSpace({})
        self._current = self._space  # the space of the current sample, with choices decided
        self._num_samples = 0
        self._seed = 0
        self._prefix = ""
        self._sample = 0  # number of the current sample
        self._point = 0  # number of its next combination of grid values
        self._counter = 0  # number of the next trial
        self._live: set[str] = set()  # ids of the trials that count towards max_concurrent

    def set_search_properties(
        self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any
    ) -> bool:
        if self._random_state is None:
            self._random_state = spec.get("seed")
        return super().set_search_properties(metric, mode, config, **spec)

    def setup(self, param_space: dict[str, Any], num_samples: int) -> None:
        check_num_samples(num_samples)
        self._num_samples = num_samples
        self._space = SearchSpace(param_space)
        self._presets = [
            self._preset(param_space, number, point) for number, point in enumerate(self._points)
        ]
        self._seed = derive_seed(self._random_state)
        self._prefix = os.environ.get(PREFIX_VARIABLE) or os.urandom(3).hex()[:5]
        self._point = self._counter = 0
        self._live = set()
        self._begin_sample(0)

    @property
    def total_samples(self) -> int | None:
        repeats = max(self._num_samples - len(self._presets), 0)
        counts = [preset.count for preset in self._presets]
        counts += [self._space.count] if repeats else []
        if self._num_samples == -1 or None in counts:
            return None
        total = sum(count or 0 for count in counts)
        return total + (self._space.count or 0) * (repeats - 1) if repeats else total

    def next_suggestion(self) -> Suggestion | None:
        if self.is_finished() or 0 < self._max_concurrent <= len(self._live):
            return None
        label = variant_label(self._seed, self._sample, self._point, self._constant_grid_search)
        suggestion = self._suggestion(self._current.variant(label, self._point))
        self._counter += 1
        self._point += 1
        if self._point >= (self._current.count or 0):
            self._point = 0
            self._begin_sample(self._sample + 1)
        if self._max_concurrent:
            self._live.add(suggestion.trial_id)
        return suggestion

    def is_finished(self) -> bool:
        if self._num_samples == -1:
            return False
        return self._sample >= max(self._num_samples, len(self._presets))

    def on_trial_complete(
        self, trial_id: str, result: Mapping[str, Any] | None = None, error: bool = False
    ) -> None:
        self._live.discard(trial_id)

    def get_state(self) -> dict[str, Any]:
        return {
            "seed": self._seed,
            "prefix": self._prefix,
            "sample": self._sample,
            "point": self._point,
            "counter": self._counter,
            "live": sorted(self._live),
        }

    def set_state(self, state: dict[str, Any]) -> None:
        self._seed = state["seed"]
        self._prefix = state["prefix"]
        self._counter = state["counter"]
        self._live = set(state["live"])
        self._point = state["point"]
        self._begin_sample(state["sample"])

    def _preset(
        self, param_space: dict[str, Any], number: int, point: dict[str, Any]
    ) -> SearchSpace:
        try:
            return SearchSpace(with_preset(param_space, point))
        except KeyError as error:
            raise KeyError(f"points_to_evaluate[{number}]: {error.args[0]}") from None
        except SearchSpaceError as error:
            raise SearchSpaceError(f"points_to_evaluate[{number}]: {error}") from None

    def _begin_sample(self, sample: int) -> None:
        self._sample = sample
        space = self._presets[sample] if sample < len(self._presets) else self._space
        self._current = space.settled(f"{self._seed}/{sample}")

    def _suggestion(self, variant: Variant) -> Suggestion:
        tag = str(self._counter)
        if variant.evaluated:
            tag = f"{tag}_{format_vars(variant.evaluated)}"
        return Suggestion(
            trial_id=f"{self._prefix}_{self._counter:05d}",
            config=variant.config,
            evaluated_params={path_text(path): value for path, value in variant.evaluated.items()},
            experiment_tag=tag,
        )
