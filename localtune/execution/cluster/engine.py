"""Engine: what localtune needs of a cluster's software, such as Ray or Dask.

::

      parent: ClusterExecutor                        node
          |  reserve(key, bundles) ------> [engine] -----> holds the resources
          |  <------------- places(key)
          |  start_agent(node) ----------> [engine] -----> a process of the engine: Relay
          |                                                    |  starts a fresh interpreter
          |  send(node, data) -----------> [engine] ----->     |--------> agent: ProcessExecutor
          |  <-- inbox.received(node, data)                    |<--------   |-- worker
          |  <-- inbox.agent_ended(node, why)                  |            +-- worker

An engine brings bytes to agents and back, and knows no workers. All care for processes is in the
agents, which are the same for all engines.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from localtune.error import TuneError
from localtune.execution.cluster.relay import AGENT_MODULE


class ClusterError(TuneError):
    """Reports a cluster that cannot be reached or used."""


@dataclass(frozen=True, slots=True)
class Node:
    """A node of a cluster that is alive.

    Attributes:
        node_id: Unique in the cluster, and never used again.
        name: The name for the user: host name or address.
        resources: All its resources, free or not, as ``{name: amount}``: ``CPU``, ``GPU``,
            ``memory`` in bytes, and others.
        ip: Its address; "" is not known.
    """

    node_id: str
    name: str
    resources: Mapping[str, float]
    ip: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the resources of one bundle are reserved.

    Attributes:
        node_id: The node.
        gpu_ids: Its GPUs for this bundle, as ``CUDA_VISIBLE_DEVICES`` takes them.
    """

    node_id: str
    gpu_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EngineAbilities:
    """What an engine can do.

    Attributes:
        reserves: Names of the resources that other jobs of the cluster see as taken; None is all.
    """

    reserves: frozenset[str] | None = None


class Inbox(Protocol):
    """Takes in what an engine has to tell. All methods return at once, and any thread may call."""

    def received(self, node_id: str, data: bytes) -> None:
        """Takes in bytes of an agent, in the order in which the agent has written them.

        Args:
            node_id: The node of the agent.
            data: Any part of what the agent writes; the boundaries have no meaning.
        """

    def agent_ended(self, node_id: str, why: str) -> None:
        """Takes in that an agent or its node is gone. Nothing of this agent follows.

        Args:
            node_id: The node.
            why: The reason, as a clause for the user.
        """

    def changed(self) -> None:
        """Takes in that a reservation was granted, or that nodes have joined or left."""


class Engine(ABC):
    """Connects to the software of a cluster.

    The executor's thread calls all methods but :meth:`send`, which is called by a thread of its
    own. No method waits for a node, except :meth:`connect` and :meth:`close`.

    Attributes:
        name: Name of the engine, for the user.
        how_to_upload: How a user uploads a module to the nodes, as code; "" for no such way.
        agent_module: Module whose ``main()`` agents run; tests of engines take another one.
    """

    name: str
    how_to_upload: str = ""
    agent_module: str = AGENT_MODULE

    @property
    def abilities(self) -> EngineAbilities:
        """What it can do, as far as it is known at this moment."""
        return EngineAbilities()

    @abstractmethod
    def connect(self) -> None:
        """Connects to the cluster; does nothing if it is connected.

        Raises:
            ClusterError: if nothing or another software answers at the address, or the versions of
                Python or of the engine differ.
            ExtraMissingError: if the engine's package is not installed.
        """

    @abstractmethod
    def listen(self, inbox: Inbox) -> None:
        """Tells an inbox about agents, nodes and reservations from now on, until :meth:`close`."""

    @abstractmethod
    def nodes(self) -> Sequence[Node]:
        """Returns the nodes that are alive, as far as it is known at this moment."""

    def grows(self) -> bool:
        """Returns whether an autoscaler may add nodes for what is reserved and not granted."""
        return False

    # -- reservations -----------------------------------------------------------------------------

    @abstractmethod
    def reserve(self, key: int, bundles: Sequence[Mapping[str, float]], strategy: str) -> None:
        """Asks for resources. When they are granted, ``inbox.changed()`` is called.

        Args:
            key: Names the reservation; never used before in this process.
            bundles: ``{name: amount}`` for each bundle, none of them empty.
            strategy: ``"PACK"``, ``"SPREAD"``, ``"STRICT_PACK"`` or ``"STRICT_SPREAD"``.
        """

    @abstractmethod
    def places(self, key: int) -> Sequence[Place] | None:
        """Returns where the bundles of a reservation are; None while it is not granted.

        Also None when a node of a granted reservation has gone.
        """

    @abstractmethod
    def release(self, key: int) -> None:
        """Gives back a reservation, granted or not."""

    # -- agents -----------------------------------------------------------------------------------

    @abstractmethod
    def start_agent(self, node_id: str) -> None:
        """Starts an agent on a node, in a :class:`~localtune.execution.cluster.relay.Relay`.

        If it cannot be started, ``inbox.agent_ended`` is called with the reason.
        """

    @abstractmethod
    def send(self, node_id: str, data: bytes) -> None:
        """Sends bytes to an agent. They arrive in order, or the agent is reported as gone.

        Args:
            node_id: The node of the agent. If it is gone, the bytes are dropped.
            data: The bytes.
        """

    @abstractmethod
    def stop_agent(self, node_id: str) -> None:
        """Kills an agent, as far as its node can be reached. Nothing of it follows."""

    @abstractmethod
    def close(self) -> None:
        """Gives back all reservations, kills all agents, and stops to tell the inbox.

        The connection may stay. :meth:`listen` may be called again.
        """
