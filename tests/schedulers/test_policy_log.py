"""What population based training writes down."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from localtune.schedulers.policy_log import Exploit, PolicyLog


def make_exploit(tag: str = "1", donor_tag: str = "0", **config: Any) -> Exploit:
    return Exploit(tag, donor_tag, 4, 6, {"lr": 1}, config)


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_each_exploit_is_one_line_in_both_files(tmp_path: Path) -> None:
    PolicyLog().write(str(tmp_path), "b", "a", make_exploit(lr=2))
    expected = [["1", "0", 4, 6, {"lr": 1}, {"lr": 2}]]
    assert lines(tmp_path / "pbt_global.txt") == expected
    assert lines(tmp_path / "pbt_policy_b.txt") == expected
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "pbt_global.txt",
        "pbt_policy_b.txt",
    ]


def test_a_trial_takes_over_the_past_of_its_donor(tmp_path: Path) -> None:
    log = PolicyLog()
    log.write(str(tmp_path), "b", "a", make_exploit("b", "a"))
    log.write(str(tmp_path), "c", "x", make_exploit("c", "x"))
    log.write(str(tmp_path), "c", "b", make_exploit("c", "b"))
    # A new object, as after the run was taken up again: it goes on in the same files.
    PolicyLog().write(str(tmp_path), "b", "new", make_exploit("b", "new"))
    tags = [line[:2] for line in lines(tmp_path / "pbt_policy_c.txt")]
    assert tags == [["b", "a"], ["c", "b"]]
    assert [line[:2] for line in lines(tmp_path / "pbt_policy_b.txt")] == [["b", "new"]]
    assert len(lines(tmp_path / "pbt_global.txt")) == 4


def test_without_a_directory_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for directory in ("", "gone"):
        PolicyLog().write(directory, "b", "a", make_exploit())
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_cannot_be_written_to_is_warned_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "pbt_global.txt").mkdir()
    log = PolicyLog()
    for _ in range(3):
        log.write(str(tmp_path), "b", "a", make_exploit())
    assert len(caplog.records) == 1 and "is incomplete" in caplog.text


def test_a_line_can_be_read_again() -> None:
    exploit = make_exploit(lr=0.1, layers=[1, 2], nested={"a": None})
    assert Exploit.from_line(exploit.as_line()) == exploit


def test_values_that_json_cannot_hold_become_text() -> None:
    assert "lambda" in make_exploit(f=lambda: 1).plain().config["f"]


@pytest.mark.parametrize(
    "line", ["{}", "[]", '["a", "b", 1, 2, {}]', '["a", "b", 1, "2", {}, {}]', "no json", ""]
)
def test_another_line_is_refused(line: str) -> None:
    with pytest.raises(ValueError):
        Exploit.from_line(line)
