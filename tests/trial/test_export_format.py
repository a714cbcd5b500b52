"""Names of export formats."""

from __future__ import annotations

import pytest

from localtune import TuneError
from localtune.trial.trial import ExportFormat


def test_names_are_written_in_lower_case() -> None:
    formats = ["Model", " onnx", "h5", "checkpoint"]
    ExportFormat.validate(formats)
    assert formats == ["model", "onnx", "h5", "checkpoint"]


def test_an_unknown_name_is_refused_with_those_there_are() -> None:
    with pytest.raises(TuneError, match=r"checkpoint, model, onnx, h5, but got 'zip'"):
        ExportFormat.validate(["zip"])
