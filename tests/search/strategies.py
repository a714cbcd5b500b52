"""Search spaces of all shapes, for property tests."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from localtune.search.sample import (
    choice,
    grid_search,
    loguniform,
    qrandint,
    quniform,
    randint,
    randn,
    sample_from,
    uniform,
)

KEYS = st.sampled_from(["lr", "size", "act", "depth", "a", "z"])
CONSTANTS = st.integers(0, 9) | st.sampled_from(["relu", None, True, 0.5])
DOMAINS = st.sampled_from(
    [
        uniform(0, 1),
        quniform(0, 1, 0.25),
        loguniform(1e-3, 1),
        randint(0, 10),
        qrandint(0, 10, 5),
        randn(),
        choice(["sgd", "adam"]),
        sample_from(lambda config: len(config)),
        {"eval": "random.random()"},
    ]
)


def _larger(parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    few = st.lists(parts, min_size=1, max_size=3)
    return (
        st.dictionaries(KEYS, parts, max_size=3)
        | few
        | few.map(tuple)
        | few.map(choice)
        | few.map(grid_search)
    )


SPACES: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
    KEYS, st.recursive(CONSTANTS | DOMAINS, _larger, max_leaves=8), max_size=4
)


def image(space: Any) -> Any:
    """What a space looks like, comparable: a space that was changed has another image."""
    if isinstance(space, dict):
        return {key: image(value) for key, value in space.items()}
    if isinstance(space, (list, tuple)):
        return [type(space).__name__, *map(image, space)]
    if hasattr(space, "sample"):
        state = {key: image(value) for key, value in vars(space).items() if key != "sampler"}
        return type(space).__name__, repr(space), state
    return space
