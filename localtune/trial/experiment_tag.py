"""The tag of a trial: its number and varying parameters, and what a scheduler changed later."""

from __future__ import annotations

_PERTURBED = "@perturbed"


def original_tag(tag: str) -> str:
    """Returns the tag that a trial had before a scheduler first changed its parameters.

    Example:
        >>> original_tag("3_lr=0.1@perturbed[lr=0.2]")
        '3_lr=0.1'
    """
    return tag.partition(_PERTURBED)[0]


def perturbed_tag(tag: str, variables: str) -> str:
    """Returns the tag of a trial whose parameters have changed.

    Args:
        tag: Its original tag.
        variables: The changed parameters, as text.
    """
    return f"{tag}{_PERTURBED}[{variables}]"
