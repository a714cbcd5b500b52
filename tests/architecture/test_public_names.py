"""What users can import, and what an import brings along."""

from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys
import sysconfig

import pytest

import localtune
from tests.architecture.layers import FACES, MAY_IMPORT, PACKAGE, ROOT, layer_of, package_modules

# All that `from ray.tune import *` gives (Ray 2.45).
RAY_TUNE_NAMES = [
    "Trainable",
    "Callback",
    "TuneError",
    "grid_search",
    "register_env",
    "register_trainable",
    "run",
    "run_experiments",
    "with_parameters",
    "with_resources",
    "Stopper",
    "Experiment",
    "sample_from",
    "uniform",
    "quniform",
    "choice",
    "randint",
    "lograndint",
    "qrandint",
    "qlograndint",
    "randn",
    "qrandn",
    "loguniform",
    "qloguniform",
    "ExperimentAnalysis",
    "CLIReporter",
    "JupyterNotebookReporter",
    "ProgressReporter",
    "ResultGrid",
    "create_searcher",
    "create_scheduler",
    "PlacementGroupFactory",
    "Tuner",
    "TuneConfig",
    "ResumeConfig",
    "RunConfig",
    "CheckpointConfig",
    "FailureConfig",
    "Result",
    "Checkpoint",
    "get_checkpoint",
    "report",
    "get_context",
    "TuneContext",
    "SyncConfig",
]

MODULES = package_modules()
PACKAGES = [module for module, path in MODULES.items() if path.name == "__init__.py"]
# The stand-in for Ray has the names of localtune under other paths: tests/compat walks them.
OWN_PACKAGES = [name for name in PACKAGES if not name.startswith("localtune.compat.")]

# Too heavy for what every script and every worker loads.
HEAVY = {
    "asyncio",
    "cloudpickle",
    "concurrent",
    "ctypes",
    "dataclasses",
    "email",
    "fsspec",
    "http",
    "inspect",
    "logging",
    "multiprocessing",
    "numpy",
    "optuna",
    "pandas",
    "psutil",
    "rich",
    "socket",
    "sqlite3",
    "subprocess",
    "tempfile",
    "unittest",
    "urllib",
    "xml",
}
# What a worker can do without: it needs pipes, pickles and processes, no more.
HEAVY_FOR_WORKERS = {
    "asyncio",
    "concurrent.futures",
    "csv",
    "email",
    "filelock",
    "fsspec",
    "http",
    "numpy",
    "optuna",
    "pandas",
    "rich",
    "sqlite3",
    "tensorboardX",
    "unittest",
    "xml",
}


def loaded_by(statement: str) -> list[str]:
    """Modules that a statement adds to a bare interpreter, in the order of their loading."""
    # Without -S, the .pth files of the environment would load modules of their own.
    program = (
        "import sys\n"
        f"sys.path[:0] = {[str(ROOT)]!r}\n"
        f"sys.path += {[sysconfig.get_path('purelib'), sysconfig.get_path('platlib')]!r}\n"
        "before = set(sys.modules)\n"
        f"{statement}\n"
        "loaded = [name for name in sys.modules if name not in before]\n"
        "import json\n"
        "print(json.dumps(loaded))\n"
    )
    output = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program], stdout=subprocess.PIPE, check=True
    ).stdout
    loaded: list[str] = json.loads(output)
    return loaded


def among(heavy: set[str], loaded: list[str]) -> list[str]:
    return [
        name
        for name in loaded
        if any(name == each or name.startswith(f"{each}.") for each in heavy)
    ]


def test_all_names_of_ray_tune_are_counted() -> None:
    assert len(RAY_TUNE_NAMES) == len(set(RAY_TUNE_NAMES)) == 45


@pytest.mark.parametrize("name", RAY_TUNE_NAMES)
def test_each_name_of_ray_tune_is_a_public_name(name: str) -> None:
    assert name in localtune.__all__
    assert getattr(localtune, name).__name__ == name


def test_names_that_are_loaded_lazily_are_listed_too() -> None:
    assert sorted(set(RAY_TUNE_NAMES) - set(dir(localtune))) == []


@pytest.mark.parametrize("package", PACKAGES)
def test_each_name_that_a_package_exports_resolves(package: str) -> None:
    module = importlib.import_module(package)
    exported = getattr(module, "__all__", [])

    assert sorted(set(exported)) == sorted(exported)
    assert [name for name in exported if not hasattr(module, name)] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_without_the_name_says_so(package: str) -> None:
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'no_such'"):
        importlib.import_module(package).no_such  # noqa: B018


