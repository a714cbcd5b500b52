"""Which view suits a stream."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TextIO

from localtune.error import ExtraMissingError
from localtune.progress_reporter.terminal import SafeStream, can_move_cursor, wants_color
from localtune.progress_reporter.view import PlainView, View


def choose_view(stream: TextIO, environ: Mapping[str, str], *, live: bool) -> View:
    """The best view that a stream can show.

    Args:
        stream: Where to write.
        environ: Environment variables.
        live: Whether a frame is wanted.
    """
    is_capable = can_move_cursor(stream, environ)
    if live and is_capable:
        from localtune.progress_reporter.live_view import LiveView

        try:
            return LiveView(stream, environ=environ)
        except ExtraMissingError:
            pass  # Nobody asked for rich: without it there are lines.
    color = is_capable and wants_color(environ)
    return PlainView(SafeStream(stream), color=color, environ=environ)
