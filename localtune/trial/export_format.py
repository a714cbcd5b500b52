"""Defines the formats that a trial's model can be exported in."""

from __future__ import annotations

from localtune.error import TuneError


class ExportFormat:
    """Lists the formats that ``export_formats`` accepts."""

    CHECKPOINT = "checkpoint"
    MODEL = "model"
    ONNX = "onnx"
    H5 = "h5"

    SUPPORTED_FORMATS = (CHECKPOINT, MODEL, ONNX, H5)

    @staticmethod
    def validate(formats: list[str]) -> None:
        """Checks the names of formats and converts them to lower case in place.

        Args:
            formats: Names of formats; changed in place.

        Raises:
            TuneError: for an unknown name.
        """
        for number, name in enumerate(formats):
            formats[number] = str(name).strip().lower()
            if formats[number] not in ExportFormat.SUPPORTED_FORMATS:
                raise TuneError(
                    f"export_formats must be among {', '.join(ExportFormat.SUPPORTED_FORMATS)}, "
                    f"but got {name!r}."
                )
