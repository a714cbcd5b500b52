"""The table of old names: what each does, and what to write today."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class OldName:
    """A form of an earlier release that scripts still use.

    Attributes:
        name: The form as it is written in scripts, such as ``tune.run(local_dir=)``; unique.
        does: What it does, as the end of a sentence that begins with the name.
        write: What to write today.
    """

    name: str
    does: str
    write: str

    def advice(self) -> str:
        """Returns what to write today, as one sentence."""
        return f"{self.name} is an old form that {self.does}. Write {self.write}."

    def refusal(self) -> str:
        """Returns the message with which the form is refused."""
        return f"{self.advice()} {_REMEDY}"


_REMEDY = (
    "(`python -m localtune.compat SCRIPT` runs a script of Ray Tune unchanged; `localtune migrate "
    "SCRIPT` shows how to change it.)"
)

_ROWS = (
    OldName(
        "tune.report(loss=x)",
        "reports its keyword arguments as metrics",
        'tune.report({"loss": x})',
    ),
    OldName(
        "tune.run(local_dir=)",
        "names the directory of the results",
        "storage_path=, with an absolute path",
    ),
    OldName(
        "RunConfig(local_dir=)",
        "names the directory of the results",
        "storage_path=, with an absolute path",
    ),
    OldName(
        "Experiment(local_dir=)",
        "names the directory of the results",
        "storage_path=, with an absolute path",
    ),
    OldName("session", "has the functions of a trial", "tune.report() and tune.get_checkpoint()"),
)

OLD_NAMES = {row.name: row for row in _ROWS}
