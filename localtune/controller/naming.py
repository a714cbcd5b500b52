"""Names of trials and of their directories."""

from __future__ import annotations

import os
import re
import traceback
from collections.abc import Callable

from localtune.error import TuneError
from localtune.trial.trial import Trial

# Characters that some file systems, shells or tools do not allow in a name.
_UNSAFE = re.compile(r'[/()<>:"\\|?*\s\x00]')
_DEFAULT_MAX_LENGTH = 130
# Most file systems allow 255 bytes.
_MAX_NAME_BYTES = 255
# A name that is taken gets "_" and four more characters.
_COLLISION_BYTES = 5


def name_trial(
    trial: Trial,
    *,
    name_creator: Callable[[Trial], str] | None,
    dirname_creator: Callable[[Trial], str] | None,
    date_text: str,
) -> None:
    """Sets the name of a trial and of its directory.

    Args:
        trial: Changed in place.
        name_creator: The user's ``trial -> name``, or None.
        dirname_creator: The user's ``trial -> directory name``, or None.
        date_text: Ends the default directory name.

    Raises:
        ValueError: if a creator returns a value that cannot be a name.
    """
    if name_creator is not None:
        trial.custom_trial_name = _created(name_creator, trial, "trial_name_creator")
    if dirname_creator is not None:
        dirname = _created(dirname_creator, trial, "trial_dirname_creator")
        if "/" in dirname or os.sep in dirname:
            raise ValueError(
                "trial_dirname_creator must return the name of a directory without "
                f"{os.sep!r}, but returned {dirname!r}."
            )
        if dirname in (".", ".."):
            raise ValueError(f"trial_dirname_creator must not return {dirname!r}.")
    else:
        ending = f"_{date_text}" if date_text else ""
        dirname = f"{trial}_{trial.experiment_tag}"[: _max_length()]
        room = _MAX_NAME_BYTES - _COLLISION_BYTES - len(ending)
        if not dirname.isascii() or len(dirname) > room:
            dirname = os.fsencode(_storable(dirname))[:room].decode(errors="ignore")
        dirname += ending
    trial.dirname = _UNSAFE.sub("_", _storable(dirname))


def _created(creator: Callable[[Trial], str], trial: Trial, source: str) -> str:
    try:
        name: object = creator(trial)
    except Exception as error:
        raise TuneError(
            f"{source} raised {type(error).__name__}: {error}\n\n{traceback.format_exc()}"
        ) from error
    if not isinstance(name, str) or not name:
        raise ValueError(f"{source} must return a name, but returned {name!r}.")
    limit = _MAX_NAME_BYTES - _COLLISION_BYTES
    if _is_longer(name, limit):
        raise ValueError(
            f"{source} must return at most {limit} bytes, but returned "
            f"{len(os.fsencode(_storable(name)))}: {name[:40]!r}..."
        )
    return name


def _is_longer(name: str, limit: int) -> bool:
    return len(os.fsencode(_storable(name))) > limit


def _storable(name: str) -> str:
    """Returns the name without characters that no file system can store, as lone surrogates."""
    if name.isascii():
        return name
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        return "".join(map(_storable_character, name))
    return name


def _storable_character(character: str) -> str:
    try:
        os.fsencode(character)
    except UnicodeEncodeError:
        return "_"
    return character


def _max_length() -> int:
    return int(os.environ.get("TUNE_MAX_LEN_IDENTIFIER", _DEFAULT_MAX_LENGTH))
