"""The first use of a name of the package."""

from __future__ import annotations

import subprocess
import sys

# One thread is in the middle of an import while another one wants a name of the same module.
TWO_THREADS = """
import queue, sys, threading
import localtune

is_importing, told = threading.Event(), queue.Queue()

class Slow:
    def find_spec(self, name, path=None, target=None):
        if name == "localtune.config.run":
            sys.meta_path.remove(self)
            is_importing.set()
            other.join(0.5)

def look_up():
    is_importing.wait()
    try:
        told.put(localtune.Tuner.__name__)
    except BaseException as error:
        told.put(repr(error))

other = threading.Thread(target=look_up)
other.start()
sys.meta_path.insert(0, Slow())
localtune.Tuner
other.join()
print(told.get())
"""


def test_a_thread_waits_for_a_module_that_another_one_imports() -> None:
    command = [sys.executable, "-c", TWO_THREADS]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.stdout == "Tuner\n", done.stderr
