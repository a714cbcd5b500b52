"""Installs packages into the environment of this interpreter, from where pip would take them.

    python scripts/_install.py [--constraint FILE] [--editable] REQUIREMENT

uv finds the versions of a hundred packages in seconds, pip in minutes. uv does not read the
configuration of pip, where a user may have named another index or a certificate, so this program
hands it over. Where uv cannot be installed, or fails, pip installs the packages.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys

# Option of pip to the one of uv. Each value is a list, separated by white space.
_OPTIONS = {
    "index-url": "--index-url",
    "extra-index-url": "--extra-index-url",
    "find-links": "--find-links",
    "constraint": "--constraint",
    "trusted-host": "--allow-insecure-host",
}
_PIP = (sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
_UV = (sys.executable, "-m", "uv", "pip", "install", "--quiet", "--compile-bytecode")


def configuration_of_pip(listing: str) -> dict[str, list[str]]:
    """Returns the values of each option.

    Args:
        listing: Output of ``pip config list``: a line ``section.option='value'`` for each.
    """
    found: dict[str, list[str]] = {}
    # A variable of the environment counts more than a file, a command's section more than [global].
    for section in ("global", "install", ":env:"):
        for line in listing.splitlines():
            name, _, value = line.partition("=")
            if name.startswith(f"{section}."):
                found[name[len(section) + 1 :]] = str(ast.literal_eval(value)).split()
    return found


def command_of_uv(configuration: dict[str, list[str]]) -> tuple[list[str], dict[str, str]]:
    """Returns the start of the command, and environment variables that are to be set with it."""
    command = [*_UV, "--python", sys.executable]
    for option, name in _OPTIONS.items():
        for value in configuration.get(option, ()):
            command += [name, value]
    if configuration.get("no-index") in (["1"], ["true"], ["yes"], ["on"]):
        command.append("--no-index")
    # As pip does, and unlike the default of uv: the best version of all indexes.
    environment = {"UV_INDEX_STRATEGY": "unsafe-best-match"}
    if "cert" in configuration:
        environment["SSL_CERT_FILE"] = " ".join(configuration["cert"])
    return command, environment


def _run(*command: str) -> int:
    return subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode


def main(arguments: list[str]) -> int:
    """Installs; returns the exit status."""
    if _run(*_PIP, "uv") == 0:
        listing = subprocess.run(
            [sys.executable, "-m", "pip", "config", "list"],
            capture_output=True,
            text=True,
            check=False,
        ).stdout
        command, environment = command_of_uv(configuration_of_pip(listing))
        for name, value in environment.items():
            os.environ.setdefault(name, value)
        if _run(*command, *arguments) == 0:
            return 0
    print("uv could not install the packages; pip tries it.", file=sys.stderr)
    return _run(*_PIP, *arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
