"""The table of commands, help, and what is told of bad usage."""

from __future__ import annotations

import configparser
import subprocess
import sys
from pathlib import Path

import pytest

from localtune.tools.cli.main import main
from localtune.tools.commands.registry import COMMANDS, make_parser, module_of
from tests.runs.lifecycle.programs import ROOT, environment

HEAVY = {"numpy", "optuna", "pandas", "pyarrow", "rich", "sqlite3", "yaml", "cloudpickle"}


@pytest.mark.parametrize("command", [[], *([each] for each in COMMANDS)])
def test_help_fits_the_screen_and_has_an_example(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*command, "--help"]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) < 80
    # One line is left for the prompt.
    assert len(lines) < 24
    assert any(line.strip().startswith(("localtune", "eval")) for line in lines[3:])


@pytest.mark.parametrize("command", COMMANDS)
def test_help_names_each_option(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    main([command, "--help"])

    text = capsys.readouterr().out
    parser = make_parser([command])._subparsers
    assert parser is not None
    (choices,) = [action.choices for action in parser._group_actions]
    options = [
        option
        for action in dict(choices or {})[command]._actions
        for option in action.option_strings
        if option.startswith("--") and option != "--help"
    ]
    assert [option for option in options if option not in text] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_is_a_module_of_its_own(command: str) -> None:
    module = module_of(command)

    assert callable(module.add_parser) and callable(module.run)


@pytest.mark.parametrize("arguments", [["--help"], ["run", "--help"], ["completion", "bash"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys; from localtune.tools.cli.main import main; code = main(sys.argv[1:]);"
        "print(*{name.partition('.')[0] for name in sys.modules}, file=sys.stderr)"
    )

    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert "localtune" in done.stderr.split()
    assert HEAVY & set(done.stderr.split()) == set()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "usage: localtune COMMAND"),
        (["rnu"], "Did you mean 'run'?"),
        (["run"], "there is no target. Name a trainable"),
        (["check"], "there is no target. Name a trainable"),
        (["run", "a.py:b", "--command", "c"], "--command is given, but 'a.py:b' is a trainable"),
        (["run", "train --lr {lr}"], "To run a program, write --command 'train --lr {lr}'"),
        (["run", "a.py:b", "--shell"], "--shell is given, but 'a.py:b' is a trainable already"),
        (["run", "--results", "file"], "--results is about a program: add --command"),
        (["run", "--command", ""], "argument --command: must be a text"),
        (["run", "--command", "c", "--pattern", "("], "'(' cannot be compiled"),
        (["run", "a:b", "--sampels", "3"], "no option --sampels. Did you mean --samples?"),
        (["run", "a:b", "--samples=x"], "argument --samples: must be a whole number"),
        (["run", "a:b", "--mode", "minn"], "Did you mean 'min'?"),
        (["run", "a:b", "--param", "lr=unifrom(0,1)"], "Did you mean 'uniform'?"),
        (["run", "a:b", "c"], "one argument too many: 'c'"),
        (["export", "e", "--to", "cvs", "-o", "x"], "Did you mean 'csv'?"),
        (["best", "e", "--scope", "al"], "Did you mean 'all'?"),
        (["completion", "fish"], "must be one of bash, zsh"),
        (["--verison"], "Did you mean '--version'?"),
        (["show", "nothing-there", "--storage", "/nowhere"], "There is no experiment"),
        (["ls", "/nowhere"], "No such file or directory"),
        (["ls", "s3://bucket"], "a directory of this machine"),
    ],
)
def test_bad_usage_ends_it_with_2_and_says_what_would_do(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2

    output = capsys.readouterr()
    assert says in output.err
    assert output.out == ""


def test_a_reader_that_has_read_enough_is_no_error() -> None:
    code = (
        "import sys; from localtune.tools.cli.main import main; "
        "sys.exit(main(['completion', 'bash']))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()

    errors = process.stderr.read()
    process.stderr.close()

    assert process.wait(60) == 1
    assert errors == b""


def test_the_package_installs_the_command() -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    entry = setup["options.entry_points"]["console_scripts"].strip()

    assert entry == "localtune = localtune.tools.cli.main:main"


def test_the_page_on_the_command_line_names_each_command() -> None:
    text = Path(ROOT, "docs", "command-line.md").read_text(encoding="utf-8")

    assert [each for each in COMMANDS if f"localtune {each}" not in text] == []
