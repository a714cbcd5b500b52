"""Trainables that fail at a chosen place in a chosen way."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from localtune.trainable.session import report
from localtune.trainable.trainable import Trainable

FAULTS = ("raise", "sys.exit", "os._exit", "segfault", "abort", "SIGKILL")
EXIT_CODE = 7


class ChaosError(Exception):
    """Raised by the fault ``raise``."""


def strike(fault: str) -> None:
    """Fails in one of the ways in :data:`FAULTS`."""
    if fault == "raise":
        raise ChaosError("chaos")
    if fault == "sys.exit":
        sys.exit(EXIT_CODE)
    if fault == "os._exit":
        os._exit(EXIT_CODE)
    if fault == "segfault":
        import ctypes

        ctypes.string_at(0)
    if fault == "abort":
        os.abort()
    if fault == "SIGKILL":
        os.kill(os.getpid(), signal.SIGKILL)


class ChaosTrainable(Trainable):
    """Counts its steps, and fails at ``config["place"]`` with the fault ``config["fault"]``.

    With ``config["once"]`` (a path) it fails only if that file does not exist, and creates it.
    """

    def setup(self, config: dict[str, Any]) -> None:
        self.steps = 0
        self._strike_at("setup")

    def step(self) -> dict[str, Any]:
        self.steps += 1
        if self.steps >= self.config.get("at_step", 1):
            self._strike_at("step")
        return {"steps": self.steps, "done": self.steps >= self.config.get("stop_at", 3)}

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any]:
        self._strike_at("save")
        return {"steps": self.steps}

    def load_checkpoint(self, checkpoint: Any) -> None:
        self._strike_at("restore")
        self.steps = checkpoint["steps"]

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.steps = 0
        self._strike_at("reset")
        return True

    def cleanup(self) -> None:
        self._strike_at("cleanup")

    def _export_model(self, export_formats: list[str], export_dir: str) -> dict[str, str]:
        self._strike_at("export")
        return dict.fromkeys(export_formats, export_dir)

    def _strike_at(self, place: str) -> None:
        if self.config.get("place") == place:
            strike_unless_done(self.config)


def chaos_function(config: dict[str, Any]) -> None:
    """Reports ``config["stop_at"]`` times, and may fail before report ``config["at_step"]``."""
    for step in range(1, config.get("stop_at", 3) + 1):
        if step >= config.get("at_step", 1) and config.get("place") == "report":
            strike_unless_done(config)
        report({"steps": step})


def strike_unless_done(config: dict[str, Any]) -> None:
    """Fails with the fault ``config["fault"]``, unless the file ``config["once"]`` exists."""
    once = config.get("once")
    if once is not None:
        if os.path.exists(once):
            return
        with open(once, "w", encoding="utf-8"):
            pass
    strike(config["fault"])
