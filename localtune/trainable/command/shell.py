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
        ValueError: for a placeholder in quotes or arithmetic, after a backslash or a dollar sign,
            in a comment, after commands in quotes, or beside a here document.
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
                "to plain text, as in --lr={lr}. Elsewhere, use a variable: value={lr}; echo "
                '"$value".'
            )
    if "here" in states.values():
        raise ValueError(_here_problem(template))


def _here_problem(template: Template) -> str:
    return (
        f"A command for a shell cannot have both placeholders and a here document (<<), but got "
        f"{template.text!r}. Use a script file, and pass the values to it."
    )


# Between double quotes, commands and parameters have quotes of their own. Simple ones have none.
_EXPANSION = re.compile(r"\$[({]|`")
_SIMPLE_EXPANSION = re.compile(r"\$\((?![^)]*\bcase\b)[^()'\"`\\#<{}]*\)|\$\{\{\w+\}\}")
# Between these, the shell interprets values between single quotes, too.
_ARITHMETIC = re.compile(r"\$?\(\(|\$\[")


def _states(text: str) -> Iterator[tuple[int, str]]:
    """Yields (position, where the shell is there: "" for plain text) for each character.

    What it does not follow to its end, it takes to go on to the end of the text.
    """
    quote, position, is_word_start = "", 0, True
    while position < len(text):
        each = text[position]
        if quote == "#":
            yield position, "in a comment"
            quote = "" if each == "\n" else quote
        elif quote:
            yield position, f"between quotes ({quote})"
            simple = _SIMPLE_EXPANSION.match(text, position) if quote == '"' else None
            if simple:
                position = simple.end() - 1
            elif quote == '"' and _EXPANSION.match(text, position):
                yield from _rest(text, position, "after commands between quotes")
                return
            elif each == "\\" and quote != "'" and position + 1 < len(text):
                position += 1
                yield position, "after a backslash"
            elif each == quote[-1]:
                quote = ""
        elif each == "\\" and position + 1 < len(text):
            yield position, ""
            position += 1
            yield position, "after a backslash"
        elif _ARITHMETIC.match(text, position):
            yield from _rest(text, position, "in or after arithmetic")
            return
        elif text.startswith("${", position) and not text.startswith("${{", position):
            yield position, ""
            position += 1
            yield position, "after a dollar sign"
        elif text.startswith("<<<", position):
            yield position, ""
            position += 2
        elif text.startswith("<<", position):
            yield position, "here"
        else:
            yield position, ""
            if text.startswith("$'", position):
                position += 1
                quote = "$'"  # Has backslashes.
            elif each in "'\"`" or (each == "#" and is_word_start):
                quote = each
        is_word_start = each.isspace() or each in ";&|("
        position += 1


def _rest(text: str, start: int, state: str) -> Iterator[tuple[int, str]]:
    return ((position, state) for position in range(start, len(text)))
