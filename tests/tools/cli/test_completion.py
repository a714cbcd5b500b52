"""Scripts that complete command lines."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from localtune.tools.cli.main import main
from localtune.tools.commands.registry import COMMANDS


def script(shell: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["completion", shell]) == 0
    return capsys.readouterr().out


def completed(text: str, home: Path, *words: str) -> list[str]:
    """What bash offers for the last of some words."""
    typed = " ".join(f"'{word}'" for word in words)
    ask = (
        f"\nCOMP_WORDS=({typed}); COMP_CWORD={len(words) - 1}; _localtune; "
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "-c", text + ask],
        env={"HOME": str(home), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_bash_reads_it(capsys: pytest.CaptureFixture[str]) -> None:
    text = script("bash", capsys)

    subprocess.run(["bash", "-n"], input=text, text=True, check=True, timeout=30)


def test_bash_completes_commands_options_and_experiments(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = script("bash", capsys)
    (tmp_path / "localtune_results" / "sweep_1").mkdir(parents=True)

    assert completed(text, tmp_path, "localtune", "re") == ["resume", "retry", "report"]
    assert completed(text, tmp_path, "localtune", "run", "--sc") == ["--scheduler"]
    assert completed(text, tmp_path, "localtune", "run", "--pa") == [
        "--pattern",
        "--params-by",
        "--param",
    ]
    assert completed(text, tmp_path, "localtune", "check", "--comm") == ["--command"]
    assert completed(text, tmp_path, "localtune", "show", "sw") == ["sweep_1"]
    assert completed(text, tmp_path, "localtune", "run", "sw") == []


def test_the_one_for_zsh_knows_all_commands_too(capsys: pytest.CaptureFixture[str]) -> None:
    text = script("zsh", capsys)

    assert text.startswith("#compdef localtune\n")
    assert [each for each in COMMANDS if f"        {each}) names=(--help" not in text] == []
    assert f"names=({' '.join(COMMANDS)})" in text
    assert text.count("case ") == text.count("esac")
    assert "{{" not in text