@pytest.mark.parametrize("package", OWN_PACKAGES)
def test_type_checkers_and_users_see_the_same_names(package: str) -> None:
    """What stands under TYPE_CHECKING is what the lazy lookup returns, and all of it."""
    module = importlib.import_module(package)
    for_type_checkers = names_under_type_checking(package)

    if "__getattr__" in vars(module):
        assert sorted(set(module.__all__) - set(for_type_checkers) - static_names(package)) == []
    for name, (source, original) in for_type_checkers.items():
        if name in module.__all__:
            assert getattr(module, name) is getattr(importlib.import_module(source), original)


def names_under_type_checking(package: str) -> dict[str, tuple[str, str]]:
    """Name -> (module, name there) of the imports that only a type checker runs."""
    tree = ast.parse(MODULES[package].read_text(encoding="utf-8"))
    return {
        alias.asname or alias.name: (node.module or "", alias.name)
        for block in tree.body
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def static_names(package: str) -> set[str]:
    """Names that a package binds by plain imports, assignments, classes and functions."""
    found: set[str] = set()
    for node in ast.parse(MODULES[package].read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom):
            found |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Assign):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
    return found


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert among(HEAVY, loaded_by("import localtune")) == []


def test_importing_the_package_loads_next_to_nothing() -> None:
    loaded = loaded_by("import localtune")

    assert [name for name in loaded if name.startswith(f"{PACKAGE}.")] in (
        [],
        ["localtune._version"],
    )
    assert len(loaded) <= 10, loaded


def test_a_bare_worker_loads_only_its_own_layers() -> None:
    loaded = loaded_by("import localtune.worker.main")
    own = [name for name in loaded if name.startswith(f"{PACKAGE}.")]

    allowed = MAY_IMPORT["W"]
    # A package is loaded before a module in it; a face itself loads nothing.
    assert [name for name in own if layer_of(name) not in allowed and name not in FACES] == []


def test_a_bare_worker_loads_nothing_heavy() -> None:
    assert among(HEAVY_FOR_WORKERS, loaded_by("import localtune.worker.main")) == []


SWEEP = """
import tempfile
import localtune as tune

def report(config):
    tune.report({"score": config["x"]})

with tempfile.TemporaryDirectory() as directory:
    tune.Tuner(
        report,
        param_space={"x": tune.uniform(0, 1)},
        run_config=tune.RunConfig(storage_path=directory, verbose=0),
    ).fit()
"""
# What a run without these features must not import.
NOT_IN_A_TRIVIAL_RUN = {
    "asyncio",
    "concurrent.futures",
    "ctypes",
    "email",
    "filelock",
    "http",
    "localtune.controller.background_search",
    "localtune.execution.in_process",
    "localtune.execution.process.spawn_launcher",
    "localtune.logger.tensorboard",
    "localtune.progress_reporter.console",
    "localtune.schedulers.bracket",
    "localtune.search.search_generator",
    "localtune.stopper.combined",
    "localtune.storage.sync",
    "multiprocessing",
    "numpy",
    "psutil",
    "secrets",
    "xml",
}
# Lower it when a run needs fewer.
MOST_MODULES_OF_A_RUN = 255


@pytest.mark.parametrize("name", ["Tuner", "TuneConfig", "report", "uniform"])
def test_the_name_of_a_tool_does_not_load_the_run(name: str) -> None:
    loaded = loaded_by(f"import localtune; localtune.{name}")

    assert len([each for each in loaded if each.startswith(f"{PACKAGE}.")]) <= 45, loaded


def test_a_trivial_run_loads_only_what_it_uses() -> None:
    loaded = loaded_by(SWEEP)

    assert among(NOT_IN_A_TRIVIAL_RUN, loaded) == []
    assert len([name for name in loaded if name.startswith(f"{PACKAGE}.")]) <= MOST_MODULES_OF_A_RUN


@pytest.mark.parametrize(
    "name", ["schedulers", "search", "stopper", "logger", "utils", "experiment"]
)
def test_subpackages_are_attributes_of_the_package(name: str) -> None:
    code = f"import localtune as tune; print(tune.{name}.__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == f"localtune.{name}", done.stderr


def test_no_module_hides_a_public_name() -> None:
    # Importing a module sets it as an attribute of the package.
    modules = {path.stem for path in (ROOT / PACKAGE).iterdir()}
    assert not modules & set(localtune.__all__)


def test_a_worker_with_a_trainable_does_not_load_what_reads_its_text() -> None:
    loaded = loaded_by("import localtune.worker.main, localtune.trainable.function_trainable")

    unwanted = {f"localtune.old_names.{name}" for name in ("bodies", "scan", "scopes", "table")}
    assert not unwanted & set(loaded)


def test_a_reload_of_the_package_leaves_one_finder() -> None:
    code = (
        "import importlib, sys, localtune; count = len(sys.meta_path)\n"
        "importlib.reload(localtune); print(len(sys.meta_path) - count)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == "0", done.stderr
