"""``localtune slots``: who holds and who waits, with text of others made harmless."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from localtune.execution.shared.leases import Lease, Wish, to_units
from localtune.execution.shared.ledger import CONTENT, Ledger
from localtune.execution.shared.own_lease import OwnLease
from localtune.tools.cli.main import main

Make = Callable[..., OwnLease]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    made = tmp_path / "ledger"
    made.mkdir(mode=0o700)
    return made


@pytest.fixture
def make(directory: Path) -> Iterator[Make]:
    made: list[OwnLease] = []

    def make_one(**values: Any) -> OwnLease:
        made.append(OwnLease(Ledger(str(directory)), Lease("", **values)))
        return made[-1]

    yield make_one
    for own in made:
        own.close()


def two_sweeps(make: Make) -> None:
    total = to_units({"CPU": 8, "memory": 2.0**34})
    make(
        pid=11,
        command="train.py",
        since=1_700_000_000.0,
        total=total,
        gpu_ids=("0", "1"),
        holds=to_units({"CPU": 6, "GPU": 1, "memory": 2.0**33}),
        gpus=to_units({"1": 1}),
        trials=3,
    )
    wish = Wish(to_units({"CPU": 4}), 1_700_000_100.0, 5.0)
    make(pid=12, command="other.py", since=1_700_000_090.0, total=total, wish=wish)


def test_it_shows_who_holds_and_who_waits(
    directory: Path, make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    two_sweeps(make)
    assert main(["slots", "--ledger", str(directory)]) == 0
    first, titles, _, holds, waits = capsys.readouterr().out.splitlines()
    assert "6 of 8 CPU, 8.0 GiB of 16.0 GiB memory, 1 of 2 GPU taken" in first
    assert titles.split() == ["PID", "USER", "SINCE", "TRIALS", "HOLDS", "WAITS", "FOR", "COMMAND"]
    assert holds.split()[0] == "11" and "6 CPU, 1 GPU, 8.0 GiB memory, GPU 1" in holds
    assert "2023-11-1" in holds and holds.endswith("train.py")
    assert waits.split()[0] == "12" and "4 CPU, for " in waits and waits.endswith("other.py")


def test_json_has_it_all(directory: Path, make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    two_sweeps(make)
    assert main(["slots", "--ledger", str(directory), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["ledger"] == str(directory)
    assert shown["total"] == {"CPU": 8.0, "memory": 2.0**34, "GPU": 2.0}
    assert shown["taken"] == {"CPU": 6.0, "memory": 2.0**33, "GPU": 1.0}
    first, second = shown["sweeps"]
    assert (first["pid"], first["trials"], first["gpus"]) == (11, 3, {"1": 1.0})
    assert first["waits_for"] is None and first["problem"] is None
    assert (second["waits_for"], second["waits_since"]) == ({"CPU": 4.0}, 1_700_000_100.0)


@pytest.mark.parametrize("is_there", [True, False])
def test_without_sweeps_there_is_nothing_to_show(
    directory: Path, is_there: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--ledger", str(directory)] if is_there else []
    assert main(["slots", *arguments]) == 0
    shown = capsys.readouterr()
    assert shown.out == "" and "No sweep shares " in shown.err
    assert main(["slots", "--json", *arguments]) == 0
    assert json.loads(capsys.readouterr().out)["sweeps"] == []


def test_text_of_others_does_not_steer_the_terminal(
    directory: Path, make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    nasty = "\x1b[2Jtrain\u202e.py\nroot 9"
    make(command=nasty, total=to_units({f"\x1b]0;{nasty}": 1}), holds=to_units({nasty: 1}))
    for arguments in ([], ["--json"]):
        assert main(["slots", "--ledger", str(directory), *arguments]) == 0
        shown = capsys.readouterr().out
        assert not set(shown) & {"\x1b", "\u202e"}
        assert not any(line.startswith("root") for line in shown.splitlines())


def test_long_texts_are_cut(
    directory: Path, make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    make(command="x" * 300, holds=to_units({"y" * 250: 1}), since=1e17)
    assert main(["slots", "--ledger", str(directory)]) == 0
    assert max(map(len, capsys.readouterr().out.splitlines())) < 160


def test_a_damaged_lease_is_named(
    directory: Path, make: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    own = make()
    Path(Ledger(str(directory)).file_of(own.lease.lease_id, CONTENT)).write_text("{")
    assert main(["slots", "--ledger", str(directory)]) == 0
    shown = capsys.readouterr()
    assert "?" in shown.out and "it is not JSON" in shown.err
    assert main(["slots", "--ledger", str(directory), "--json"]) == 0
    assert "it is not JSON" in json.loads(capsys.readouterr().out)["sweeps"][0]["problem"]


def test_a_ledger_that_cannot_be_used_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["slots", "--ledger", str(tmp_path / "missing")]) == 1
    assert "install -d" in capsys.readouterr().err


def test_the_settings_name_the_ledger(
    directory: Path, make: Make, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    home = directory.parent / "home"
    (home / ".config" / "localtune").mkdir(parents=True)
    (home / ".config" / "localtune" / "settings.toml").write_text(f'shared = "{directory}"\n')
    monkeypatch.setenv("HOME", str(home))
    make(command="mine.py")
    assert main(["slots"]) == 0
    assert "mine.py" in capsys.readouterr().out
