"""CloneTable: which trials wait for another trial's checkpoint, and which checkpoints are pinned.

::

    clone wanted --+-- the donor is being saved --> waiting --+-- saved --+
                   |                                          |           v
                   +-- the donor has a checkpoint ------------|--> chosen, pinned
                   |                                          |           |
                   +-- it has none --> the trial goes on  <---+ failed    | the trial has no save
                                                                          v  in flight
                                                                   start point, pinned
                                                                          |
                                                                          | the trial has a newer
                                                                          v  one of its own
                                                                       unpinned

The donor goes on while the trial is being saved. The trial still gets the checkpoint that the
decision was about, not a later one. Nothing is copied: the trial reads the donor's directory in
place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from localtune.result import CONFIG_PREFIX, EXPERIMENT_TAG, TRIAL_ID
from localtune.trial.checkpoint_history import StartPoint, TrackedCheckpoint
from localtune.trial.trial import Trial

# The trial that owns a released checkpoint, and its checkpoints that can be deleted.
Released: TypeAlias = "tuple[Trial | None, list[TrackedCheckpoint]]"


@dataclass(frozen=True, slots=True)
class Clone:
    """A request that a trial goes on from another trial's checkpoint, with a new config.

    Attributes:
        trial: The trial to change.
        donor: The trial whose checkpoint it takes.
        config: The trial's config from then on.
        experiment_tag: Its tag from then on.
    """

    trial: Trial
    donor: Trial
    config: dict[str, Any]
    experiment_tag: str


@dataclass(frozen=True, slots=True)
class _Choice:
    """A clone whose checkpoint is chosen; ``owner`` is the trial that made it, None if unknown."""

    clone: Clone
    point: StartPoint
    owner: Trial | None

    @property
    def pin(self) -> str:
        """Name of the pin; the trial's start point has another one."""
        return f"{self.clone.trial.trial_id} (chosen)"


class CloneTable:
    """The clones that wait, and the pins on checkpoints. It keeps books and decides nothing."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[Clone]] = {}  # {donor id: clones of it}
        self._chosen: dict[str, _Choice] = {}  # {trial id: its clone}
        self._owners: dict[str, Trial] = {}  # {trial id: donor whose checkpoint is pinned for it}

    def wait(self, clone: Clone) -> None:
        """Notes that a trial, which is not wanted yet, waits for its donor's checkpoint."""
        self._waiting.setdefault(clone.donor.trial_id, []).append(clone)

    def choose(self, clone: Clone) -> None:
        """Notes that a trial, which is not wanted yet, goes on from its donor's latest checkpoint.

        The checkpoint exists.
        """
        donor, point = clone.donor, clone.donor.resume_point
        assert point is not None
        # The donor's own start point may belong to a third trial, or to none.
        owner = donor if donor.start_point is None else self._owners.get(donor.trial_id)
        choice = _Choice(clone, point, owner)
        if owner is not None:
            point.tracked.pins.add(choice.pin)
        self._chosen[clone.trial.trial_id] = choice

    def is_chosen(self, trial: Trial) -> bool:
        """Returns whether the checkpoint is chosen from which a trial goes on."""
        return trial.trial_id in self._chosen

    def is_wanted(self, trial: Trial) -> bool:
        """Returns whether a trial is to become a clone: it waits, or its checkpoint is chosen."""
        if not self._waiting:  # as after almost each result
            return trial.trial_id in self._chosen
        waiting = (clone.trial for clones in self._waiting.values() for clone in clones)
        return self.is_chosen(trial) or trial in waiting

    def wanted(self) -> list[Trial]:
        """Returns the trials that are to become clones."""
        waiting = [clone.trial for clones in self._waiting.values() for clone in clones]
        return waiting + [choice.clone.trial for choice in self._chosen.values()]

    def take_waiting(self, donor: Trial) -> list[Clone]:
        """Removes and returns the clones that wait for a donor."""
        return self._waiting.pop(donor.trial_id, [])

    def give_up(self, trial: Trial) -> Released:
        """Removes the clone that a trial is to become, if any.

        Returns:
            The checkpoint that was pinned for it, as :meth:`unpin` returns it.
        """
        for donor_id, clones in list(self._waiting.items()):
            clones[:] = [clone for clone in clones if clone.trial is not trial]
            if not clones:
                del self._waiting[donor_id]
        choice = self._chosen.pop(trial.trial_id, None)
        if choice is None or choice.owner is None:
            return None, []
        choice.point.tracked.pins.discard(choice.pin)
        return choice.owner, choice.owner.checkpoints.collect()

    def apply(self, trial: Trial) -> Released:
        """Changes a trial, which is not running, to its clone, whose checkpoint is chosen.

        Returns:
            The checkpoint that was pinned for the trial before, as :meth:`unpin` returns it.
        """
        choice = self._chosen.pop(trial.trial_id)
        clone, point, owner = choice.clone, choice.point, choice.owner
        released = self.unpin(trial, keep=point.tracked)
        point.tracked.pins.discard(choice.pin)
        if owner is not None:
            point.tracked.pins.add(trial.trial_id)
            self._owners[trial.trial_id] = owner
        trial.start_point = StartPoint(point.tracked, point.owner_id, trial.result_count)
        trial.set_config(clone.config)
        trial.set_experiment_tag(clone.experiment_tag)
        trial.last_result = result_of_start(trial)
        return released

    def adopt(self, trials: list[Trial]) -> None:
        """Pins the checkpoints again that the trials of an earlier session start from."""
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
        """Removes the pins of a trial.

        Args:
            trial: The trial.
            keep: A checkpoint that stays pinned.

        Returns:
            The trial that owns the checkpoint, and its checkpoints that can be deleted now.
        """
        owner = self._owners.pop(trial.trial_id, None)
        if owner is None:
            return None, []
        for tracked in owner.checkpoints:
            if tracked is not keep:
                tracked.pins.discard(trial.trial_id)
        return owner, owner.checkpoints.collect()


def result_of_start(trial: Trial) -> dict[str, Any]:
    """Returns the last result of a trial that goes back to its start point."""
    point = trial.resume_point
    if point is None or not point.tracked.metrics:
        return trial.last_result
    return {
        **point.tracked.metrics,
        CONFIG_PREFIX: trial.config,
        TRIAL_ID: trial.trial_id,
        EXPERIMENT_TAG: trial.experiment_tag,
    }
