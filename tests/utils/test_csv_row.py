from __future__ import annotations

import io

from localtune.utils.csv_row import csv_row, row_writer


def test_a_row_is_flat_and_without_config() -> None:
    result = {"loss": 1, "eval": {"acc": 0.5, "deep": {"x": 2}}, "config": {"lr": 1}, "done": False}
    assert csv_row(result) == {"loss": 1, "done": False, "eval/acc": 0.5, "eval/deep/x": 2}
    assert result["config"] == {"lr": 1}


def test_other_keys_that_start_with_config_stay() -> None:
    assert csv_row({"config/lr": 1}) == {"config/lr": 1}


def test_columns_stay_those_of_the_first_row() -> None:
    file = io.StringIO(newline="")
    writer = row_writer(file, ["a", "b"])
    writer.writeheader()
    writer.writerow({"b": 2, "a": 1})
    writer.writerow({"a": [1, 2], "new": 3})
    assert file.getvalue() == 'a,b\r\n1,2\r\n"[1, 2]",\r\n'
