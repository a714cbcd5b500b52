"""FIFOScheduler: every trial runs to its end, in order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from localtune.schedulers.base import TrialScheduler, TuneController

if TYPE_CHECKING:
    from localtune.trial.trial import Trial

__all__ = ["FIFOScheduler"]


class FIFOScheduler(TrialScheduler):
    """Runs pending trials in the order of their creation, then paused ones."""

    def choose_trial_to_run(self, tune_controller: TuneController) -> Trial | None:
        return tune_controller.next_waiting_trial()

    def get_state(self) -> dict[str, Any]:
        # Only a subclass has attributes to save.
        return {} if type(self) is FIFOScheduler else super().get_state()

    def debug_string(self) -> str:
        return "FIFO scheduler"
