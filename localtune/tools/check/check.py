"""check_trainable: tries a trainable, and returns a report."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from localtune.tools.check.report import CheckReport, Finding, failure, passed

DEFAULT_TIMEOUT_S = 50.0


def check_trainable(
    trainable: Any,
    config: Mapping[str, Any] | None = None,
    *,
    metric: str | None = None,
    timeout_s: float = DEFAULT_TIMEOUT_S,
) -> CheckReport:
    """Tries a trainable as a sweep would use it, in a few iterations.

    Runs it in worker processes: setup, steps, saving, restoring in a fresh process, reuse for
    another trial, and stopping. Looks at what it reports, what it leaves behind, and how much
    memory it takes.

    Args:
        trainable: Function, class, or name of a registered trainable.
        config: Its configuration. Two configurations are drawn from a search space.
        metric: Flat name of the metric that the sweep will optimise; None checks none.
        timeout_s: Most seconds for all checks. A check that takes longer is ended and has failed.

    Returns:
        The findings; ``report.ok`` says that nothing failed.

    Raises:
        TypeError: if the trainable is neither a function nor a class, or the config no dict.
        TuneError: for a name that is not registered, or a search space that cannot be sampled.
        ValueError: for a ``timeout_s`` that is not above 0, or a search space that does not fit
            the trainable.

    Example:
        >>> import localtune as tune
        >>> from localtune.tools.check import check_trainable
        >>> def train(config):
        ...     tune.report({"loss": config["lr"]})
        >>> report = check_trainable(train, {"lr": tune.uniform(0, 1)}, metric="loss")
        >>> report.ok
        True
    """
    from localtune.registry import get_trainable_cls, trainable_name
    from localtune.running.bench import two_configs

    if not timeout_s > 0:
        raise ValueError(f"timeout_s must be above 0, but got {timeout_s!r}.")
    if isinstance(trainable, str):
        trainable = get_trainable_cls(trainable)
    if not callable(trainable):
        raise TypeError(
            "The trainable must be a function, a class that derives from Trainable, or a "
            f"registered name, but got {trainable!r}."
        )
    if config is not None and not isinstance(config, Mapping):
        raise TypeError(f"config must be a dict, but got {config!r}.")
    started = time.monotonic()
    configs = two_configs(dict(config or {}))
    findings = tuple(_findings(trainable, dict(config or {}), configs, metric, timeout_s))
    return CheckReport(trainable_name(trainable), findings, time.monotonic() - started)


def _findings(
    trainable: Any,
    space: dict[str, Any],
    configs: tuple[dict[str, Any], dict[str, Any]],
    metric: str | None,
    timeout_s: float,
) -> Iterator[Finding]:
    from localtune.running.bench import NotTrainableError, subject_of
    from localtune.running.space_parameters import space_parameters
    from localtune.tools.check.examination import Examination
    from localtune.utils.serialization import dumps

    try:
        subject = subject_of(trainable)
        # As a run does before it starts: a command has placeholders for parameters.
        subject.trainable._check_run(space_parameters(space), metric, is_complete=True)
        for each in configs:
            dumps(each, "config")
    except NotTrainableError as error:
        yield failure(
            "signature",
            str(error),
            "Derive it from localtune.Trainable, or pass a function of one argument, config."
            if isinstance(trainable, type)
            else "Give it one positional argument, the config.",
        )
        return
    except TypeError as error:
        yield failure(
            "pickle",
            str(error),
            "Create it inside the function or in setup(), or bind it with tune.with_parameters if "
            "it can be pickled and is only large.",
        )
        return
    size = f"{subject.size_bytes:,} bytes"
    yield passed("pickle", f"Can be sent to a worker ({size}), and so can its config.")
    yield from Examination(subject, configs, metric, timeout_s).run()
