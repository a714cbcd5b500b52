"""The settings of a user, for all runs that do not say otherwise.

They stand in ``~/.config/localtune/settings.toml``::

    shared = true    # or the directory of a group: "/srv/localtune-ledger"
"""

from __future__ import annotations

import os
from typing import Any

SETTINGS_FILE = "~/.config/localtune/settings.toml"
_KNOWN = ("shared",)


def has_settings() -> bool:
    """Returns whether the user has a file of settings."""
    return os.path.exists(os.path.expanduser(SETTINGS_FILE))


def read_settings() -> dict[str, Any]:
    """Returns the settings, {} without a file.

    Raises:
        UsageError: if the file cannot be read, or holds an unknown setting.
        ExtraMissingError: with Python 3.10, without the package that reads it.
    """
    from localtune.error import UsageError
    from localtune.utils.text import did_you_mean
    from localtune.utils.toml import parse_toml

    path = os.path.expanduser(SETTINGS_FILE)
    try:
        with open(path, encoding="utf-8") as file:
            settings = parse_toml(file.read(), "The file of settings, with Python 3.10")
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise UsageError(f"The settings in {path!r} cannot be read: {error}.") from error
    for key in settings:
        if key not in _KNOWN:
            hint = did_you_mean(key, _KNOWN)
            raise UsageError(
                f"{path}: there is no setting {key!r}.{hint} There is: {', '.join(_KNOWN)}."
            )
    return settings
