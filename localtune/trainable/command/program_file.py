"""Finds the program of a command, and its script, by paths relative to the original directory.

A program works in its trial's directory, where a path that is right in the user's shell is wrong.
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
from collections.abc import Mapping, Sequence

from localtune.utils.text import did_you_mean

_INTERPRETER = re.compile(
    r"(python|pypy|perl|ruby|node|bash|sh|dash|zsh|Rscript|julia|lua|tclsh|php)[\d.]*(\.exe)?"
)
# With these, an interpreter's next argument may be anything.
_NO_SCRIPT_FOLLOWS = ("-c", "-e", "-E", "-m", "-n", "-p", "-r", "--eval")
# Names of files that interpreters and launchers start.
_SCRIPT_SUFFIXES = frozenset(
    """
    .py .pyz .sh .bash .zsh .pl .rb .r .js .mjs .cjs .ts .jl .lua .tcl .awk .php .m .jar .bat .cmd
    .ps1
    """.split()  # noqa: SIM905
)

# Where Python looks for modules.
MODULE_PATH = "PYTHONPATH"


def found_arguments(
    arguments: Sequence[str], original_dir: str, environment: Mapping[str, str]
) -> list[str]:
    """Returns the arguments with absolute paths of the program and of its script.

    Args:
        arguments: The program and its arguments.
        original_dir: Directory that relative paths start from.
        environment: Environment of the program; its ``PATH`` is searched.

    Raises:
        FileNotFoundError: if there is no such program.
        PermissionError: if it cannot be executed.
    """
    program, *rest = arguments
    found = find_program(program, original_dir, environment)
    if os.path.dirname(program) and not os.path.isabs(program):
        # A program of the user's own, whose arguments are no scripts.
        return [found, *rest]
    script = _script_index(rest, original_dir)
    if script is not None:
        rest[script] = os.path.join(original_dir, rest[script])
    return [found, *rest]


def find_program(program: str, original_dir: str, environment: Mapping[str, str]) -> str:
    """Returns the absolute path of a program.

    Args:
        program: Name, to be found on the ``PATH``, or path.
        original_dir: Directory that a relative path starts from.
        environment: Environment of the program.

    Raises:
        FileNotFoundError: if there is no such program.
        PermissionError: if it cannot be executed.
    """
    search_path = environment.get("PATH", os.defpath)
    if not os.path.dirname(program):
        found = shutil.which(program, path=search_path)
        if found is not None:
            return os.path.abspath(found)
        hint = ""
        if os.path.isfile(os.path.join(original_dir, program)):
            hint = f" There is a file of that name in {original_dir}: write ./{program}."
        raise FileNotFoundError(
            f"The program {program!r} was not found in any directory of PATH ({search_path}).{hint}"
        )
    path = os.path.join(original_dir, os.path.normpath(program))
    found = shutil.which(path, path=search_path)
    if found is not None:
        return found
    if not os.path.exists(path):
        raise FileNotFoundError(f"There is no program {program!r} in {original_dir}.")
    if os.path.isdir(path):
        raise PermissionError(f"The program {path!r} is a directory.")
    raise PermissionError(
        f"The program {path!r} is not executable. Make it so (chmod +x), or name the interpreter "
        f"in front of it, as in 'python {program}'."
    )


def is_interpreter(program: str) -> bool:
    """Tells whether a program is known to run the script that its first argument names.

    Args:
        program: Name or path.
    """
    return _INTERPRETER.fullmatch(os.path.basename(program)) is not None


def check_script(program: str, arguments: Sequence[str | None], directories: Sequence[str]) -> None:
    """Checks that the script exists which an interpreter is to run.

    Args:
        program: The interpreter; nothing is known of other programs.
        arguments: Its arguments; None for one that has a placeholder.
        directories: Where the program looks for it: the first one is the user's.

    Raises:
        FileNotFoundError: if there is no such script.
    """
    if not is_interpreter(program):
        return
    for each in arguments:
        if each is None or each.startswith(_NO_SCRIPT_FOLLOWS):
            return
        if not each.startswith("-"):
            break
    else:
        return
    is_script = os.path.splitext(each)[1].lower() in _SCRIPT_SUFFIXES
    if is_script and not any(os.path.exists(os.path.join(where, each)) for where in directories):
        hint = did_you_mean(each, _neighbours(os.path.join(directories[0], each)))
        raise FileNotFoundError(f"There is no script {each!r} in {directories[0]}.{hint}")


def _neighbours(path: str) -> list[str]:
    try:
        return os.listdir(os.path.dirname(path))
    except OSError:
        return []


def runs_module(arguments: Sequence[str]) -> bool:
    """Tells whether a command lets Python look for a module: ``python -m package.train``.

    Args:
        arguments: The program and its arguments.
    """
    name = os.path.basename(arguments[0]).lower()
    if not name.startswith(("python", "pypy")):
        return False
    options = itertools.takewhile(lambda each: each.startswith("-"), arguments[1:])
    return any(each.startswith(("-m", "-c")) for each in options)


def add_module_path(environment: dict[str, str], directory: str) -> None:
    """Lets Python find modules in a directory, where it would look if it worked there.

    Args:
        environment: Environment of the program; changed.
        directory: The directory.
    """
    before = environment.get(MODULE_PATH)
    environment[MODULE_PATH] = directory if not before else f"{directory}{os.pathsep}{before}"


def _script_index(arguments: Sequence[str], original_dir: str) -> int | None:
    """Returns the position of the script that an interpreter or a launcher is to start."""
    first: int | None = None
    for index, each in enumerate(arguments):
        if each.startswith("-") or not each:
            continue
        is_file = os.path.isfile(os.path.join(original_dir, each))
        if is_file and os.path.splitext(each)[1].lower() in _SCRIPT_SUFFIXES:
            return index
        if first is None:
            first = index if is_file else -1
    return first if first is not None and first >= 0 else None
