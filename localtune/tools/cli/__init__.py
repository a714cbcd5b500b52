"""The command line, ``localtune``: one module per command, all listed in ``main.COMMANDS``."""
