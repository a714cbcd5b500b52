"""ConvertedSpace: converts search spaces to flat parameters, and values back to configurations.

Libraries work on flat names and numbers. Search spaces hold nested dicts, lists and choices::

    {"opt": choice([{"name": "sgd", "lr": loguniform(..)}, "adam"]), "size": randint(0, 9), "k": 1}

    Parameter("opt",      Options(2))
    Parameter("opt:0/lr", Numbers(..), condition=("opt", 0))     only if the first option is chosen
    Parameter("size",     Numbers(0, 8))
    the SearchGenerator handles constants, sample_from and {"eval": ..}

A library chooses the number of an option, from 0, because options may be of any type.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from localtune.error import SearchSpaceError
from localtune.search.containers import CONTAINERS, Path, children, path_text, rebuilt
from localtune.search.domains import Domain
from localtune.search.presets import can_give
from localtune.search.shapes import Normals, Options, Shape, shape_of
from localtune.search.variables import as_domain
from localtune.utils.text import did_you_mean

_NOTHING: Any = object()


@dataclass(frozen=True, slots=True)
class Parameter:
    """One value that a library chooses.

    Attributes:
        name: Keys joined by ``/``; after the name of a choice, ``:number`` is one of its options.
        domain: The domain in the search space.
        shape: The shape of that domain.
        condition: (name of a choice, number of its option): the parameter exists only if that
            option is chosen. None if it always exists. The choice may have a condition, too.
    """

    name: str
    domain: Domain
    shape: Shape
    condition: tuple[str, int] | None = None


class _Reading:
    """The state of reading a configuration.

    Attributes:
        what: Name of the configuration in errors.
        all_known: Whether a key that is not in the space is an error.
        values: {name of a parameter: value} so far.
    """

    __slots__ = ("all_known", "values", "what")

    def __init__(self, what: str, all_known: bool) -> None:
        self.what = what
        self.all_known = all_known
        self.values: dict[str, Any] = {}


class ConvertedSpace:
    """A search space as flat parameters for a library.

    Args:
        space: Dict with domains in it; it stays unchanged.
        library: Name of the library, for errors.
        conditional: Whether the library supports choices with domains inside.
        normal: Whether the library supports ``randn`` and ``qrandn``.

    Attributes:
        parameters: All parameters; a choice precedes the parameters that depend on it.

    Raises:
        SearchSpaceError: for a grid, a key with ``/`` in it, or an unsupported domain.

    Example:
        >>> from localtune.search.sample import choice, randint
        >>> space = {"net": {"depth": randint(1, 4)}, "act": choice(["relu", "tanh"])}
        >>> space = ConvertedSpace(space, "This example")
        >>> [parameter.name for parameter in space.parameters]
        ['net/depth', 'act']
        >>> space.config({"net/depth": 2, "act": 0})
        {'net': {'depth': 2}, 'act': 'relu'}
        >>> space.values({"net": {"depth": 2}, "act": "tanh"})
        {'net/depth': 2, 'act': 1}
    """

    def __init__(
        self,
        space: dict[str, Any],
        library: str,
        *,
        conditional: bool = False,
        normal: bool = False,
    ) -> None:
        if not isinstance(space, dict):
            raise SearchSpaceError(f"A search space must be a dict, but got {space!r}.")
        self._space = space
        self._library = library
        self._conditional = conditional
        self._normal = normal
        self._by_name: dict[str, Parameter] = {}
        self._collect(space, "", (), None)
        self.parameters = tuple(self._by_name.values())

    def config(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the configuration for the values that a library chose.

        Args:
            values: {name: number, or number of the option}. Parameters whose condition does not
                hold may be missing.

        Returns:
            Nested dict without the constants. Numbers are cast, rounded to their quantum and
            clipped to their bounds.

        Raises:
            KeyError: for a missing value.
        """
        return self.choose(lambda parameter: values[parameter.name])

    def choose(self, choose: Callable[[Parameter], Any]) -> dict[str, Any]:
        """Returns a configuration for which each value is chosen when it is needed.

        Args:
            choose: Returns the value of a parameter: a number, or the number of the option. It is
                called for the parameters whose condition holds, in the order of ``parameters``.
        """
        chosen = self._chosen(self._space, "", choose)
        return {} if chosen is _NOTHING else dict(chosen)

    def values(
        self, config: Mapping[str, Any], what: str = "The point", *, all_known: bool = True
    ) -> dict[str, Any]:
        """Returns the values that a library must choose for a configuration.

        Args:
            config: Nested or flat (``{"net/depth": 2}``). It may hold constants.
            what: Name of the configuration in errors.
            all_known: Whether a key that is not in the space is an error. Otherwise it is
                ignored, as for a configuration of an earlier run.

        Raises:
            ValueError: for an unknown or a missing key, or a value that the space cannot give.
        """
        if not isinstance(config, Mapping):
            raise ValueError(f"{what} must be a dict, but got {config!r}.")
        reading = _Reading(what, all_known)
        self._take(self._space, _nested(config), "", (), reading)
        return reading.values

    # -- from the space to parameters -------------------------------------------------------------

    def _collect(
        self, space: Any, name: str, path: Path, condition: tuple[str, int] | None
    ) -> None:
        domain = as_domain(space, path)
        if domain is not None:
            if not domain.is_function():
                self._add(domain, name, path, condition)
            return
        if isinstance(space, CONTAINERS):
            for key, value in children(space):
                if has_variables(value) and "/" in str(key):
                    raise SearchSpaceError(
                        f"A key of a search space must not contain '/' for {self._library}, but "
                        f"got {key!r}. That character joins the names of nested keys."
                    )
                self._collect(value, _joined(name, key), (*path, key), condition)

    def _add(
        self, domain: Domain, name: str, path: Path, condition: tuple[str, int] | None
    ) -> None:
        shape = self._shape(domain, path)
        if name in self._by_name:
            raise SearchSpaceError(f"Two parameters of the search space are both called {name!r}.")
        self._by_name[name] = Parameter(name, domain, shape, condition)
        for number, option in enumerate(shape.values if isinstance(shape, Options) else ()):
            if not has_variables(option):
                continue
            if not self._conditional:
                raise SearchSpaceError(
                    f"{self._library} cannot take a choice with domains inside, but "
                    f"{path_text(path)!r} has {option!r}. Put the domains beside the choice."
                )
            self._collect(option, f"{name}:{number}", path, (name, number))

    def _shape(self, domain: Domain, path: Path) -> Shape:
        if domain.is_grid():
            raise SearchSpaceError(
                f"{self._library} cannot take a grid_search, but {path_text(path)!r} is one. "
                "Use tune.choice, or the default search."
            )
        shape = shape_of(domain)
        if shape is None or (isinstance(shape, Normals) and not self._normal):
            raise SearchSpaceError(
                f"{self._library} cannot express {domain!r} at {path_text(path)!r}. Use uniform, "
                "loguniform, randint, lograndint, their quantized forms, or choice."
            )
        return shape

    # -- from values to a configuration and back --------------------------------------------------

    def _chosen(
        self, space: Any, name: str, choose: Callable[[Parameter], Any], whole: bool = False
    ) -> Any:
        """Returns the part of a configuration that is not constant; _NOTHING if all is constant.

        With ``whole``, a container with any such part is returned with its constants.
        """
        domain = as_domain(space, (name,))
        if domain is not None:
            return _NOTHING if domain.is_function() else self._value(self._by_name[name], choose)
        if not isinstance(space, CONTAINERS):
            return _NOTHING
        # The caller merges dicts over the constants by key, but replaces lists as a whole.
        whole = whole or not isinstance(space, dict)
        chosen = [
            (key, value)
            for key, part in children(space)
            if (value := self._chosen(part, _joined(name, key), choose, whole)) is not _NOTHING
        ]
        if not chosen:
            return _NOTHING
        return rebuilt(space, chosen) if whole else dict(chosen)

    def _value(self, parameter: Parameter, choose: Callable[[Parameter], Any]) -> Any:
        value = choose(parameter)
        shape = parameter.shape
        if not isinstance(shape, Options):
            return shape.fit(value)
        number = int(value)
        option = shape.values[number]
        chosen = self._chosen(option, f"{parameter.name}:{number}", choose, whole=True)
        return option if chosen is _NOTHING else chosen

    def _take(self, space: Any, config: Any, name: str, path: Path, reading: _Reading) -> None:
        """Reads the values for a part of the space from a part of a configuration."""
        domain = as_domain(space, path)
        if domain is not None:
            if not domain.is_function():
                self._take_value(self._by_name[name], config, path, reading)
        elif has_variables(space):
            given = _parts(config, path, reading.what)
            parts = {str(key): part for key, part in children(space)}
            for key in given:
                if key not in parts and reading.all_known:
                    raise _unknown((*path, key), parts, reading.what)
            for key, part in parts.items():
                inner = given.get(key, _NOTHING)
                self._take(part, inner, _joined(name, key), (*path, key), reading)
        elif reading.all_known and config is not _NOTHING and not can_give(space, config, path):
            raise ValueError(
                f"{reading.what} has {config!r} at {path_text(path)!r}, which is the constant "
                f"{space!r} in the search space."
            )

    def _take_value(self, parameter: Parameter, value: Any, path: Path, reading: _Reading) -> None:
        if value is _NOTHING:
            raise ValueError(
                f"{reading.what} must have a value for each parameter, but {path_text(path)!r} is "
                "missing."
            )
        shape = parameter.shape
        if not isinstance(shape, Options):
            if not shape.contains(value):
                raise _impossible(value, parameter, path, reading.what)
            reading.values[parameter.name] = shape.fit(value)
            return
        for number, option in enumerate(shape.values):
            if can_give(option, value, path):
                reading.values[parameter.name] = number
                if has_variables(option):
                    self._take(option, value, f"{parameter.name}:{number}", path, reading)
                return
        raise _impossible(value, parameter, path, reading.what)


