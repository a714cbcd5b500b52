"""Command: any program as a trainable.

::

    Command --check_run--> fits the search space?            before anything is written
       |
       +--in a worker, for each start of a trial--> Plan --> ProgramRun --> results
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from localtune.trainable.active_session import Session, current_session
from localtune.trainable.command import shell as shells
from localtune.trainable.command.arguments import name_of_command, templates_of
from localtune.trainable.command.checks import check_parameters, missing_placeholder
from localtune.trainable.command.facts import Facts, facts_of, original_directory
from localtune.trainable.command.parse import check_groups, compiled
from localtune.trainable.command.plan import WAYS, Plan
from localtune.trainable.command.program_file import (
    add_module_path,
    check_script,
    find_program,
    found_arguments,
    runs_module,
)
from localtune.trainable.command.values import flat_values, text_of_value, variables_of
from localtune.utils.files import write_file
from localtune.utils.json_encode import params_json

if TYPE_CHECKING:
    from localtune.trainable.space_parameters import SpaceParameter

_PARAMS_BY = ("args", "env", "file")
_MAX_SOURCE = 1024 * 1024


class Command:
    """Runs a program, in any language, as a trial.

    Give it to :class:`~localtune.Tuner` in place of a function. Each trial is a run of the program
    in the trial's own directory. The program gets the parameters as arguments, as environment
    variables (``LOCALTUNE_PARAM_<NAME>``) and as the file ``params.json``. Each result that it
    reports is an iteration.

    Args:
        argv: The program and its arguments. ``{lr}`` is replaced by the value of the parameter
            ``lr``, ``{model/lr}`` by that of a nested one; each stays one argument. ``{{`` and
            ``}}`` are braces. A text is split at its spaces as a shell splits it.
        shell: Whether ``argv``, a text, is run by the shell. Values are quoted for it.
        params_by: ``"args"``: each parameter must be named by a placeholder. ``"env"`` or
            ``"file"``: the program reads them from its environment or from ``params.json``.
        results: How results come back. ``"stdout"``: lines of the output. ``"file"``: lines that
            the program adds to ``metrics_file``. ``"final"``: ``final_file``, at the end.
            ``"report"``: calls of :func:`localtune.report`. ``"any"`` is the one that the program
            uses.
        pattern: Regular expression with named groups, which finds results in lines of the output
            and of the error output. None reads lines that are JSON objects, in the output only.
        metric: Name of the metric that makes an object or a match a result; None is the metric of
            the run. If the run has none, each object or match is a result.
        metrics_file: Path of the metrics file in the trial's directory.
        final_file: Path of the final file in the trial's directory.
        lockstep: Whether the program waits after each result for the line ``go`` on its standard
            input. Otherwise its standard input is empty.
        grace_s: Seconds in which a program that is stopped may end by itself, after SIGTERM. Then
            it is killed with all that it has started. The executor's own limits hold, too.
        env: Further environment variables; None as a value removes one.
        cwd: Working directory, relative to ``directory``; None is the trial's directory.
        directory: Directory that relative paths start from: those of the program, of its script and
            of ``cwd``. None is the one that the run was started from.
        name: Name of the trainable; None is the name of the script or the program.

    Raises:
        ValueError: for a value that makes no sense.

    Example:
        >>> import localtune as tune
        >>> command = tune.Command(["python", "train.py", "--lr={lr}"])
        >>> tuner = tune.Tuner(command, param_space={"lr": tune.loguniform(1e-4, 1e-1)})
        ... # doctest: +SKIP
    """

    def __init__(
        self,
        argv: Sequence[str] | str,
        *,
        shell: bool = False,
        params_by: str = "args",
        results: str = "any",
        pattern: str | None = None,
        metric: str | None = None,
        metrics_file: str = "metrics.jsonl",
        final_file: str = "metrics.json",
        lockstep: bool = False,
        grace_s: float = 5.0,
        env: Mapping[str, str | None] | None = None,
        cwd: str | os.PathLike[str] | None = None,
        directory: str | os.PathLike[str] | None = None,
        name: str | None = None,
    ) -> None:
        _check_choice("params_by", params_by, _PARAMS_BY)
        _check_choice("results", results, WAYS)
        if pattern is not None and results not in ("any", "stdout"):
            raise ValueError(
                f"pattern finds results in the output, but results={results!r} looks elsewhere. "
                "Leave out one of them."
            )
        if isinstance(grace_s, bool) or not isinstance(grace_s, (int, float)) or not grace_s >= 0:
            raise ValueError(
                f"grace_s must be a number of seconds, at least 0, but got {grace_s!r}."
            )
        self.argv = templates_of(argv, shell=shell)
        self.shell = shell
        self.params_by = params_by
        self.results = results
        self.pattern = pattern
        self.metric = metric
        self.metrics_file = _file_name("metrics_file", metrics_file)
        self.final_file = _file_name("final_file", final_file)
        self.lockstep = lockstep
        self.grace_s = float(grace_s)
        self.env = _checked_env(env)
        self.cwd = None if cwd is None else os.fspath(cwd)
        self.directory = None if directory is None else os.path.abspath(directory)
        self.__name__ = name or name_of_command(self.argv, shell=shell)
        if pattern is not None:
            compiled(pattern, metric)

    def __repr__(self) -> str:
        return f"Command({[each.text for each in self.argv]!r})"

    def __call__(self, config: dict[str, Any]) -> None:
        """Runs the program with a configuration. A trial calls this method.

        Args:
            config: The configuration.

        Raises:
            ProgramError: if the program fails or reports no result.
            RuntimeError: outside of a trial.
        """
        session = current_session()
        if session is None:
            raise RuntimeError(
                "A Command runs as a trial only: pass it to Tuner, tune.run or a sweep file."
            )
        from localtune.trainable.command.program_run import ProgramRun
        from localtune.trainable.command.staging import Staging

        start = session.checkpoint
        plan = self.plan(config, session)
        staging = Staging(plan.facts.checkpoint_dir, start)
        ProgramRun(plan, session, staging).run()

    def check_run(
        self, parameters: Sequence[SpaceParameter], metric: str | None, *, is_complete: bool = True
    ) -> None:
        """Checks the command against the search space of a run, before the run is started.

        Args:
            parameters: Parameters that configurations can have.
            metric: Flat name of the metric that the run optimises; None if it has none.
            is_complete: Whether ``parameters`` has all parameters.

        Raises:
            ValueError: if a placeholder or a parameter is wrong, if the program or its script
                cannot be found, or if the pattern has no group for the metric.
        """
        check_parameters(
            self.argv,
            parameters,
            needs_placeholders=self.params_by == "args",
            is_complete=is_complete,
        )
        if self.pattern is not None:
            check_groups(re.compile(self.pattern), self.metric or metric)
        if self.cwd is not None and not os.path.isdir(os.path.join(self._original_dir(), self.cwd)):
            raise ValueError(f"cwd must be an existing directory, but got {self.cwd!r}.")
        program = None if self.shell else self.argv[0].literal
        if program is not None:
            try:
                original_dir = self._original_dir()
                find_program(program, original_dir, self._environment({}))
                cwd = os.path.join(original_dir, self.cwd or "")
                words = [each.literal for each in self.argv[1:]]
                check_script(program, words, [original_dir, cwd])
            except OSError as error:
                raise ValueError(f"{error} (The command is {self!r}.)") from None

    def source_text(self) -> str:
        """Returns a text that changes when the command, its program or its script does."""
        words = [each.literal or "" for each in self.argv]
        texts = [repr(sorted((name, repr(value)) for name, value in vars(self).items()))]
        with contextlib.suppress(OSError):
            for path in found_arguments(words, self._original_dir(), self._environment({})):
                # Not the interpreter, which is no text.
                with contextlib.suppress(OSError, UnicodeDecodeError), open(path) as file:
                    texts.append(file.read(_MAX_SOURCE))
        return "\n".join(texts)

    def plan(self, config: dict[str, Any], session: Session) -> Plan:
        """Returns what is run for a configuration; writes ``params.json`` and ``program.json``.

        Args:
            config: The configuration.
            session: Session of the trial.

        Raises:
            ValueError: if a placeholder has no value, or a parameter cannot be passed.
            FileNotFoundError: if there is no such program.
        """
        values = flat_values(config)
        facts = facts_of(
            session.trial_info, session.storage, self.metrics_file, original_dir=self.directory
        )
        environment = self._environment({**variables_of(values), **facts.variables})
        if session.checkpoint is not None:
            environment["LOCALTUNE_START_CHECKPOINT"] = session.checkpoint.path
        command = self._filled(values, facts, environment)
        if not self.shell and runs_module(command):
            add_module_path(environment, facts.original_dir)
        cwd = os.getcwd() if self.cwd is None else os.path.join(facts.original_dir, self.cwd)
        plan = Plan(
            command=command,
            shell=self.shell,
            cwd=cwd,
            environment=environment,
            facts=facts,
            params_by=self.params_by,
            results=self.results,
            pattern=re.compile(self.pattern) if self.pattern is not None else None,
            metric=self.metric or session.metric,
            final_file=os.path.join(facts.trial_dir, self.final_file),
            lockstep=self.lockstep,
            grace_s=self.grace_s,
        )
        _write_if_changed(facts.params_file, params_json(config))
        plan.save()
        return plan

    def _filled(
        self, values: dict[str, Any], facts: Facts, environment: Mapping[str, str]
    ) -> Sequence[str] | str:
        def text_of(name: str) -> str:
            if name in values:
                text = text_of_value(name, values[name])
            elif hasattr(facts, name):
                text = str(getattr(facts, name))
            else:
                raise ValueError(missing_placeholder(name, values))
            return shells.quoted(text) if self.shell else text

        if self.shell:
            return self.argv[0].filled(text_of)
        arguments = [each.filled(text_of) for each in self.argv]
        return found_arguments(arguments, facts.original_dir, environment)

    def _original_dir(self) -> str:
        return self.directory or original_directory()

    def _environment(self, variables: Mapping[str, str]) -> dict[str, str]:
        # Python would keep results back until it has many. The user's own value counts.
        environment = {"PYTHONUNBUFFERED": "1", **os.environ, **variables}
        for name, value in self.env.items():
            if value is None:
                environment.pop(name, None)
            else:
                environment[name] = value
        return environment


def _check_choice(name: str, value: Any, choices: Sequence[str]) -> None:
    if value not in choices:
        raise ValueError(
            f"{name} must be one of {', '.join(map(repr, choices))}, but got {value!r}."
        )


def _file_name(name: str, value: str) -> str:
    parts = os.path.normpath(value).split(os.sep) if isinstance(value, str) and value else [".."]
    if os.path.isabs(value) or ".." in parts:
        raise ValueError(
            f"{name} must be the path of a file in the trial's directory, but got {value!r}."
        )
    return value


def _checked_env(env: Mapping[str, str | None] | None) -> dict[str, str | None]:
    for name, value in (env or {}).items():
        if not isinstance(name, str) or not (value is None or isinstance(value, str)):
            raise ValueError(
                f"env must be a dict of texts, but has {name!r}: {value!r}. Write numbers as texts."
            )
    return dict(env or {})


def _write_if_changed(path: str, content: bytes) -> None:
    try:
        with open(path, "rb") as file:
            if file.read() == content:
                return
    except OSError:
        pass
    write_file(path, content, sync=False)
