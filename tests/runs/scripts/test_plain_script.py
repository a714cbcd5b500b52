"""A function trainable finds itself in the surroundings of a plain script."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.runs.lifecycle.programs import START_METHODS, run_for_json

EXPECTED = {
    "is main thread": True,
    "signal": True,
    "asyncio": [1, 4],
    "fork": [2, 4],
    "spawn": [-1, -2],
    "threads": 1,
    "subprocess": "hi\n",
    "stdin": "",
}


@pytest.fixture(scope="module", params=START_METHODS)
def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    script = Path(__file__).with_name("plain_script.py")
    answers = run_for_json([str(script), request.param], tmp_path_factory.mktemp("plain"))
    return {**answers, "start method": request.param}


@pytest.mark.parametrize("what", EXPECTED)
def test_user_code_may_do_what_it_may_in_a_script(told: Any, what: str) -> None:
    assert told[what] == EXPECTED[what]


def test_a_worker_with_its_own_process_group_keeps_the_usual_handler_of_interrupts(
    told: Any,
) -> None:
    # Without a group of its own it must not fall to the Ctrl-C that is meant for the parent.
    wanted = "ignored" if told["start method"] == "portable" else "KeyboardInterrupt"
    assert told["interrupt"] == wanted
