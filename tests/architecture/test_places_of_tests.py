"""Where tests stand: beside their module, in the folder of their package, or below tests/runs/."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.architecture.layers import PACKAGE, ROOT

TESTS = ROOT / "tests"
# Whole runs, and what concerns no part of the package.
OTHER_FOLDERS = {"runs", "docs", "architecture", "packaging"}
# Subjects that concern the whole package that the folder mirrors, not one of its modules.
SUBJECTS = {
    "compat": {"scripts", "transformers"},
    "controller": {"requests"},
    "examples": {"digits_again", "short_examples"},
    "execution": {"executors"},
    "integration": {"boosting", "sklearn"},
    "progress_reporter": {"cost", "steering_text"},
    "schedulers": {"contract"},
    "search": {
        "ax",
        "bayesopt",
        "bohb",
        "contract",
        "hyperopt",
        "nevergrad",
        "optuna",
        "optuna_gp",
        "zoopt",
    },
    "stopper": {"contract"},
    "tools/check": {"command"},
    "tools/cli": {"remote", "runs", "steering_text", "untrusted"},
    "tools/report": {"browser"},
    "trainable": {"package"},
}
FILES = [
    path.relative_to(TESTS)
    for path in sorted(TESTS.rglob("test_*.py"))
    if path.relative_to(TESTS).parts[0] not in OTHER_FOLDERS
]


@pytest.mark.parametrize("path", FILES, ids=str)
def test_a_test_file_stands_where_its_module_does(path: Path) -> None:
    subject = path.stem.removeprefix("test_")
    module = ROOT / PACKAGE / path.parent / f"{subject}.py"

    assert module.is_file() or subject in SUBJECTS.get(path.parent.as_posix(), set()), (
        f"tests/{path} mirrors no module: move it to tests/runs/ if it tests whole runs, or name "
        "it after the module that it tests."
    )


def test_each_subject_has_its_file() -> None:
    missing = [
        f"{folder}/test_{subject}.py"
        for folder, subjects in SUBJECTS.items()
        for subject in sorted(subjects)
        if not (TESTS / folder / f"test_{subject}.py").is_file()
    ]
    assert missing == []
