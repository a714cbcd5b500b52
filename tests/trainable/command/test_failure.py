"""The ends of programs in words."""

from __future__ import annotations

import pytest

from localtune.trainable.command.failure import describe_exit


@pytest.mark.parametrize(
    ("exit_code", "text"),
    [
        (1, "ended with exit code 1"),
        (126, "ended with exit code 126 (a program in a shell was not executable)"),
        (127, "ended with exit code 127 (a program in a shell was not found)"),
        (139, "ended with exit code 139 (SIGSEGV in a shell)"),
        (255, "ended with exit code 255"),
        (-15, "was ended by SIGTERM"),
        (-1000, "was ended by signal 1000"),
    ],
)
def test_exit_codes_have_names(exit_code: int, text: str) -> None:
    assert describe_exit(exit_code) == text
