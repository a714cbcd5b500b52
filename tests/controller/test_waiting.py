"""Which trial is the next one that can run."""

from __future__ import annotations

import random

from localtune.controller.record import RunRecord
from localtune.trial.status import Status
from localtune.trial.trial import Trial
from tests.controller.parts import make_record, make_trial


def next_by_search(record: RunRecord) -> Trial | None:
    live = list(record.live.values())
    pending = [trial for trial in live if trial.status is Status.PENDING]
    paused = [trial for trial in live if trial.status is Status.PAUSED]
    return next(iter(pending + paused), None)


def test_pending_trials_come_before_paused_ones() -> None:
    record = make_record()
    first, second = make_trial("t0"), make_trial("t1")
    record.add(first)
    record.add(second)
    record.move(first, Status.RUNNING)
    record.move(first, Status.PAUSED)
    assert record.waiting.next() is second
    record.move(second, Status.RUNNING)
    assert record.waiting.next() is first


def test_it_is_the_first_one_in_the_order_of_live_trials_whatever_happens() -> None:
    moves = {
        Status.PENDING: [Status.RUNNING, Status.TERMINATED],
        Status.RUNNING: [Status.PENDING, Status.PAUSED, Status.ERROR, Status.TERMINATED],
        Status.PAUSED: [Status.PENDING, Status.RUNNING, Status.TERMINATED],
    }
    rng = random.Random(5)
    record = make_record()
    for number in range(400):
        if number < 30 or not record.live:
            record.add(make_trial(f"t{number}"))
        trial = rng.choice(list(record.live.values()))
        status = rng.choice(moves[trial.status])
        if status is Status.ERROR:
            record.move(trial, status)
            record.requeue(trial)
        elif status is Status.TERMINATED:
            record.end(trial, status)
        else:
            record.move(trial, status)
        assert record.waiting.next() is next_by_search(record)
