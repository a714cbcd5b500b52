"""OldName: one row of the table of old names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

# What an old name is: an argument of a function, a name of a module, an attribute of an object, a
# module, or a form that no name tells.
Kind: TypeAlias = Literal["argument", "name", "attribute", "module", "form"]

REMEDY = (
    "(`python -m localtune.compat SCRIPT` runs a script of Ray Tune unchanged; `localtune migrate "
    "SCRIPT` shows how to change it.)"
)


@dataclass(frozen=True)
class OldName:
    """A form of an earlier release that scripts still use.

    Attributes:
        name: The form as it is written in scripts, such as ``tune.run(local_dir=)``; unique.
        does: What it does, as the end of a sentence that begins with the name.
        write: What to write today.
        kind: What the name is.
        owner: What the old name is a part of: ``tune.run`` for an argument, ``Result`` for an
            attribute, ``tune`` or ``session`` for a name of a module; empty for others.
        member: The argument, attribute or name alone, such as ``local_dir``; empty for forms.
    """

    name: str
    does: str
    write: str
    kind: Kind = "form"
    owner: str = ""
    member: str = ""

    def advice(self) -> str:
        """Returns what to write today, as two sentences."""
        return f"{self.name} is an old form that {self.does}. Write {self.write}."

    def refusal(self) -> str:
        """Returns the message with which the form is refused."""
        return f"{self.advice()} {REMEDY}"


def argument(owner: str, member: str, does: str, write: str) -> OldName:
    """Makes the row of an old argument.

    Args:
        owner: The function or class, such as ``tune.run``.
        member: The argument.
        does: See :class:`OldName`.
        write: See :class:`OldName`.
    """
    return OldName(f"{owner}({member}=)", does, write, "argument", owner, member)


def name(owner: str, member: str, does: str, write: str) -> OldName:
    """Makes the row of an old name of a module.

    Args:
        owner: The module's last name, such as ``tune``.
        member: The name.
        does: See :class:`OldName`.
        write: See :class:`OldName`.
    """
    return OldName(f"{owner}.{member}", does, write, "name", owner, member)


def attribute(owner: str, member: str, does: str, write: str) -> OldName:
    """Makes the row of an old attribute or method.

    Args:
        owner: The class.
        member: The attribute.
        does: See :class:`OldName`.
        write: See :class:`OldName`.
    """
    return OldName(f"{owner}.{member}", does, write, "attribute", owner, member)


def module(member: str, does: str, write: str) -> OldName:
    """Makes the row of an old module.

    Args:
        member: The module's name below ``localtune``.
        does: See :class:`OldName`.
        write: See :class:`OldName`.
    """
    return OldName(member, does, write, "module", "", member)
