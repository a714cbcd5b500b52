from __future__ import annotations

import sys

import pytest

from localtune.error import ExtraMissingError
from localtune.utils.data_frames import data_frame


def test_nested_keys_become_flat_columns() -> None:
    frame = data_frame([{"loss": 1.0, "eval": {"acc": 0.5}}, {"loss": 2.0, "eval": {"acc": 0.75}}])

    assert list(frame.columns) == ["loss", "eval/acc"]
    assert frame["eval/acc"].tolist() == [0.5, 0.75]


def test_what_a_row_lacks_is_nan() -> None:
    frame = data_frame([{"a": 1.0}, {"b": 2.0}])

    assert frame.isna().to_numpy().tolist() == [[False, True], [True, False]]


def test_no_rows_are_an_empty_frame() -> None:
    assert data_frame([]).empty


def test_without_pandas_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)

    with pytest.raises(ExtraMissingError, match=r'"localtune-runner\[pandas\]"'):
        data_frame([{"loss": 1}])
