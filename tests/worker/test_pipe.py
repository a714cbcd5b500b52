"""The worker's end of the pipe, and whole messages over a pipe."""

from __future__ import annotations

import os
import pickle
import re
import threading
from collections.abc import Iterator
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from localtune.resources import PlacementGroupFactory
from localtune.trial.pickled_object import PickledObject
from localtune.trial.trial_info import StorageContext, TrialInfo
from localtune.worker import messages
from localtune.worker.main import PipeChannel
from localtune.worker.pipe import Descriptor, HandlePipe, MessagePipe


@pytest.fixture
def ends() -> Iterator[tuple[Any, Any]]:
    """Both ends of a pipe."""
    first, second = Pipe()
    try:
        yield first, second
    finally:
        first.close()
        second.close()


def test_a_command_arrives_and_its_reply_goes_back(ends: tuple[Any, Any]) -> None:
    parent, channel = MessagePipe(ends[0]), PipeChannel(ends[1])
    parent.send(messages.encode(messages.Export(["model"])))
    assert channel.receive() == messages.Export(["model"])
    channel.send(messages.Exported({"model": "path"}))
    assert messages.decode_reply(parent.receive()) == messages.Exported({"model": "path"})


def test_the_end_of_the_parent_is_the_end_of_the_pipe(ends: tuple[Any, Any]) -> None:
    ends[0].close()
    with pytest.raises(EOFError):
        PipeChannel(ends[1]).receive()


def test_a_reply_of_plain_data_arrives(ends: tuple[Any, Any]) -> None:
    closed = PickledObject("Path", "a/b", pickle.dumps(Path("a/b")))
    result = {"n": 1, "x": [None, (0.5, b"b", True)], "closed": closed}
    PipeChannel(ends[1]).send(messages.Trained(result))
    assert messages.decode_reply(MessagePipe(ends[0]).receive()) == messages.Trained(result)


@pytest.mark.parametrize("dtype", ["f8", "i1", "?", "c16", "U3", "M8[s]", [("a", "i4")]])
def test_an_array_arrives(ends: tuple[Any, Any], dtype: Any) -> None:
    array = np.zeros((2, 3), dtype)
    PipeChannel(ends[1]).send(messages.Trained({"array": array}))
    reply = messages.decode_reply(MessagePipe(ends[0]).receive())
    assert isinstance(reply, messages.Trained)
    assert np.array_equal(reply.result["array"], array)


class Strikes:
    """Does harm where it is unpickled."""

    def __reduce__(self) -> Any:
        return (os.mkdir, ("harm",))


