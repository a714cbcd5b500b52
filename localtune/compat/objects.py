"""Objects that processes share: ``ray.put`` writes a file, ``ray.get`` maps it.

::

    put(value)                                get(ref), in any process
      pickle ------------> KEY, a file in       pickle  <-------------- KEY, mapped read-only
      data of arrays ----> a private directory  arrays refer to its pages: all processes share them

A reference pickles as its key and its directory. The file of an object is removed when the process
that made it has no reference any more, unless a reference was pickled, or copied by a fork. All
files are removed when the cluster of ``ray.init`` ends.
"""

from __future__ import annotations

import contextlib
import errno
import os
import pickle
import threading
import weakref
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

from localtune.compat.errors import GetTimeoutError, ObjectLostError, ObjectStoreFullError
from localtune.compat.progress import progress
from localtune.utils.part_file import read_parts, write_parts
from localtune.utils.serialization import dumps_by_value, explain_unpicklable
from localtune.utils.trust import check_trusted

if TYPE_CHECKING:
    import asyncio
    from concurrent.futures import Future

KEY_BYTES = 28
# The first part of the file of an error, which `read` raises, and of any other value. The second
# part is the pickle.
_ERROR, _VALUE = b"E", b"V"

# Directories of the clusters of this process. A reference that is loaded may name another one, from
# an earlier run, which somebody else could have made again.
own_directories: set[str] = set()


class ObjectRef:
    """Refers to an object: what ``ray.put`` and remote functions return.

    Args:
        key: Hexadecimal name of the object.
        directory: Directory of its file.
        lease: Keeps the file, in the process that made the object; None elsewhere.
    """

    def __init__(self, key: str, directory: str, lease: Lease | None = None) -> None:
        self._key = key
        self._directory = directory
        self._lease = lease

    def hex(self) -> str:
        """Returns the name of the object, in hexadecimal digits."""
        return self._key

    def binary(self) -> bytes:
        """Returns the name of the object, as bytes."""
        return bytes.fromhex(self._key)

    @property
    def directory(self) -> str:
        """The directory of the object's file."""
        return self._directory

    def future(self) -> Future[Any]:
        """Returns a future that gets the object's value, or its error."""
        from concurrent.futures import Future

        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()
        threading.Thread(target=self._pass_on, args=(future,), daemon=True).start()
        return future

    def _pass_on(self, future: Future[Any]) -> None:
        try:
            future.set_result(self.value())
        except Exception as error:
            future.set_exception(error)

    def is_ready(self) -> bool:
        """Returns whether the object exists, or never will."""
        return not progress.is_pending(self._key)

    def value(self, timeout_s: float | None = None) -> Any:
        """Returns the value of the object, once it exists.

        Args:
            timeout_s: Most seconds to wait; None is no limit.

        Raises:
            GetTimeoutError: if it does not exist then.
            ObjectLostError: if it does not exist any more.
            Exception: the error that is the object's value.
        """
        if not progress.wait_for(self.is_ready, timeout_s):
            raise GetTimeoutError(f"{self} was not ready within {timeout_s:g} s.")
        return ObjectStore(self._directory).read(self._key)

    def as_future(self) -> asyncio.Future[Any]:
        """Returns a future of the running event loop."""
        import asyncio

        return asyncio.wrap_future(self.future())

    def __await__(self) -> Generator[Any, None, Any]:
        return self.as_future().__await__()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ObjectRef) and other._key == self._key

    def __hash__(self) -> int:
        return hash(self._key)

    def __repr__(self) -> str:
        return f"ObjectRef({self._key})"

    def __copy__(self) -> ObjectRef:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> ObjectRef:
        return self

    def __reduce__(self) -> tuple[Callable[..., ObjectRef], tuple[str, str]]:
        # Who loads it finds the file, now and as long as the cluster lives.
        progress.wait_for(self.is_ready)
        if self._lease is not None:
            self._lease.is_shared = True
        return ObjectRef, (self._key, self._directory)


class Lease:
    """Removes an object's file when the last reference to it has gone.

    Args:
        store: Has the file.
        key: Name of the object.

    Attributes:
        is_shared: Whether a reference was pickled: the file stays then.
    """

    def __init__(self, store: ObjectStore, key: str) -> None:
        self._store = store
        self._key = key
        self._pid = os.getpid()
        self.is_shared = False
        _leases[key] = self

    def __del__(self) -> None:
        if not self.is_shared and os.getpid() == self._pid:
            self._store.remove(self._key)


