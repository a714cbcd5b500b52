"""current_trial: the trial that the calling function runs in."""

from __future__ import annotations

from localtune.trainable.active_session import current_session
from localtune.trial.trial_info import TrialInfo


def current_trial() -> TrialInfo | None:
    """Returns the trial of the calling function; None outside of a trial."""
    session = current_session()
    return session.trial_info if session is not None else None
