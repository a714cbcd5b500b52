"""Represents the resources that a trial requests and a machine has.

{"cpu": 2, "gpu": 0.5} --resource_dict_to_pg_factory--> PlacementGroupFactory
    --request_of--> {"CPU": 2.0, "GPU": 0.5} --ResourcePool.acquire--> Allocation
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from localtune.error import LocaltuneInternalError, ResourceRequestError
from localtune.old_names.arguments import EXTRA_KEYS, EXTRA_RESOURCES
from localtune.old_names.use import translated
from localtune.utils.not_here import Resources as Resources
from localtune.utils.not_here import json_to_resources as json_to_resources
from localtune.utils.not_here import resources_to_json as resources_to_json

# Arguments of a placement group that have no effect on one machine.
_EXTRA_NAMES = ("name", "lifetime", "_max_cpu_fraction_per_node", "_soft_target_node_id")
_STRATEGIES = ("PACK", "SPREAD", "STRICT_PACK", "STRICT_SPREAD")


class PlacementGroupFactory:
    """Describes the resources of one trial as a list of bundles.

    The first bundle is the trainable's own share; further ones are for processes that it starts. On
    one machine only their sum matters: it is reserved as long as the trial runs.

    Args:
        bundles: {resource name: amount} for each bundle. ``"CPU"`` and ``"GPU"`` count devices,
            ``"memory"`` bytes; other names are custom resources. The first bundle may be empty
            if there are others.
        strategy: ``"PACK"``, ``"SPREAD"``, ``"STRICT_PACK"`` or ``"STRICT_SPREAD"``; without
            effect on one machine.
        *args: Accepted for compatibility, without effect.
        **kwargs: Accepted for compatibility, without effect.

    Raises:
        ValueError: if all bundles are empty, or an amount is not a number of at least 0.
        RuntimeError: for an unknown argument.

    Example:
        >>> PlacementGroupFactory([{"CPU": 1}, {"CPU": 2, "GPU": 1}]).required_resources
        {'CPU': 3.0, 'GPU': 1.0}
    """

    def __init__(
        self,
        bundles: Sequence[Mapping[str, float]],
        strategy: str = "PACK",
        *args: Any,
        **kwargs: Any,
    ) -> None:
        cleaned = [_clean_bundle(bundle) for bundle in bundles]
        if not any(cleaned):
            raise ValueError(
                "bundles must contain at least one resource with an amount above 0, but got "
                f"{list(bundles)!r}."
            )
        if strategy not in _STRATEGIES:
            raise ValueError(f"strategy must be one of {_STRATEGIES}, but got {strategy!r}.")
        self._head_bundle_is_empty = not cleaned[0]
        self._bundles = cleaned[1:] if self._head_bundle_is_empty else cleaned
        self._strategy = strategy
        self._extras = _bind_extras(args, kwargs)

    @property
    def bundles(self) -> list[dict[str, float]]:
        """Copy of the bundles, without an empty first one."""
        return [dict(bundle) for bundle in self._bundles]

    @property
    def strategy(self) -> str:
        """The strategy."""
        return self._strategy

    @property
    def head_bundle_is_empty(self) -> bool:
        """Whether the trainable itself requests nothing."""
        return self._head_bundle_is_empty

    @property
    def head_cpus(self) -> float:
        """CPUs of the first bundle."""
        return 0.0 if self._head_bundle_is_empty else self._bundles[0].get("CPU", 0.0)

    @property
    def required_resources(self) -> dict[str, float]:
        """Sum of all bundles as {resource name: amount}."""
        total: dict[str, float] = {}
        for bundle in self._bundles:
            for name, amount in bundle.items():
                total[name] = total.get(name, 0.0) + amount
        return total

    def _key(self) -> tuple[object, ...]:
        bundles = tuple(frozenset(bundle.items()) for bundle in self._bundles)
        return (bundles, self._head_bundle_is_empty, self._strategy, self._extras)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PlacementGroupFactory):
            return NotImplemented
        return self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        bundles = [{}, *self._bundles] if self._head_bundle_is_empty else self._bundles
        return f"{type(self).__name__}({bundles!r}, strategy={self._strategy!r})"


def resource_dict_to_pg_factory(
    spec: Mapping[str, Any] | PlacementGroupFactory | None = None,
) -> PlacementGroupFactory:
    """Makes a factory with one bundle from a resource dict.

    Args:
        spec: ``cpu`` or ``CPU``, ``gpu`` or ``GPU`` (lower case takes precedence), ``memory`` in
            bytes, and custom resources: either in a dict under ``custom_resources``, or as further
            keys, which are ignored beside ``custom_resources``. Without a CPU entry no CPU is
            reserved. None or ``{}`` stands for one CPU. A factory is returned as it is.

    Returns:
        The factory.

    Raises:
        ValueError: if all amounts are 0, or one is not a number of at least 0.

    Example:
        >>> resource_dict_to_pg_factory({"cpu": 2, "gpu": 0.5}).required_resources
        {'CPU': 2.0, 'GPU': 0.5}
    """
    if isinstance(spec, PlacementGroupFactory):
        return spec
    spec = dict(spec or {"CPU": 1})
    if not EXTRA_KEYS.isdisjoint(spec):
        factory: PlacementGroupFactory = translated(EXTRA_RESOURCES, spec)
        return factory
    upper_cpu, upper_gpu = spec.pop("CPU", 0), spec.pop("GPU", 0)
    cpu, gpu = spec.pop("cpu", upper_cpu), spec.pop("gpu", upper_gpu)
    memory = spec.pop("memory", 0)
    bundle = dict(spec["custom_resources"]) if "custom_resources" in spec else spec
    bundle.update(CPU=cpu, GPU=gpu, memory=memory)
    return PlacementGroupFactory([bundle])


def request_of(factory: PlacementGroupFactory) -> dict[str, float]:
    """Returns the amounts that a trial takes from a :class:`ResourcePool`.

    Args:
        factory: Resources of the trial.

    Returns:
        {resource name: amount}.
    """
    return factory.required_resources


@dataclass(slots=True)
class Allocation:
    """Holds the resources that an owner has taken from a pool.

    Attributes:
        owner: Name of the owner.
        resources: {resource name: amount}.
        gpu_ids: GPUs that the owner may use. Owners of fractions share one.
    """

    owner: str
    resources: dict[str, float]
    gpu_ids: tuple[str, ...] = ()


# Amounts are counted in ten-thousandths, so that 0.1 + 0.2 + 0.7 is exactly 1.
_UNITS = 10_000


class ResourcePool:
    """Counts the free and the taken resources of a machine.

    Args:
        total: {resource name: amount}; other resources do not exist.
        gpu_ids: Ids of the GPUs, as ``CUDA_VISIBLE_DEVICES`` lists them; as many as ``total``
            counts. None for ``"0"``, ``"1"``, ...

    Raises:
        ValueError: if the number of GPUs is not whole, or differs from the number of ids.

    Example:
        >>> pool = ResourcePool({"CPU": 4, "GPU": 1})
        >>> pool.acquire("a", {"CPU": 1, "GPU": 0.5}).gpu_ids
        ('0',)
        >>> pool.fits({"GPU": 1})
        False
    """

    def __init__(self, total: Mapping[str, float], gpu_ids: Sequence[str] | None = None) -> None:
        self._total = _to_units(total)
        self._free = dict(self._total)
        count, rest = divmod(self._total.get("GPU", 0), _UNITS)
        if gpu_ids is None:
            gpu_ids = [str(index) for index in range(count)]
        if rest or len(gpu_ids) != count:
            raise ValueError(
                "total['GPU'] must be the number of gpu_ids, but got "
                f"{total.get('GPU', 0)} for {list(gpu_ids)}."
            )
        self._free_of_gpu = dict.fromkeys(gpu_ids, _UNITS)
        self._held: dict[str, tuple[Allocation, dict[str, int]]] = {}

    @property
    def total(self) -> dict[str, float]:
        """All resources, free or taken, as {resource name: amount}."""
        return _from_units(self._total)

    @property
    def used(self) -> dict[str, float]:
        """The taken resources as {resource name: amount}."""
        return _from_units({name: self._total[name] - free for name, free in self._free.items()})

    def fits(self, request: Mapping[str, float]) -> bool:
        """Tells whether the pool can grant a request now.

        Args:
            request: {resource name: amount}.

        Returns:
            Whether :meth:`acquire` would succeed.
        """
        needed = _to_units(request)
        if any(self._free.get(name, 0) < amount for name, amount in needed.items()):
            return False
        return self._choose_gpus(needed.get("GPU", 0)) is not None

    def can_ever_fit(self, request: Mapping[str, float]) -> bool:
        """Tells whether the empty pool could grant a request.

        Args:
            request: {resource name: amount}.

        Returns:
            False if a trial with this request would wait for ever.
        """
        return not self._misfits(request)

    def explain_misfit(self, request: Mapping[str, float]) -> str:
        """Explains why the pool can never grant a request.

        Args:
            request: {resource name: amount}.

        Returns:
            One or more sentences for the user; empty if the pool can grant it.
        """
        misfits = self._misfits(request)
        if not misfits:
            return ""
        return (
            f"The trial {'; it '.join(misfits)}. Ask for less (tune.with_resources), or for an "
            "existing resource."
        )

    def acquire(
        self, owner: str, request: Mapping[str, float], gpu_ids: tuple[str, ...] | None = None
    ) -> Allocation:
        """Takes resources out of the pool.

        Args:
            owner: Name of the owner, which must hold nothing yet.
            request: {resource name: amount}.
            gpu_ids: The GPUs for it, which have room; None chooses them.

        Returns:
            The owner's resources.

        Raises:
            ResourceRequestError: if the pool can never grant the request.
            LocaltuneInternalError: if it cannot grant it now, or the owner holds resources already.
        """
        if not self.can_ever_fit(request):
            raise ResourceRequestError(self.explain_misfit(request))
        if owner in self._held:
            raise LocaltuneInternalError(f"{owner!r} holds resources already.")
        if not self.fits(request):
            raise LocaltuneInternalError(f"{dict(request)} for {owner!r} does not fit now.")
        needed = _to_units(request)
        gpu_units = needed.get("GPU", 0)
        if gpu_ids is None:
            gpu_ids = self._choose_gpus(gpu_units) or ()
        for gpu_id in gpu_ids:
            self._free_of_gpu[gpu_id] -= min(gpu_units, _UNITS)
        for name, amount in needed.items():
            self._free[name] -= amount
        allocation = Allocation(owner, _from_units(needed), gpu_ids)
        self._held[owner] = (allocation, needed)
        return allocation

    def release(self, owner: str) -> None:
        """Returns all resources of an owner to the pool.

        Args:
            owner: Name of the owner.

        Raises:
            LocaltuneInternalError: if the owner holds nothing.
        """
        if owner not in self._held:
            raise LocaltuneInternalError(f"{owner!r} holds no resources.")
        allocation, needed = self._held.pop(owner)
        for name, amount in needed.items():
            self._free[name] += amount
        for gpu_id in allocation.gpu_ids:
            self._free_of_gpu[gpu_id] += min(needed["GPU"], _UNITS)

    def _choose_gpus(self, units: int) -> tuple[str, ...] | None:
        """Returns the ids for an amount of GPUs; None if there are not enough free ones."""
        if units == 0:
            return ()
        if units < _UNITS:
            # The fullest GPU with enough room, so that unused ones stay free.
            room = [gpu_id for gpu_id, free in self._free_of_gpu.items() if free >= units]
            return (min(room, key=self._free_of_gpu.__getitem__),) if room else None
        unused = [gpu_id for gpu_id, free in self._free_of_gpu.items() if free == _UNITS]
        count = units // _UNITS
        return tuple(unused[:count]) if len(unused) >= count else None

    def _misfits(self, request: Mapping[str, float]) -> list[str]:
        misfits = []
        for name, amount in _to_units(request).items():
            existing = self._total.get(name, 0)
            if amount > existing:
                misfits.append(
                    f"asks for {_show(amount)} {name}, but this machine has {_show(existing)}"
                    + (self._known() if not existing else "")
                )
            elif name == "GPU" and amount > _UNITS and amount % _UNITS:
                misfits.append(
                    f"asks for {_show(amount)} GPU, but an amount above 1 must be a whole number"
                )
        return misfits

    def _known(self) -> str:
        known = ", ".join(f"{name}: {_show(amount)}" for name, amount in self._total.items())
        return f" (it has {known or 'nothing'})"


def _clean_bundle(bundle: Mapping[str, float]) -> dict[str, float]:
    cleaned = {}
    for name, amount in bundle.items():
        try:
            number = float(amount)
        except (TypeError, ValueError):
            number = -1.0
        if not 0 <= number < float("inf"):
            raise ValueError(
                f"The amount of the resource {name!r} must be a number of at least 0, but got "
                f"{amount!r}."
            )
        if number:
            cleaned[name] = number
    return cleaned


def _bind_extras(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    named = dict(zip(_EXTRA_NAMES, args, strict=False))
    unknown = sorted((kwargs.keys() - _EXTRA_NAMES) | (kwargs.keys() & named.keys()))
    if len(args) > len(_EXTRA_NAMES) or unknown:
        raise RuntimeError(
            "PlacementGroupFactory takes bundles, strategy, "
            f"{', '.join(_EXTRA_NAMES)}, but got {unknown or args!r} besides."
        )
    return tuple(sorted((name, repr(value)) for name, value in {**named, **kwargs}.items()))


def _to_units(amounts: Mapping[str, float]) -> dict[str, int]:
    return {name: round(amount * _UNITS) for name, amount in _clean_bundle(amounts).items()}


def _from_units(units: Mapping[str, int]) -> dict[str, float]:
    return {name: amount / _UNITS for name, amount in units.items()}


def _show(units: int) -> str:
    return f"{units / _UNITS:g}" if units < 10**10 else f"{units / _UNITS:.0f}"
