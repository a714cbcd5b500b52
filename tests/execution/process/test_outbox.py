"""Messages to a peer that reads late, in parts, or never."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Iterator
from multiprocessing import Pipe

import pytest

from localtune.execution.process.outbox import Outbox, PolledOutbox, ThreadedOutbox, make_outbox
from localtune.execution.process.waiter import Waiter
from localtune.worker.pipe import MessagePipe

# More than any pipe of the system holds.
LARGE = os.urandom(4_000_000)
DEADLINE_S = 60.0


class Ends:
    """A pipe between an outbox and a peer that reads when it is told to."""

    def __init__(self, use_poll: bool) -> None:
        ours, theirs = Pipe()
        self.waiter = Waiter(use_poll=use_poll)
        self.pipe = MessagePipe(ours)
        self.peer = MessagePipe(theirs)
        self.outbox = make_outbox(self.waiter, self.pipe.fileno(), self.pipe.write)

    def send(self, message: bytes) -> None:
        self.outbox.send(self.pipe.frame(message))

    def received(self, count: int) -> list[bytes]:
        """Returns the messages that a peer reads while the parent serves its waiter."""
        found: list[bytes] = []

        def read() -> None:
            found.extend(self.peer.receive() for _ in range(count))
            self.waiter.wake()

        thread = threading.Thread(target=read)
        thread.start()
        while thread.is_alive() and len(found) < count:
            self.waiter.wait(DEADLINE_S)
        thread.join()
        return found

    def close(self) -> None:
        self.peer.close()
        self.outbox.close()
        self.pipe.close()
        self.waiter.close()


@pytest.fixture(params=[True, False], ids=["polled", "threaded"])
def ends(request: pytest.FixtureRequest) -> Iterator[Ends]:
    made = Ends(request.param)
    yield made
    made.close()


def test_the_kind_of_outbox_depends_on_the_waiter() -> None:
    kinds: dict[bool, type[Outbox]] = {True: PolledOutbox, False: ThreadedOutbox}
    for use_poll, kind in kinds.items():
        made = Ends(use_poll)
        assert type(made.outbox) is kind
        made.close()


def test_the_parent_does_not_wait_for_a_peer_that_reads_nothing(ends: Ends) -> None:
    for _ in range(3):
        ends.send(LARGE)
    called: list[int] = []
    other, its_end = Pipe()
    ends.waiter.register(other, lambda: called.append(other.recv()))
    its_end.send(1)
    while not called:
        ends.waiter.wait(DEADLINE_S)
    ends.waiter.unregister(other)
    other.close()
    its_end.close()


def test_what_waited_arrives_in_order(ends: Ends) -> None:
    messages = [b"first", LARGE, b"", b"last"]
    for message in messages:
        ends.send(message)
    assert ends.received(len(messages)) == messages
    ends.send(b"afterwards")
    assert ends.received(1) == [b"afterwards"]


def test_a_peer_that_reads_again_is_served_without_further_sends(ends: Ends) -> None:
    ends.send(LARGE)
    ends.send(LARGE)
    assert ends.received(2) == [LARGE, LARGE]


def test_what_is_sent_to_a_peer_that_has_gone_is_dropped(ends: Ends) -> None:
    ends.send(LARGE)
    ends.peer.close()
    ends.waiter.wait(0.0)
    ends.send(b"more")
    ends.waiter.wait(0.0)


def test_a_reader_of_the_same_pipe_is_served_while_something_waits() -> None:
    ends = Ends(use_poll=True)
    found: list[bytes] = []
    ends.waiter.register(ends.pipe, lambda: found.extend(ends.pipe.receive_ready()))
    ends.send(LARGE)
    ends.peer.send(b"an answer")
    while not found:
        ends.waiter.wait(DEADLINE_S)
    assert found == [b"an answer"]
    assert ends.received(1) == [LARGE]
    ends.waiter.unregister(ends.pipe)
    ends.close()


def test_a_source_that_is_forgotten_is_watched_no_more() -> None:
    ends = Ends(use_poll=True)
    calls: list[str] = []
    fd = ends.pipe.fileno()
    ends.waiter.register(ends.pipe, functools.partial(calls.append, "read"))
    ends.waiter.await_room(fd, functools.partial(calls.append, "room"))
    ends.peer.send(b"data")
    ends.waiter.wait(DEADLINE_S)
    assert sorted(calls) == ["read", "room"]
    ends.waiter.unregister(ends.pipe)
    ends.waiter.wait(DEADLINE_S)
    assert calls.count("room") == 2 and calls.count("read") == 1
    ends.waiter.forget_room(fd)
    ends.waiter.wait(0.0)
    assert len(calls) == 3
    ends.close()
