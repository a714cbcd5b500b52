"""NoopLogger: a logger of the first interface that logs nothing."""

from __future__ import annotations

from typing import Any

from localtune.logger.legacy import Logger


class NoopLogger(Logger):
    """Logs nothing; its ``logdir`` is that of its trainable."""

    def on_result(self, result: dict[str, Any]) -> None:
        pass
