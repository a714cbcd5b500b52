"""Translations of old names into today's, by subject.

Each is registered under its name in the table of old names. How it is called depends on the kind of
the name; see the modules of ``localtune.old_names``.
"""

from __future__ import annotations

from localtune.old_names import use


def register() -> None:
    """Registers all translations in this process."""
    from localtune.compat.translate import (
        arguments,
        checkpoints,
        mixins,
        results,
        session,
        trainables,
    )

    for module in (arguments, checkpoints, mixins, results, session, trainables):
        use.translations.update(module.TRANSLATIONS)
