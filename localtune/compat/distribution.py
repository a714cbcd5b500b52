"""The distribution that libraries find if they ask for the installed release of Ray."""

from __future__ import annotations

import importlib.metadata
from typing import Any

from localtune.compat.release import RAY_VERSION

_FILES = {
    "METADATA": f"Metadata-Version: 2.1\nName: ray\nVersion: {RAY_VERSION}\n",
    "top_level.txt": "ray\n",
}


class RayDistribution(importlib.metadata.Distribution):
    """The distribution ``ray``, as far as libraries look at it."""

    def read_text(self, filename: str) -> str | None:
        """Returns the text of a file of metadata, None for one that does not exist.

        Args:
            filename: Name of the file.
        """
        return _FILES.get(filename)

    def locate_file(self, path: Any) -> Any:
        """Refuses: the distribution has no files.

        Args:
            path: The file.
        """
        raise FileNotFoundError(f"localtune stands in for ray, which has no file {path}.")
