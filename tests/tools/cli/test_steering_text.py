"""What others named, raised or printed reaches the terminal of no command with its codes."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import localtune as tune
from localtune.tools.cli.main import main
from tests.tools.cli.command import localtune

POISON = "x\x1b[2J\x1b]0;title\x07y\x9b2J\u202ez\x7f"


def train(config: dict[str, Any]) -> None:
    print(f"printed {POISON}\r{POISON}", flush=True)
    tune.report({f"loss{POISON}": 1.0, "text": POISON, "nested": {POISON: POISON}})
    if config["bad"]:
        raise ValueError(f"{POISON}\n{POISON}")


@pytest.fixture(scope="module")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Experiments in which whatever may hold text holds codes for a terminal."""
    path = tmp_path_factory.mktemp("storage") / POISON.replace("/", "")
    for name, kept in (("logged", True), ("silent", False)):
        tune.Tuner(
            train,
            param_space={
                "bad": tune.grid_search([False, True]),
                f"key{POISON}": tune.choice([POISON]),
                "constant": POISON,
            },
            tune_config=tune.TuneConfig(
                metric=f"loss{POISON}",
                mode="min",
                trial_name_creator=lambda trial: f"{POISON}{trial.trial_id[-1]}",
            ),
            run_config=tune.RunConfig(
                storage_path=str(path), name=name, verbose=0, log_to_file=kept
            ),
        ).fit()
    yield path


COMMANDS = [
    ["show", "{}/logged"],
    ["show", "{}/logged", "--json"],
    ["show", "{}/logged", "0"],
    ["show", "{}/logged", "1"],
    ["show", "{}/logged", "1", "--json"],
    ["show", "{}/logged", POISON * 2],
    ["show", "{}/" + POISON],
    ["best", "{}/logged"],
    ["best", "{}/logged", "--json"],
    ["best", "{}/logged", "--metric", POISON, "--mode", "min"],
    ["ls", "{}"],
    ["ls", "{}", "--json"],
    ["ls", "{}/.."],
    ["ls", POISON],
    ["tail", "{}/logged", "0"],
    ["tail", "{}/logged", "1", "-f"],
    ["tail", "{}/silent", "0"],
    ["export", "{}/logged", "--to", "csv", "-o", "{}/" + POISON],
    ["export", "{}/logged", "--to", "json", "-o", "{}/" + POISON, "--force", "--json"],
    ["report", "{}/logged", "-o", "{}/" + POISON],
    ["report", "{}/logged", "-o", "{}/" + POISON, "--json"],
    ["report", "{}/logged", "-o", "/" + POISON + "/" + POISON],
    ["clean", "{}"],
    ["clean", "{}", "--json"],
    ["clean", "{}", "--name", POISON],
    ["stop", "{}/logged"],
    ["stop", POISON],
    ["resume", "{}/logged"],
    ["resume", "{}/logged", POISON],
    ["retry", "{}/logged", f"{POISON}.py:train"],
    ["check", f"{POISON}:train"],
    ["check", f"{POISON}.toml"],
    ["run", f"json:{POISON}"],
    ["run", "json:loads", "--param", POISON],
    ["run", "json:loads", "--samples", POISON],
    ["show", f"--{POISON}"],
    ["show", "a", "b", POISON],
    [POISON],
    ["completion", POISON],
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda words: ascii(" ".join(words))[:40])
def test_no_command_shows_codes_of_others(
    storage: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    main([each.replace("{}", str(storage)) for each in command])
    shown = capsys.readouterr()
    assert shown.out or shown.err
    for text in shown:
        assert not steering_in(text)


SCRIPT = f"""
import localtune as tune

POISON = {POISON!r}


def train(config):
    print("printed", POISON, flush=True)
    tune.report({{POISON: 1.0, "loss": 1.0}})
    raise ValueError(POISON)


def refuse():
    raise RuntimeError(POISON)


class Refuses(tune.Trainable):
    def setup(self, config):
        raise RuntimeError(POISON)
"""


@pytest.mark.parametrize(
    "command",
    [
        ["run", "script.py:train", "--storage", "s", "--name", "a"],
        ["run", "script.py:Refuses", "--storage", "s", "--name", "b", "--verbose", "3"],
        ["check", "script.py:train"],
        ["run", "broken.py:train"],
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_no_run_shows_codes_of_its_trials(tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "broken.py").write_text(f"{SCRIPT}\nrefuse()\n")
    done = localtune(tmp_path, *command)
    assert "title" in done.stdout + done.stderr
    # Colours of a trial's own output are let through.
    assert not steering_in(re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr))


def steering_in(text: str) -> set[str]:
    kinds = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    return {char for char in text if unicodedata.category(char) in kinds and char not in "\n\t"}
