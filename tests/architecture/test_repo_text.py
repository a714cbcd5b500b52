"""What no file of the repository may say."""

from __future__ import annotations

import fnmatch
import gzip
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
IGNORED = [
    line
    for line in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
]

# Why it must not stand there -> what it looks like.
FORBIDDEN = {
    "a path of one machine": r"(?<![\w.~}-])/(work|tmp/lt)/|/root/|/home/\w",
    "the host of a package index": r"\bpypi\.org|pythonhosted\.org|\banaconda\.org|\bdevpi\b",
    "a number in a tracker instead of the reason": r"\b(issue|ticket|pull request|PR) ?#?\d"
    r"|\(#\d+\)",
    "who wrote it and with what": r"\bsub-?agents?\b|\bthe brief\b|\bAI[- ](written|generated)\b"
    # The processes of localtune on the nodes of a cluster are called agents, too.
    r"|\bagents? wrote\b|\bwritten by an? agent\b|\b(AI|coding|autonomous)[- ]agents?\b"
    r"|\b(claude|anthropic|chatgpt|openai|copilot|codex)\b|\blanguage model\b",
    "a stranger's package: this one installs as localtune-runner": r"pip3? install"
    r"[^\n`]*?[ \"']localtune(?![-\w./])",
    "work left open": r"\b(TODO|FIXME|XXX)\b",
}


def files(directory: Path = ROOT) -> Iterator[Path]:
    """Files of the checkout that git does not ignore, without asking git."""
    for path in sorted(directory.iterdir()):
        if path.name == ".git" or any(fnmatch.fnmatch(path.name, each) for each in IGNORED):
            continue
        if path.is_dir():
            yield from files(path)
        elif path != Path(__file__):  # It has to spell out what it forbids.
            yield path


def content_of(path: Path) -> bytes:
    """What a file holds: of a packed one, what it was made of."""
    content = path.read_bytes()
    return gzip.decompress(content) if path.suffix == ".gz" else content


def test_ignored_files_are_named_without_paths() -> None:
    assert [pattern for pattern in IGNORED if re.search(r"[/!]", pattern)] == []


@pytest.mark.parametrize("reason", FORBIDDEN)
def test_no_file_contains(reason: str) -> None:
    pattern = re.compile(FORBIDDEN[reason], re.IGNORECASE)
    found = []
    for path in files():
        name = str(path.relative_to(ROOT))
        found += [f"name of {name}"] if pattern.search(name) else []
        for number, line in enumerate(content_of(path).splitlines(), 1):
            if pattern.search(line.decode("utf-8", "replace")):
                found.append(f"{name}:{number}: {line.decode('utf-8', 'replace').strip()[:120]}")

    assert not found, f"{reason}:\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        ("a path of one machine", "see /work/main/setup.cfg"),
        ("a path of one machine", "/root/.cache"),
        ("the host of a package index", "https://pypi.org/simple"),
        ("a number in a tracker instead of the reason", "fixes issue #12"),
        ("who wrote it and with what", "an Agent wrote this"),
        ("who wrote it and with what", "made by a coding agent"),
        ("a stranger's package: this one installs as localtune-runner", "pip install localtune"),
        (
            "a stranger's package: this one installs as localtune-runner",
            'pip install -U "localtune[rich]"',
        ),
    ],
)
def test_forbidden_text_is_recognised(reason: str, text: str) -> None:
    assert re.search(FORBIDDEN[reason], text, re.IGNORECASE)


@pytest.mark.parametrize(
    "text",
    [
        "os.path.join(tmp_path, 'work/')",
        "{tmp}/work/trial",
        "pip install localtune-runner",
        'pip install "localtune-runner[rich]"',
        "pip install ./localtune",
        "open an issue",
    ],
)
def test_other_text_is_not(text: str) -> None:
    assert [each for each in FORBIDDEN.values() if re.search(each, text, re.IGNORECASE)] == []
