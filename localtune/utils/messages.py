"""Writes all texts of the package for people, without control codes for the terminal.

Names, errors and the output of trials may contain escape codes, which could clear the screen, set
its title or make a line look like another one. ``tests/architecture/test_output.py`` lists the
other modules that may write.
"""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from typing import TYPE_CHECKING

from localtune.utils.text import printable, printable_lines

if TYPE_CHECKING:
    # Workers load this module, and most of them log nothing.
    import logging


def show(line: str = "") -> None:
    """Prints one line to the standard output, with line breaks in it as escapes.

    Raises:
        BrokenPipeError: if the reader of the output has closed it.
    """
    _print(printable(line))


def show_lines(text: str, *, end: str = "\n") -> None:
    """Prints several lines to the standard output and flushes it.

    Args:
        text: The lines; they may contain text from users and trials.
        end: Text to print after them.

    Raises:
        BrokenPipeError: if the reader of the output has closed it.
    """
    _print(printable_lines(text), end)
    if sys.stdout is not None:
        sys.stdout.flush()


def pass_on(text: str) -> None:
    """Prints output of trials as long as it can be written.

    Its reader may have gone, or the disk of its log may be full: that ends no run.

    Args:
        text: The output, with its line ends.
    """
    try:
        show_lines(text, end="")
    except BrokenPipeError:
        # The interpreter writes the rest of the stream's buffer when it ends, and would fail again.
        with contextlib.suppress(OSError), open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
    except (OSError, ValueError):
        pass


def say(text: str) -> None:
    """Prints text for people to the standard error, apart from the output that programs read."""
    if sys.stderr is not None:
        sys.stderr.write(f"{printable_lines(text)}\n")
        sys.stderr.flush()


def _print(text: str, end: str = "\n") -> None:
    # print() writes the line end apart, and another process may write in between.
    if sys.stdout is not None:
        sys.stdout.write(text + end)


def warn(message: str, category: type[Warning] = UserWarning, stacklevel: int = 1) -> None:
    """Issues a warning as ``warnings.warn`` does, with a printable text.

    Args:
        message: Text of the warning.
        category: Class of the warning.
        stacklevel: Number of the caller whose line the warning shows; 1 is the direct caller.
    """
    warnings.warn(printable_lines(message), category, stacklevel + 1)


def get_logger(name: str) -> logging.Logger:
    """Returns the logger of a module, with printable records.

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
