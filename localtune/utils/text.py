"""Text for people: numbers, durations, sizes, values on one line, names that are nearly right."""

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

# What programs print to set colours, move the cursor, and clear lines.
_CODE = re.compile(r"(\x1b\[[0-?]*[ -/]*[@-~])")
_COLOR = re.compile(r"\x1b\[[0-9;:]*m")
# The start of one at the end of a piece of text; nobody writes longer ones.
_BEGUN_CODE = re.compile(r"\x1b(\[[0-?]{0,32}[ -/]{0,4})?\Z")
# What needs a look in a stream of bytes.
_UNUSUAL = re.compile(rb"[^\t\n\r -~]")
_COLOR_OFF = "\x1b[0m"
# Zero-width joiners make letters and emoji of several characters.
_JOINERS = "\u200c\u200d"
# Controls, marks that turn the direction of text, halves of characters, ends of lines.
_STEERING = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})

_repr = reprlib.Repr()
_repr.maxstring = _repr.maxother = _repr.maxlong = 200
_repr.maxlist = _repr.maxtuple = _repr.maxdict = _repr.maxset = 20


def format_number(value: float, digits: int = 5) -> str:
    """A number with at most ``digits`` significant digits; integers in full.

    Example:
        >>> format_number(0.0312345678), format_number(128), format_number(1e-07)
        ('0.031235', '128', '1e-07')
    """
    if isinstance(value, int):
        return str(value)
    return format(value, f".{digits}g")


def format_duration(duration_s: float) -> str:
    """A duration in its two largest units.

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
    """A duration as ``hh:mm:ss``, of the same width at each second of a day.

    Args:
        duration_s: Seconds; fractions are cut off.

    Example:
        >>> format_clock(83.9)
        '00:01:23'
    """
    seconds = int(duration_s)
    return f"{seconds // _HOUR_S:02d}:{seconds % _HOUR_S // _MINUTE_S:02d}:{seconds % 60:02d}"


def format_bytes(size_bytes: float) -> str:
    """A size in the largest binary unit that fits.

    Args:
        size_bytes: Bytes.

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
    """A number of things, with the plural where it is due.

    Example:
        >>> count(1, "trial"), count(12000, "trial"), count(2, "retry")
        ('1 trial', '12,000 trials', '2 retries')
    """
    if number != 1:
        noun = noun[:-1] + "ies" if noun.endswith("y") else noun + "s"
    return f"{number:,} {noun}"


def one_line(value: Any, digits: int | None = 4) -> str:
    """Any value on one line, without characters that steer a terminal.

    Numbers are rounded, functions and classes named, text is taken as it is, all else as its
    ``repr``; long collections are abridged.

    Args:
        value: Anything.
        digits: Significant digits of a number; None shows it exactly.

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
        # A broken __repr__ of the user's must not end a run that only wanted to show it.
        text = f"<{type(value).__name__}>"
    return printable(text)


def text_of(value: Any) -> str:
    """``str()`` of any value, which never raises: some classes, and some texts, are broken."""
    try:
        return str.__str__(str(value))
    except Exception:
        return f"<{type(value).__name__}: its text cannot be made>"


def printable(text: str) -> str:
    """The text with each character that is not printable as an escape."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escaped(char) for char in text)


def printable_lines(text: str, *, colors: bool = False) -> str:
    r"""Text of several lines without anything that steers a terminal or hides what is there.

    Ends of lines and tabs stay. Of a line that was written anew (a progress bar does that), the
    latest state stays. Codes of colours and of the cursor go; every other character that steers
    becomes an escape.

    Args:
        text: What somebody else wrote.
        colors: Whether codes of colours stay; each line ends without colour then.

    Example:
        >>> printable_lines("10%\r20%\nred \x1b[31mtext\x1b[0m\x07")
        '20%\nred text\\x07'
    """
    if text.isprintable():
        return text
    return "\n".join(_printable_line(line, colors) for line in text.split("\n"))


class PrintableOutput:
    """Makes a stream of bytes, which comes in pieces, fit for a terminal.

    As in :func:`printable_lines`, but lines may be written anew, and colours stay.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""  # the start of a code whose end has not come yet

    def feed(self, data: bytes, *, final: bool = False) -> bytes:
        """What may be written of the next piece.

        Args:
            data: The piece.
            final: Whether it is the last one.
        """
        if not self._rest and not _UNUSUAL.search(data) and not self._decoder.getstate()[0]:
            return data
        text = self._rest + self._decoder.decode(data, final)
        begun = None if final else _BEGUN_CODE.search(text)
        self._rest = begun.group() if begun is not None else ""
        shown, _ = _without_steering(text.removesuffix(self._rest), colors=True, kept="\r\n\t")
        return shown.encode("utf-8", "backslashreplace")


def json_escaped(text: str) -> str:
    """JSON in which each character that steers a terminal is an escape; its meaning is the same."""
    if text.isprintable():
        return text
    import json  # Workers load this module, and need no JSON.

    return "".join(
        json.dumps(char)[1:-1] if char != "\n" and _steers(char) else char for char in text
    )


def text_width(text: str) -> int:
    """How many columns of a terminal a printable text takes."""
    if text.isascii():
        return len(text)
    return sum(map(_char_width, text))


def shorten(text: str, width: int, *, keep: str = "start") -> str:
    """The text cut to ``width`` columns, with an ellipsis where something is missing.

    Args:
        text: Printable text.
        width: Columns, at least 1.
        keep: Which part stays: ``"start"``, ``"end"`` or ``"ends"`` (the middle goes).

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
    """The known name that was probably meant; None if none is close.

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


def _printable_line(line: str, colors: bool) -> str:
    line = line.rstrip("\r").rpartition("\r")[2]
    if line.isprintable():
        return line
    shown, has_color = _without_steering(line, colors=colors, kept="\t")
    return shown + _COLOR_OFF if has_color else shown


def _without_steering(text: str, *, colors: bool, kept: str) -> tuple[str, bool]:
    """The text as it may be shown, and whether it sets colours."""
    shown, has_color = [], False
    for number, part in enumerate(_CODE.split(text)):
        if number % 2 == 0:
            shown += [
                _escaped(char) if char not in kept and _steers(char) else char for char in part
            ]
        elif colors and _COLOR.fullmatch(part):
            shown.append(part)
            has_color = True
    return "".join(shown), has_color


def _steers(char: str) -> bool:
    return unicodedata.category(char) in _STEERING and char not in _JOINERS


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


def _char_width(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def _head(text: str, width: int) -> str:
    """As much of the beginning as fits; the text is wider than that."""
    end, used = 0, _char_width(text[0])
    while used <= width:
        end += 1
        used += _char_width(text[end])
    return text[:end]


def _tail(text: str, width: int) -> str:
    return _head(text[::-1], width)[::-1]
