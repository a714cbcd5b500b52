"""choose_display: chooses the display for a stream."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TextIO

from localtune.error import ExtraMissingError
from localtune.progress_reporter.display import Display, LogDisplay
from localtune.progress_reporter.terminal import SafeStream, can_move_cursor, wants_color


def choose_display(stream: TextIO, environ: Mapping[str, str], *, live: bool) -> Display:
    """Returns the best display for a stream.

    Args:
        stream: The stream to write to.
        environ: Environment variables.
        live: Whether a frame is wanted.
    """
    is_capable = can_move_cursor(stream, environ)
    if live and is_capable:
        from localtune.progress_reporter.live_display import LiveDisplay

        try:
            return LiveDisplay(stream, environ=environ)
        except ExtraMissingError:
            pass  # rich is optional. Without it, lines are appended.
    color = is_capable and wants_color(environ)
    return LogDisplay(SafeStream(stream), color=color, environ=environ)
