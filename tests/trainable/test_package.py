from __future__ import annotations

import subprocess
import sys

import pytest

import localtune.trainable as package


@pytest.mark.parametrize("name", package.__all__)
def test_each_name_is_found(name: str) -> None:
    assert getattr(package, name).__name__ == name


def test_other_names_are_not_there() -> None:
    with pytest.raises(AttributeError, match="no attribute 'other'"):
        _ = package.other


def test_a_worker_loads_nothing_that_it_may_not_need() -> None:
    code = """
import sys
import localtune.trainable.function_trainable, localtune.trainable.session
import localtune.trainable.parameters, localtune.trainable.util
print(*sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {sys.path[0]!r})\n{code}"],
        capture_output=True,
        text=True,
        check=True,
    )
    heavy = {"cloudpickle", "filelock", "json", "logging", "numpy", "psutil", "shutil", "tempfile"}
    assert heavy & set(done.stdout.split()) == set()
