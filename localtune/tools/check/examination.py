"""Tries a trainable step by step, and interprets each observation.

::

    worker 1  setup - step - [save] - step - ... - reset to config 2 - step - stop
                               |        |                               |
    worker 2  setup - restore <+ - step =?                              |
    worker 3  (only if they differ) setup - step - step: is it repeatable at all?
    worker 4  setup with config 2 - step ==============================?
    worker 5  (only if they differ) once more
"""

from __future__ import annotations

import math
import os
import shutil
import time
from collections.abc import Iterator
from typing import Any

from localtune.resources import PlacementGroupFactory
from localtune.result import RESULT_DUPLICATE
from localtune.running.bench import (
    STOP_TIMEOUT_S,
    Bench,
    Fault,
    OutOfTime,
    SavedCheckpoint,
    Subject,
    Unanswered,
    Worker,
)
from localtune.tools.check.checkpoints import check_content
from localtune.tools.check.compare import difference_text, differing, has_comparable
from localtune.tools.check.concurrency import check_concurrency, check_request
from localtune.tools.check.faults import fault_finding
from localtune.tools.check.leftovers import check_directory, check_leftovers, snapshot
from localtune.tools.check.life import ITERATIONS, Life
from localtune.tools.check.metrics import check_metrics
from localtune.tools.check.report import Finding, failure, passed, warning
from localtune.utils.text import count, format_duration

_REPEATABLE_REMEDY = (
    "Seed all random numbers from the trial's seed: tune.get_context().get_trial_seed() in a "
    "function, self.trial_seed in a class. Only Python's random and NumPy's global generator are "
    "seeded for you."
)


