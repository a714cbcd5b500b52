"""MachineMeter: reads the load of the machine for the live view."""

from __future__ import annotations

from dataclasses import dataclass

from localtune.clock import Clock, SystemClock

# Seconds between two readings. Over a shorter time, the CPU share would be noise.
PERIOD_S = 1.0


@dataclass(frozen=True, slots=True)
class MachineLoad:
    """The load of the whole machine, by all of its processes.

    Attributes:
        cpu: Share of the CPUs that is busy, from 0 to 1; None at the first reading.
        used_bytes: Memory in use, without memory that the system can free.
        total_bytes: Total memory.
    """

    cpu: float | None
    used_bytes: int
    total_bytes: int


class MachineMeter:
    """Reads the load of the machine, at most once per second.

    Args:
        clock: Source of time.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._next_s: float | None = None
        self._load: MachineLoad | None = None
        # psutil.cpu_percent() has global state, which belongs to the user's program.
        self._busy_s = self._total_s = 0.0

    def load(self) -> MachineLoad | None:
        """Returns the latest load, at most about a second old; None if it cannot be read."""
        now_s = self._clock.monotonic()
        if self._next_s is None or now_s >= self._next_s:
            is_first = self._next_s is None
            self._next_s = now_s + PERIOD_S
            try:
                self._load = self._measured(is_first)
            except (OSError, RuntimeError):  # psutil cannot read /proc.
                self._load = None
        return self._load

    def _measured(self, is_first: bool) -> MachineLoad:
        import psutil

        times = psutil.cpu_times()
        # The user time includes the time of guests.
        guests = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)
        total_s = sum(times) - guests
        busy_s = total_s - times.idle - getattr(times, "iowait", 0.0)
        past_s = total_s - self._total_s
        cpu = None if is_first or past_s <= 0 else (busy_s - self._busy_s) / past_s
        self._busy_s, self._total_s = busy_s, total_s
        memory = psutil.virtual_memory()
        return MachineLoad(
            None if cpu is None else min(max(cpu, 0.0), 1.0),
            memory.total - memory.available,
            memory.total,
        )
