"""The settings of a program that is a sweep's trainable: from options, a sweep file, or a record.

::

    --command, --shell, ...  --+
    command = ..., shell = ... +--> {setting: value} --> localtune.Command
    command.json of a run    --+
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from localtune.error import UsageError
from localtune.tools.commands.checks import duration, flag, one_of, text

# {setting: argument of Command}, where the names differ.
_ARGUMENTS = {"command": "argv", "grace": "grace_s"}


def command(value: Any) -> str | list[str]:
    """Checks a command: a text, or a list of texts."""
    if not isinstance(value, list):
        return text(value)
    for each in value:
        if not isinstance(each, str):
            raise UsageError(
                f"must be a text or a list of texts, but the list has {each!r}. Put it in quotes."
            )
    if not value or not value[0].strip():
        raise UsageError(f"must begin with a program, but got {value!r}.")
    return value


def pattern(value: Any) -> str:
    """Checks a regular expression with named groups."""
    from localtune.trainable.command.parse import compiled

    try:
        compiled(text(value), None)
    except ValueError as error:
        raise UsageError(str(error).removeprefix("pattern ")) from None
    return str(value)


def grace(value: Any) -> float:
    """Reads seconds, which may be 0."""
    return 0.0 if str(value).strip() in ("0", "0s") else duration(value)


def variables(value: Any) -> dict[str, str]:
    """Checks environment variables."""
    if not isinstance(value, Mapping):
        raise UsageError(f"must be a table of texts, but got {value!r}.")
    for name, each in value.items():
        if not isinstance(name, str) or not isinstance(each, str):
            raise UsageError(f"{name} must be a text, but got {each!r}. Put it in quotes.")
    return dict(value)


# {setting: its check}
PROGRAM_CHECKS: dict[str, Callable[[Any], Any]] = {
    "command": command,
    "shell": flag,
    "params_by": one_of("args", "env", "file"),
    "results": one_of("any", "stdout", "file", "final", "report"),
    "pattern": pattern,
    "lockstep": flag,
    "grace": grace,
    "cwd": text,
    "env": variables,
    "metrics_file": text,
    "final_file": text,
}
# Settings of a sweep file without an option.
FILE_ONLY = ("env", "metrics_file", "final_file")


def arguments_of(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Returns {argument of Command: value} of settings."""
    return {_ARGUMENTS.get(name, name): value for name, value in settings.items()}


def make_command(settings: Mapping[str, Any], directory: str) -> Any:
    """Makes the Command of a program.

    Args:
        settings: {setting: value}, checked; ``command`` is among them.
        directory: Absolute directory that relative paths start from.

    Raises:
        UsageError: for settings that do not fit together, or a command without sense.
    """
    from localtune import Command

    try:
        return Command(**arguments_of(settings), directory=directory)
    except ValueError as error:
        raise UsageError(str(error)) from None
