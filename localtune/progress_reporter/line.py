"""Lines of styled text, from which all output is made.

A style is one or more of the words ``bold dim red green magenta``, or "" for none. These colours
are readable on light and on dark terminals, which yellow, cyan and blue are not.
"""

from __future__ import annotations

from collections.abc import Iterable

from localtune.utils.text import printable, shorten, text_width

# (text, style). The text must be printable where its width is measured.
Span = tuple[str, str]
Line = list[Span]

_SGR = {"bold": "1", "dim": "2", "red": "31", "green": "32", "magenta": "35"}


def plain(line: Line) -> str:
    """Returns a line as text without styles."""
    return "".join(printable(text) for text, _ in line)


def painted(line: Line) -> str:
    """Returns a line as text with the escape codes of its styles."""
    return "".join(
        f"\x1b[{';'.join(_SGR[word] for word in style.split())}m{printable(text)}\x1b[0m"
        if style
        else printable(text)
        for text, style in line
    )


def line_width(line: Line) -> int:
    """Returns the width of a line in columns of a terminal."""
    return sum(text_width(text) for text, _ in line)


def crop(line: Line, width: int) -> Line:
    """Returns a line that is cut to a width; an ellipsis marks the cut.

    Args:
        line: The line.
        width: Maximum width, in columns of a terminal.
    """
    if line_width(line) <= width:
        return line
    left = width
    cropped: Line = []
    for text, style in line:
        # One column stays free for the ellipsis.
        if text_width(text) < left:
            cropped.append((text, style))
            left -= text_width(text)
            continue
        cropped.append((shorten(text + " ", left), style))
        break
    return cropped


def justify(left: Line, right: Line, width: int) -> Line:
    """Returns two lines as one, at the left and at the right edge.

    Args:
        left: Line at the left edge.
        right: Line at the right edge; it is left out if there is no room.
        width: Columns of the terminal.
    """
    gap = width - line_width(left) - line_width(right)
    return [*left, (" " * gap, ""), *right] if gap >= 2 else crop(left, width)


def join(parts: Iterable[Line], separator: str) -> Line:
    """Returns several lines as one.

    Args:
        parts: The lines.
        separator: Text between two lines, shown dim.
    """
    joined: Line = []
    for part in parts:
        if joined:
            joined.append((separator, "dim"))
        joined += part
    return joined
