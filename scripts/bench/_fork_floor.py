"""The bare template process of fresh_trials.py: forks a child per packet. Imports next to nothing.

Usage: python _fork_floor.py <descriptor of the socket>
"""

from __future__ import annotations

import os
import socket
import sys
from multiprocessing.connection import Connection


def serve(control: socket.socket) -> None:
    """Forks a child per packet until the socket is closed."""
    alive = 0
    while True:
        packet, fds, _, _ = socket.recv_fds(control, 16, 1)
        if not packet:
            break
        if os.fork() == 0:
            connection = Connection(fds[0])
            connection.send({"score": connection.recv()["config"]["x"]})
            os._exit(0)
        os.close(fds[0])
        alive += 1
        while alive and os.waitpid(-1, os.WNOHANG)[0]:
            alive -= 1
    for _ in range(alive):
        os.wait()


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
