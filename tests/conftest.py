"""What holds for every test: it leaves nothing behind and does not touch the developer's home."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from multiprocessing import resource_tracker

import hypothesis
import pytest

from localtune.testing.clock import ManualClock
from tests.leaks import ProcessWatch, State, end_what_is_kept, leaks_since, repair

# scikit-learn, tensorboardX and Ray set these when they are imported, whichever test comes to it
# first.
_SET_BY_IMPORTS = {
    "KMP_DUPLICATE_LIB_OK": "True",
    "KMP_INIT_AT_FORK": "FALSE",
    "CRC32C_SW_MODE": "auto",
    "RAY_CLIENT_MODE": "0",
}

# Parameters and fixtures that are start methods. Those other than the default share most of their
# code with it, and take long.
_START_METHODS = ("start_method", "executor", "told")

_private_key = pytest.StashKey[str]()
_watch_key = pytest.StashKey[ProcessWatch]()

# Examples that take long on a busy machine are no bugs. Each run tries the same ones, so that no
# change fails for what was there before; `--hypothesis-profile=explore` looks for others.
hypothesis.settings.register_profile("explore", hypothesis.settings.default, deadline=None)
hypothesis.settings.register_profile(
    "localtune", hypothesis.settings.get_profile("explore"), derandomize=True
)
hypothesis.settings.load_profile("localtune")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="also what takes long")


@pytest.hookimpl(tryfirst=True)  # Options such as -m look at the marks.
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for each in items:
        parameters = each.callspec.params if hasattr(each, "callspec") else {}
        if any(parameters.get(name) in ("spawn", "portable") for name in _START_METHODS):
            each.add_marker("long")
    if not config.option.long:
        left_out = [each for each in items if each.get_closest_marker("long")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [each for each in items if not each.get_closest_marker("long")]


def pytest_configure(config: pytest.Config) -> None:
    # Before any test module is imported: a default path may be computed at import.
    private = tempfile.mkdtemp(prefix="localtune-tests-")
    config.stash[_private_key] = private
    # Directories of tests stay for a look at them, where pytest puts them without all this.
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir())
    os.environ["HOME"] = os.path.join(private, "home")
    os.environ["TMPDIR"] = tempfile.tempdir = os.path.join(private, "tmp")
    os.mkdir(os.environ["HOME"])
    os.mkdir(os.environ["TMPDIR"])
    # Tests send these, and a shell's background job, or nohup, starts with them ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    for name, value in _SET_BY_IMPORTS.items():
        os.environ.setdefault(name, value)
    config.stash[_watch_key] = ProcessWatch()
    # multiprocessing keeps it until the interpreter ends: it is no leak of the test that needs it
    # first.
    resource_tracker.ensure_running()


def pytest_unconfigure(config: pytest.Config) -> None:
    shutil.rmtree(config.stash[_private_key], ignore_errors=True)


def _check(watch: ProcessWatch, whose: str, *, ends_kept: bool = False) -> Iterator[None]:
    before = State.now(watch)
    yield
    if ends_kept:
        end_what_is_kept()
    found = leaks_since(before, watch)
    if found:
        repair(before, watch)
        pytest.fail(f"{whose} left behind:\n  " + "\n  ".join(found), pytrace=False)


@pytest.fixture(autouse=True, scope="session")
def _no_leaks_of_session(pytestconfig: pytest.Config) -> Iterator[None]:
    """Catches what fixtures of a wider scope than one test leave behind."""
    yield from _check(pytestconfig.stash[_watch_key], "A fixture, or a test named above,")


@pytest.fixture(autouse=True, scope="module")
def _no_leaks_of_module(pytestconfig: pytest.Config) -> Iterator[None]:
    """Ends what localtune has kept from test to test, and catches what does not end with it."""
    watch = pytestconfig.stash[_watch_key]
    yield from _check(watch, "The module of the test, or a test above,", ends_kept=True)


@pytest.fixture(autouse=True)
def _no_leaks(pytestconfig: pytest.Config) -> Iterator[None]:
    yield from _check(pytestconfig.stash[_watch_key], "The test")


@pytest.fixture
def manual_clock() -> ManualClock:
    return ManualClock()
