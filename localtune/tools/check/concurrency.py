"""Checks how many trials fit this machine at a time."""

from __future__ import annotations

from collections.abc import Mapping

from localtune.resources import PlacementGroupFactory, request_of
from localtune.running.bench import Placement
from localtune.tools.check.report import Finding, failure, passed, warning
from localtune.utils.text import count, format_bytes, format_duration, format_number


def check_request(resources: PlacementGroupFactory, placement: Placement) -> Finding | None:
    """Checks whether the machine can ever meet a request; returns None if it can.

    Args:
        resources: Request of each trial.
        placement: Resources of the machine.
    """
    why_never = placement.why_never(resources)
    if not why_never:
        return None
    return failure(
        "resources",
        f"No trial can ever start: {why_never}",
        "Ask for less in tune.with_resources (in default_resource_request for a class).",
    )


def check_concurrency(
    resources: PlacementGroupFactory,
    placement: Placement,
    iteration_s: float,
    peak_bytes: int,
    memory_left_bytes: int,
) -> Finding:
    """Checks how many trials run at a time, and whether the memory is enough for them.

    Args:
        resources: What each trial asks for.
        placement: What the machine has.
        iteration_s: Seconds of the longest iteration that was seen.
        peak_bytes: The most memory that a trial was seen to hold; 0 is not known.
        memory_left_bytes: Memory that trials may still take.
    """
    request = request_of(resources)
    asked = request.get("memory", 0.0)
    seen = f"An iteration takes {format_duration(iteration_s)}, a trial {format_bytes(peak_bytes)}."
    if asked and peak_bytes > asked:
        return failure(
            "concurrency",
            f"{seen} It asks for {format_bytes(asked)} only, and would be killed.",
            f"Ask for more memory: tune.with_resources(trainable, {{'memory': {2 * peak_bytes}}}).",
        )
    by_request = _fitting(request, placement.resources())
    by_memory = max(memory_left_bytes // peak_bytes, 1) if peak_bytes else by_request
    cpus = format_number(placement.resources().get("CPU", 0.0))
    if by_memory < by_request:
        return warning(
            "concurrency",
            f"{seen} {count(by_request, 'trial')} would run at a time, but the memory that is left "
            f"({format_bytes(memory_left_bytes)}) is enough for {by_memory}.",
            f"Set TuneConfig(max_concurrent_trials={by_memory}), or ask for the memory: "
            f"tune.with_resources(trainable, {{'cpu': 1, 'memory': {peak_bytes}}}).",
        )
    return passed(
        "concurrency",
        f"{seen} {count(by_request, 'trial')} at a time fit this machine ({cpus} CPUs, "
        f"{format_bytes(memory_left_bytes)} of memory left).",
    )


def _fitting(request: Mapping[str, float], available: Mapping[str, float]) -> int:
    """Returns how many trials the resources are enough for, at least 1."""
    shares = [
        # Rounding errors: 0.1 + 0.2 + 0.7 is below 1 as floats.
        int(available.get(name, 0.0) / amount + 1e-9)
        for name, amount in request.items()
        if amount > 0
    ]
    return max(min(shares, default=1), 1)
