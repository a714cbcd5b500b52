"""Old attributes of checkpoints: descriptors, as in the body of a class.

A checkpoint from a dict or from bytes is a temporary directory, which is removed together with the
object.
"""

from __future__ import annotations

import io
import os
import tempfile
import weakref
import zipfile
from typing import Any

from localtune.checkpoint import Checkpoint
from localtune.old_names.saved_path import returned_path_of
from localtune.old_names.scan import JOINED
from localtune.result import DICT_CHECKPOINT_FILE
from localtune.utils.files import remove_tree
from localtune.utils.remote_store import is_uri, local_path
from localtune.utils.trust import load_own

_PREPROCESSOR_FILE = "preprocessor.pkl"


def _path(self: Checkpoint) -> str:
    """The path, as scripts for earlier releases knew it: what ``save_checkpoint`` returned."""
    with self.as_directory() as directory:
        return returned_path_of(directory)


def _in_new_directory(cls: type[Checkpoint]) -> Checkpoint:
    directory = tempfile.mkdtemp(prefix="checkpoint_tmp_")
    checkpoint = cls.from_directory(directory)
    weakref.finalize(checkpoint, remove_tree, directory)
    return checkpoint


def _dump(value: Any, *path: str) -> None:
    import cloudpickle

    with open(os.path.join(*path), "wb") as file:
        cloudpickle.dump(value, file)


def _from_dict(cls: type[Checkpoint], data: dict[str, Any]) -> Checkpoint:
    checkpoint = _in_new_directory(cls)
    _dump(data, checkpoint.path, DICT_CHECKPOINT_FILE)
    return checkpoint


def _to_dict(self: Checkpoint) -> dict[str, Any]:
    with self.as_directory() as directory:
        path = os.path.join(directory, DICT_CHECKPOINT_FILE)
        if not os.path.exists(path):
            raise ValueError(
                f"The checkpoint in {directory!r} holds files, and was not made of a dict. Read "
                "them in `with checkpoint.as_directory() as path:`."
            )
        data: dict[str, Any] = load_own(path)
        return data


def _from_bytes(cls: type[Checkpoint], data: bytes) -> Checkpoint:
    checkpoint = _in_new_directory(cls)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        archive.extractall(checkpoint.path)
    return checkpoint


def _to_bytes(self: Checkpoint) -> bytes:
    buffer = io.BytesIO()
    with self.as_directory() as directory, zipfile.ZipFile(buffer, "w") as archive:
        for parent, _, names in os.walk(directory):
            for name in names:
                path = os.path.join(parent, name)
                archive.write(path, os.path.relpath(path, directory))
    return buffer.getvalue()


def _get_internal_representation(self: Checkpoint) -> tuple[str, Any]:
    if os.path.exists(os.path.join(self.path, DICT_CHECKPOINT_FILE)):
        return "data_dict", _to_dict(self)
    return "local_path", self.path


def _from_uri(cls: type[Checkpoint], uri: str) -> Checkpoint:
    return cls(uri)


def _to_uri(self: Checkpoint, uri: str) -> str:
    if is_uri(uri):
        raise ValueError(
            f"localtune does not upload a single checkpoint, but got {uri!r}. Give the run "
            "storage_path=, which uploads all of them."
        )
    self.to_directory(local_path(uri))
    return uri


def _uri(self: Checkpoint) -> str | None:
    return self.path if is_uri(self.path) else None


def _get_preprocessor(self: Checkpoint) -> Any:
    with self.as_directory() as directory:
        path = os.path.join(directory, _PREPROCESSOR_FILE)
        return load_own(path) if os.path.exists(path) else None


def _set_preprocessor(self: Checkpoint, preprocessor: Any) -> None:
    _dump(preprocessor, self.path, _PREPROCESSOR_FILE)


def _self(self: Checkpoint) -> Checkpoint:
    return self


_OF_PATH = property(_path)
TRANSLATIONS: dict[str, Any] = {
    "Checkpoint.from_dict": classmethod(_from_dict),
    "Checkpoint.to_dict": _to_dict,
    "Checkpoint.from_bytes": classmethod(_from_bytes),
    "Checkpoint.to_bytes": _to_bytes,
    "Checkpoint.get_internal_representation": _get_internal_representation,
    "Checkpoint.from_uri": classmethod(_from_uri),
    "Checkpoint.to_uri": _to_uri,
    "Checkpoint.uri": property(_uri),
    "Checkpoint.to_air_checkpoint": _self,
    "Checkpoint.value": _OF_PATH,
    "Checkpoint.dir_or_data": _OF_PATH,
    "Checkpoint.local_path": _OF_PATH,
    "Checkpoint.get_preprocessor": _get_preprocessor,
    "Checkpoint.set_preprocessor": _set_preprocessor,
    JOINED: _path,
}
