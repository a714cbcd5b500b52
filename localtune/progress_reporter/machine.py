"""How busy the machine is, for the head of the live view."""

from __future__ import annotations

from dataclasses import dataclass

from localtune.clock import Clock, SystemClock

# Shorter than this, the share of busy time is noise; and looking costs something.
PERIOD_S = 1.0


@dataclass(frozen=True, slots=True)
class MachineLoad:
    """The machine as a whole, with all that runs on it.

    Attributes:
        cpu: Share of the CPUs that is busy, from 0 to 1; None until it has been watched.
        used_bytes: Memory in use, without what the system can give back.
        total_bytes: Memory that there is.
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
        # Kept here: psutil's own memory of the last call belongs to the user's program.
        self._busy_s = self._total_s = 0.0

    def load(self) -> MachineLoad | None:
        """The load of the last second or so; None where it cannot be read."""
        now_s = self._clock.monotonic()
        if self._next_s is None or now_s >= self._next_s:
            is_first = self._next_s is None
            self._next_s = now_s + PERIOD_S
            try:
                self._load = self._measured(is_first)
            except (OSError, RuntimeError):  # No /proc, or one that psutil does not understand.
                self._load = None
        return self._load

    def _measured(self, is_first: bool) -> MachineLoad:
        import psutil

        times = psutil.cpu_times()
        # Guests are part of the user's time already.
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
