"""A headless browser that the tests of a module share.

What it needs is Debian's packages chromium and chromium-driver; nothing is downloaded.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    # One process draws all pages: a test that loads another page starts none that stays.
    "--renderer-process-limit=1",
    "--disable-features=SpareRendererForSitePerProcess,IsolateOrigins,site-per-process",
)


@contextlib.contextmanager
def started_browser(folder: Path) -> Iterator[Any]:
    """A browser that keeps all its files in a folder.

    Args:
        folder: Empty directory.
    """
    import os

    from selenium import webdriver

    profile, temporary = folder / "profile", folder / "tmp"
    temporary.mkdir(parents=True)
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER or ""
    for flag in (*_FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(
        executable_path=DRIVER or "", env={**os.environ, "TMPDIR": str(temporary)}
    )
    driver = webdriver.Chrome(options=options, service=service)
    try:
        yield driver
    finally:
        driver.quit()
