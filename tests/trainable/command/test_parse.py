"""What counts as a result."""

from __future__ import annotations

from typing import Any

import pytest

from localtune.trainable.command.parse import (
    PatternParser,
    compiled,
    json_parser,
    takes_checkpoint,
)


@pytest.mark.parametrize(
    ("line", "metric", "found"),
    [
        (b'{"loss": 1}', "loss", {"loss": 1}),
        (b'  {"loss": NaN}\r', "loss", None),  # compared below
        (b'{"valid": {"loss": 1}}', "valid/loss", {"valid": {"loss": 1}}),
        (b'{"other": 1}', "loss", None),
        (b'{"other": 1}', None, {"other": 1}),
        (b"{}", None, None),
        (b"[1]", None, None),
        (b'{"loss": 1', "loss", None),
        (b'{"loss": 1} x}', "loss", None),
        (b"{\xff}", None, None),
        (b"{" * 100_000 + b"}", None, None),
        (b'{"a":' * 900 + b"1" + b"}" * 900, "a/b", None),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, None, None),
    ],
)
def test_an_object_with_the_metric_is_a_result(
    line: bytes, metric: str | None, found: dict[str, Any] | None
) -> None:
    result = json_parser(metric)(line)
    if b"NaN" in line:
        assert result is not None and result["loss"] != result["loss"]
    else:
        assert result == found


def parsed(pattern: str, metric: str | None, *lines: str) -> list[dict[str, Any]]:
    parse = PatternParser(compiled(pattern, metric), metric)
    return [found for line in lines if (found := parse(line.encode())) is not None]


def test_values_without_the_metric_belong_to_the_next_result() -> None:
    pattern = r"epoch (?P<epoch>\d+)|loss (?P<loss>\S+)|acc (?P<acc>\S+)"
    lines = ["epoch 1", "noise", "loss 0.5 acc 7", "epoch 2", "loss nan", "acc 3"]
    one, two = parsed(pattern, "loss", *lines)
    assert one == {"epoch": 1, "loss": 0.5, "acc": 7}
    assert two["epoch"] == 2 and two["loss"] != two["loss"]
    assert len(parsed(pattern, None, *lines)) == 5


@pytest.mark.parametrize(
    ("pattern", "metric", "text"),
    [
        ("(", None, "cannot be compiled"),
        ("loss=(.*)", None, "must have named groups"),
        ("loss=(?P<loss>.*)", "acc", "must have a group for the metric 'acc'"),
    ],
)
def test_a_wrong_pattern_is_refused(pattern: str, metric: str | None, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        compiled(pattern, metric)


def test_only_true_takes_a_checkpoint() -> None:
    for value, takes, stays in ((True, True, False), (False, False, False), (1, False, True)):
        result: dict[str, Any] = {"loss": 1, "checkpoint": value}
        assert takes_checkpoint(result) is takes
        assert ("checkpoint" in result) is stays
