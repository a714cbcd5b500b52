"""The commands are found by their files."""

from __future__ import annotations

import subprocess
import sys

from localtune.tools.commands.registry import COMMANDS, module_of
from tests.architecture.layers import package_modules


def test_each_module_that_describes_a_command_is_one() -> None:
    describing = {
        name
        for name, path in package_modules().items()
        if name.startswith("localtune.tools.")
        and "\ndef add_parser(" in path.read_text(encoding="utf-8")
    }
    assert set(COMMANDS.values()) == describing
    assert {"check", "run", "report", "completion"} <= COMMANDS.keys()
    assert not {"main", "command", "options", "phrases"} & COMMANDS.keys()


def test_help_lists_them_in_the_order_of_their_use() -> None:
    names = list(COMMANDS)
    assert names.index("check") < names.index("run") < names.index("ls") < names.index("clean")


def test_a_module_of_a_command_is_imported_when_it_is_used() -> None:
    code = (
        "import sys; from localtune.tools.commands.registry import COMMANDS, module_of\n"
        "module_of('ls'); print(*(each for each in COMMANDS.values() if each in sys.modules))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True
    )
    assert answer.stdout.strip() == module_of("ls").__name__ == "localtune.tools.cli.ls"
