"""Answers of workers, and the parts that take them in."""

from __future__ import annotations

from typing import Any

import pytest

from localtune.controller.replies import Replies
from localtune.controller.workers import Phase, Worker
from localtune.error import LocaltuneInternalError, TuneError
from localtune.trial.status import Status
from localtune.trial.trial import Trial
from localtune.worker import messages
from tests.controller.parts import Parts


class Notes:
    """Stands for all parts: notes which of their methods is called, or raises."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.called: list[tuple[str, Any]] = []
        self.fault = fault

    def __getattr__(self, name: str) -> Any:
        def take(*given: Any) -> None:
            self.called.append((name, given[-1]))
            if self.fault is not None and name == "take_in":
                raise self.fault

        return take


def make_replies(parts: Parts, notes: Any) -> Replies:
    return Replies(parts.record, parts.commands, notes, notes, notes, notes, notes, notes)


REPLIES = [
    (messages.Trained({}), "take_in"),
    (messages.Saved(None, {}, 0), "take_save"),
    (messages.Ready({}), "take_ready"),
    (messages.ResetDone(True, {}), "take_reset"),
    (messages.Restored(), "take_restored"),
    (messages.Exported({}), "take_export"),
    (messages.Failed("Train", "ValueError", "", ""), "take_reply"),
]


@pytest.mark.parametrize(("reply", "method"), REPLIES, ids=[method for _, method in REPLIES])
def test_each_answer_has_one_part(reply: messages.Reply, method: str) -> None:
    parts, notes = Parts(), Notes()
    worker, _ = parts.add_running()
    make_replies(parts, notes).take_in(worker, reply)
    assert notes.called == [(method, reply)] and worker.phase is Phase.AT_REST


def stopping(parts: Parts) -> tuple[Worker, Trial]:
    worker, trial = parts.add_running(Phase.SAVING)
    parts.commands.dismiss(worker, "enough")
    return worker, trial


def test_of_a_worker_that_is_stopping_only_a_save_counts() -> None:
    parts, notes = Parts(), Notes()
    worker, trial = stopping(parts)
    replies = make_replies(parts, notes)
    replies.take_in(worker, messages.Trained({}))
    assert notes.called == []
    saved = messages.Saved(None, {}, 0)
    replies.take_in(worker, saved)
    assert notes.called == [("take_in", saved)]
    worker.ends_with_save = True
    replies.take_in(worker, saved)
    assert notes.called[1:] == [("take_in", saved), ("end_well", trial)]


def test_an_answer_that_cannot_be_taken_in_fails_its_trial() -> None:
    parts, notes = Parts(), Notes(KeyError("oops"))
    worker, trial = parts.add_running()
    make_replies(parts, notes).take_in(worker, messages.Trained({}))
    assert worker.phase is Phase.STOPPING
    (_, (method, error)) = notes.called
    assert method == "fail" and "the answer of its train could not be taken in" in str(error)
    assert trial.status is Status.RUNNING


@pytest.mark.parametrize(
    ("fault", "is_ending"), [(LocaltuneInternalError("odd"), False), (KeyError("oops"), True)]
)
def test_a_fault_of_localtune_or_of_a_run_that_is_ending_is_raised(
    fault: Exception, is_ending: bool
) -> None:
    parts, notes = Parts(), Notes(fault)
    worker, _ = parts.add_running()
    if is_ending:
        parts.record.is_ending = True
    with pytest.raises((TuneError, KeyError)):
        make_replies(parts, notes).take_in(worker, messages.Trained({}))
