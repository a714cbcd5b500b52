"""The name of this machine in a ledger: several machines may see one directory."""

from __future__ import annotations

import contextlib
import os
import platform
import re

_BOOT_ID = "/proc/sys/kernel/random/boot_id"
_MAX_NAME = 60


def host_key() -> str:
    """Returns the name of this machine, for names of files.

    It is the host name and the start of the id of this boot. Containers with names of their own on
    one machine thus differ in the first, and machines with equal names in the second. No lock
    outlives a boot.
    """
    return f"{host_name()}-{_boot_id()}"


def host_name() -> str:
    """Returns the name of this host, with the characters only that each file system takes."""
    name = platform.node().partition(".")[0]
    return re.sub(r"[^A-Za-z0-9_-]", "_", name)[:_MAX_NAME] or "localhost"


def _boot_id() -> str:
    with contextlib.suppress(OSError), open(_BOOT_ID, encoding="ascii") as file:
        return file.read(8)
    # Without it, equal names are one machine.
    return "0" * 8


def is_of_earlier_boot(name: str) -> bool:
    """Returns whether a file belongs to an earlier boot of a host with this name.

    Args:
        name: Name of a file in a ledger.
    """
    match = re.match(r"(.+)-([0-9a-f]{8})\.", os.path.basename(name))
    return match is not None and match[1] == host_name() and match[2] != _boot_id()
