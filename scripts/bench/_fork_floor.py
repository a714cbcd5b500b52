"""The bare template process of fresh_trials.py: forks a child per packet. Imports next to nothing.

Usage: python _fork_floor.py <descriptor of the socket> <directory for files; "" for none>
"""

from __future__ import annotations

import os
import socket
import sys
from multiprocessing.connection import Connection


def serve(control: socket.socket, directory: str) -> None:
    """Forks a child per packet until the socket is closed."""
    alive = 0
    while True:
        packet, fds, _, _ = socket.recv_fds(control, 16, 1)
        if not packet:
            break
        if os.fork() == 0:
            connection = Connection(fds[0])
            config = connection.recv()["config"]
            if directory:
                write_files(f"{directory}/{os.getpid()}", config)
            connection.send({"score": config["x"]})
            os._exit(0)
        os.close(fds[0])
        alive += 1
        while alive and os.waitpid(-1, os.WNOHANG)[0]:
            alive -= 1
    for _ in range(alive):
        os.wait()


def write_files(directory: str, config: dict[str, float]) -> None:
    """What a trial leaves behind at the least."""
    os.mkdir(directory)
    for name in ("params", "result"):
        with open(f"{directory}/{name}", "w") as file:
            file.write(f"{config}\n")


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])), sys.argv[2])