def has_variables(space: Any) -> bool:
    """Returns whether a part of a search space has values to choose; computed ones do not count."""
    return any(True for _ in variables_of(space, ()))


def variables_of(space: Any, path: Path) -> Iterator[tuple[Path, Domain]]:
    """Yields (path, domain) of the values to choose, without those inside the options of a choice.

    Args:
        space: A search space or a part of it.
        path: Path of the part.
    """
    domain = as_domain(space, path)
    if domain is not None:
        if not domain.is_function():
            yield path, domain
    elif isinstance(space, CONTAINERS):
        for key, value in children(space):
            yield from variables_of(value, (*path, key))


def _joined(name: str, key: Any) -> str:
    return f"{name}/{key}" if name else str(key)


def _nested(config: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a configuration with its flat keys unfolded."""
    nested: dict[str, Any] = {}
    for key, value in config.items():
        *way, last = key.split("/") if isinstance(key, str) else [key]
        node = nested
        for part in way:
            inner = node.get(part)
            node[part] = dict(inner) if isinstance(inner, dict) else {}
            node = node[part]
        node[last] = value
    return nested


def _parts(config: Any, path: Path, what: str) -> dict[str, Any]:
    """Returns the items of a dict, list or tuple of a configuration, with keys as texts."""
    if config is _NOTHING:
        return {}
    if not isinstance(config, (dict, list, tuple)):
        raise ValueError(f"{what} must have a dict or list at {path_text(path)!r}, got {config!r}.")
    return {str(key): value for key, value in children(config)}


def _unknown(path: Path, known: Mapping[Any, Any], what: str) -> ValueError:
    hint = did_you_mean(path[-1], known)
    return ValueError(f"{what} has {path_text(path)!r}, which is not in the search space.{hint}")


def _impossible(value: Any, parameter: Parameter, path: Path, what: str) -> ValueError:
    return ValueError(
        f"{what} has {value!r} at {path_text(path)!r}, which {parameter.domain!r} cannot give."
    )
