"""Translations of old names into today's, by subject.

Each stands under its name in the table of old names. How it is called depends on the kind of the
name; see the modules of ``localtune.old_names``.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

# Those come first that workers need: the others load much that workers never use.
_SUBJECTS = ("session", "trainables", "arguments", "checkpoints", "mixins", "results")


def find_translation(name: str) -> Any:
    """Returns the translation of an old name.

    Args:
        name: A name in the table.
    """
    for subject in _SUBJECTS:
        translations = translations_of(subject)
        if name in translations:
            return translations[name]
    raise KeyError(name)


def translations_of(subject: str) -> dict[str, Any]:
    """Returns the translations of a subject, ``{old name: translation}``.

    Args:
        subject: Name of a module in this package.
    """
    found: dict[str, Any] = import_module(f"{__name__}.{subject}").TRANSLATIONS
    return found
