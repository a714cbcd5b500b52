"""Tests in a browser run where there is one; a CI service must have one."""

from __future__ import annotations

import os

import pytest

from tests.tools.report.browser import BROWSER, DRIVER

IS_COMPLETE = bool(BROWSER and DRIVER)
# Without it they are left out, and the summary says so; in CI they fail instead.
collect_ignore = [] if IS_COMPLETE or os.environ.get("CI") else ["test_browser.py"]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if collect_ignore:
        terminalreporter.write_line(
            "tests/tools/report/test_browser.py was left out: it needs the commands chromium and "
            "chromedriver (Debian: apt-get install chromium chromium-driver).",
            yellow=True,
        )
