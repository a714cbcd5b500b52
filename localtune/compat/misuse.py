"""SessionMisuseError, which scripts of Ray Train may name in ``except``."""


class SessionMisuseError(Exception):
    """A function of a training was called elsewhere; localtune raises other errors."""
