"""Executors that a text names."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

import localtune as tune
from localtune.error import ExtraMissingError
from localtune.execution.in_process import InProcessExecutor
from localtune.execution.local_process import ProcessExecutor
from localtune.running.named_executors import create_executor


def test_a_name_with_arguments_makes_an_executor() -> None:
    assert isinstance(create_executor("inprocess"), InProcessExecutor)
    executor = create_executor("processes", num_cpus=3)
    assert isinstance(executor, ProcessExecutor) and executor.resources()["CPU"] == 3


@pytest.mark.parametrize(("given", "hint"), [("rya", "'ray'"), (4, "got 4"), ("", "got ''")])
def test_an_unknown_name_is_refused_before_the_run(
    given: object, hint: str, tmp_path: Path
) -> None:
    run_config = tune.RunConfig(storage_path=tmp_path)
    with pytest.raises(ValueError, match=f"executor must be .*{hint}"):
        tune.Tuner(lambda config: None, run_config=run_config, executor=given)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "package"), [("ray", "ray"), ("dask", "distributed")])
def test_a_missing_package_is_named_with_its_extra_before_the_run(name: str, package: str) -> None:
    if find_spec(package) is not None:
        tune.Tuner(lambda config: None, executor=name)
        return
    with pytest.raises(ExtraMissingError, match=rf"{package}.*localtune-runner\[{name}\]"):
        tune.Tuner(lambda config: None, executor=name)
