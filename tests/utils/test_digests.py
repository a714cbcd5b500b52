"""Digests without OpenSSL are those of ``hashlib``."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import pytest

from localtune.utils.digests import sha256


@pytest.mark.parametrize("data", [b"", b"text", bytes(range(256)) * 1000])
def test_digests_are_those_of_hashlib(data: bytes) -> None:
    assert sha256(data).hexdigest() == hashlib.sha256(data).hexdigest()
    assert sha256(data).digest() == hashlib.sha256(data).digest()


def test_openssl_is_not_loaded() -> None:
    code = "import sys, localtune.utils.digests; assert '_hashlib' not in sys.modules, 'loaded'"

    subprocess.run([sys.executable, "-c", code], check=True)
