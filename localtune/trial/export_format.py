"""Formats that a trial's model can be exported in."""

from __future__ import annotations

from localtune.error import TuneError


class ExportFormat:
    """Names of the formats that ``export_formats`` takes."""

    CHECKPOINT = "checkpoint"
    MODEL = "model"
    ONNX = "onnx"
    H5 = "h5"

    SUPPORTED_FORMATS = (CHECKPOINT, MODEL, ONNX, H5)

    @staticmethod
    def validate(formats: list[str]) -> None:
        """Checks names of formats, and writes them in lower case into the list.

        Args:
            formats: Changed in place.

        Raises:
            TuneError: for a name that is none.
        """
        for number, name in enumerate(formats):
            formats[number] = str(name).strip().lower()
            if formats[number] not in ExportFormat.SUPPORTED_FORMATS:
                raise TuneError(
                    f"export_formats must be among {', '.join(ExportFormat.SUPPORTED_FORMATS)}, "
                    f"but got {name!r}."
                )
