"""Formats text for people: numbers, durations, sizes, values on one line, suggestions for names."""

from __future__ import annotations

import codecs
import math
import re
import reprlib
import unicodedata
from collections.abc import Iterable
from typing import Any

ELLIPSIS = "…"

_MINUTE_S = 60
_HOUR_S = 60 * _MINUTE_S
_DAY_S = 24 * _HOUR_S

# Control sequences that set colours, move the cursor or clear lines.
_CODE = re.compile(r"(\x1b\[[0-?]*[ -/]*[@-~])")
_COLOR = re.compile(r"\x1b\[[0-9;:]*m")
# The start of a control sequence at the end of a text. Real sequences are not longer.
_BEGUN_CODE = re.compile(r"\x1b(\[[0-?]{0,32}[ -/]{0,4})?\Z")
# Bytes that may need an escape.
_UNUSUAL = re.compile(rb"[^\t\n\r -~]")
_COLOR_OFF = "\x1b[0m"
# Zero-width joiners make letters and emoji of several characters.
_JOINERS = "\u200c\u200d"
# Unicode categories: controls, format marks (text direction), surrogates, line ends.
_CONTROL_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})

_repr = reprlib.Repr()
_repr.maxstring = _repr.maxother = _repr.maxlong = 200
_repr.maxlist = _repr.maxtuple = _repr.maxdict = _repr.maxset = 20


def format_number(value: float, digits: int = 5) -> str:
    """Formats a number with at most ``digits`` significant digits; integers keep all of theirs.

    Args:
        value: The number.
        digits: Significant digits of a float.

    Example:
        >>> format_number(0.0312345678), format_number(128), format_number(1e-07)
        ('0.031235', '128', '1e-07')
    """
    if isinstance(value, int):
        return str(value)
    return format(value, f".{digits}g")


def format_duration(duration_s: float) -> str:
    """Formats a duration in its two largest units.

    Args:
        duration_s: Seconds.

    Example:
        >>> [format_duration(each) for each in (0.25, 3.21, 83, 7_500, 100_000)]
        ['250ms', '3.2s', '1m 23s', '2h 05m', '1d 03h']
    """
    if not math.isfinite(duration_s):
        return str(duration_s)
    if duration_s < 0:
        return "-" + format_duration(-duration_s)
    if round(duration_s, 3) < 1:
        return f"{duration_s * 1000:.0f}ms" if duration_s else "0s"
    if round(duration_s, 1) < 10:
        return f"{duration_s:.1f}s"
    seconds = round(duration_s)
    if seconds < _MINUTE_S:
        return f"{seconds}s"
    if seconds < _HOUR_S:
        return f"{seconds // _MINUTE_S}m {seconds % _MINUTE_S:02d}s"
    if seconds < _DAY_S:
        return f"{seconds // _HOUR_S}h {seconds % _HOUR_S // _MINUTE_S:02d}m"
    return f"{seconds // _DAY_S}d {seconds % _DAY_S // _HOUR_S:02d}h"


def format_clock(duration_s: float) -> str:
    """Formats a duration as ``hh:mm:ss``, always in the same width below 100 hours.

    Args:
        duration_s: Seconds; fractions are dropped.

    Example:
        >>> format_clock(83.9)
        '00:01:23'
    """
    seconds = int(duration_s)
    return f"{seconds // _HOUR_S:02d}:{seconds % _HOUR_S // _MINUTE_S:02d}:{seconds % 60:02d}"


def format_bytes(size_bytes: float) -> str:
    """Formats a size in the largest binary unit that fits.

    Args:
        size_bytes: Size in bytes.

    Example:
        >>> format_bytes(512), format_bytes(1536), format_bytes(3 * 2**30)
        ('512 B', '1.5 KiB', '3.0 GiB')
    """
    if round(abs(size_bytes)) < 1024:
        return f"{size_bytes:.0f} B"
    size = float(size_bytes)
    for unit in ("KiB", "MiB", "GiB", "TiB"):
        size /= 1024
        if round(abs(size), 1) < 1024:
            return f"{size:.1f} {unit}"
    return f"{size / 1024:.1f} PiB"


def count(number: int, noun: str) -> str:
    """Formats a number of things, with the noun in the plural where needed.

    Args:
        number: Number of things.
        noun: The noun in the singular.

    Example:
        >>> count(1, "trial"), count(12000, "trial"), count(2, "retry")
        ('1 trial', '12,000 trials', '2 retries')
    """
    if number != 1:
        noun = noun[:-1] + "ies" if noun.endswith("y") else noun + "s"
    return f"{number:,} {noun}"


def one_line(value: Any, digits: int | None = 4) -> str:
    """Formats any value on one line, without control characters.

    Numbers are rounded, functions and classes appear by their names, text is shown without quotes,
    and other values as their ``repr``. Long collections are abridged.

    Args:
        value: Any value.
        digits: Significant digits of a number; None shows all.

    Example:
        >>> one_line(0.1 + 0.2), one_line("a\\nb"), one_line(len), one_line([1, 2])
        ('0.3', 'a\\\\nb', 'len', '[1, 2]')
    """
    if isinstance(value, str):
        return printable(value)
    try:
        if getattr(value, "ndim", None) == 0:  # A number of NumPy or of a tensor library.
            value = value.item()
        if isinstance(value, (int, float)):
            return repr(value) if digits is None else format_number(value, digits)
        name = getattr(value, "__name__", None)
        text = name if isinstance(name, str) else _repr.repr(value)
    except Exception:
        # A broken __repr__ of the user's must not end a run.
        text = f"<{type(value).__name__}>"
    return printable(text)


def text_of(value: Any) -> str:
    """Returns the ``str()`` of any value, and never raises an error."""
    try:
        return str.__str__(str(value))
    except Exception:
        return f"<{type(value).__name__}: its text cannot be made>"