@pytest.mark.parametrize(
    "message",
    [
        messages.Trained({"x": Strikes()}),
        messages.Trained({"x": Path("a")}),
        messages.Train(),
        "text",
        None,
    ],
)
def test_the_parent_makes_nothing_but_replies_of_plain_data(
    message: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(pickle.UnpicklingError):
        messages.decode_reply(pickle.dumps(message))
    assert not Path("harm").exists()


def test_an_oversized_reply_is_refused_with_both_sizes(
    ends: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "MAX_REPLY_BYTES", 1000)
    PipeChannel(ends[1]).send(messages.Trained({"text": "x" * 5000}))
    reply = messages.read_reply(MessagePipe(ends[0]).receive())
    assert isinstance(reply, messages.Failed)
    assert re.search(r"of 5,\d\d\d bytes is refused \(the limit is 1,000", reply.message)


def test_a_reply_that_cannot_be_pickled_becomes_a_failure() -> None:
    reply = messages.read_reply(messages.encode_reply(messages.Trained({"x": lambda: None})))
    assert isinstance(reply, messages.Failed)
    assert "an answer cannot be sent" in reply.message
    assert not reply.fatal


def test_bytes_that_hold_no_reply_are_a_failure() -> None:
    reply = messages.read_reply(b"no pickle")
    assert isinstance(reply, messages.Failed)
    assert "cannot be read" in reply.message


@pytest.mark.parametrize("size", [0, 1, 70_000, 5_000_000])
@pytest.mark.parametrize("kind", [MessagePipe, HandlePipe])
def test_a_message_of_any_size_arrives_whole(
    ends: tuple[Any, Any], kind: type[MessagePipe], size: int
) -> None:
    message = os.urandom(size)
    sender = threading.Thread(target=kind(ends[0]).send, args=(message,))
    sender.start()
    assert kind(ends[1]).receive() == message
    sender.join()


def test_all_messages_that_are_there_come_at_once(ends: tuple[Any, Any]) -> None:
    for message in (b"one", b"", b"three"):
        MessagePipe(ends[0]).send(message)
    receiver = MessagePipe(ends[1])
    assert receiver.is_ready()
    assert receiver.receive_ready() == [b"one", b"", b"three"]
    assert not receiver.is_ready()


@pytest.mark.parametrize("size", [5, 70_000, 3_000_000])
def test_what_is_there_of_a_message_is_read_without_waiting_for_the_rest(
    ends: tuple[Any, Any], size: int
) -> None:
    os.set_blocking(ends[0].fileno(), False)
    message = os.urandom(size)
    data = memoryview(size.to_bytes(4, "big") + message + b"\x00\x00\x00\x03two\x00\x00")
    receiver = MessagePipe(ends[1])
    found = []
    while data:
        # A piece of any size: the first ends within the length.
        data = data[os.write(ends[0].fileno(), data[: 3 if len(data) > size else 50_000]) :]
        found += receiver.receive_ready()
    assert found == [message, b"two"]
    assert not receiver.is_ready()


def test_nothing_to_read_is_no_message(ends: tuple[Any, Any]) -> None:
    os.set_blocking(ends[1].fileno(), False)
    assert MessagePipe(ends[1]).receive_ready() == []


def test_a_length_beyond_the_limit_is_an_error(ends: tuple[Any, Any]) -> None:
    os.write(ends[0].fileno(), b"garbage of another writer")
    with pytest.raises(OSError, match="another process or thread writes to the pipe"):
        MessagePipe(ends[1]).receive_ready()


def test_a_pipe_that_user_code_has_closed_leaves_a_note(
    ends: tuple[Any, Any], tmp_path: Path
) -> None:
    number = os.dup(ends[1].fileno())
    channel = PipeChannel(Descriptor(number), str(tmp_path / "note"))
    os.close(number)
    with pytest.raises(OSError):
        channel.send(messages.Stopped())
    with pytest.raises(EOFError):
        channel.receive()
    text = (tmp_path / "note").read_text()
    assert text.count("User code closed its pipe to the run") == 2


def test_a_message_that_its_sender_did_not_finish_is_the_end(ends: tuple[Any, Any]) -> None:
    MessagePipe(ends[0]).send(b"whole")
    os.write(ends[0].fileno(), b"\x00\x00\x00\x09half")
    ends[0].close()
    receiver = MessagePipe(ends[1])
    assert receiver.receive_ready() == [b"whole"]
    with pytest.raises(EOFError):
        receiver.receive_ready()


def test_a_closed_end_cannot_be_read(ends: tuple[Any, Any]) -> None:
    pipe = MessagePipe(ends[1])
    pipe.close()
    assert pipe.closed
    with pytest.raises(OSError):
        pipe.receive()


INFO = TrialInfo("1", "train_1", "sweep", "/s/1", "/s", PlacementGroupFactory([{"CPU": 1}]), 7)
ASSIGNMENT = messages.Assignment(
    INFO, b"config", StorageContext("/s", "/s/1", 3), ("out", None), {"A": "1", "B": None}
)


@pytest.mark.parametrize(
    "command",
    [
        messages.Construct(ASSIGNMENT, trains_at_once=True, ends_with_function=True),
        messages.Reset(ASSIGNMENT, trains_at_once=True),
        messages.Train(),
        messages.Restore("/s/1/checkpoint", {"x": 1}),
    ],
)
def test_a_command_arrives_as_it_was(command: messages.Command) -> None:
    assert messages.decode(messages.encode(command)) == command


def test_a_command_of_another_version_is_refused_by_its_version() -> None:
    # It has other attributes.
    data = pickle.dumps((99, 0, ("a", "b"), 1, 2, 3, 4))
    command = messages.decode(data)
    assert type(command) is messages.Construct and command.version == 99


@pytest.mark.parametrize(
    "reply",
    [
        messages.Ready({"x": 1}, trains=True),
        messages.ResetDone(False, {}, trains=True),
        messages.Trained({"x": 1}, {"lr": 2}, ["a"], has_ended=True),
        messages.Saved(None, {}, 1),
    ],
)
def test_a_reply_arrives_as_it_was(reply: messages.Reply) -> None:
    assert messages.decode_reply(messages.encode_reply(reply)) == reply


@pytest.mark.parametrize("junk", [(), (9,), ("x", 1), (0,), (1, 2, 3, 4)])
def test_a_tuple_that_is_no_reply_is_told_as_a_failure(junk: tuple[Any, ...]) -> None:
    assert isinstance(messages.read_reply(pickle.dumps(junk)), messages.Failed)
