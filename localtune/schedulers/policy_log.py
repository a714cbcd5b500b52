"""The record of what population based training did, in files of the experiment's directory.

``pbt_policy_<trial id>.txt`` tells how a trial came to its configuration, its donors' past
included; ``pbt_global.txt`` has all in the order of time. Each line is one exploit, in JSON:
``[tag, donor's tag, iteration, donor's iteration, donor's config, new config]``.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any

from localtune.utils.files import no_link, write_file
from localtune.utils.json_encode import dumps
from localtune.utils.messages import get_logger

logger = get_logger(__name__)

_GLOBAL_FILE = "pbt_global.txt"


@dataclass(frozen=True, slots=True)
class Exploit:
    """One trial that went on from another one's checkpoint.

    Attributes:
        tag: Tag of the trial, as it was first.
        donor_tag: Tag of the other one, as it was first.
        iteration: How far the trial was.
        donor_iteration: How far the donor was: where the trial goes on.
        donor_config: The donor's configuration.
        config: The trial's configuration from then on.
    """

    tag: str
    donor_tag: str
    iteration: int
    donor_iteration: int
    donor_config: dict[str, Any]
    config: dict[str, Any]

    def as_line(self) -> str:
        """One line of a file."""
        fields = (self.tag, self.donor_tag, self.iteration, self.donor_iteration)
        return dumps([*fields, self.donor_config, self.config]) + "\n"

    def plain(self) -> Exploit:
        """The same with what JSON cannot hold as text: it can be pickled, and shares nothing."""
        return Exploit.from_line(self.as_line())

    @classmethod
    def from_line(cls, line: str) -> Exploit:
        """What :meth:`as_line` wrote.

        Raises:
            ValueError: for anything else.
        """
        kinds = (str, str, int, int, dict, dict)
        fields = json.loads(line)
        if (
            not isinstance(fields, list)
            or len(fields) != len(kinds)
            or not all(map(isinstance, fields, kinds))
        ):
            raise ValueError(
                "each line must be [tag, donor's tag, iteration, donor's iteration, donor's "
                "config, new config]"
            )
        return cls(*fields)


class PolicyLog:
    """Writes exploits down. A disk that cannot be written to is warned of once, and no error."""

    def __init__(self) -> None:
        self._has_warned = False

    def write(self, directory: str, trial_id: str, donor_id: str, exploit: Exploit) -> None:
        """Adds an exploit to the files of a trial and of the experiment.

        Args:
            directory: The experiment's; nothing is written if there is none, as in a simulation.
            trial_id: The trial that changed.
            donor_id: The one that it goes on from: its past is the trial's from now on.
            exploit: What happened.
        """
        if not os.path.isdir(directory):
            return
        line = exploit.as_line()
        try:
            path = os.path.join(directory, _GLOBAL_FILE)
            with open(path, "a", encoding="utf-8", opener=no_link) as file:
                file.write(line)
            past = _read(_policy_path(directory, donor_id))
            path = _policy_path(directory, trial_id)
            write_file(path, (past + line).encode(), sync=False)
        except OSError as error:
            if not self._has_warned:
                self._has_warned = True
                logger.warning(
                    "The log of population based training in %s is incomplete: %s", directory, error
                )


def _policy_path(directory: str, trial_id: str) -> str:
    return os.path.join(directory, f"pbt_policy_{trial_id}.txt")


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", opener=no_link) as file:
            return file.read()
    except FileNotFoundError:
        return ""
