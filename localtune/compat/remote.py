"""``ray.remote``: functions that run in other processes, and classes, which are refused."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn

from localtune.compat import calls, cluster
from localtune.compat.objects import ObjectRef
from localtune.error import TuneError

_ADVICE = (
    "Run its code in the trial itself, or in a program of its own; "
    "multiprocessing.managers.BaseManager shares an object between processes."
)
# Options of functions, {name: default}. Those without a meaning here are accepted.
_FUNCTION_OPTIONS = {
    "num_cpus": 1,
    "num_gpus": 0,
    "memory": 0,
    "resources": None,
    "num_returns": 1,
    "max_calls": None,
    "max_retries": 3,
    "retry_exceptions": False,
    "runtime_env": None,
    "name": None,
}
_WITHOUT_MEANING = frozenset(
    {
        "_generator_backpressure_num_objects",
        "_labels",
        "_metadata",
        "accelerator_type",
        "enable_task_events",
        "label_selector",
        "object_store_memory",
        "placement_group",
        "placement_group_bundle_index",
        "placement_group_capture_child_tasks",
        "scheduling_strategy",
    }
)
_OLD_OPTIONS = {"num_return_vals": "num_returns"}


def remote(*args: Any, **kwargs: Any) -> Any:
    """Makes a function run in another process when its ``remote`` is called.

    Use it as ``@ray.remote``, or with options: ``@ray.remote(num_cpus=2)``.

    Args:
        *args: The function. A class is accepted, and refused when an actor is made of it.
        **kwargs: Options, as :meth:`RemoteFunction.options` takes them.

    Returns:
        A :class:`RemoteFunction`, or a decorator that makes one.

    Raises:
        TypeError: for what is neither a function nor a class.
        ValueError: for an unknown option, or a bad value.
    """
    if len(args) == 1 and not kwargs:
        return _decorated(args[0], {})
    if args or not kwargs:
        raise TypeError(
            "ray.remote is a decorator: write @ray.remote, or @ray.remote(num_cpus=2) with at "
            "least one option, all of them by name."
        )
    return functools.partial(_decorated, options=kwargs)


def _decorated(target: Any, options: Mapping[str, Any]) -> RemoteFunction | ActorClass:
    if inspect.isclass(target):
        return ActorClass(target)
    if not inspect.isroutine(target):
        raise TypeError(f"ray.remote takes a function or a class, but got {target!r}.")
    if inspect.iscoroutinefunction(target):
        raise ValueError(
            f"ray.remote takes no async function, but got {target.__name__}. Wrap it: a function "
            "that calls asyncio.run()."
        )
    return RemoteFunction(target, options)


class RemoteFunction:
    """Represents a function that runs in another process.

    Args:
        function: The function.
        options: See :meth:`options`.

    Raises:
        ValueError: for an unknown option, or a bad value.
    """

    def __init__(self, function: Callable[..., Any], options: Mapping[str, Any]) -> None:
        functools.update_wrapper(self, function)
        self._function = function
        self._given = dict(options)
        self._options = _checked(options)
        self._exported: ObjectRef | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError(
            f"A remote function is not called directly. Write {self._name}.remote(...) in place of "
            f"{self._name}(...)."
        )

    def remote(self, *args: Any, **kwargs: Any) -> Any:
        """Calls the function in another process; does not wait for it.

        Args:
            *args: Its arguments. The function gets the value of each argument that is a reference.
            **kwargs: Its named arguments, likewise.

        Returns:
            A reference to its value; a list of them for ``num_returns`` above 1, None for 0. For a
            generator, an iterator of references, which waits until the generator has ended.

        Raises:
            TypeError: if the function does not take these arguments, or one cannot be pickled.
            ValueError: if the machine has less than the function asks for.
        """
        self._check_call(args, kwargs)
        options = self._options
        retry, attempts = options["retry_exceptions"], 1 + max(options["max_retries"], 0)
        retry_on = tuple(retry) if isinstance(retry, (list, tuple)) else (Exception,)
        arguments = calls.Arguments(args, kwargs, retry_on)
        here = cluster.ensure()
        count = options["num_returns"]
        refs = [here.store.new_ref() for _ in range(count)]
        call = calls.Call(
            options["name"] or self._name,
            tuple(ref.hex() for ref in refs),
            attempts if retry else 1,
            _request(options),
        )
        if here.facts.limits.local_mode or calls.running:
            # In a task process, a pool would wait for resources that this call holds.
            calls.carry_out(here.store, call, self._plain, arguments)
        else:
            self._submit(here, call, arguments)
        if count == 1 and inspect.isgeneratorfunction(self._function):
            return _one_by_one(refs[0])
        return refs[0] if count == 1 else refs or None

    def options(self, **task_options: Any) -> RemoteFunction:
        """Returns the function with other options.

        Args:
            **task_options: ``num_cpus``, ``num_gpus``, ``memory`` and ``resources`` are what a
                call needs to run; ``num_returns`` how many values the function returns;
                ``retry_exceptions`` (True, or a list of classes) and ``max_retries`` whether it is
                called again; ``runtime_env={"env_vars": {...}}`` variables for its process;
                ``max_calls`` after how many calls a process ends.

        Raises:
            ValueError: for an unknown option, or a bad value.
        """
        return RemoteFunction(self._function, {**self._given, **task_options})

    def bind(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuses: localtune has no graphs of calls."""
        raise TuneError(
            f"localtune has no graphs of calls: write {self._name}.remote(...), which takes "
            "references as arguments."
        )

    def _remote(self, args: Any = (), kwargs: Any = None, **task_options: Any) -> Any:
        """Calls the function with options, as earlier releases did."""
        return self.options(**task_options).remote(*args, **(kwargs or {}))

    @property
    def _plain(self) -> Callable[..., Any]:
        """The function to call: a value for each reference."""
        is_generator = inspect.isgeneratorfunction(self._function)
        if is_generator and self._options["num_returns"] == 1:
            return functools.partial(_listed, self._function)
        return self._function

    @property
    def _name(self) -> str:
        return str(getattr(self._function, "__name__", self._function))

    def _check_call(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        try:
            signature = inspect.signature(self._function)
        except (TypeError, ValueError):
            return  # Some functions of C have none.
        try:
            signature.bind(*args, **kwargs)
        except TypeError as error:
            raise TypeError(f"{self._name}.remote(): {error}") from None

    def _submit(self, here: cluster.Cluster, call: calls.Call, arguments: calls.Arguments) -> None:
        from localtune.compat.tasks import Task

        why_never = here.pool.why_never(call.resources)
        if why_never:
            raise ValueError(f"{call.name}() can never run: {why_never}. Ask for less.")
        if self._exported is None or self._exported.directory != here.store.directory:
            # As it is now: what it refers to may change later.
            self._exported = here.store.put(self._plain)
        environment = (self._options["runtime_env"] or {}).get("env_vars", {})
        max_calls = self._options["max_calls"]
        if max_calls is None:
            max_calls = 1 if call.resources.get("GPU") else 0
        here.pool.submit(
            Task(
                call,
                self._exported,
                here.store.put(arguments.travelling()),
                dict(environment),
                max_calls,
                arguments.refs(),
            )
        )

    def __getstate__(self) -> dict[str, Any]:
        return {"_function": self._function, "_given": self._given}

    def __setstate__(self, state: dict[str, Any]) -> None:
        functools.update_wrapper(self, state["_function"])
        self.__dict__.update(state, _options=_checked(state["_given"]), _exported=None)


class ActorClass:
    """Stands for a class that ``ray.remote`` decorates; no actor can be made of it.

    Args:
        cls: The class.
    """

    def __init__(self, cls: type) -> None:
        functools.update_wrapper(self, cls, updated=())
        self._class = cls

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        self.remote()

    def options(self, **actor_options: Any) -> ActorClass:
        """Returns the class; its options have no effect.

        Args:
            **actor_options: Accepted for compatibility.
        """
        return self

    def remote(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuses: localtune has no actors."""
        raise TuneError(
            f"localtune has no actors, so {self._class.__name__}.remote() cannot start one. "
            f"{_ADVICE}"
        )


class ActorHandle:
    """The class of actors, for ``isinstance``: there are none."""


def method(*args: Any, **kwargs: Any) -> Any:
    """Decorates a method of an actor class; without effect, since localtune has no actors.

    Args:
        *args: The method, if there are no options.
        **kwargs: Options.
    """
    return args[0] if args else lambda function: function


def cancel(ray_waitable: Any, force: bool = False, recursive: bool = True) -> None:
    """Cancels the call of a remote function, if it has not ended.

    ``ray.get`` of its value raises ``ray.exceptions.TaskCancelledError`` then.

    Args:
        ray_waitable: A reference to its value.
        force: Whether to kill its process; by default KeyboardInterrupt is raised in it.
        recursive: Accepted for compatibility: the calls that it makes end with it.

    Raises:
        TypeError: for what is no reference.
    """
    if not isinstance(ray_waitable, ObjectRef):
        raise TypeError(
            f"ray.cancel() takes a reference to the value of a function, but got {ray_waitable!r}."
        )
    here = cluster.current()
    if here is not None and not ray_waitable.is_ready():
        here.pool.cancel(ray_waitable.hex(), force=force)


def kill(actor: Any, no_restart: bool = True) -> NoReturn:
    """Refuses: localtune has no actors.

    Args:
        actor: An actor.
        no_restart: Accepted for compatibility.
    """
    raise ValueError(
        f"ray.kill() ends an actor, but localtune has none; it got {actor!r}. To end the call of a "
        "function, use ray.cancel(reference)."
    )


def get_actor(name: str, namespace: str | None = None) -> NoReturn:
    """Refuses: localtune has no actors.

    Args:
        name: Name of an actor.
        namespace: Accepted for compatibility.
    """
    raise ValueError(f"There is no actor {name!r}: localtune has no actors. {_ADVICE}")


def _listed(function: Callable[..., Any], *args: Any, **kwargs: Any) -> list[Any]:
    return list(function(*args, **kwargs))


def _one_by_one(ref: ObjectRef) -> Iterator[ObjectRef]:
    for value in ref.value():
        yield cluster.ensure().store.put(value)


def _request(options: Mapping[str, Any]) -> dict[str, float]:
    given = {
        "CPU": options["num_cpus"],
        "GPU": options["num_gpus"],
        "memory": options["memory"],
        **(options["resources"] or {}),
    }
    return {name: float(amount) for name, amount in given.items() if amount}


def _checked(given: Mapping[str, Any]) -> dict[str, Any]:
    options = {_OLD_OPTIONS.get(name, name): value for name, value in given.items()}
    unknown = sorted(options.keys() - _FUNCTION_OPTIONS.keys() - _WITHOUT_MEANING)
    if unknown:
        raise ValueError(
            f"A remote function has no option {unknown[0]!r}. It has "
            f"{', '.join(sorted(_FUNCTION_OPTIONS))}."
        )
    options = {name: value for name, value in options.items() if name in _FUNCTION_OPTIONS}
    # None is the default, as it is in most signatures.
    options = {name: value for name, value in options.items() if value is not None}
    options = {**_FUNCTION_OPTIONS, **options}
    for name, amount in {
        **{name: options[name] for name in ("num_cpus", "num_gpus", "memory")},
        **(options["resources"] or {}),
    }.items():
        if not isinstance(amount, (int, float)) or not 0 <= amount < float("inf"):
            raise ValueError(f"{name} must be a number of at least 0, but got {amount!r}.")
    count = options["num_returns"]
    if not isinstance(count, int) or count < 0:
        raise ValueError(
            f"num_returns must be a whole number of at least 0, but got {count!r}. A function "
            "whose number of values is not known before returns one list."
        )
    return options
