"""The command line ``localtune``: its entry is ``main``, and the other modules are commands.

All commands are listed in ``localtune.tools.commands.registry``.
"""
