"""What a trial's program was started with is read from its directory, if that can be read."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import localtune as tune
from localtune.trainable.command.program_record import PROGRAM_FILE, ProgramRecord, program_in
from tests.small_runs import fit

RECORD = {"command": "sh a", "argv": ["sh", "a"], "directory": "/", "environment": {"A": "1"}}


def test_a_record_is_read(tmp_path: Path) -> None:
    (tmp_path / PROGRAM_FILE).write_text(json.dumps(RECORD))

    assert program_in(str(tmp_path)) == ProgramRecord("sh a", False, "/", {"A": "1"})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        json.dumps({**RECORD, "command": 1}),
        json.dumps({**RECORD, "directory": None}),
        json.dumps({**RECORD, "environment": ["A"]}),
    ],
)
def test_a_damaged_record_is_none(text: str, tmp_path: Path) -> None:
    assert program_in(str(tmp_path)) is None
    (tmp_path / PROGRAM_FILE).write_text(text)

    assert program_in(str(tmp_path)) is None


def test_the_script_quotes_all_that_a_shell_would_read() -> None:
    record = ProgramRecord("echo $A | cat", True, "/a b", {"A": "it's"})

    assert record.script == "cd '/a b'\nenv \\\n    A='it'\"'\"'s' \\\n    sh -c 'echo $A | cat'\n"


@pytest.mark.parametrize("params_by", ["args", "env", "file"])
@pytest.mark.parametrize("is_shell_text", [False, True])
def test_the_line_that_is_shown_gives_the_program_its_parameters(
    params_by: str, is_shell_text: bool, tmp_path: Path
) -> None:
    text = {
        "args": "echo {x}",
        "env": 'echo "$LOCALTUNE_PARAM_X"',
        "file": 'cat params.json "$LOCALTUNE_PARAMS_FILE"',
    }[params_by]
    text += "; echo '{{\"loss\": 1}}'"
    if not is_shell_text and params_by == "args":
        argv: str | list[str] = ["echo", '{{"loss": "{x}"}}']
    else:
        argv = text if is_shell_text else ["sh", "-c", text]
    command = tune.Command(argv, params_by=params_by, shell=is_shell_text)
    (result,) = fit(command, tmp_path, {"x": "it's $HOME"})
    record = program_in(str(result.path))
    assert record is not None

    done = subprocess.run(
        ["sh", "-euc", record.line_with_parameters], cwd="/", capture_output=True, text=True
    )

    assert "it's $HOME" in done.stdout and done.stderr == ""
    assert done.stdout.count("it's $HOME") == (2 if params_by == "file" else 1)


def test_a_module_is_run_again_from_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "steps.py").write_text("NUMBER = 3")
    (tmp_path / "job.py").write_text(
        "import os, steps, sys\n"
        "open(os.path.join(os.environ['LOCALTUNE_CHECKPOINT_DIR'], 'a'), 'w').close()\n"
        "print('{\"loss\": %s}' % (steps.NUMBER * int(sys.argv[1])))"
    )
    command = tune.Command([sys.executable, "-m", "job", "{x}"])
    (result,) = fit(command, tmp_path / "s", {"x": 2})
    record = program_in(str(result.path))
    assert record is not None

    printed = subprocess.run(
        ["sh", "-euc", record.script], cwd="/", capture_output=True, text=True, timeout=60
    )

    assert (printed.stdout, printed.stderr) == ('{"loss": 6}\n', "")
