"""Makes pandas DataFrames of results."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from localtune.error import ExtraMissingError
from localtune.utils.dicts import flatten_dict

if TYPE_CHECKING:
    import pandas


def data_frame(rows: Iterable[dict[str, Any]]) -> pandas.DataFrame:
    """Returns a DataFrame with one row for each dict.

    Args:
        rows: Nested or flat dicts. Nested keys, joined by ``/``, become the columns.

    Raises:
        ExtraMissingError: if pandas is not installed.
    """
    try:
        import pandas
    except ImportError:
        raise ExtraMissingError("pandas", "pandas", "A DataFrame of results") from None
    frame: pandas.DataFrame = pandas.DataFrame([flatten_dict(row) for row in rows])
    return frame
