"""Makes recipes for running a trial again: a script, and a command line where possible."""

from __future__ import annotations

import ast
import math
import os
import pprint
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from localtune.error import UsageError
from localtune.result import REPEAT_SEED_VARIABLE, TRAINING_ITERATION
from localtune.tools.commands.program import FILE_ONLY, arguments_of
from localtune.tools.commands.settings import parameter, put
from localtune.tools.commands.start_command import StartCommand
from localtune.tools.report.params import flat_config
from localtune.trainable.command.program_record import ProgramRecord, program_in
from localtune.trial.experiment_tag import original_tag

if TYPE_CHECKING:
    from localtune.trial.trial import Trial

_DEFAULT_RESOURCES = {"CPU": 1.0}
_PLAIN = (str, bytes, int, float, complex, bool, type(None))


@dataclass(frozen=True)
class Recipe:
    """A recipe for running a trial again.

    Attributes:
        python: A script.
        command: A command line, None if there is none.
        program: What the trial's program was started with, None without a program.
        notes: Remarks for the reader.
    """

    python: str
    command: str | None
    program: ProgramRecord | None
    notes: list[str]


def recipe_of(
    trial: Trial, command: StartCommand | None, metric: str | None, mode: str | None
) -> Recipe:
    """Makes the recipe for running a trial again.

    Args:
        trial: The trial.
        command: Command that started its run, None if it is not known.
        metric: Flat name of the metric, None for none.
        mode: ``"min"`` or ``"max"``, None for none.
    """
    notes = []
    left_out: list[str] = []
    config = {key: _literal(value, str(key), left_out) for key, value in trial.config.items()}
    if left_out:
        notes.append(
            f"These values cannot be written as code, '...' stands for them: {', '.join(left_out)}."
        )
    if original_tag(trial.experiment_tag) != trial.experiment_tag:
        notes.append(
            "The scheduler changed this trial's configuration while it ran, and it went on from "
            "other trials' checkpoints: the last configuration alone does not repeat its result."
        )
    if trial.failed_tries:
        notes.append(
            "The trial failed on its way, and its last try went on from its latest checkpoint, or "
            "began anew if there was none. The seed is that of the last try."
        )
    line = None
    program = program_in(trial.path)
    if program is not None:
        notes.append(
            "With its variables, the program works on the files of this trial. The other ways make "
            "a new trial."
        )
    variables = command.program.get("env") if command is not None else None
    if variables:
        notes.append(
            f"The program had further variables, which may be secret: set {', '.join(variables)} "
            "yourself."
        )
    if command is None:
        notes.append("Import the trainable from where you have it.")
    elif not left_out:
        line = _command_line(trial, command, metric, mode)
    return Recipe(_script(trial, config, command, metric, mode), line, program, notes)


def _script(
    trial: Trial,
    config: dict[Any, Any],
    command: StartCommand | None,
    metric: str | None,
    mode: str | None,
) -> str:
    if command is not None and command.program:
        imports, trainable = [], _program_code(command)
    else:
        module, trainable = _place_of(trial, command)
        imports = [f"from {module} import {trainable.partition('.')[0]}"]
    resources = _resources(trial)
    if resources != _DEFAULT_RESOURCES:
        trainable = f"tune.with_resources({trainable}, {resources!r})"
    goal = [f"metric={metric!r}, mode={mode!r}"] if metric and mode else []
    lines = [
        "import os",
        "",
        "import localtune as tune",
        *imports,
        "",
        "# The trial's seed: that of Python's and NumPy's generators, and of get_trial_seed().",
        f'os.environ["{REPEAT_SEED_VARIABLE}"] = "{trial.try_seed}"',
        "",
        "config = {",
        *(f"    {key!r}: {_indented(value)}," for key, value in config.items()),
        "}",
        "",
        "results = tune.Tuner(",
        f"    {trainable},",
        "    param_space=config,",
        *(f"    tune_config=tune.TuneConfig({each})," for each in goal),
        *(f"    run_config=tune.RunConfig(stop={each})," for each in _bounds(trial)),
        ").fit()",
        "print(results[0].metrics)",
    ]
    return "\n".join(lines) + "\n"


