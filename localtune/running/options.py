"""RunOptions: what a run needs beside its experiment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from localtune.callback import Callback
from localtune.config.resume import ResumeConfig
from localtune.controller.limits import Limits
from localtune.execution.executor import Executor


@dataclass
class Start:
    """How a run takes its experiment's directory.

    Attributes:
        files: {name: content} of what is written there when the run begins.
        if_exists: What becomes of a name that is taken: ``"add"``, ``"error"`` or ``"resume"``.
        is_own: Whether what is there is the caller's own: then the name is not taken. Set by a
            run that begins; one that is refused does not.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    if_exists: str = "add"
    is_own: bool = False


@dataclass
class RunOptions:
    """What a run needs beside its experiment.

    Attributes:
        metric: Metric to optimise, None for none.
        mode: ``"min"``, ``"max"`` or None.
        search_alg: None samples the search space.
        scheduler: None runs each trial to its end.
        max_concurrent_trials: None or 0 is what resources allow.
        reuse_actors: Whether workers serve one trial after the other.
        fail_fast: False, True, or ``"raise"``.
        limits: Of time and of failures.
        callbacks: The user's callbacks.
        verbose: See :class:`~localtune.RunConfig`.
        progress_reporter: The user's, in place of the built-in output.
        executor: None is a process per trial.
        seed: What everything drawn at random depends on; None draws one.
        resume: How to go on with the experiment that is in the directory; None starts anew.
        run: Number of the run that goes on, from 1; None is the latest.
        trust: Whether to read the directory though another user could have written it.
        start: How the run takes its directory.
    """

    metric: str | None = None
    mode: str | None = None
    search_alg: Any = None
    scheduler: Any = None
    max_concurrent_trials: int | None = None
    reuse_actors: bool = False
    fail_fast: bool | str = False
    limits: Limits = field(default_factory=Limits)
    callbacks: Sequence[Callback] = field(default_factory=list)
    verbose: int = 1
    progress_reporter: Any = None
    executor: Executor | str | None = None
    seed: int | None = None
    resume: ResumeConfig | None = None
    run: int | None = None
    trust: bool = False
    start: Start = field(default_factory=Start)
