"""The fixture ``localtune_check`` and the option ``--localtune-compat`` in a project's tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.runs.lifecycle.programs import DEADLINE_S, environment

PLUGIN = "localtune.testing.pytest_plugin"
TESTS = """
import localtune as tune


def train(config):
    tune.report({"loss": config["lr"]})


def test_right(localtune_check):
    assert localtune_check(train, {"lr": 0.1}, metric="loss").ok


def test_wrong(localtune_check):
    localtune_check(train, {"lr": 0.1}, metric="los")
"""


def test_the_fixture_fails_a_test_with_the_report(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(TESTS)

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", PLUGIN, "-p", "no:cacheprovider"],
        cwd=tmp_path,
        # As if only this plugin were installed, by whatever name.
        env=environment(PYTEST_DISABLE_PLUGIN_AUTOLOAD="1"),
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
    )

    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 failed, 1 passed" in done.stdout
    assert "AssertionError: Check of train: 1 failure" in done.stdout
    assert "The searched metric 'los' is not in result 1" in done.stdout


RAY_TESTS = """
import os
from ray import tune
from beside import train


def test_ray_is_localtune():
    run_config = tune.RunConfig(storage_path=os.getcwd(), verbose=0)
    assert tune.Tuner(train, run_config=run_config).fit()[0].metrics["loss"] == 1
"""


def test_with_the_option_ray_is_localtune(tmp_path: Path) -> None:
    (tmp_path / "test_ray.py").write_text(RAY_TESTS)
    (tmp_path / "conftest.py").write_text("import ray.tune.schedulers\n")
    (tmp_path / "beside.py").write_text(
        "import ray.train\ndef train(config):\n    ray.train.report({'loss': 1})\n"
    )

    def outcome(*options: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options],
            cwd=tmp_path,
            env=environment(PYTEST_DISABLE_PLUGIN_AUTOLOAD="1", PYTEST_ADDOPTS=f"-p {PLUGIN}"),
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
        )
        return done.returncode, done.stdout + done.stderr

    code, text = outcome("--localtune-compat")
    assert code == 0 and "1 passed" in text, text
    (tmp_path / "loads_ray.py").write_text(
        "import sys, types\nsys.modules['ray'] = types.ModuleType('ray')\n"
    )
    code, text = outcome("-p", "loads_ray", "--localtune-compat")
    assert code != 0 and "ERROR: The real Ray has been imported already" in text, text
    (tmp_path / "pytest.ini").write_text("[pytest]\nlocaltune_compat = true\n")
    code, text = outcome()
    assert code == 0 and "1 passed" in text, text


def test_the_plugin_loads_nothing_of_localtune_at_the_start() -> None:
    code = f"""
import sys, {PLUGIN}
heavy = ("cloudpickle", "psutil", "multiprocessing", "sqlite3")
found = [n for n in sys.modules if n.startswith(("localtune.tools.check", "localtune.execution"))]
print(found + [n for n in heavy if n in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=True,
    )

    assert done.stdout.strip() == "[]"