def printable(text: str) -> str:
    """Replaces each character that is not printable by an escape."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escaped(char) for char in text)


def printable_lines(text: str, *, colors: bool = False) -> str:
    r"""Makes text of several lines safe to print: nothing in it controls a terminal or hides text.

    Line ends and tabs stay. Of a line that was rewritten with carriage returns, as progress bars
    do, the last state stays. Sequences for colours and the cursor are dropped. Every other control
    character becomes an escape.

    Args:
        text: Text from another program or a user.
        colors: Whether sequences for colours stay; each line then ends with a colour reset.

    Example:
        >>> printable_lines("10%\r20%\nred \x1b[31mtext\x1b[0m\x07")
        '20%\nred text\\x07'
    """
    if text.isprintable():
        return text
    return "\n".join(_printable_line(line, colors) for line in text.split("\n"))


class PrintableOutput:
    """Makes a stream of bytes, which arrives in pieces, safe to print on a terminal.

    It works as :func:`printable_lines`, but keeps carriage returns and colours.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""  # The start of an unfinished control sequence.

    def feed(self, data: bytes, *, final: bool = False) -> bytes:
        """Takes the next piece and returns the bytes that may be printed now.

        Args:
            data: The piece.
            final: Whether it is the last one.
        """
        if not self._rest and not _UNUSUAL.search(data) and not self._decoder.getstate()[0]:
            return data
        text = self._rest + self._decoder.decode(data, final)
        begun = None if final else _BEGUN_CODE.search(text)
        self._rest = begun.group() if begun is not None else ""
        shown, _ = _without_controls(text.removesuffix(self._rest), colors=True, kept="\r\n\t")
        return shown.encode("utf-8", "backslashreplace")


def json_escaped(text: str) -> str:
    """Replaces each control character in a JSON text by an escape; the meaning stays the same."""
    if text.isprintable():
        return text
    import json  # Imported late: workers load this module, but need no JSON.

    return "".join(
        json.dumps(char)[1:-1] if char != "\n" and _is_control(char) else char for char in text
    )


def text_width(text: str) -> int:
    """Returns the number of terminal columns that a printable text takes."""
    if text.isascii():
        return len(text)
    return sum(map(_char_width, text))


def shorten(text: str, width: int, *, keep: str = "start") -> str:
    """Cuts a text to ``width`` columns, with an ellipsis in place of the missing part.

    Args:
        text: Printable text.
        width: Columns, at least 1.
        keep: Part that stays: ``"start"``, ``"end"``, or ``"ends"`` to drop the middle.

    Example:
        >>> shorten("checkpoint_000003", 9), shorten("checkpoint_000003", 9, keep="end")
        ('checkpoi…', '…t_000003')
        >>> shorten("checkpoint_000003", 9, keep="ends")
        'chec…0003'
    """
    if text_width(text) <= width:
        return text
    if keep == "start":
        return _head(text, width - 1) + ELLIPSIS
    if keep == "end":
        return ELLIPSIS + _tail(text, width - 1)
    return _head(text, (width - 1) // 2) + ELLIPSIS + _tail(text, width // 2)


def near_miss(name: str, known: Iterable[str]) -> str | None:
    """Returns the known name that resembles a name most; None if none is close.

    Args:
        name: A name, perhaps misspelled.
        known: The known names.

    Example:
        >>> near_miss("acuracy", ["loss", "accuracy"])
        'accuracy'
        >>> near_miss("loss", ["train/loss", "epoch"])
        'train/loss'
    """
    import difflib

    candidates = list(known)
    by_folded = {each.casefold(): each for each in reversed(candidates)}
    close = difflib.get_close_matches(name.casefold(), by_folded, n=1)
    if close:
        return by_folded[close[0]]
    last_part = name.rpartition("/")[2].casefold()
    return next(
        (each for each in candidates if each.rpartition("/")[2].casefold() == last_part), None
    )


def did_you_mean(name: object, known: Iterable[object]) -> str:
    """Returns the end of an error message that suggests the known name closest to a wrong one.

    Args:
        name: The wrong name.
        known: The known names.

    Returns:
        A sentence with a space before it; empty if no known name is close.

    Example:
        >>> did_you_mean("acuracy", ["loss", "accuracy"])
        " Did you mean 'accuracy'?"
    """
    close = near_miss(str(name), map(str, known))
    return f" Did you mean {close!r}?" if close is not None else ""


def _printable_line(line: str, colors: bool) -> str:
    line = line.rstrip("\r").rpartition("\r")[2]
    if line.isprintable():
        return line
    shown, has_color = _without_controls(line, colors=colors, kept="\t")
    return shown + _COLOR_OFF if has_color else shown


def _without_controls(text: str, *, colors: bool, kept: str) -> tuple[str, bool]:
    """Returns the printable form of a text, and whether it sets colours."""
    shown, has_color = [], False
    for number, part in enumerate(_CODE.split(text)):
        if number % 2 == 0:
            shown += [
                _escaped(char) if char not in kept and _is_control(char) else char for char in part
            ]
        elif colors and _COLOR.fullmatch(part):
            shown.append(part)
            has_color = True
    return "".join(shown), has_color


def _is_control(char: str) -> bool:
    return unicodedata.category(char) in _CONTROL_CATEGORIES and char not in _JOINERS


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


def _char_width(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def _head(text: str, width: int) -> str:
    """Returns as much of the beginning as fits into the width; the whole text is wider."""
    end, used = 0, _char_width(text[0])
    while used <= width:
        end += 1
        used += _char_width(text[end])
    return text[:end]


def _tail(text: str, width: int) -> str:
    return _head(text[::-1], width)[::-1]
