"""PolicyLog: writes the exploits of population based training to the experiment's directory.

``pbt_policy_<trial id>.txt`` holds the exploits that led to a trial's configuration, those of its
donors included. ``pbt_global.txt`` holds all exploits by time. Each line is one exploit, in JSON:
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
    """The event that one trial went on from another trial's checkpoint.

    Attributes:
        tag: The trial's first tag.
        donor_tag: The donor's first tag.
        iteration: Iteration of the trial before the event.
        donor_iteration: Iteration of the donor's checkpoint.
        donor_config: The donor's configuration.
        config: The trial's new configuration.
    """

    tag: str
    donor_tag: str
    iteration: int
    donor_iteration: int
    donor_config: dict[str, Any]
    config: dict[str, Any]

    def as_line(self) -> str:
        """Returns the exploit as one line of a file."""
        fields = (self.tag, self.donor_tag, self.iteration, self.donor_iteration)
        return dumps([*fields, self.donor_config, self.config]) + "\n"

    def plain(self) -> Exploit:
        """Returns a copy that can be pickled: values that JSON cannot hold become text."""
        return Exploit.from_line(self.as_line())

    @classmethod
    def from_line(cls, line: str) -> Exploit:
        """Reads a line that :meth:`as_line` wrote.

        Raises:
            ValueError: for any other line.
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
    """Writes exploits to files. The first failure to write is a warning, and none is an error."""

    def __init__(self) -> None:
        self._has_warned = False

    def write(self, directory: str, trial_id: str, donor_id: str, exploit: Exploit) -> None:
        """Adds an exploit to the files of a trial and of the experiment.

        Args:
            directory: The experiment's directory. Nothing is written if it does not exist, as in
                a simulation.
            trial_id: Id of the trial that changed.
            donor_id: Id of the donor, whose exploits are copied to the trial's file.
            exploit: The exploit.
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
