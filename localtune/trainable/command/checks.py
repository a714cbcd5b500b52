"""Checks of a command against the search space of a run, before anything is started."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from localtune.trainable.command.facts import FACT_VARIABLES
from localtune.trainable.command.template import Template
from localtune.trainable.command.values import SEPARATOR, check_variables, name_of, text_of_value
from localtune.trainable.space_parameters import SpaceParameter
from localtune.utils.text import did_you_mean


def check_parameters(
    templates: Iterable[Template],
    parameters: Sequence[SpaceParameter],
    *,
    needs_placeholders: bool,
    is_complete: bool,
) -> None:
    """Checks that placeholders and parameters fit together in every configuration.

    Args:
        templates: The arguments of the command.
        parameters: The parameters that configurations can have.
        needs_placeholders: Whether each parameter must be named by a placeholder.
        is_complete: Whether ``parameters`` has all parameters; False if a search algorithm has a
            space of its own.

    Raises:
        ValueError: if they do not.
    """
    names = {name_of(each.path): each for each in parameters}
    used = list(dict.fromkeys(name for each in templates for name in each.names))
    _check_reserved(parameters)
    _check_same_names(parameters)
    check_variables(name for name, each in names.items() if not each.is_group)
    for name, each in names.items():
        for value in each.values:
            text_of_value(name, value)
    if is_complete:
        for name in used:
            if name not in FACT_VARIABLES:
                _check_placeholder(name, names)
    if needs_placeholders:
        _check_all_used(names, used)


def missing_placeholder(name: str, known: Iterable[str]) -> str:
    """Returns the message for a placeholder that names no parameter.

    Args:
        name: The name.
        known: Names of the parameters.
    """
    listed = sorted(known)
    hint = did_you_mean(name, [*listed, *FACT_VARIABLES])
    if not hint and ":" in name:
        hint = " A format such as {lr:.3g} is not possible: round the value in the search space."
    return (
        f"The command has the placeholder {{{name}}}, but there is no such parameter; there are: "
        f"{', '.join(listed) or 'none'}.{hint} Add the parameter to the search space, correct the "
        "name, or write {{ and }} for braces of the command itself."
    )


def _check_reserved(parameters: Iterable[SpaceParameter]) -> None:
    for each in parameters:
        name = str(each.path[0])
        if name in FACT_VARIABLES:
            raise ValueError(
                f"The parameter {name!r} has a reserved name: in a command, {{{name}}} is a fact "
                f"about the trial. Rename the parameter. Reserved are: "
                f"{', '.join(FACT_VARIABLES)}."
            )


def _check_same_names(parameters: Iterable[SpaceParameter]) -> None:
    seen: dict[str, tuple[object, ...]] = {}
    for each in parameters:
        name = name_of(each.path)
        if seen.setdefault(name, each.path) != each.path:
            raise ValueError(
                f"Two parameters have the same name {name!r}, one of them nested. Rename one."
            )


def _check_placeholder(name: str, names: dict[str, SpaceParameter]) -> None:
    parts = name.split(SEPARATOR)
    around = [SEPARATOR.join(parts[:count]) for count in range(1, len(parts))]
    if any(each in names and names[each].is_open for each in around):
        return  # Only the configuration shows what a function has computed.
    found = names.get(name)
    if found is None:
        raise ValueError(missing_placeholder(name, names))
    if not found.is_certain:
        raise ValueError(
            f"The command has the placeholder {{{name}}}, but some configurations have no "
            f"parameter {name!r}: it belongs to one of several alternatives. Let the program read "
            "such parameters from its environment or from params.json, with params_by='env' or "
            "'file'."
        )


def _check_all_used(names: dict[str, SpaceParameter], used: Sequence[str]) -> None:
    for name in [name for name, each in names.items() if not each.is_group]:
        parts = name.split(SEPARATOR)
        around = [SEPARATOR.join(parts[:count]) for count in range(1, len(parts) + 1)]
        # The parameters inside an open one are not known.
        is_used = any(each in used for each in around) or (
            names[name].is_open and any(each.startswith(name + SEPARATOR) for each in used)
        )
        if not is_used:
            raise ValueError(
                f"No placeholder of the command names the parameter {name!r}, so the program "
                f"would not get it. Add {{{name}}} to the command, for example "
                f"'--{parts[-1]}={{{name}}}'; or say params_by='env' or 'file' if the program "
                "reads its parameters from its environment or from params.json."
            )
