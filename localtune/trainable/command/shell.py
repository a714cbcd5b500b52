"""Values in a command for a shell: each is quoted, so that the shell takes it as it is."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator

from localtune.trainable.command.template import Template

# cmd.exe expands or splits at these even between quotes.
_UNSAFE_FOR_CMD = re.compile(r'["%!^&|<>\r\n]')


def quoted(text: str) -> str:
    """Returns a value in the form that the platform's shell takes as one word.

    Args:
        text: The value.

    Raises:
        ValueError: on Windows, for a value that ``cmd.exe`` would not leave as it is.
    """
    return quoted_for_cmd(text) if os.name == "nt" else shlex.quote(text)


def quoted_for_cmd(text: str) -> str:
    """Returns a value in quotes for ``cmd.exe``.

    Raises:
        ValueError: if it has a character that ``cmd.exe`` interprets between quotes, too.
    """
    found = _UNSAFE_FOR_CMD.search(text)
    if found:
        raise ValueError(
            f"The value {text!r} cannot be passed through cmd.exe, which interprets the character "
            f"{found[0]!r} everywhere. Pass the program as a list, without shell=True."
        )
    # A backslash before the closing quote would escape it.
    ending = "\\" * (len(text) - len(text.rstrip("\\")))
    return f'"{text}{ending}"'


def check_places(template: Template) -> None:
    """Checks that each placeholder stands where a quoted value is one word of the shell.

    Raises:
        ValueError: for a placeholder in quotes, after a backslash, in a comment, or beside a here
            document.
    """
    if not template.placeholders:
        return
    states = dict(_states(template.text))
    for name, start in template.placeholders:
        state = states[start]
        if state:
            raise ValueError(
                f"In a command for a shell, localtune quotes each value itself, but {{{name}}} "
                f"stands {state} in {template.text!r}. Write the placeholder by itself, or next "
                "to plain text, as in --lr={lr}."
            )
    if "here" in states.values():
        raise ValueError(_here_problem(template))


def _here_problem(template: Template) -> str:
    return (
        f"A command for a shell cannot have both placeholders and a here document (<<), but got "
        f"{template.text!r}. Use a script file, and pass the values to it."
    )


def _states(text: str) -> Iterator[tuple[int, str]]:
    """Yields (position, where the shell is there: "" for plain text) for each character."""
    quote, position, is_word_start = "", 0, True
    while position < len(text):
        each = text[position]
        if quote == "#":
            yield position, "in a comment"
            quote = "" if each == "\n" else quote
        elif quote:
            yield position, f"between quotes ({quote})"
            if each == "\\" and quote == '"' and position + 1 < len(text):
                position += 1
                yield position, "after a backslash"
            elif each == quote:
                quote = ""
        elif each == "\\" and position + 1 < len(text):
            yield position, ""
            position += 1
            yield position, "after a backslash"
        elif text.startswith("<<<", position):
            yield position, ""
            position += 2
        elif text.startswith("<<", position):
            yield position, "here"
        else:
            yield position, ""
            if each in "'\"`" or (each == "#" and is_word_start):
                quote = each
        is_word_start = each.isspace() or each in ";&|("
        position += 1
