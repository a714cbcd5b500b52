"""Where the package writes: every text for people goes through here, and steers no terminal.

Names, errors and what trials print come from others; escape codes in them could clear the screen,
set its title, or make a line look like another. ``tests/architecture/test_output.py`` knows who
else may write.
"""

from __future__ import annotations

import sys
import warnings
from typing import TYPE_CHECKING

from localtune.utils.text import printable, printable_lines

if TYPE_CHECKING:
    # Workers load this module, and mostly log nothing.
    import logging


def show(line: str = "") -> None:
    """Prints one line to the standard output; ends of lines in it become escapes.

    Raises:
        BrokenPipeError: if the reader has gone.
    """
    print(printable(line))


def show_lines(text: str, *, end: str = "\n") -> None:
    """Prints text of several lines to the standard output, at once.

    Args:
        text: What others wrote may be in it, line by line.
        end: What follows it.

    Raises:
        BrokenPipeError: if the reader has gone.
    """
    print(printable_lines(text), end=end, flush=True)


def say(text: str) -> None:
    """Prints a line for people, where it does not mix with what programs read."""
    if sys.stderr is not None:  # Without one, print() would take the standard output.
        print(printable_lines(text), file=sys.stderr, flush=True)


def warn(message: str, category: type[Warning] = UserWarning, stacklevel: int = 1) -> None:
    """Warns as ``warnings.warn`` does.

    Args:
        message: What to look at.
        category: Class of the warning.
        stacklevel: Whose line is shown; 1 is the caller of this function.
    """
    warnings.warn(printable_lines(message), category, stacklevel + 1)


def get_logger(name: str) -> logging.Logger:
    """The logger of a module.

    Args:
        name: The module's ``__name__``.
    """
    import logging

    logger = logging.getLogger(name)
    if _make_printable not in logger.filters:
        logger.addFilter(_make_printable)
    return logger


def _make_printable(record: logging.LogRecord) -> bool:
    record.msg, record.args = printable_lines(record.getMessage()), ()
    if record.exc_info:
        import logging

        record.exc_text = printable_lines(logging.Formatter().formatException(record.exc_info))
    return True