def _command_line(
    trial: Trial, command: StartCommand, metric: str | None, mode: str | None
) -> str | None:
    target = _program_words(command.program) if command.program else [command.target]
    if target is None:
        return None
    words = ["localtune", "run", *target]
    understood: dict[str, Any] = {}
    for key, value in flat_config(trial.config).items():
        text = f"{key}={_as_code(value)}"
        try:
            put(understood, *parameter(text))
        except UsageError:
            return None
        words += ["--param", text]
    # A command line that would mean another config is left out.
    if understood != trial.config:
        return None
    for bound in _bounds(trial):
        words += ["--stop", *(f"{key}={value}" for key, value in bound.items())]
    if metric and mode:
        words += ["--metric", metric, "--mode", mode]
    resources = _resources(trial)
    if resources != _DEFAULT_RESOURCES:
        amounts = (f"{name.lower()}={amount!r}" for name, amount in resources.items())
        words += ["--resources", ",".join(amounts)]
    lines = [
        f"cd {shlex.quote(command.directory)}",
        f"{REPEAT_SEED_VARIABLE}={trial.try_seed} {shlex.join(words)}",
    ]
    return "\n".join(lines) + "\n"


def _program_code(command: StartCommand) -> str:
    arguments = {**arguments_of(command.program), "directory": command.directory}
    arguments.pop("env", None)
    argv = arguments.pop("argv")
    rest = "".join(f", {name}={value!r}" for name, value in arguments.items())
    return f"tune.Command({argv!r}{rest})"


def _program_words(settings: Mapping[str, Any]) -> list[str] | None:
    """Returns the options of a program; None if a setting has no option."""
    words = []
    for name, value in settings.items():
        option = f"--{name.replace('_', '-')}"
        if name == "env":
            continue
        if name in FILE_ONLY:
            return None
        if isinstance(value, bool):
            words += [option] if value else []
        else:
            text = shlex.join(value) if isinstance(value, list) else str(value)
            # A value that begins with a dash would be taken for an option.
            words += [f"{option}={text}"] if text.startswith("-") else [option, text]
    return words


def _place_of(trial: Trial, command: StartCommand | None) -> tuple[str, str]:
    """Module and name of the trainable."""
    if command is None:
        name = trial.trainable_name
        return "my_module", name if name.isidentifier() else "my_trainable"
    place, _, name = command.target.rpartition(":")
    if place.endswith(".py"):
        place = os.path.basename(place)[: -len(".py")]
    return place, name


def _bounds(trial: Trial) -> list[dict[str, int]]:
    """Returns the stop conditions that end the trial where it ended before."""
    iteration = trial.last_result.get(TRAINING_ITERATION)
    return [{TRAINING_ITERATION: iteration}] if isinstance(iteration, int) else []


def _resources(trial: Trial) -> dict[str, float]:
    factory = trial.placement_group_factory
    return factory.required_resources if factory is not None else dict(_DEFAULT_RESOURCES)


def _indented(value: Any) -> str:
    return pprint.pformat(value, width=72, sort_dicts=False).replace("\n", "\n    ")


class _Code:
    """Stands in a literal for a piece of code."""

    def __init__(self, code: str) -> None:
        self._code = code

    def __repr__(self) -> str:
        return self._code


def _literal(value: Any, path: str, left_out: list[str]) -> Any:
    """The value as something whose ``repr`` is code; notes the paths of what is none."""
    kind = type(value)
    if kind is dict:
        return {key: _literal(item, f"{path}/{key}", left_out) for key, item in value.items()}
    if kind in (list, tuple, set):
        return kind(_literal(item, path, left_out) for item in value)
    if kind is float and not math.isfinite(value):
        return _Code(f"float({str(value)!r})")
    if kind in _PLAIN:
        return value
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):  # A number of NumPy.
        item = value.item()
        if type(item) in _PLAIN:
            return _literal(item, path, left_out)
    if path not in left_out:
        left_out.append(path)
    return _Code("...")


def _as_code(value: Any) -> str:
    text = repr(_literal(value, "", []))
    try:
        ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return "?("  # Refused where it is parsed.
    return text
