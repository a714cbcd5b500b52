"""Lines of styled text: what all output is made of, before it is known where it goes.

A style is one or more words of ``bold dim red green magenta``, or "" for none. These colours can
be read on light and on dark terminals; yellow and cyan vanish on white ones, blue on black ones.
"""

from __future__ import annotations

from collections.abc import Iterable

from localtune.utils.text import printable, shorten, text_width

# (text, style). What widths are measured of is printable already; what is written is made so.
Span = tuple[str, str]
Line = list[Span]

_SGR = {"bold": "1", "dim": "2", "red": "31", "green": "32", "magenta": "35"}


def plain(line: Line) -> str:
    """The text of a line."""
    return "".join(printable(text) for text, _ in line)


def painted(line: Line) -> str:
    """The text of a line with the escape codes of its styles."""
    return "".join(
        f"\x1b[{';'.join(_SGR[word] for word in style.split())}m{printable(text)}\x1b[0m"
        if style
        else printable(text)
        for text, style in line
    )


def line_width(line: Line) -> int:
    """Columns of a terminal that a line takes."""
    return sum(text_width(text) for text, _ in line)


def crop(line: Line, width: int) -> Line:
    """The line cut to ``width`` columns, with an ellipsis if something is missing."""
    if line_width(line) <= width:
        return line
    left = width
    cropped: Line = []
    for text, style in line:
        # One column stays free for the ellipsis, which says that spans after this one are gone.
        if text_width(text) < left:
            cropped.append((text, style))
            left -= text_width(text)
            continue
        cropped.append((shorten(text + " ", left), style))
        break
    return cropped


def spread(left: Line, right: Line, width: int) -> Line:
    """Two lines as one: the first at the left edge, the second at the right one, if both fit."""
    gap = width - line_width(left) - line_width(right)
    return [*left, (" " * gap, ""), *right] if gap >= 2 else crop(left, width)


def join(parts: Iterable[Line], separator: str) -> Line:
    """Lines as one, with a dim separator between them."""
    joined: Line = []
    for part in parts:
        if joined:
            joined.append((separator, "dim"))
        joined += part
    return joined
