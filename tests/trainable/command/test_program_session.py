"""localtune.report in a program: what the channel and the metrics file carry."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

import localtune as tune
from localtune.error import TrialStopped
from localtune.trainable.command.channel import ReportChannel, inherited_channel
from localtune.trainable.command.facts import Facts
from localtune.trainable.command.mailbox import Mailbox
from localtune.trainable.command.program_session import ProgramSession


@pytest.fixture
def facts(tmp_path: Path) -> dict[str, str]:
    known = dict.fromkeys(Facts.__dataclass_fields__, "x")
    known.update(trial_dir=str(tmp_path), metrics_file=str(tmp_path / "metrics.jsonl"), seed="3")
    return known


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture
def channel(mailbox: Mailbox) -> Iterator[ReportChannel]:
    channel = ReportChannel(mailbox)
    yield channel
    channel.close()
    channel.join(5)


@pytest.fixture
def session(facts: dict[str, str], channel: ReportChannel) -> Iterator[ProgramSession]:
    (text,) = channel.variables.values()
    inherited = inherited_channel(text)
    assert inherited is not None
    channel.started()
    session = ProgramSession(facts, inherited, None)
    yield session
    session.close()


def test_a_report_waits_for_its_answer(
    session: ProgramSession, channel: ReportChannel, mailbox: Mailbox, tmp_path: Path
) -> None:
    channel_answers(mailbox, [str(tmp_path / "stored"), None])
    session.report({"loss": 1}, tune.Checkpoint(str(tmp_path)))
    assert session.checkpoint is not None
    assert session.checkpoint.path == str(tmp_path / "stored")
    session.report({"loss": 2}, None)
    assert session.checkpoint.path == str(tmp_path / "stored")
    mailbox.close()
    with pytest.raises(TrialStopped):
        session.report({"loss": 3}, None)


def channel_answers(mailbox: Mailbox, stored: list[str | None]) -> None:
    """Answers reports in a thread, as the thread of a trial's function does."""
    import threading

    def answer() -> None:
        for path in stored:
            arrival = mailbox.get(10)
            assert arrival is not None and arrival.answer is not None
            arrival.answer(path)

    threading.Thread(target=answer).start()


def test_a_worker_that_has_gone_stops_the_program(
    session: ProgramSession, channel: ReportChannel
) -> None:
    channel.close()
    with pytest.raises(SystemExit) as stopped:
        session.report({"loss": 1}, None)
    assert isinstance(stopped.value, TrialStopped)


def test_bad_metrics_are_an_error_of_the_program(session: ProgramSession, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="training_iteration"):
        session.report({"training_iteration": "x"}, None)
    with pytest.raises(FileNotFoundError, match="before it is removed"):
        session.report({"loss": 1}, tune.Checkpoint(str(tmp_path / "gone")))


def test_without_a_channel_reports_go_to_the_metrics_file(
    facts: dict[str, str], tmp_path: Path
) -> None:
    made = tmp_path / "made"
    made.mkdir()
    (made / "state").write_text("1")
    session = ProgramSession(facts, None, None)
    session.report({"loss": float("inf")}, None)
    session.report({"loss": 2}, tune.Checkpoint(str(made)))
    one, two = (json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines())
    assert one["__localtune_report__"]["metrics"]["loss"] == float("inf")
    copied = two["__localtune_report__"]["checkpoint"]
    assert os.listdir(copied) == ["state"] and copied != str(made)


@pytest.mark.parametrize("text", ["", "x", "0:1", "9999:1", "1000000:2"])
def test_a_descriptor_of_something_else_is_no_channel(text: str) -> None:
    assert inherited_channel(text) is None
