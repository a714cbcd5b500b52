"""TBXLoggerCallback under its path in Ray Tune, and TBXLogger of the first interface."""

from __future__ import annotations

import os
from typing import Any

from localtune.logger.event_file import EventFile
from localtune.logger.legacy import Logger
from localtune.logger.tensorboard import EVENT_FILE, Summaries
from localtune.logger.tensorboard import TBXLoggerCallback as TBXLoggerCallback


class TBXLogger(Logger):
    """Writes results into a directory, for TensorBoard; see :class:`TBXLoggerCallback`.

    Raises:
        ExtraMissingError: if tensorboardX is not installed.
    """

    def _init(self) -> None:
        os.makedirs(self.logdir, exist_ok=True)
        self._summaries = Summaries()
        self._file = EventFile(os.path.join(self.logdir, EVENT_FILE))
        params = self.trial.evaluated_params if self.trial is not None else {}
        if self._file.is_new and params:
            self._file.note([self._summaries.session(params)[0]], step=0)

    def on_result(self, result: dict[str, Any]) -> None:
        self._file.add(*self._summaries.of_result(result))

    def close(self) -> None:
        self._file.close()
