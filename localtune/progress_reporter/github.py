"""GitHubLog: groups and annotations in the log of GitHub Actions.

https://docs.github.com/actions/reference/workflow-commands-for-github-actions
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from localtune.progress_reporter.line import Line
from localtune.utils.text import printable

# GitHub shows at most ten annotations of each kind per step.
MAX_ANNOTATIONS = 10


def is_github_actions(environ: Mapping[str, str]) -> bool:
    """Returns whether the process runs in GitHub Actions."""
    return environ.get("GITHUB_ACTIONS") == "true"


class GitHubLog:
    """Makes the lines that control the log of GitHub Actions.

    Args:
        environ: Environment variables. Paths are shown relative to ``GITHUB_WORKSPACE``.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._workspace = environ.get("GITHUB_WORKSPACE") or os.getcwd()
        self._used = {"error": 0, "warning": 0}

    def group(self, title: str, lines: Sequence[Line]) -> list[Line]:
        """Returns lines in a group that can be folded.

        Args:
            title: Heading of the group.
            lines: The lines.
        """
        return [[(f"::group::{printable(title)}", "")], *lines, [("::endgroup::", "")]]

    def annotation(
        self, kind: str, message: str, *, title: str, place: tuple[str, int] | None = None
    ) -> list[Line]:
        """Returns a line that is shown beside the code and on the page of the workflow's run.

        Args:
            kind: ``"error"`` or ``"warning"``.
            message: The message.
            title: Heading.
            place: (path, line) in the source; None if it is unknown.

        Returns:
            One line; none after the first ten of a kind, which GitHub would not show.
        """
        if self._used[kind] >= MAX_ANNOTATIONS:
            return []
        self._used[kind] += 1
        properties = {"title": title}
        if place is not None and not place[0].startswith("<"):  # A name such as <stdin> is no file.
            path, line = place
            properties = {"file": self._relative(path), "line": str(line), **properties}
        listed = ",".join(f"{name}={_property(text)}" for name, text in properties.items())
        return [[(f"::{kind} {listed}::{_data(message)}", "")]]

    def _relative(self, path: str) -> str:
        inside = os.path.abspath(path).startswith(os.path.join(self._workspace, ""))
        return os.path.relpath(path, self._workspace) if inside else path


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
