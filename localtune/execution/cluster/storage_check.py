"""What proves that a node reaches the storage of a run: a token that the parent has written there.

::

      parent                           storage                          agent
        |  token ----------------------> |                                |
        |  CHECK(path, content), or STORE(store, content) --------------> |
        |                                |  <------------- reads the token |
        |  <--------------------------------------- CHECKED(what is wrong) |
        |  at the end of the run: removes the token

A store that nodes can only read, or another one at the same address, is found before a trial runs.
"""

from __future__ import annotations

import os
import secrets
from abc import ABC, abstractmethod
from dataclasses import astuple, dataclass

from localtune.config.sync import SyncConfig
from localtune.execution.cluster.engine import Node
from localtune.execution.cluster.wire import Kind, Message
from localtune.utils.messages import get_logger
from localtune.utils.remote_fetch import OWN_PREFIX, store_record, with_retries
from localtune.utils.remote_store import RemoteStore
from localtune.utils.text import text_of

logger = get_logger(__name__)

_TOKEN_PREFIX = f"{OWN_PREFIX}token_"


@dataclass(frozen=True, slots=True)
class StoreFacts:
    """What an agent needs to know of a run whose storage is a store.

    Attributes:
        node: Name of its node, for the user.
        directory: The parent's working copy, whose paths are in commands and replies.
        record: The record of the store; see :func:`~localtune.utils.remote_fetch.store_record`.
        token: Name of the token in the store.
        content: Its content.
        period_s: Seconds between two uploads of other files than checkpoints.
        artifacts: Whether all files of the trials' directories are uploaded.
    """

    node: str
    directory: str
    record: bytes
    token: str
    content: bytes
    period_s: float
    artifacts: bool


class StorageCheck(ABC):
    """Finds out, for each node, whether it reaches the storage of a run."""

    def __init__(self) -> None:
        self.token = f"{_TOKEN_PREFIX}{secrets.token_hex(8)}"
        self.content = secrets.token_bytes(16)
        self._is_written = False

    def begin(self) -> None:
        """Writes the token.

        Raises:
            OSError: if it cannot be written.
        """
        self._write()
        self._is_written = True

    @abstractmethod
    def question(self, node: Node) -> Message:
        """Returns the message that a node's agent answers with CHECKED."""

    @abstractmethod
    def refusal(self, problem: str) -> str:
        """Returns why a node is refused, with the remedy, as a clause.

        Args:
            problem: What its agent has found.
        """

    def end(self) -> None:
        """Removes the token, if there is one."""
        try:
            if self._is_written:
                self._remove()
        # The errors of the stores' libraries have no common class.
        except Exception as error:
            logger.warning(
                "The file %s, which nothing needs any more, cannot be removed: %s",
                self.token,
                text_of(error),
            )

    @abstractmethod
    def _write(self) -> None:
        """Writes the token, or raises."""

    @abstractmethod
    def _remove(self) -> None:
        """Removes the token, or raises."""


class PathCheck(StorageCheck):
    """For a directory that all nodes share.

    Args:
        directory: The directory of the experiment.
    """

    def __init__(self, directory: str) -> None:
        super().__init__()
        self._path = os.path.join(directory, self.token)

    def _write(self) -> None:
        with open(self._path, "xb") as file:
            file.write(self.content)

    def question(self, node: Node) -> Message:
        return Kind.CHECK, self._path, self.content

    def refusal(self, problem: str) -> str:
        return (
            f"it does not see the storage of the run ({problem}). Choose a storage_path that all "
            "nodes share, such as a directory on a network file system, or a URI, such as "
            "s3://bucket/runs"
        )

    def _remove(self) -> None:
        os.remove(self._path)


class StoreCheck(StorageCheck):
    """For a store that all nodes reach.

    Args:
        directory: The parent's working copy.
        store: The experiment's place in the store.
        config: How it is uploaded.
    """

    def __init__(self, directory: str, store: RemoteStore, config: SyncConfig) -> None:
        super().__init__()
        self._directory = directory
        self._store = store
        self._config = config
        self._record = store_record(store)

    def _write(self) -> None:
        with_retries(lambda: self._store.write(self.token, self.content), self._store)

    def question(self, node: Node) -> Message:
        config = self._config
        facts = StoreFacts(
            node.name,
            self._directory,
            self._record,
            self.token,
            self.content,
            config.sync_period,
            config.sync_artifacts,
        )
        return Kind.STORE, astuple(facts)

    def refusal(self, problem: str) -> str:
        return (
            f"it does not reach the storage of the run ({problem}). Each node needs the packages, "
            f"the network and the credentials for {self._store.uri}"
        )

    def _remove(self) -> None:
        self._store.remove(self.token)
