"""SearchGenerator: makes trials from the suggestions of a Searcher.

::

    Searcher.suggest(trial_id) -- {"lr": 0.1} --> checked against the param_space
                                                  merged over its constants
                                                  sample_from and {"eval": ..} computed
                                              --> Suggestion (config, tag, evaluated_params)
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from typing import Any

from localtune.config.checks import check_num_samples
from localtune.search.base import Searcher, load_snapshot, snapshot
from localtune.search.basic_variant import PREFIX_VARIABLE
from localtune.search.containers import CONTAINERS, Path, children, path_text
from localtune.search.convert import has_variables, variables_of
from localtune.search.domains import Domain
from localtune.search.presets import can_give
from localtune.search.repeater import TRIAL_INDEX
from localtune.search.rng import derive_seed
from localtune.search.search_algorithm import SearchAlgorithm, searcher_name
from localtune.search.space import SearchSpace
from localtune.search.suggestion import Suggestion
from localtune.search.variables import as_domain
from localtune.search.variant_generator import format_vars
from localtune.utils.calls import accepted
from localtune.utils.messages import get_logger
from localtune.utils.text import did_you_mean

_LOGGER = get_logger(__name__)

# An odd number, so that its multiples take all 32-bit values before one is repeated.
_ID_STEP = 0x9E3779B1


class SearchGenerator(SearchAlgorithm):
    """Makes trials from the suggestions of a searcher.

    A run wraps its searcher in it by itself.

    Args:
        searcher: The searcher.

    Raises:
        TypeError: if ``searcher`` is no searcher.

    Attributes:
        searcher: The searcher.

    Example:
        >>> from localtune.search.base import Searcher
        >>> class Fixed(Searcher):
        ...     def suggest(self, trial_id):
        ...         return {"lr": 0.1}
        >>> generator = SearchGenerator(Fixed())
        >>> generator.setup({"layers": 2}, num_samples=1)
        >>> generator.next_suggestion().config
        {'layers': 2, 'lr': 0.1}
    """

    learns = True

    def __init__(self, searcher: Searcher) -> None:
        if not isinstance(searcher, Searcher):
            raise TypeError(f"searcher must be a Searcher, but got {searcher!r}.")
        self.searcher = searcher
        self._space: dict[str, Any] = {}
        self._is_space_taken = False  # whether the searcher chooses values for _space
        self._num_samples = 0
        self._run_seed: int | None = None
        self._seed = 0
        self._first_id = 0
        self._counter = 0  # number of the latest trial; the first is 1
        self._has_finished = False
        self._has_warned = False

    @property
    def metric(self) -> str | None:
        metric = self.searcher.metric
        return metric if isinstance(metric, str) else None

    @property
    def mode(self) -> str | None:
        mode = self.searcher.mode
        return mode if isinstance(mode, str) else None

    def set_search_properties(
        self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any
    ) -> bool:
        self._run_seed = spec.get("seed")
        if not config:
            self.searcher.set_objective(metric, mode, self._run_seed)
            return True
        hook = self.searcher.set_search_properties
        taken = hook(metric, mode, config, **accepted(hook, spec))
        left = [path_text(path) for path, _ in variables_of(config, ())]
        if left and not taken:
            name = searcher_name(self.searcher)
            raise ValueError(
                f"{name} suggests no values for these variables of param_space: {', '.join(left)}. "
                f"Leave them out of param_space, or give {name} no search space of its own."
            )
        self._is_space_taken = bool(left)
        return True

    def setup(self, param_space: dict[str, Any], num_samples: int) -> None:
        check_num_samples(num_samples)
        SearchSpace(param_space)  # so that an invalid space is an error before the first trial
        self.searcher.check_run()
        self._space = _copied(param_space)
        self._num_samples = num_samples
        self._seed = derive_seed(self._run_seed)
        self._first_id = int.from_bytes(os.urandom(4), "little")
        self._counter = 0
        self._has_finished = False

    @property
    def total_samples(self) -> int | None:
        return None if self._num_samples == -1 else self._num_samples

    def next_suggestion(self) -> Suggestion | None:
        if self.is_finished():
            return None
        trial_id = self._trial_id(self._counter + 1)
        suggested = self.searcher.suggest(trial_id)
        if suggested is None:
            return None
        if isinstance(suggested, str) and suggested == Searcher.FINISHED:
            self._has_finished = True
            self.searcher.on_last_suggestion()
            return None
        if not isinstance(suggested, dict):
            raise ValueError(
                f"{searcher_name(self.searcher)}.suggest must return a dict, None (not now) or "
                f"Searcher.FINISHED, but returned {suggested!r}."
            )
        if self._is_space_taken:
            _check_part(searcher_name(self.searcher), self._space, suggested, ())
        self._counter += 1
        if self.is_finished():
            self.searcher.on_last_suggestion()
        return self._suggestion(trial_id, suggested)

    def is_finished(self) -> bool:
        return self._has_finished or -1 < self._num_samples <= self._counter

    def on_trial_result(self, trial_id: str, result: Mapping[str, Any]) -> None:
        self.searcher.on_trial_result(trial_id, dict(result))

    def on_trial_complete(
        self, trial_id: str, result: Mapping[str, Any] | None = None, error: bool = False
    ) -> None:
        known = None if result is None else dict(result)
        self.searcher.on_trial_complete(trial_id, result=known, error=error)

    def get_state(self) -> dict[str, Any]:
        return {
            "searcher": self._snapshot(),
            "seed": self._seed,
            "first_id": self._first_id,
            "counter": self._counter,
            "has_finished": self._has_finished,
        }

    def set_state(self, state: dict[str, Any]) -> None:
        self._seed = state["seed"]
        self._first_id = state["first_id"]
        self._counter = state["counter"]
        self._has_finished = state["has_finished"]
        if state["searcher"] is None:
            _LOGGER.warning(
                "The state of the searcher %s was not saved: its search begins anew.",
                searcher_name(self.searcher),
            )
        else:
            with self._archive_in_use():
                load_snapshot(self.searcher, state["searcher"])

    def _snapshot(self) -> bytes | None:
        """Returns the searcher's state; None if it cannot be saved."""
        try:
            with self._archive_in_use():
                return snapshot(self.searcher)
        except Exception as error:
            if not self._has_warned:
                _LOGGER.warning(
                    "The state of the searcher %s cannot be saved (%s: %s): a resumed run begins "
                    "its search anew. Override get_state and set_state.",
                    searcher_name(self.searcher),
                    type(error).__name__,
                    error,
                )
            self._has_warned = True
            return None

    def _archive_in_use(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext() if self.archive is None else self.archive.in_use()

    def _trial_id(self, number: int) -> str:
        prefix = os.environ.get(PREFIX_VARIABLE)
        if prefix:
            return f"{prefix}_{number:05d}"
        return f"{(self._first_id + number * _ID_STEP) % 2**32:08x}"

    def _suggestion(self, trial_id: str, suggested: dict[str, Any]) -> Suggestion:
        merged = _merged(self._space, suggested)
        left = [path_text(path) for path, _ in variables_of(merged, ())]
        if left:
            raise ValueError(
                f"{searcher_name(self.searcher)} must suggest a value for each variable, but did "
                f"not for {', '.join(left)}: it suggested {suggested!r}."
            )
        config = SearchSpace(merged).variant(f"{self._seed}/{self._counter}", 0).config
        evaluated = dict(_leaves(suggested, self._space, ()))
        constants = {
            path: value
            for path, value in _leaves(self._space, self._space, ())
            if isinstance(value, (int, float, str, type(None)))
        }
        tag = format_vars({**constants, **_named(evaluated)})
        return Suggestion(
            trial_id=trial_id,
            config=config,
            evaluated_params={path_text(path): value for path, value in evaluated.items()},
            experiment_tag=f"{self._counter}_{tag}" if tag else str(self._counter),
        )


def _copied(space: Any) -> Any:
    """Returns a copy of a search space with copies of its dicts and lists."""
    if as_domain(space, ()) is not None or not isinstance(space, (dict, list)):
        return space
    if isinstance(space, list):
        return [_copied(value) for value in space]
    return {key: _copied(value) for key, value in space.items()}


def _is_part(space: Any) -> bool:
    """Returns whether a part of a search space is a container, and no variable."""
    return isinstance(space, CONTAINERS) and as_domain(space, ()) is None


def _merged(space: Any, suggested: Any) -> Any:
    """Returns a search space with suggested values merged into it, level by level."""
    if not (isinstance(suggested, dict) and isinstance(space, dict) and _is_part(space)):
        return suggested
    merged = dict(space)
    for key, value in suggested.items():
        merged[key] = _merged(space[key], value) if key in space else value
    return merged


def _check_part(name: str, space: Any, suggested: Any, path: Path) -> None:
    """Checks that a suggestion fits a part of the search space.

    Args:
        name: Name of the searcher, for errors.
        space: The part of the search space.
        suggested: The suggestion for it.
        path: Path of the part.

    Raises:
        ValueError: for a value that the space cannot give, or an unknown key.
    """
    domain = as_domain(space, path)
    if domain is not None:
        if not domain.is_function() and not can_give(domain, suggested, path):
            raise ValueError(
                f"{name} suggested {suggested!r} for {path_text(path)!r}, which {domain!r} "
                "cannot give."
            )
        return
    if not isinstance(suggested, dict) or not isinstance(space, dict):
        if has_variables(space) and not can_give(space, suggested, path):
            raise ValueError(
                f"{name} suggested {suggested!r} for {path_text(path)!r}, where the search space "
                f"has {space!r}."
            )
        return
    for key, value in suggested.items():
        if key in space:
            _check_part(name, space[key], value, (*path, key))
        elif key != TRIAL_INDEX:
            hint = did_you_mean(key, space)
            raise ValueError(
                f"{name} suggested {value!r} for {path_text((*path, key))!r}, which is not in the "
                f"search space.{hint}"
            )


def _leaves(value: Any, space: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    """Yields (path, value) of the leaves: all but dicts, and lists with variables in the space."""
    parts = dict(children(space)) if _is_part(space) else {}
    if isinstance(value, dict) and as_domain(value, path) is None:
        inner = children(value)
    elif isinstance(value, (list, tuple)) and isinstance(space, (list, tuple)):
        inner = [(key, part) for key, part in children(value) if has_variables(parts.get(key))]
    else:
        inner = []
    if not inner and not isinstance(value, Domain):
        yield path, value
    for key, part in inner:
        yield from _leaves(part, parts.get(key), (*path, key))


def _named(evaluated: Mapping[Path, Any]) -> dict[Path, Any]:
    """Returns the values that belong into a tag: all but those that are not computed yet."""
    return {path: value for path, value in evaluated.items() if as_domain(value, path) is None}
