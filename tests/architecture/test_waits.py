"""The parent of a run waits in one place, the Waiter, and never for a peer that reads nothing.

What a peer that reads nothing does to the parent is tried in
``tests/execution/process/test_outbox.py`` and ``test_template.py``. Here all
places are listed where it could happen.
"""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

from tests.architecture.layers import PACKAGE, ROOT

EXECUTION = ROOT / PACKAGE / "execution"
# What runs in other processes may wait for the parent: it always reads.
OTHER_PROCESSES = {
    *("base.py", "guard.py", "spare.py", "spawn_guard.py", "template.py"),
    *("agent.py", "guest.py"),
}

SENDS = {"sendall", "send_bytes", "send_fds", "sendmsg", "sendto"}
MAY_SEND = {
    # Its sockets do not block; who is asked for too much at once says so.
    ("packets.py", "control.sendmsg"),
    # A pipe that does not block; a thread that waits in the parent's place calls what it is given.
    ("outbox.py", "os.write"),
    # In a thread that does nothing else, for whoever reads the run's own output.
    ("standard_output.py", "os.write"),
    # To itself, and one message at most.
    ("waiter.py", "os.write"),
    ("waiter.py", "self._end.send_bytes"),
    # Before a run, some bytes, on a connection with a timeout.
    ("connection.py", "connection.sendall"),
}

WAITS = {"wait", "join", "communicate"}
# {(file, call): how often, and why that ends}
ENDS_SOON = {
    ("guard_client.py", "self._process.wait"): 1,  # it was killed
    ("spawn_launcher.py", "process.wait"): 3,  # in a thread; it was killed; it has ended
    ("spawn_launcher.py", "guard.wait"): 1,  # it was killed
    ("relay.py", "self._process.wait"): 1,  # in a thread; its output has ended
    ("relay.py", "thread.join"): 1,  # the process has ended, or was killed
    ("local.py", "self._threads.pop(node_id).join"): 1,  # its relay is closed
    # Coroutines in the thread of the session.
    ("line.py", "self._has_outgoing.wait"): 1,
    ("session.py", "self._closing.wait"): 1,
    ("post.py", "self.join"): 1,  # an engine sends without waiting
}


def calls(path: Path) -> list[tuple[str, ast.Call]]:
    """(what is called, the call) for each call of a method or of a module's function."""
    return [
        (ast.unparse(node.func), node)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    ]


def parents_files() -> list[Path]:
    return [path for path in sorted(EXECUTION.rglob("*.py")) if path.name not in OTHER_PROCESSES]


def test_what_is_sent_goes_where_nobody_waits_for_its_reader() -> None:
    found = {
        (path.name, name)
        for path in parents_files()
        for name, _ in calls(path)
        if name == "os.write" or name.rpartition(".")[2] in SENDS
    }
    assert found == MAY_SEND


def test_no_process_is_waited_for_without_a_limit() -> None:
    found = Counter(
        (path.name, name)
        for path in parents_files()
        for name, call in calls(path)
        if name.rpartition(".")[2] in WAITS and not (call.args or call.keywords)
    )
    assert found == ENDS_SOON


def test_sockets_of_the_parent_do_not_block() -> None:
    users = [path for path in parents_files() if "pk.send(" in path.read_text(encoding="utf-8")]
    assert {path.name for path in users} == {"guard_client.py", "template_client.py"}
    for path in users:
        assert any(
            name.endswith(".setblocking") and ast.unparse(call.args[0]) == "False"
            for name, call in calls(path)
        )
