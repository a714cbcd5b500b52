"""Processes that user code starts with ``multiprocessing`` have the shim, too.

A child that is not forked imports the script as ``__mp_main__`` before it runs anything. What it
needs for this arrives as a pickled dict. The shim puts itself in front of this dict::

    parent                                          child
    get_preparation_data() --+                      pickle.load: installs the shim
    {"localtune": Installs, **data} -- pickled -->  import the script: `import ray` works
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from typing import Any

import localtune
from localtune.trainable import preparation
from localtune.trainable.preparation import Call

# The name with which multiprocessing asks for what the forkserver itself needs.
_FORKSERVER = "ignore"
_OF_THE_SCRIPT = ("init_main_from_path", "init_main_from_name")


def prepare_children() -> None:
    """Makes each child process of ``multiprocessing`` prepare itself as workers do."""
    from multiprocessing import spawn

    original: Callable[[str], dict[str, Any]] = spawn.get_preparation_data

    @functools.wraps(original)
    def get_preparation_data(name: str) -> dict[str, Any]:
        data = original(name)
        if name == _FORKSERVER:
            # It gets the data as text. It would import the script without the shim, and fail.
            return {key: value for key, value in data.items() if key not in _OF_THE_SCRIPT}
        assert preparation.prepare is not None
        call = Call(preparation.prepare)
        return {"localtune_path": Call(_find_localtune()), "localtune": call, **data}

    spawn.get_preparation_data = get_preparation_data


def _find_localtune() -> Callable[[], None]:
    # The child does not have the parent's sys.path yet.
    folder = os.path.dirname(os.path.dirname(localtune.__file__))
    return functools.partial(exec, f"import sys; sys.path.append({folder!r})")
