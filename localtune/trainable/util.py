"""Makes trainables of functions and classes, and binds resources and arguments to them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, TypeVar, cast

from localtune.old_names.arguments import old_arguments
from localtune.old_names.trainables import today_function
from localtune.resources import PlacementGroupFactory, resource_dict_to_pg_factory
from localtune.trainable.function_trainable import FunctionTrainable, wrap_function
from localtune.trainable.parameters import Parameters
from localtune.trainable.trainable import Trainable

Resources: TypeAlias = "Mapping[str, Any] | PlacementGroupFactory"
ResourceRequest: TypeAlias = "Resources | Callable[[dict[str, Any]], Resources]"
_T = TypeVar("_T", bound=Callable[..., Any])

# Name of a nameless function with bound parameters.
_NAMELESS_WITH_PARAMETERS = "tune_with_parameters"


def is_function_trainable(trainable: Any) -> bool:
    """Tells whether a trainable is a function, wrapped or not.

    Args:
        trainable: Class or callable.

    Returns:
        True for a callable that is no class, and for a class made by :func:`wrap_function`.
    """
    if isinstance(trainable, type):
        return issubclass(trainable, FunctionTrainable)
    return callable(trainable)


def with_resources(trainable: _T, resources: ResourceRequest) -> _T:
    """Requests resources for each trial.

    Args:
        trainable: Function or class; not changed.
        resources: A dict as for :func:`localtune.resources.resource_dict_to_pg_factory`, a
            factory, or a callable that makes one of these from a trial's config.

    Returns:
        A trainable of the same name and kind.

    Raises:
        ValueError: for an argument of another type.

    Example:
        >>> import localtune as tune
        >>> def train(config):
        ...     tune.report({"loss": config["lr"]})
        >>> on_two_cpus = tune.with_resources(train, {"cpu": 2})
    """
    _check_trainable(trainable, "with_resources")
    if not isinstance(resources, (Mapping, PlacementGroupFactory)) and not callable(resources):
        raise ValueError(
            "resources must be a dict, a PlacementGroupFactory or a callable that takes a config, "
            f"but got {type(resources).__name__}: {resources!r}."
        )
    request = _ResourceRequest(resources)
    if isinstance(trainable, type):
        members = {"default_resource_request": classmethod(_request_of_class), "_request": request}
        return cast("_T", _subclass(trainable, members))
    return cast("_T", _FunctionWithResources(trainable, request))


def with_parameters(trainable: _T, **kwargs: Any) -> _T:
    """Binds arguments to a trainable that are too large for a config, such as a data set.

    Each worker gets the values once per experiment, not once per trial. Workers share the memory
    of arrays and of tensors on the CPU; what one of them writes, the others do not see.

    Args:
        trainable: Function, called as ``trainable(config, **kwargs)``, or class, whose method is
            called as ``setup(config, **kwargs)``; not changed.
        **kwargs: The arguments.

    Returns:
        A trainable of the same name and kind. A pickle of it contains only a reference to the
        values; :func:`localtune.trainable.parameters.dumps_with_parameters` includes them.

    Raises:
        ValueError: for a trainable of another type.
        TypeError: if the trainable does not accept these arguments.

    Example:
        >>> import localtune as tune
        >>> def train(config, data):
        ...     tune.report({"loss": len(data)})
        >>> bound = tune.with_parameters(train, data=[1, 2, 3])
    """
    _check_trainable(trainable, "with_parameters")
    if isinstance(trainable, type):
        _check_arguments(trainable.setup, (None, {}), kwargs)  # type: ignore[attr-defined]
        members = {"setup": _setup_with(trainable, Parameters(kwargs))}
        return cast("_T", _subclass(trainable, members))
    if isinstance(trainable, _FunctionWithParameters):
        return cast("_T", trainable.with_more(kwargs))
    trainable = cast("_T", today_function(trainable, kwargs))
    _check_arguments(trainable, ({},), kwargs)
    return cast("_T", _FunctionWithParameters(trainable, kwargs))


@old_arguments("validate_save_restore")
def validate_save_restore(
    trainable_cls: type[Trainable] | Callable[..., Any],
    config: dict[str, Any] | None = None,
    num_gpus: float = 0,
) -> bool:
    """Tries in this process whether a trainable can be saved and restored.

    Args:
        trainable_cls: Class, or function whose reports include checkpoints.
        config: Hyperparameters for the attempt.
        num_gpus: Accepted for compatibility, without effect.

    Returns:
        True.

    Raises:
        AssertionError: if the iterations of a restored instance do not continue those of the saved
            one.
        Exception: any error of the trainable.
    """
    from localtune.trainable.validation import check_save_restore

    if not isinstance(trainable_cls, type):
        trainable_cls = wrap_function(trainable_cls)
    check_save_restore(trainable_cls, config or {})
    return True


class _ResourceRequest:
    """Holds a request for resources in any of its forms."""

    def __init__(self, resources: ResourceRequest) -> None:
        # The conversion refuses an invalid dict now, not in the middle of a run.
        if not callable(resources):
            resources = resource_dict_to_pg_factory(resources)
        self._resources = resources

    def __call__(self, config: dict[str, Any]) -> PlacementGroupFactory:
        resources = self._resources
        return resource_dict_to_pg_factory(resources(config) if callable(resources) else resources)


def _request_of_class(cls: Any, config: dict[str, Any]) -> PlacementGroupFactory:
    request: _ResourceRequest = cls._request
    return request(config)


class _FunctionWithResources:
    """Stands for a function, with its name, and carries a request."""

    def __init__(self, function: Callable[..., Any], request: _ResourceRequest) -> None:
        functools.update_wrapper(self, function)
        self.__name__ = _name_of_function(function)
        self._resources = request

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.__wrapped__(*args, **kwargs)  # type: ignore[attr-defined]


class _FunctionWithParameters:
    """Stands for a function, with its name, and binds arguments to it."""

    def __init__(self, function: Callable[..., Any], values: dict[str, Any]) -> None:
        functools.update_wrapper(self, function)
        # inspect.signature() must not find the function's signature.
        del self.__wrapped__  # type: ignore[attr-defined]
        self.__name__ = getattr(function, "__name__", _NAMELESS_WITH_PARAMETERS)
        self._function = function
        self._parameters = Parameters(values)

    def __call__(self, config: dict[str, Any]) -> Any:
        return self._function(config, **self._parameters.values)

    def with_more(self, values: dict[str, Any]) -> _FunctionWithParameters:
        merged = {**self._parameters.values, **values}
        _check_arguments(self._function, ({},), merged)
        return _FunctionWithParameters(self._function, merged)


def _name_of_function(function: Any) -> str:
    while isinstance(function, functools.partial):
        function = function.func
    return getattr(function, "__name__", type(function).__name__)


def _setup_with(base: Any, parameters: Parameters) -> Callable[..., None]:
    def setup(self: Trainable, config: dict[str, Any], **more: Any) -> None:
        base.setup(self, config, **parameters.values, **more)

    return setup


def _subclass(trainable: Any, members: dict[str, Any]) -> Any:
    """Returns a subclass with the same name."""
    same = {name: getattr(trainable, name) for name in ("__module__", "__qualname__", "__doc__")}
    return type(trainable)(trainable.__name__, (trainable,), {**same, **members})


def _check_trainable(trainable: Any, caller: str) -> None:
    if isinstance(trainable, type) and not issubclass(trainable, Trainable):
        raise ValueError(
            f"{caller}() takes a class that derives from Trainable, but got {trainable!r}. "
            "Derive it from localtune.Trainable, or pass a function."
        )
    if not callable(trainable):
        raise ValueError(
            f"{caller}() takes a function or a Trainable class, but got "
            f"{type(trainable).__name__}: {trainable!r}."
        )


def _check_arguments(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    import inspect

    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return  # A function written in C may have no signature.
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        name = getattr(function, "__qualname__", repr(function))
        raise TypeError(
            f"with_parameters() got {sorted(kwargs)}, but {name}{signature} cannot be called "
            f"with these and a config: {error}."
        ) from None