_leases: weakref.WeakValueDictionary[str, Lease] = weakref.WeakValueDictionary()


def _share_all() -> None:
    for lease in list(_leases.values()):
        lease.is_shared = True


# A forked process has copies of the references.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_share_all)


class ObjectStore:
    """Represents the objects in one directory.

    Args:
        directory: A directory that only this user can read and write.
    """

    def __init__(self, directory: str) -> None:
        self.directory = directory

    def new_ref(self) -> ObjectRef:
        """Returns a reference to an object that does not exist yet."""
        key = os.urandom(KEY_BYTES).hex()
        return ObjectRef(key, self.directory, Lease(self, key))

    def is_wanted(self, key: str) -> bool:
        """Returns whether this process has a reference to an object that it made.

        Args:
            key: Name of the object.
        """
        return key in _leases

    def put(self, value: Any) -> ObjectRef:
        """Stores a value.

        Args:
            value: The value.

        Raises:
            TypeError: if it cannot be pickled; the message names the variable that is the cause.
            ObjectStoreFullError: if there is no room.
        """
        ref = self.new_ref()
        self.write(ref.hex(), value)
        return ref

    def write(self, key: str, value: Any, *, is_error: bool = False) -> None:
        """Writes the value of an object; others see all of it or nothing.

        Args:
            key: Name of the object.
            value: The value.
            is_error: Whether the value is an error, which :meth:`read` raises.

        Raises:
            TypeError: if it cannot be pickled; the message names the variable that is the cause.
            ObjectStoreFullError: if there is no room.
        """
        buffers: list[pickle.PickleBuffer] = []
        try:
            data = dumps_by_value(value, buffers)
        except Exception as error:
            raise TypeError(explain_unpicklable(value, "The value") or str(error)) from error
        kind = _ERROR if is_error else _VALUE
        parts = [memoryview(kind), memoryview(data), *(each.raw() for each in buffers)]
        path = self._path(key)
        staging = f"{path}.{os.getpid()}"
        try:
            with open(staging, "xb") as file:
                write_parts(file.write, parts)
            os.replace(staging, path)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.unlink(staging)
            raise self._explained(error, sum(part.nbytes for part in parts)) from error

    def has(self, key: str) -> bool:
        """Returns whether an object exists.

        Args:
            key: Name of the object.
        """
        return os.path.exists(self._path(key))

    def read(self, key: str) -> Any:
        """Returns the value of an object. Its arrays are read-only.

        Args:
            key: Name of the object.

        Raises:
            ObjectLostError: if the object does not exist.
            UntrustedDirectoryError: if another user could have written it.
            Exception: the error that is the object's value.
        """
        if self.directory not in own_directories:
            check_trusted(self.directory)
        try:
            kind, data, *buffers = read_parts(self._path(key), private=False)
        except FileNotFoundError:
            raise self.lost(key) from None
        value = pickle.loads(data, buffers=buffers)
        if kind == _ERROR:
            raise value
        return value

    def remove(self, key: str) -> None:
        """Removes an object, if it exists. Processes that have mapped it keep its pages."""
        with contextlib.suppress(OSError):
            os.unlink(self._path(key))

    def lost(self, key: str) -> ObjectLostError:
        """Returns the error for an object that does not exist.

        Args:
            key: Name of the object.
        """
        if os.path.isdir(self.directory):
            reason = "its remote function did not return, or another process removed it"
        else:
            reason = (
                "objects live as long as the process that put them, and that has ended or has "
                "called ray.shutdown()"
            )
        return ObjectLostError(
            f"The object {key[:12]}... does not exist any more: {reason}. Call ray.put() again in "
            "this run. To resume an experiment, pass the values with tune.with_parameters(), or "
            "load them from a file in the trial."
        )

    def _path(self, key: str) -> str:
        return os.path.join(self.directory, key)

    def _explained(self, error: OSError, size: int) -> Exception:
        if error.errno == errno.ENOENT:
            return ObjectLostError(
                f"The directory for objects, {self.directory}, has gone: the process that called "
                "ray.init() has ended, or has called ray.shutdown()."
            )
        return ObjectStoreFullError(
            f"An object of {size:,} bytes cannot be written below {self.directory}: "
            f"{error.strerror}. Free space there, or set another directory for temporary files "
            "with the environment variable TMPDIR."
        )
