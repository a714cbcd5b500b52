"""Who goes on from whose checkpoint: trials that wait for one, and checkpoints that are pinned.

::

    clone wanted --+-- the donor is being saved --> waiting --+-- saved --+
                   |                                          |           v
                   +-- the donor has a checkpoint ------------|--> start point, pinned
                   |                                          |           |
                   +-- it has none --> the trial goes on  <---+ failed    | the trial has a newer
                                                                          v  one of its own
                                                                       unpinned

Nothing is copied: the trial reads the donor's directory in place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from localtune.result import CONFIG_PREFIX, EXPERIMENT_TAG, TRIAL_ID
from localtune.trial.checkpoint_history import StartPoint, TrackedCheckpoint
from localtune.trial.trial import Trial

# A trial, and those of its checkpoints that nobody needs any more.
Released: TypeAlias = "tuple[Trial | None, list[TrackedCheckpoint]]"


@dataclass(frozen=True, slots=True)
class Clone:
    """A trial that shall go on as another one, with a config of its own.

    Attributes:
        trial: Whom to change.
        donor: Whose checkpoint it takes.
        config: The trial's config from then on.
        experiment_tag: Its tag from then on.
    """

    trial: Trial
    donor: Trial
    config: dict[str, Any]
    experiment_tag: str


class CloneTable:
    """Bookkeeping of clones. Decides nothing."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[Clone]] = {}  # {donor id: clones of it}
        self._owners: dict[str, Trial] = {}  # {trial id: whose checkpoint is pinned for it}

    def wait(self, clone: Clone) -> None:
        """Notes that a trial waits for its donor's checkpoint."""
        self.give_up(clone.trial)
        self._waiting.setdefault(clone.donor.trial_id, []).append(clone)

    def is_waiting(self, trial: Trial) -> bool:
        """Whether a trial waits for a checkpoint."""
        return any(clone.trial is trial for clones in self._waiting.values() for clone in clones)

    def take_waiting(self, donor: Trial) -> list[Clone]:
        """The clones that waited for a donor; they do not wait any more."""
        return self._waiting.pop(donor.trial_id, [])

    def give_up(self, trial: Trial) -> None:
        """Forgets that a trial waits, if it does."""
        for donor_id, clones in list(self._waiting.items()):
            clones[:] = [clone for clone in clones if clone.trial is not trial]
            if not clones:
                del self._waiting[donor_id]

    def give_up_all(self) -> None:
        """Forgets all that wait."""
        self._waiting.clear()

    def apply(self, clone: Clone) -> Released:
        """Makes a trial, which is not running, what the clone says; its donor has a checkpoint.

        Returns:
            What was pinned for the trial before, as :meth:`unpin` does.
        """
        trial, donor = clone.trial, clone.donor
        point = donor.resume_point
        assert point is not None
        # What the donor itself goes on from may belong to a third trial, or to none.
        owner = donor if donor.start_point is None else self._owners.get(donor.trial_id)
        released = self.unpin(trial, keep=point.tracked)
        if owner is not None:
            point.tracked.pins.add(trial.trial_id)
            self._owners[trial.trial_id] = owner
        trial.start_point = StartPoint(point.tracked, point.owner_id, trial.result_count)
        trial.set_config(clone.config)
        trial.set_experiment_tag(clone.experiment_tag)
        trial.last_result = result_of_start(trial)
        return released

    def adopt(self, trials: list[Trial]) -> None:
        """Pins again what the trials of an earlier session start from."""
        by_id = {trial.trial_id: trial for trial in trials}
        for trial in trials:
            point = trial.start_point
            donor = by_id.get(point.owner_id or "") if point is not None else None
            if point is None or donor is None:
                continue
            for tracked in donor.checkpoints:
                if tracked.index == point.tracked.index:
                    tracked.pins.add(trial.trial_id)
                    trial.start_point = StartPoint(tracked, point.owner_id, point.kept_count)
                    self._owners[trial.trial_id] = donor

    def unpin(self, trial: Trial, keep: TrackedCheckpoint | None = None) -> Released:
        """Lets go of what is pinned for a trial, but for ``keep``.

        Returns:
            The trial whose checkpoint it was, and those of its checkpoints that nobody needs any
            more.
        """
        owner = self._owners.pop(trial.trial_id, None)
        if owner is None:
            return None, []
        for tracked in owner.checkpoints:
            if tracked is not keep:
                tracked.pins.discard(trial.trial_id)
        return owner, owner.checkpoints.collect()


def result_of_start(trial: Trial) -> dict[str, Any]:
    """The last result of a trial that goes back to its start point."""
    point = trial.resume_point
    if point is None or not point.tracked.metrics:
        return trial.last_result
    return {
        **point.tracked.metrics,
        CONFIG_PREFIX: trial.config,
        TRIAL_ID: trial.trial_id,
        EXPERIMENT_TAG: trial.experiment_tag,
    }
