from __future__ import annotations

import pytest

from localtune.utils.retry import retry_fn


class Flaky:
    """Fails some times before it succeeds."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.calls = 0

    def __call__(self) -> None:
        self.calls += 1
        if self.calls <= self.failures:
            raise OSError("not yet")


@pytest.mark.parametrize(
    ("failures", "options", "succeeds", "calls"),
    [
        (0, {}, True, 1),
        (2, {"num_retries": 3}, True, 3),
        (3, {"num_retries": 3}, False, 3),
        (1, {"num_retries": 0}, False, 1),
        (2, {"timeout": 0.0, "sleep_time": 9}, False, 1),
        (1, {"exception_type": (OSError, KeyError)}, True, 2),
    ],
)
def test_a_function_is_called_until_it_succeeds(
    failures: int, options: dict[str, float], succeeds: bool, calls: int
) -> None:
    fn = Flaky(failures)
    assert retry_fn(fn, **{"sleep_time": 0, **options}) is succeeds  # type: ignore[arg-type]
    assert fn.calls == calls


def test_other_errors_are_raised() -> None:
    with pytest.raises(OSError, match="not yet"):
        retry_fn(Flaky(1), KeyError, sleep_time=0)
