"""The arguments of a command: from what the user writes to templates, and to a name."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Sequence

from localtune.trainable.command.program_file import is_interpreter
from localtune.trainable.command.shell import check_places
from localtune.trainable.command.template import Template

_IS_WINDOWS = os.name == "nt"
# What only a shell understands, between spaces.
_SHELL_WORD = re.compile(r"(?<!\S)(?:\|[|&]?|&&?|;|\d?(?:>>?|<)|&>>?|\d?>&\d|<<<?)(?!\S)")
_MARK = "\0"
_INLINE_CODE = ("-c", "-e", "-E", "-r", "--eval")


def templates_of(argv: Sequence[str] | str, *, shell: bool) -> list[Template]:
    """Returns the program and its arguments as templates.

    Args:
        argv: A list, or a text that is split at its spaces.
        shell: Whether ``argv`` is a text for the shell, which is one template.

    Raises:
        ValueError: for a value that makes no sense.
    """
    if shell:
        if not isinstance(argv, str):
            raise ValueError(
                f"With shell=True the command must be one text, but got {argv!r}. Pass a text, or "
                "leave out shell=True."
            )
        template = Template(argv)
        check_places(template)
        arguments = [template]
    else:
        words = _split(argv) if isinstance(argv, str) else list(argv)
        if isinstance(argv, str):
            _check_shell_words(argv)
        for each in words:
            if not isinstance(each, (str, os.PathLike)):
                raise ValueError(
                    f"argv must be a list of texts, but it has {each!r}. Write numbers as texts, "
                    "and parameters as placeholders, as in '--lr={lr}'."
                )
        arguments = [Template(os.fspath(each)) for each in words]
    if not arguments or not arguments[0].text.strip():
        raise ValueError(f"argv must name a program, but got {argv!r}.")
    return arguments


def _check_shell_words(text: str) -> None:
    """Checks that a text has no operator of a shell as an argument, without quotes.

    Raises:
        ValueError: if it has one.
    """
    found = _SHELL_WORD.findall(text)
    # Inside quotes, the mark is a part of a longer argument.
    if found and _MARK in _split(_SHELL_WORD.sub(_MARK, text)):
        raise ValueError(
            f"The command {text!r} has {found[0]!r} as an argument, but no shell runs that would "
            "understand it. Say shell=True to run the command through the shell, or put the "
            "argument in quotes if it is for the program."
        )


def _split(text: str) -> list[str]:
    lexer = shlex.shlex(text, posix=True, punctuation_chars=False)
    lexer.whitespace_split = True
    lexer.commenters = ""
    if _IS_WINDOWS:
        lexer.escape = ""  # It separates directories there.
    try:
        return list(lexer)
    except ValueError as error:
        raise ValueError(f"The command {text!r} cannot be split into arguments: {error}.") from None


def name_of_command(argv: Sequence[Template], *, shell: bool) -> str:
    """Returns the name of the script or module that an interpreter runs, else of the program.

    Args:
        argv: The program and its arguments.
        shell: Whether ``argv`` is one text for the shell.
    """
    program, *words = argv[0].text.split() if shell else [each.text for each in argv]
    name = os.path.basename(program)
    if is_interpreter(program):
        name = _script_name(words) or name
    return re.sub(r"[^\w.+-]", "_", os.path.splitext(name)[0]).strip("._") or "command"


def _script_name(words: Sequence[str]) -> str:
    """Returns the name of the script among the arguments of an interpreter; "" if it has none."""
    for option, word in zip(["", *words], words, strict=False):
        if word in _INLINE_CODE:
            return ""
        if option == "-m" or not word.startswith("-"):
            return "" if "{" in word else os.path.basename(word)
    return ""
