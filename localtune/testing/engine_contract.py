"""The rules of an engine of clusters, as a test suite.

Derive a test class from :class:`EngineContract`, say how to make the engine, and let pytest collect
it::

    class TestMyEngine(EngineContract, AddressContract):
        def make_engine(self) -> Engine:
            return MyEngine(ADDRESS_OF_A_CLUSTER_FOR_TESTS)

        def engine_at(self, address: str) -> Engine:
            return MyEngine(address)

The cluster has :data:`NODES` nodes with :data:`CPUS` CPUs each, all of them on this machine, and
nothing else runs in it. The agents of these tests send back all that they get.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import psutil
import pytest

from localtune.execution.cluster.engine import ClusterError, Engine, Inbox, Place
from localtune.testing.echo_agent import END_OF_HELLO

NODES = 3
CPUS = 2
DEADLINE_S = 60.0
_keys = itertools.count(1_000_000)


class RecordingInbox(Inbox):
    """Keeps what an engine tells.

    Attributes:
        changes: How often something has changed.
        data: {node id: bytes of its agent}.
        ends: {node id: why its agent is gone}.
    """

    def __init__(self) -> None:
        self.changes = 0
        self.data: dict[str, bytearray] = {}
        self.ends: dict[str, str] = {}
        self._told = 0
        self._condition = threading.Condition()

    def received(self, node_id: str, data: bytes) -> None:
        with self._condition:
            assert node_id not in self.ends, "bytes of an agent that is gone"
            self.data.setdefault(node_id, bytearray()).extend(data)
            self._tell()

    def agent_ended(self, node_id: str, why: str) -> None:
        with self._condition:
            self.ends[node_id] = why
            self._tell()

    def changed(self) -> None:
        with self._condition:
            self.changes += 1
            self._tell()

    def wait_until(self, is_so: Callable[[], bool], what: str) -> None:
        """Waits until the engine has told something.

        Args:
            is_so: Whether it has.
            what: Name of it, for the failure.
        """
        give_up_at = time.monotonic() + DEADLINE_S
        while True:
            told = self._told
            if is_so():
                return
            with self._condition:
                left_s = give_up_at - time.monotonic()
                has_told = self._condition.wait_for(lambda: self._told > told, left_s)  # noqa: B023
            assert has_told, f"not within {DEADLINE_S} s: {what}"

    def _tell(self) -> None:
        self._told += 1
        self._condition.notify_all()


class EngineSession:
    """A connected engine that is listened to.

    Args:
        engine: Connected here, closed at the end of the ``with`` block.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.inbox = RecordingInbox()

    def __enter__(self) -> EngineSession:
        self.engine.connect()
        self.engine.agent_module = "localtune.testing.echo_agent"
        self.engine.listen(self.inbox)
        return self

    def __exit__(self, *_: object) -> None:
        self.engine.close()

    def node_ids(self) -> list[str]:
        """Waits for all nodes; returns their ids."""
        self.inbox.wait_until(lambda: len(self.engine.nodes()) == NODES, "all nodes are there")
        return [node.node_id for node in self.engine.nodes()]

    def reserve(self, bundles: Sequence[Mapping[str, float]], strategy: str = "PACK") -> int:
        """Asks for a reservation; returns its key.

        Args:
            bundles: ``{name: amount}`` for each bundle.
            strategy: How they are placed.
        """
        key = next(_keys)
        self.engine.reserve(key, bundles, strategy)
        return key

    def granted(self, key: int) -> Sequence[Place]:
        """Waits for a reservation; returns its places."""
        self.inbox.wait_until(lambda: self.engine.places(key) is not None, "a reservation")
        places = self.engine.places(key)
        assert places is not None
        return places

    def start_agent(self, node_id: str) -> int:
        """Starts an agent; returns its process id when it has told it."""
        self.inbox.data.pop(node_id, None)
        self.engine.start_agent(node_id)
        self.inbox.wait_until(
            lambda: END_OF_HELLO in self.inbox.data.get(node_id, b"") or node_id in self.inbox.ends,
            "an agent starts",
        )
        assert node_id not in self.inbox.ends, self.inbox.ends[node_id]
        hello, _, rest = self.inbox.data[node_id].partition(END_OF_HELLO)
        self.inbox.data[node_id] = rest
        return int(hello)

    def echo(self, node_id: str, size: int) -> bytes:
        """Waits for bytes of an agent; returns and forgets all that have arrived.

        Args:
            node_id: The node of the agent.
            size: How many bytes to wait for.
        """
        self.inbox.wait_until(
            lambda: len(self.inbox.data[node_id]) >= size or node_id in self.inbox.ends, "an echo"
        )
        assert node_id not in self.inbox.ends, self.inbox.ends[node_id]
        data = bytes(self.inbox.data[node_id])
        self.inbox.data[node_id].clear()
        return data