class Examination:
    """One trainable, tried once.

    Args:
        subject: The trainable.
        configs: Two configurations, maybe equal.
        metric: Metric that the sweep will optimise.
        timeout_s: Seconds for everything.
    """

    def __init__(
        self,
        subject: Subject,
        configs: tuple[dict[str, Any], dict[str, Any]],
        metric: str | None,
        timeout_s: float,
    ) -> None:
        self._subject = subject
        self._is_function = subject.is_function
        self._configs = configs
        self._metric = metric
        self._timeout_s = timeout_s
        self._life = Life(self._is_function)
        # Whether a sweep would go on with the first worker: nothing failed in it.
        self._is_usable = True

    def run(self) -> Iterator[Finding]:
        """Yields all findings, in the order in which they are made."""
        here = os.getcwd()
        before = snapshot(here)
        with Bench(self._subject, self._timeout_s) as bench:
            try:
                yield from self._examine(bench)
            except OutOfTime as error:
                yield failure(
                    "time",
                    f"{error.command} had not answered when the {self._timeout_s:g} s of this "
                    "check were over: it hangs, or it is slow. The rest is not checked.",
                    "Look where it waits. If it is slow, check with a smaller config (less data, "
                    "a smaller model), shorten the iterations, or give more time (timeout_s, "
                    "--timeout).",
                )
        yield from check_directory(here, before)

    def _examine(self, bench: Bench) -> Iterator[Finding]:
        try:
            resources = self._resources(0)
        except Exception as error:  # Code of the user's.
            yield failure(
                "resources",
                f"default_resource_request raised {type(error).__name__}: {error}",
                "It must return a dict, a PlacementGroupFactory or None for each config.",
            )
            return
        misfit = check_request(resources, bench.slots)
        if misfit is not None:
            yield misfit
            return
        started = time.monotonic()
        try:
            worker = bench.start("first", self._configs[0], resources)
        except Fault as fault:
            yield fault_finding(fault, "setup")
            return
        yield passed("setup", f"Takes {format_duration(time.monotonic() - started)}.")
        try:
            self._life.live(worker)
        except Fault as fault:
            yield fault_finding(fault, "step")
            return
        yield from self._check_results()
        yield from self._check_save()
        if self._life.saved is not None:
            yield from self._check_restore(bench, self._life.saved)
        if self._is_usable:
            yield from self._check_reset(bench, worker)
        if self._is_usable:
            yield from self._check_end(bench, worker)
        peak = worker.peak_bytes
        yield check_concurrency(
            resources, bench.slots, self._life.iteration_s, peak, bench.memory_left_bytes()
        )

    def _resources(self, number: int) -> PlacementGroupFactory:
        return self._subject.resources_of(self._configs[number])

    # -- steps and what they report -------------------------------------------------------------

    def _check_results(self) -> Iterator[Finding]:
        life = self._life
        number = len(life.results)
        if not number:
            yield failure(
                "step",
                "The function returned and has reported nothing.",
                "Call tune.report({'loss': loss}), or return a dict of metrics or a number.",
            )
            return
        if not self._is_function:
            text = f"{count(number, 'iteration')} ran."
        elif life.has_ended:
            text = f"Returns after {count(number, 'report')}."
        else:
            text = f"Goes on after {count(number, 'report')}; its end was not awaited."
        yield passed("step", text)
        yield from check_metrics(life.results, self._metric)

    # -- checkpoints ----------------------------------------------------------------------------

    def _check_save(self) -> Iterator[Finding]:
        fault = self._life.save_fault
        if fault is not None and fault.type_name == "NotImplementedError":
            yield warning(
                "save",
                "The trainable cannot be saved.",
                "Implement save_checkpoint and load_checkpoint: schedulers that pause trials, "
                "retries that go on where they were, and resumed runs need them.",
            )
        elif fault is not None:
            self._is_usable = False
            yield fault_finding(fault, "save")
        elif self._life.saved is not None:
            yield check_content(self._life.saved, is_function=self._is_function)
        elif len(self._life.results) > 1:
            yield warning(
                "save",
                f"None of the first {count(ITERATIONS, 'report')} carried a checkpoint.",
                "Report one, tune.report(metrics, checkpoint=...), or from a program a result with "
                '"checkpoint": true: schedulers that pause trials, and retries that go on where '
                "they were, need it.",
            )

    def _check_restore(self, bench: Bench, saved: SavedCheckpoint) -> Iterator[Finding]:
        assert saved.path is not None
        # As on another machine: only what is in the checkpoint itself is there.
        copy = os.path.join(bench.directory, "checkpoint")
        shutil.copytree(saved.path, copy)
        expected = self._life.following
        worker: Worker | None = None
        again: dict[str, Any] = {}
        try:
            worker = bench.start("first", self._configs[0], self._resources(0))
            worker.restore(copy, saved.metrics)
            # No sweep goes on with a trial that has ended.
            if expected is not None:
                again = worker.train()
        except Fault as fault:
            yield fault_finding(fault, "restore")
            return
        finally:
            if worker is not None:
                worker.end()
        if expected is None or not has_comparable(expected):
            yield passed("restore", "A checkpoint can be restored in a fresh process.")
            return
        if RESULT_DUPLICATE in again:
            yield failure(
                "restore",
                "Restored from its checkpoint, the function returned without a report; without a "
                "stop it had reported once more.",
                "Go on from tune.get_checkpoint() with the iteration after the one it holds.",
            )
            return
        names = differing(expected, again)
        if not names:
            yield passed(
                "restore", "A fresh process goes on from the checkpoint as if not stopped."
            )
            return
        yield from self._explain_restore(bench, names, expected, again)

    def _explain_restore(
        self, bench: Bench, names: list[str], expected: dict[str, Any], again: dict[str, Any]
    ) -> Iterator[Finding]:
        seen = difference_text(names, expected, again, "without a stop", "after restoring")
        first = self._life.results[0]
        if differing(expected, first) and not differing(again, first):
            remedy = (
                "Ask for tune.get_checkpoint() at the top of the function, and go on from it."
                if self._is_function
                else "load_checkpoint must take over what save_checkpoint returned or wrote."
            )
            yield failure("restore", f"A restored trial begins anew: {seen}.", remedy)
            return
        try:
            unlike = self._unlike_at_second_try(bench)
        except Fault as fault:
            yield fault_finding(fault, "restore")
            return
        if unlike:
            text = (
                f"Two trials of one config and seed differ ({unlike}), so restoring proves nothing."
            )
            yield warning("restore", text, _REPEATABLE_REMEDY)
            return
        yield failure(
            "restore",
            f"A restored trial goes on otherwise than one that was not stopped: {seen}.",
            "Put all that a step changes into the checkpoint: counters, the optimizer's state, "
            "learning-rate schedules, positions in the data, and the states of random generators "
            "(random.getstate()); or seed them from the iteration.",
        )

    def _unlike_at_second_try(self, bench: Bench) -> str:
        """Describes how a second trial of the first config differs from the first; "" if not."""
        worker = bench.start("first", self._configs[0], self._resources(0))
        try:
            for expected in self._life.results[: self._life.saved_after + 1]:
                result = worker.train()
                names = differing(expected, result)
                if names:
                    return difference_text(names, expected, result, "in one", "in the other")
        finally:
            worker.end()
        return ""

    # -- reuse ----------------------------------------------------------------------------------

    def _check_reset(self, bench: Bench, worker: Worker) -> Iterator[Finding]:
        # A function is unwound first, and set up by its first step.
        limit_s = STOP_TIMEOUT_S if self._is_function else math.inf
        try:
            if not worker.reset("second", self._configs[1], limit_s):
                yield passed("reset", "No reset_config: each trial gets a worker of its own.")
                return
            reused = worker.train()
        except Unanswered:
            self._is_usable = False
            yield self._does_not_end(f"It still ran after {STOP_TIMEOUT_S:g} s.")
            return
        except Fault as fault:
            self._is_usable = False
            yield fault_finding(fault, "reset")
            return
        try:
            fresh = self._first_result_of_second(bench)
            names = differing(fresh, reused)
            if not names:
                yield passed("reset", "A reused worker serves a second trial as a fresh one does.")
                return
            other = self._first_result_of_second(bench)
        except Fault as fault:
            yield fault_finding(fault, "reset")
            return
        unlike = differing(fresh, other)
        if unlike:
            seen = difference_text(unlike, fresh, other, "in one", "in the other")
            text = (
                f"Two fresh trials of one config and seed differ ({seen}), so reuse proves nothing."
            )
            yield warning("reset", text, _REPEATABLE_REMEDY)
            return
        seen = difference_text(names, fresh, reused, "in a fresh worker", "in a reused one")
        yield failure(
            "reset",
            f"Something of the old trial is left behind: {seen}.",
            "Keep nothing in globals and class attributes between calls, or set reuse_actors=False."
            if self._is_function
            else "reset_config must do all that setup does: counters, model, optimizer, data. Call "
            "self.setup(new_config) in it, or return False.",
        )

    def _first_result_of_second(self, bench: Bench) -> dict[str, Any]:
        worker = bench.start("second", self._configs[1], self._resources(1))
        try:
            return worker.train()
        finally:
            worker.end()

    # -- the end --------------------------------------------------------------------------------

    def _check_end(self, bench: Bench, worker: Worker) -> Iterator[Finding]:
        ending = worker.end(force=False)
        fault = ending.fault
        if fault is not None:
            yield failure(
                "stop",
                f"{'Ending' if self._is_function else 'cleanup'} raised {fault.type_name}: "
                f"{fault.message}",
                "It must work at any time, also after a failure and when it is called early.",
                fault.details,
            )
            return
        if ending.exit_code != 0:
            yield self._does_not_end(f"{ending.text}.")
            return
        yield passed("stop", "It ends when it is told to.")
        yield from check_leftovers(bench, worker, is_function=self._is_function)

    def _does_not_end(self, how: str) -> Finding:
        return failure(
            "stop",
            f"It does not end when it is told to. {how}",
            "Let localtune.error.TrialStopped pass: catch Exception, not BaseException, round "
            "report()."
            if self._is_function
            else "cleanup() must come to its end within seconds.",
        )
