"""SHA-256 without OpenSSL.

``hashlib`` loads OpenSSL, which takes a run as long as twenty of its modules. The texts and files
of which the package takes digests are small, so the implementation of the interpreter does.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hashlib import sha256 as sha256


def _implementation() -> Any:
    # The interpreter's own module has another name before Python 3.12, and a build may lack it.
    for name in ("_sha2", "_sha256"):
        with contextlib.suppress(ImportError):
            return __import__(name).sha256
    import hashlib

    return hashlib.sha256


if not TYPE_CHECKING:
    sha256 = _implementation()
