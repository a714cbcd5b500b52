"""Names that are taken: the directory of a new run has an experiment already.

    if_exists   what happens
    "add"       a new run in the same directory; one warning describes the experiment
    "error"     refused
    "resume"    goes on with the latest run, if trainable and keys of the search space are the same;
                one warning names settings that differ

An earlier run of the same Tuner is not a taken name.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from localtune.config.spec import RunSpec
from localtune.error import ExperimentExistsError, StorageError
from localtune.result import COMMAND_FILE, CONFIG_PREFIX, TUNER_FILE
from localtune.running.directory import ExperimentDirectory
from localtune.search.renewal import domain_texts, plain_constants
from localtune.storage.reader import ExperimentReader, RunRecord, has_database
from localtune.storage.remote import has_experiment
from localtune.storage.shared_copy import opened
from localtune.trial.status import Status
from localtune.utils.dicts import flatten_dict
from localtune.utils.messages import get_logger
from localtune.utils.text import count, format_number, one_line

logger = get_logger(__name__)

# Keys of a run's state: for comparison with a run that goes on with it.
_IDENTITY = "identity"
_CONSTANTS = "constants"
_SHOWN_CHANGES = 5
_GRID = "/grid_search"
_FINISHED, _FAILED = Status.TERMINATED.value, Status.ERROR.value


def check_taken_early(spec: RunSpec, directory: ExperimentDirectory) -> None:
    """Makes the checks of :func:`check_taken` when a run is prepared.

    Args:
        spec: The specification of the run.
        directory: The directory of the run.

    Raises:
        ExperimentExistsError: if the name is taken and ``if_exists`` is ``"error"``.
        ValueError: if the run cannot go on with the earlier one.
    """
    if_exists = spec.run_config.if_exists
    if directory.is_own or if_exists == "add":
        return
    if has_database(directory.path):
        with opened(directory.path, trust=directory.trust) as db:
            check_taken(spec, directory, db)
    elif if_exists == "error":
        remote = directory.remote
        if remote is not None and has_experiment(remote):
            raise _exists(directory, "")
        check_taken(spec, directory, None)


def check_taken(spec: RunSpec, directory: ExperimentDirectory, db: ExperimentReader | None) -> None:
    """Checks that a run may use a directory.

    Args:
        spec: The specification of the run.
        directory: The directory of the run.
        db: The database of the experiment, None without one.

    Raises:
        ExperimentExistsError: if the name is taken and ``if_exists`` is ``"error"``.
        ValueError: if the run cannot go on with the earlier one.
    """
    if directory.is_own:
        return
    if_exists = spec.run_config.if_exists
    if if_exists == "error":
        # Without a database: a run was killed before its first trial.
        if db is not None or os.path.isfile(os.path.join(directory.path, TUNER_FILE)):
            raise _exists(directory, what_is_there(db) if db is not None else "")
    elif if_exists == "resume" and db is not None:
        _check_same(spec, directory, db.get(_IDENTITY, dict))


def identity_of(spec: RunSpec) -> dict[str, Any]:
    """Returns the {key: value} by which a later run checks that it may go on with this one."""
    identity = {
        "trainable": spec.trainable_name,
        "keys": keys_of(spec.param_space),
        "domains": domain_texts(spec.param_space),
        "num_samples": spec.tune_config.num_samples,
        "source": spec.source,
    }
    return {_IDENTITY: identity, _CONSTANTS: plain_constants(spec.param_space)}


def warn_of_taken(directory: ExperimentDirectory, db: ExperimentReader | None) -> None:
    """Warns that a run is added to an experiment, and names ways to resume that instead.

    Args:
        directory: The directory of the run.
        db: The database of the experiment, None without one.
    """
    if directory.is_own or db is None:
        return
    there = what_is_there(db)
    if not there:
        return
    path = directory.remote_path
    remedies = 'if_exists="resume", or {}; to be refused: if_exists="error".'
    if COMMAND_FILE in directory.files:
        remedies = "--resume; to be refused: leave out --add."
    elif TUNER_FILE in directory.files:
        remedies = remedies.format(f"Tuner.restore({path!r}, trainable)")
    else:
        remedies = remedies.format("resume=True")
    logger.warning(
        "The experiment %r exists already: %s. This run is added to it.\n"
        "To go on with what is there instead: %s",
        *(path, there, remedies),
    )


def warn_of_changes(
    spec: RunSpec,
    directory: ExperimentDirectory,
    db: ExperimentReader,
    goal: tuple[str | None, str | None],
) -> None:
    """Warns of settings of a resumed run that differ from its earlier ones.

    Args:
        spec: The specification of the run.
        directory: The directory of the run.
        db: The database of the experiment, in which the run is selected.
        goal: Metric and mode of the run.
    """
    if directory.is_own:
        return
    run = next((each for each in db.runs() if each.number == db.run), RunRecord(db.run))
    notes = {key: db.get(key, dict) or {} for key in (_IDENTITY, _CONSTANTS)}
    warn_of_new_code(spec.trainable_name, notes[_IDENTITY].get("source"), spec.source)
    before = _settings(notes, (run.metric, run.mode))
    now = _settings(identity_of(spec), goal)
    changes = [
        f"{name} was {one_line(before[name], None)} and is {one_line(now[name], None)}"
        for name in before.keys() & now.keys()
        if not _same(before[name], now[name])
    ]
    if not changes:
        return
    shown = sorted(changes)[:_SHOWN_CHANGES]
    if len(changes) > len(shown):
        shown.append(f"{len(changes) - len(shown)} more differ")
    logger.warning(
        "The run in %r goes on with other settings than before: %s. Values that were drawn for "
        "its trials stay.",
        *(directory.remote_path, "; ".join(shown)),
    )


def warn_of_new_code(name: str, before: str | None, now: str | None) -> None:
    """Warns if the code of a trainable, or the command of a program, is another than before.

    Args:
        name: Name of the trainable.
        before: Digest of its code when the run was started; None if that is not known.
        now: Digest of its code now; None if there is none.
    """
    if None not in (before, now) and before != now:
        logger.warning(
            "The code of %s is not what it was when the experiment was started: trials that "
            "go on from a checkpoint go on with the new code.",
            name,
        )


def _settings(notes: Mapping[str, Any], goal: tuple[str | None, str | None]) -> dict[str, Any]:
    """Returns {name: value} of the settings that are compared, as far as they are recorded."""
    identity = notes[_IDENTITY]
    known = {"num_samples": identity.get("num_samples"), "metric": goal[0], "mode": goal[1]}
    space = {**notes[_CONSTANTS], **identity.get("domains", {})}
    return {
        **{name: value for name, value in known.items() if value is not None},
        **{f"{CONFIG_PREFIX}/{name}": value for name, value in space.items()},
    }


def _same(before: Any, now: Any) -> bool:
    # NaN, which does not equal itself, has the same text.
    return type(before) is type(now) and (before == now or repr(before) == repr(now))


def what_is_there(db: ExperimentReader) -> str:
    """Returns a text on the runs, trials and best value of an experiment, "" without trials."""
    runs = [each for each in db.runs() if each.counts]
    if not runs:
        return ""
    latest = runs[-1]
    finished, failed = (latest.counts.get(each, 0) for each in (_FINISHED, _FAILED))
    unfinished = latest.trial_count - finished - failed
    numbers = {"finished": finished, "failed": failed, "unfinished": unfinished}
    trials = count(latest.trial_count, "trial")
    trials += f" ({', '.join(f'{number} {how}' for how, number in numbers.items() if number)})"
    which = "with" if len(runs) == 1 else "the latest with"
    return f"{count(len(runs), 'run')}, {which} {trials}{_best_text(db, latest)}"


def _best_text(db: ExperimentReader, run: RunRecord) -> str:
    from localtune.analysis.experiment_analysis import ExperimentAnalysis

    if run.metric is None or run.mode is None:
        return ""
    current = db.run
    try:
        db.select_run(run.number)
        trials = db.load()
    except StorageError:
        return ""  # Its objects may need modules that cannot be imported here.
    finally:
        db.select_run(current)
    best = ExperimentAnalysis(trials=trials).find_best_trial(run.metric, run.mode, "last", True)
    if best is None:
        return ""
    value = best.metric_stats[run.metric].value("last", run.mode)
    return f", best {run.metric}={format_number(value)}"


def _exists(directory: ExperimentDirectory, there: str) -> ExperimentExistsError:
    path = directory.remote_path
    text = f" ({there})" if there else ""
    summary = f"The experiment {path!r} exists already{text}."
    problem = ExperimentExistsError(
        f'{summary} Go on with it (if_exists="resume", or Tuner.restore), add a run to it '
        '(if_exists="add"), or choose another name.'
    )
    problem.summary = summary
    return problem


def keys_of(space: dict[str, Any]) -> list[str]:
    """Returns the flat names of the parameters of a search space; a grid is one parameter."""
    return sorted(key.removesuffix(_GRID) for key in flatten_dict(space))


def _check_same(
    spec: RunSpec, directory: ExperimentDirectory, identity: dict[str, Any] | None
) -> None:
    if identity is None:
        return
    advice = 'Choose another name, or add a run (if_exists="add").'
    if identity["trainable"] != spec.trainable_name:
        raise ValueError(
            f'if_exists="resume" cannot go on with {directory.remote_path!r}: it runs the '
            f"trainable {identity['trainable']!r}, not {spec.trainable_name!r}. {advice}"
        )
    before, now = set(identity["keys"]), set(keys_of(spec.param_space))
    if before != now:
        raise ValueError(
            f'if_exists="resume" cannot go on with {directory.remote_path!r}: its search space '
            f"has other keys. Missing: {_listed(before - now)}; new: {_listed(now - before)}. "
            f"{advice}"
        )


def _listed(keys: Iterable[str]) -> str:
    return ", ".join(sorted(keys)) or "none"
