"""setup.cfg says what is true of the package."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SETUP = configparser.ConfigParser()
SETUP.read(ROOT / "setup.cfg", encoding="utf-8")
EXTRAS = SETUP["options.extras_require"]
# Where the files of the namespace package `hydra_plugins` are.
HYDRA_PLUGINS = ROOT / SETUP["options"]["package_dir"].rpartition("hydra_plugins = ")[2]

# What only those who develop localtune install, and what its own run time never imports.
# Not tested with their lowest versions: what tests need themselves, and what is too large.
NOT_FOR_LOWEST = {
    "test",
    "testing",
    "dev",
    "docs",
    "ray",
    "dask",
    "bench-peers",
    "ax",
    "optuna-gp",
    "heavy",
    "clusters",
    "keras",
    "lightning",
}
# Not for every user: see the remarks in setup.cfg. Of the libraries that localtune reports to or
# from, each user has at most one or two.
NOT_IN_ALL = NOT_FOR_LOWEST | {"all", "demo", "nevergrad"}
NOT_IN_ALL |= {"hydra", "lightgbm", "mlflow", "wandb", "xgboost"}


def requirements(text: str) -> dict[str, str]:
    """Name -> version specifier of each requirement but those on extras of this package."""
    found = {}
    for line in filter(None, text.splitlines()):
        match = re.fullmatch(r"([\w.-]+)(\[[\w,-]+\])?(.*)", line)
        assert match, line
        if match[1] != "localtune-runner":
            found[match[1]] = match[3]
    return found


def test_there_are_three_run_time_dependencies() -> None:
    assert set(requirements(SETUP["options"]["install_requires"])) == {
        "cloudpickle",
        "filelock",
        "psutil",
    }


def test_dependencies_have_a_lower_bound_and_no_upper_one() -> None:
    for extra in EXTRAS.keys() - {"test", "dev", "heavy", "clusters"}:
        for name, bound in requirements(EXTRAS[extra]).items():
            assert re.fullmatch(r">=[\d.]+", bound), (extra, name)
    for name, bound in requirements(SETUP["options"]["install_requires"]).items():
        assert re.fullmatch(r">=[\d.]+", bound), name


def test_the_lowest_versions_that_are_tested_are_the_lower_bounds() -> None:
    lower_bounds = requirements(SETUP["options"]["install_requires"])
    for extra in EXTRAS.keys() - NOT_FOR_LOWEST:
        lower_bounds |= requirements(EXTRAS[extra])
    constraints = (ROOT / "tests" / "constraints-lowest.txt").read_text(encoding="utf-8")

    listed = set(re.findall(r"^[^#].*$", constraints, re.MULTILINE))
    wanted = {name + bound.replace(">=", "==") for name, bound in lower_bounds.items()}
    assert wanted - listed == set()
    # Packages that tests bring beside it may stand there, too, with their own bound.
    of_tests = requirements(EXTRAS["test"])
    assert listed - wanted <= {n + b.replace(">=", "==") for n, b in of_tests.items()}


def test_all_holds_each_extra_for_users() -> None:
    listed = re.search(r"\[(.*)\]", EXTRAS["all"])

    assert listed
    assert set(listed[1].split(",")) == EXTRAS.keys() - NOT_IN_ALL


def test_each_minor_version_since_the_oldest_is_named() -> None:
    named = re.findall(r"Python :: 3\.(\d+)$", SETUP["metadata"]["classifiers"], re.MULTILINE)
    oldest = SETUP["options"]["python_requires"].removeprefix(">=3.")

    assert named == [str(minor) for minor in range(int(oldest), int(oldest) + len(named))]


def test_every_folder_with_code_is_a_package() -> None:
    folders = {path.parent for path in (ROOT / "localtune").rglob("*.py")}
    # A namespace, which other packages put files into, must not have that file.
    folders.remove(HYDRA_PLUGINS)

    assert [folder for folder in folders if not (folder / "__init__.py").exists()] == []


def test_the_plugin_for_hydra_stands_where_the_entry_point_says() -> None:
    entry_points = SETUP["options.entry_points"]["hydra.plugins"]
    (module, name), *_ = re.findall(r"= hydra_plugins\.(\w+):(\w+)$", entry_points, re.MULTILINE)

    assert sorted(path.name for path in HYDRA_PLUGINS.glob("*.py")) == [f"{module}.py"]
    assert f"\nclass {name}(Launcher):" in (HYDRA_PLUGINS / f"{module}.py").read_text("utf-8")


@pytest.mark.parametrize("data", ["py.typed", "tools/report/assets/*"])
def test_each_pattern_of_package_data_finds_files(data: str) -> None:
    assert any(path.is_file() for path in (ROOT / "localtune").glob(data))
