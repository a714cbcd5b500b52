"""What the public CI service, its forms and pre-commit read: valid, and true of the scripts."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.packaging.test_setup_cfg import ROOT, SETUP

GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
ISSUE_FORMS = sorted((GITHUB / "ISSUE_TEMPLATE").glob("*.md"))


def loaded(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_the_workflow_calls_the_one_script(path: Path) -> None:
    jobs = loaded(path)["jobs"]
    commands = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]

    assert commands == [".ci/run"]
    assert os.access(ROOT / commands[0], os.X_OK)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_the_workflow_runs_each_python_for_at_most_an_hour(path: Path) -> None:
    named = re.findall(r"Python :: (3\.\d+)$", SETUP["metadata"]["classifiers"], re.MULTILINE)
    for job in loaded(path)["jobs"].values():
        assert job["timeout-minutes"] <= 60
        assert job["strategy"]["matrix"]["python"] == named


def test_a_workflow_and_forms_are_found() -> None:
    assert WORKFLOWS
    assert len(ISSUE_FORMS) == 2
    assert (GITHUB / "pull_request_template.md").is_file()
    assert isinstance(loaded(GITHUB / "ISSUE_TEMPLATE" / "config.yml"), dict)


@pytest.mark.parametrize("path", ISSUE_FORMS, ids=lambda path: path.name)
def test_a_form_for_issues_has_a_name_and_says_what_it_is_for(path: Path) -> None:
    _, head, text = path.read_text(encoding="utf-8").split("---\n", 2)
    fields = yaml.safe_load(head)

    assert {"name", "about"} <= fields.keys()
    assert all(fields.values())
    assert text.strip()


def test_hooks_before_a_commit_are_the_checks_of_the_script() -> None:
    (repository,) = loaded(ROOT / ".pre-commit-config.yaml")["repos"]
    assert repository["repo"] == "local"
    entries = [hook["entry"] for hook in repository["hooks"]]
    assert entries == ["scripts/lint ruff", "scripts/lint format", "scripts/lint mypy"]


@pytest.mark.parametrize("script", ["scripts/lint", "scripts/test", "scripts/docs"])
def test_a_script_tells_its_options(script: str) -> None:
    done = subprocess.run([ROOT / script, "--help"], capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"Usage: {script}")
    taken = re.findall(
        r"^ +(--[\w-]+)[=)]", (ROOT / script).read_text(encoding="utf-8"), re.MULTILINE
    )
    assert [option for option in taken if option != "--help" and option not in done.stdout] == []


def test_an_unknown_check_is_refused() -> None:
    done = subprocess.run([ROOT / "scripts" / "lint", "black"], capture_output=True, text=True)

    assert done.returncode == 1
    assert (
        "error: scripts/lint takes --python, --fix, ruff, format and mypy, but got black."
        in done.stderr
    )
