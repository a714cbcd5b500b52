"""Functions and classes of ``ray.util``; most are for clusters, and refuse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from localtune.compat.runtime_context import NODE_IP

_logged: set[str] = set()


def get_node_ip_address(address: str = "") -> str:
    """Returns the address of this machine for itself.

    Args:
        address: Accepted for compatibility.
    """
    return NODE_IP


def log_once(key: str) -> bool:
    """Returns True at the first call with a key in this process, False later.

    Args:
        key: Any text.
    """
    if key in _logged:
        return False
    _logged.add(key)
    return True


def list_named_actors(all_namespaces: bool = False) -> list[str]:
    """Returns an empty list: localtune has no actors.

    Args:
        all_namespaces: Accepted for compatibility.
    """
    return []


def get_current_placement_group() -> None:
    """Returns None: all resources are on this machine."""


def inspect_serializability(
    base_obj: Any, name: str | None = None, depth: int = 3, print_file: Any = None
) -> tuple[bool, set[str]]:
    """Finds what prevents an object from being sent to another process.

    Args:
        base_obj: The object.
        name: Accepted for compatibility.
        depth: Accepted for compatibility.
        print_file: Accepted for compatibility.

    Returns:
        Whether it can be sent, and the names of the variables that cannot.
    """
    from localtune.utils.serialization import diagnose_serialization

    found = diagnose_serialization(base_obj)
    return (True, set()) if isinstance(found, bool) else (False, found)


def unchanged(*args: Any, **kwargs: Any) -> Any:
    """Stands for a decorator that only marks code: ``@PublicAPI``, ``@PublicAPI(...)``.

    Args:
        *args: What it decorates, if it has no options.
        **kwargs: Options.
    """
    return args[0] if len(args) == 1 and callable(args[0]) else lambda target: target


def refusing(name: str, advice: str) -> Callable[..., NoReturn]:
    """Makes a function that refuses each call.

    Args:
        name: Its name.
        advice: What to do instead.
    """

    def refuse(*args: Any, **kwargs: Any) -> NoReturn:
        raise NotImplementedError(f"localtune has no {name}(). {advice}")

    refuse.__name__ = refuse.__qualname__ = name.rpartition(".")[2]
    return refuse


class _Refused:
    """Base class of classes that refuse to be made."""

    _advice = ""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError(f"localtune has no {type(self).__name__}. {self._advice}")


class ActorPool(_Refused):
    """Refuses: a pool of actors, and localtune has no actors."""

    _advice = "For a pool of processes, use remote functions, or multiprocessing.Pool."


class Queue(_Refused):
    """Refuses: a queue in an actor, and localtune has no actors."""

    _advice = "Trials can share a multiprocessing.managers.BaseManager, or files."


class Pool(_Refused):
    """Refuses: a pool of actors, and localtune has no actors."""

    _advice = "Use multiprocessing.Pool, which has the same methods."


_ON_ONE_MACHINE = (
    "All resources are on one machine: give a trial the sum of the bundles, with "
    "tune.with_resources(trainable, tune.PlacementGroupFactory(bundles))."
)
placement_group = refusing("ray.util.placement_group", _ON_ONE_MACHINE)
remove_placement_group = refusing("ray.util.remove_placement_group", _ON_ONE_MACHINE)
get_placement_group = refusing("ray.util.get_placement_group", _ON_ONE_MACHINE)
placement_group_table = refusing("ray.util.placement_group_table", _ON_ONE_MACHINE)
register_ray = refusing(
    "ray.util.joblib.register_ray", "Joblib's own backend, loky, runs jobs in processes."
)
_NO_CLUSTER = "It connects to a cluster; localtune runs on this machine only."
connect = refusing("ray.util.connect", _NO_CLUSTER)
disconnect = refusing("ray.util.disconnect", _NO_CLUSTER)
client = refusing("ray.client", _NO_CLUSTER)
java_function = refusing("ray.java_function", "It calls Python only.")
java_actor_class = refusing("ray.java_actor_class", "It calls Python only.")


class PlacementGroupSchedulingStrategy:
    """An option of remote functions without effect on one machine.

    Args:
        *args: Accepted for compatibility.
        **kwargs: Accepted for compatibility.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.arguments = (args, kwargs)


class NodeAffinitySchedulingStrategy(PlacementGroupSchedulingStrategy):
    """An option of remote functions without effect on one machine."""


class RuntimeEnv(dict[str, Any]):
    """The argument ``runtime_env`` of ``ray.init``, as keywords."""
