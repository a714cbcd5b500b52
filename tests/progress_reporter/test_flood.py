from __future__ import annotations

from localtune.progress_reporter.flood import FloodGate


def admitted(gate: FloodGate, kind: str, number: int) -> int:
    return sum(gate.admit(kind) for _ in range(number))


def test_a_few_lines_per_second_pass() -> None:
    gate = FloodGate(max_lines=3)

    for second in range(5):
        assert gate.collapsed(second) == {}
        assert admitted(gate, "finished", 3) == 3


def test_more_lines_are_counted_until_the_second_is_over() -> None:
    gate = FloodGate(max_lines=3)
    gate.collapsed(0)
    assert admitted(gate, "finished", 10) == 3
    assert gate.collapsed(0.9) == {}

    assert gate.collapsed(1.0) == {"finished": 7}
    assert gate.collapsed(1.1) == {}


def test_while_a_flood_goes_on_no_line_passes() -> None:
    gate = FloodGate(max_lines=3)
    gate.collapsed(0)
    admitted(gate, "finished", 10)
    gate.collapsed(1)

    assert admitted(gate, "finished", 10) == 0
    assert gate.collapsed(2) == {"finished": 10}


def test_lines_pass_again_when_the_flood_is_over() -> None:
    gate = FloodGate(max_lines=3)
    gate.collapsed(0)
    admitted(gate, "finished", 10)
    gate.collapsed(1)
    assert admitted(gate, "finished", 2) == 0
    assert gate.collapsed(2) == {"finished": 2}

    assert admitted(gate, "finished", 2) == 2


def test_each_kind_has_its_own_limit() -> None:
    gate = FloodGate(max_lines=3)
    gate.collapsed(0)
    admitted(gate, "finished", 10)

    assert admitted(gate, "failed", 3) == 3
    assert gate.drain() == {"finished": 7}
    assert gate.drain() == {}
