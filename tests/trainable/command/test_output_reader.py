"""The output of a program is passed on in whole lines."""

from __future__ import annotations

import os

import pytest

from localtune.trainable.command import output_reader
from localtune.trainable.command.mailbox import Mailbox
from localtune.trainable.command.output_reader import OutputReader


def writes_for(
    pieces: list[bytes], monkeypatch: pytest.MonkeyPatch, *, rest_comes: bool
) -> list[bytes]:
    """Returns what a reader writes, for pieces that a program has written."""
    waiting, written = iter([*pieces, b""]), []

    def write(descriptor: int, data: memoryview) -> int:
        written.append(bytes(data))
        return len(data)

    with monkeypatch.context() as patch:
        patch.setattr(output_reader, "_read", lambda descriptor: next(waiting))
        patch.setattr(output_reader, "_can_read", lambda descriptor, wait_ms=0: rest_comes)
        patch.setattr(os, "write", write)
        target = os.open(os.devnull, os.O_WRONLY)
        OutputReader(-1, target, None, Mailbox(), lambda: None).run()
    return written


def test_a_line_and_its_end_are_one_write(monkeypatch: pytest.MonkeyPatch) -> None:
    pieces = [b"one", b"\n", b"two\nth", b"ree\n", b"10%\r20%", b"\r", b"no end"]
    assert writes_for(pieces, monkeypatch, rest_comes=True) == [
        *(b"one\n", b"two\n", b"three\n", b"10%\r", b"20%\r", b"no end")
    ]
    long = b"a" * (output_reader._CHUNK_BYTES + 1)
    assert writes_for([long, b"b"], monkeypatch, rest_comes=True) == [long, b"b"]


def test_a_line_whose_rest_does_not_come_is_not_kept_back(monkeypatch: pytest.MonkeyPatch) -> None:
    pieces = [b"Password: ", b"thanks\n"]
    assert writes_for(pieces, monkeypatch, rest_comes=False) == pieces