class EngineContract:
    """Tests that every engine must pass."""

    def make_engine(self) -> Engine:
        """Returns an engine for the cluster of the tests. Override this method."""
        raise NotImplementedError

    def session(self) -> EngineSession:
        """Returns a session with a new engine."""
        return EngineSession(self.make_engine())

    def test_connecting_twice_is_connecting_once(self) -> None:
        engine = self.make_engine()
        engine.connect()
        nodes = {node.node_id for node in engine.nodes()}
        engine.connect()
        assert {node.node_id for node in engine.nodes()} == nodes
        engine.close()

    # -- nodes ------------------------------------------------------------------------------------

    def test_nodes_are_known_with_their_resources(self) -> None:
        with self.session() as session:
            node_ids = session.node_ids()
            assert len(set(node_ids)) == NODES
            for node in session.engine.nodes():
                assert node.name
                assert node.resources["CPU"] == CPUS

    # -- reservations -----------------------------------------------------------------------------

    def test_a_reservation_is_granted(self) -> None:
        with self.session() as session:
            node_ids = session.node_ids()
            key = session.reserve([{"CPU": 1}])
            (place,) = session.granted(key)
            assert place.node_id in node_ids
            assert place.gpu_ids == ()
            session.engine.release(key)

    def test_more_than_there_is_waits_for_a_release(self) -> None:
        with self.session() as session:
            session.node_ids()
            keys = [session.reserve([{"CPU": CPUS}]) for _ in range(NODES)]
            taken = [session.granted(key)[0].node_id for key in keys]
            assert len(set(taken)) == NODES
            late = session.reserve([{"CPU": 1}])
            assert session.engine.places(late) is None
            session.engine.release(keys[1])
            (place,) = session.granted(late)
            assert place.node_id == taken[1]

    def test_a_reservation_that_is_not_granted_can_be_released(self) -> None:
        with self.session() as session:
            session.node_ids()
            never = session.reserve([{"CPU": CPUS + 1}])
            assert session.engine.places(never) is None
            session.engine.release(never)
            session.granted(session.reserve([{"CPU": CPUS}]))

    @pytest.mark.parametrize("strategy", ["PACK", "SPREAD"])
    def test_bundles_of_one_reservation_are_granted_together(self, strategy: str) -> None:
        with self.session() as session:
            node_ids = session.node_ids()
            key = session.reserve([{"CPU": 1}] * (NODES * CPUS), strategy)
            taken = [place.node_id for place in session.granted(key)]
            assert sorted(taken) == sorted(node_ids * CPUS)

    def test_bundles_are_strictly_packed(self) -> None:
        with self.session() as session:
            session.node_ids()
            places = session.granted(session.reserve([{"CPU": 1}] * CPUS, "STRICT_PACK"))
            assert len(places) == CPUS
            assert len({place.node_id for place in places}) == 1

    def test_bundles_are_strictly_spread(self) -> None:
        with self.session() as session:
            node_ids = session.node_ids()
            places = session.granted(session.reserve([{"CPU": 1}] * NODES, "STRICT_SPREAD"))
            assert sorted(place.node_id for place in places) == sorted(node_ids)

    # -- agents -----------------------------------------------------------------------------------

    def test_bytes_arrive_in_order(self) -> None:
        with self.session() as session:
            node_id = session.node_ids()[1]
            session.start_agent(node_id)
            sent = [b"%d," % number for number in range(2000)]
            for data in sent:
                session.engine.send(node_id, data)
            whole = b"".join(sent)
            assert session.echo(node_id, len(whole)) == whole

    def test_much_data_arrives_as_it_was(self) -> None:
        with self.session() as session:
            node_id = session.node_ids()[-1]
            session.start_agent(node_id)
            much = os.urandom(1_000_003) * 30
            for _ in range(2):
                for data in (b"(", much, b")"):
                    session.engine.send(node_id, data)
            whole = b"(%b)" % much
            assert session.echo(node_id, 2 * len(whole)) == 2 * whole

    def test_each_node_has_an_agent_of_its_own(self) -> None:
        with self.session() as session:
            node_ids = session.node_ids()
            for node_id in node_ids:
                session.engine.start_agent(node_id)
            for node_id in node_ids:
                session.engine.send(node_id, node_id.encode())
            for node_id in node_ids:
                session.inbox.wait_until(
                    lambda node_id=node_id: session.inbox.data.get(  # type: ignore[misc]
                        node_id, b""
                    ).endswith(END_OF_HELLO + node_id.encode()),
                    "an echo",
                )

    def test_the_end_of_an_agent_is_told(self) -> None:
        with self.session() as session:
            node_id, other = session.node_ids()[:2]
            pid = session.start_agent(node_id)
            session.start_agent(other)
            os.kill(pid, signal.SIGKILL)
            session.inbox.wait_until(lambda: node_id in session.inbox.ends, "the end of an agent")
            assert session.inbox.ends.pop(node_id)
            session.engine.send(node_id, b"to nobody")
            session.engine.stop_agent(node_id)
            # The node takes another one; the other agent has noticed nothing.
            assert session.start_agent(node_id) != pid
            for each in (node_id, other):
                session.engine.send(each, b"there?")
                assert session.echo(each, 6) == b"there?"

    def test_an_agent_is_stopped(self) -> None:
        with self.session() as session:
            node_id = session.node_ids()[0]
            process = psutil.Process(session.start_agent(node_id))
            session.engine.stop_agent(node_id)
            _await_end(process)
            session.inbox.ends.clear()
            session.start_agent(node_id)

    def test_an_agent_for_a_node_that_is_gone_is_told(self) -> None:
        with self.session() as session:
            gone = session.node_ids()[0]
            gone = gone[:-1] + ("0" if gone[-1] != "0" else "1")
            session.engine.start_agent(gone)
            session.inbox.wait_until(lambda: gone in session.inbox.ends, "the end of an agent")
            assert session.inbox.ends[gone]

    # -- the end ----------------------------------------------------------------------------------

    def test_closing_ends_all_and_gives_all_back(self) -> None:
        engine = self.make_engine()
        processes = []
        for _ in range(2):
            with EngineSession(engine) as session:
                for node_id in session.node_ids():
                    processes.append(psutil.Process(session.start_agent(node_id)))
                for _ in range(NODES):
                    session.granted(session.reserve([{"CPU": CPUS}]))
                session.reserve([{"CPU": 1}])
            for process in processes:
                _await_end(process)
        engine.close()

    def test_after_closing_nothing_is_told(self) -> None:
        engine = self.make_engine()
        with EngineSession(engine) as session:
            session.start_agent(session.node_ids()[0])
        changes = session.inbox.changes
        with EngineSession(engine) as other:
            other.start_agent(other.node_ids()[0])
        assert not session.inbox.ends
        assert session.inbox.changes == changes


class AddressContract:
    """Tests that an engine with an address must pass, too."""

    def engine_at(self, address: str) -> Engine:
        """Returns an engine for another address. Override this method.

        Args:
            address: Host and port.
        """
        raise NotImplementedError

    def test_an_address_where_nobody_answers_is_named(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            address = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(ClusterError, match=address):
            self.engine_at(address).connect()

    @pytest.mark.parametrize("greeting", [b"", b"220 mail.example.org\r\n"], ids=["silent", "mail"])
    def test_another_software_is_no_cluster(self, greeting: bytes) -> None:
        with _server(greeting) as address, pytest.raises(ClusterError, match=address):
            self.engine_at(address).connect()


def _await_end(process: psutil.Process) -> None:
    try:
        process.wait(DEADLINE_S)
    except psutil.NoSuchProcess:
        return


@contextlib.contextmanager
def _server(greeting: bytes) -> Iterator[str]:
    """Yields the address of a server that says a greeting and nothing else."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        connections = []

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connections.append(server.accept()[0])
                    connections[-1].sendall(greeting)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
        for connection in connections:
            connection.close()
