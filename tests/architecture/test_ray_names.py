"""Each name of Ray Tune 2.45 is under the same path below ``localtune``."""

from __future__ import annotations

import importlib
import subprocess
import sys
from types import ModuleType

import pytest

from localtune.error import ExtraMissingError, TuneError
from localtune.old_names.table import OLD_NAMES
from tests.architecture.layers import ROOT
from tests.ray_names import RayName, is_same_order, kind_of, not_accepted, ray_names

NAMES = ray_names("ray.tune")
MODULES = sorted({each.module for each in NAMES})

_MADE_BY_RUNS = "localtune makes it, and users only read it"
# {name: why its parameters are others}
OTHER_PARAMETERS = {
    "ray.tune.Result": f"{_MADE_BY_RUNS}; metrics_dataframe is read from its files",
    "ray.tune.experiment.Trial": _MADE_BY_RUNS,
    "ray.tune.experiment.trial.Trial": _MADE_BY_RUNS,
    "ray.tune.search.variant_generator.RecursiveDependencyError": "errors take a text by position",
}
# {name: why it is of another kind}
OTHER_KIND = {
    "ray.tune.search.bohb.BOHB": "there, None without a library that localtune does not use",
}
# {module: the package that it needs}; a test file of its own tests it where the package is.
NEEDS_LIBRARY = {"ray.tune.integration.keras": "keras"}
# {name: arguments}: what has no meaning on one machine is refused when it is used.
REFUSED: dict[str, tuple[object, ...]] = {
    "ray.tune.integration.ray_train.TuneReportCallback": (),
    "ray.tune.logger.aim.AimLoggerCallback": (),
    "ray.tune.logger.comet.CometLoggerCallback": (),
    "ray.tune.resources.Resources": (),
    "ray.tune.resources.json_to_resources": ("{}",),
    "ray.tune.resources.resources_to_json": (),
    "ray.tune.utils.file_transfer.sync_dir_between_nodes": ("a", "/a", "b", "/b"),
}


def path_here(path: str) -> str:
    return path.replace("ray.tune", "localtune", 1)


def import_here(module: str) -> ModuleType | None:
    """The module; None if it needs a library that is not installed."""
    try:
        return importlib.import_module(path_here(module))
    except ExtraMissingError as error:
        assert repr(NEEDS_LIBRARY.get(module)) in str(error)
        return None


def is_old_argument(each: RayName, parameter: str) -> bool:
    """Whether the argument is refused with what to write today."""
    return not {f"{each.name}({parameter}=)", f"tune.{each.name}({parameter}=)"}.isdisjoint(
        OLD_NAMES
    )


def test_the_file_holds_all_of_ray_tune() -> None:
    assert len(NAMES) > 250 and len(MODULES) > 70
    assert len({*NAMES}) == len(NAMES)


@pytest.mark.parametrize("module", MODULES)
def test_each_name_has_its_kind_and_takes_its_parameters(module: str) -> None:
    loaded = import_here(module)
    if loaded is None:
        return
    for each in NAMES:
        if each.module != module:
            continue
        value = getattr(loaded, each.name)
        is_same_kind = kind_of(value) == each.kind
        assert is_same_kind != (str(each) in OTHER_KIND), each
        missing = [
            name for name in not_accepted(value, each.parameters) if not is_old_argument(each, name)
        ]
        is_other = str(each) in OTHER_PARAMETERS
        assert bool(missing) == is_other, f"{each} does not take {missing}"
        assert is_other or is_same_order(value, each.parameters), f"{each}: another order"


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_meaning_on_one_machine_is_refused_when_it_is_used(name: str) -> None:
    module, _, attribute = name.rpartition(".")
    value = getattr(importlib.import_module(path_here(module)), attribute)

    with pytest.raises(TuneError, match=rf"localtune has no .*{attribute}: .*\. \w"):
        value(*REFUSED[name])


def test_names_are_found_as_attributes_without_further_imports() -> None:
    paths = [path_here(str(each)) for each in NAMES if each.module not in NEEDS_LIBRARY]
    done = subprocess.run(
        [sys.executable, "-c", _WALK],
        input="\n".join(paths),
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


# Prints each path that cannot be reached from a fresh `import localtune`.
_WALK = """
import sys
last = None
for path in sys.stdin.read().split():
    module = path.rpartition(".")[0]
    if module != last:
        for name in [name for name in sys.modules if name.partition(".")[0] == "localtune"]:
            del sys.modules[name]
        import localtune
        last = module
    found = localtune
    for part in path.split(".")[1:]:
        try:
            found = getattr(found, part)
        except AttributeError as error:
            print(path, error)
            break
"""
