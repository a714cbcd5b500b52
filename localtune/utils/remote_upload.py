"""Uploads directories of this machine to a store so that readers know when they are complete."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable

from localtune.utils.files import file_sizes
from localtune.utils.remote_fetch import COMPLETE_MARKER
from localtune.utils.remote_store import RemoteStore

# (size or inode, time of change): distinguishes a file or directory from an earlier one.
Fingerprint = tuple[int, int]


def upload_checkpoint(
    store: RemoteStore, name: str, directory: str, *, may_exist: bool = True
) -> None:
    """Uploads a checkpoint: its files, then the marker that makes it complete.

    Args:
        store: The store.
        name: Name of the checkpoint in the store. It is replaced, and is incomplete meanwhile.
        directory: The checkpoint on this machine.
        may_exist: Whether the store may have files of that name, complete or not.
    """
    sizes = {path.replace(os.sep, "/"): size for path, size in file_sizes(directory).items()}
    there = store.files(name).keys() if may_exist else set()
    marker = f"{name}/{COMPLETE_MARKER}"
    if COMPLETE_MARKER in there:
        store.remove(marker)
    store.put({f"{name}/{file}": os.path.join(directory, *file.split("/")) for file in sizes})
    for file in there - sizes.keys() - {COMPLETE_MARKER}:
        store.remove(f"{name}/{file}")
    store.write(marker, json.dumps(sizes).encode())


def upload_changed(
    store: RemoteStore, top: str, names: Iterable[str], known: dict[str, Fingerprint]
) -> None:
    """Uploads the files that have changed since they were last uploaded.

    Args:
        store: The store.
        top: Directory on this machine that corresponds to the store.
        names: Names of the files in both, separated by ``/``. Those that do not exist are left out.
        known: {name: fingerprint} of what is in the store; brought up to date.
    """
    changed: dict[str, Fingerprint] = {}
    paths: dict[str, str] = {}
    for name in names:
        path = os.path.join(top, *name.split("/"))
        try:
            status = os.stat(path)
        except FileNotFoundError:
            continue
        fingerprint = (status.st_size, status.st_mtime_ns)
        if known.get(name) != fingerprint:
            changed[name], paths[name] = fingerprint, path
    store.put(paths)
    known.update(changed)
