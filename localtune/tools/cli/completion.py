"""``localtune completion``: a script that completes commands and options in a shell."""

from __future__ import annotations

import argparse
from typing import Any

from localtune.tools.commands.checks import one_of
from localtune.tools.commands.exit_codes import OK
from localtune.tools.commands.options import add_command, checked
from localtune.utils.messages import show_lines

_BASH = """\
# Completion of localtune for bash. Try it:    eval "$(localtune completion bash)"
_localtune() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} command=${{COMP_WORDS[1]:-}} words=
    if [ "$COMP_CWORD" -eq 1 ]; then
        words="{commands}"
    else
        case $command in
{cases}
        esac
        case $word in -*) ;; *) words= ;; esac
    fi
    COMPREPLY=($(compgen -W "$words" -- "$word"))
    if [ ${{#COMPREPLY[@]}} -eq 0 ]; then
        case $command in {experiments})
            COMPREPLY=($(compgen -W "$(command ls ~/localtune_results 2>/dev/null)" -- "$word")) ;;
        esac
    fi
}}
complete -o default -o bashdefault -F _localtune localtune
"""

_ZSH = """\
#compdef localtune
# Completion of localtune for zsh. Try it:    eval "$(localtune completion zsh)"
_localtune() {{
    local -a names
    if (( CURRENT == 2 )); then
        names=({commands})
        compadd -- $names
        return
    fi
    case $words[2] in
{cases}
    esac
    if [[ $words[CURRENT] == -* ]]; then
        compadd -- $names
        return
    fi
    case $words[2] in
        {experiments}) compadd -- ~/localtune_results/*(N:t) ;;
    esac
    _files
}}
compdef _localtune localtune
"""


def add_parser(subparsers: Any) -> None:
    """Adds the command."""
    parser = add_command(
        subparsers,
        "completion",
        "print a script that completes command lines",
        "bash|zsh",
        ['eval "$(localtune completion bash)"    # in ~/.bashrc, to have it always'],
    )
    parser.add_argument(
        "shell", metavar="SHELL", type=checked(one_of("bash", "zsh")), help="bash or zsh"
    )


def run(args: argparse.Namespace) -> int:
    """Carries out the command; returns the exit code."""
    from localtune.tools.commands.registry import COMMANDS, make_parser

    show_lines(script(args.shell, _options(make_parser(COMMANDS))), end="")
    return OK


def script(shell: str, parsers: dict[str, argparse.ArgumentParser]) -> str:
    """Makes the script for a shell.

    Args:
        shell: ``"bash"`` or ``"zsh"``.
        parsers: {command: its parser}.
    """
    cases = []
    for name, parser in parsers.items():
        words = " ".join(
            option
            for action in parser._actions
            for option in action.option_strings
            if option.startswith("--")
        )
        cases.append(
            f'            {name}) words="{words}" ;;'
            if shell == "bash"
            else f"        {name}) names=({words}) ;;"
        )
    experiments = "|".join(
        name
        for name, parser in parsers.items()
        if any(action.dest == "experiment" for action in parser._actions)
    )
    template = _BASH if shell == "bash" else _ZSH
    return template.format(
        commands=" ".join(parsers), cases="\n".join(cases), experiments=experiments
    )


def _options(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    raise AssertionError("the main parser has commands")
