"""Tests of localtune.tools.migrate.command: files, their bytes, and exit codes."""

from __future__ import annotations

import io
import json
import os
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from localtune.tools.cli.main import main
from tests.tools.cli.command import localtune

OLD = "from ray import tune\ntune.report(loss=1)\n"
NEW = 'import localtune as tune\ntune.report({"loss": 1})\n'
BY_HAND = "import ray\nray.nodes()\n"


def test_check_lists_places_and_runs_nothing(tmp_path: Path) -> None:
    (tmp_path / "old.py").write_text(OLD + "raise SystemExit(9)\n")
    (tmp_path / "new.py").write_text(NEW)

    found = localtune(tmp_path, "migrate", "--check", "old.py", "new.py")
    assert found.stdout.splitlines() == [
        "old.py:1: from ray import tune: write import localtune as tune",
        'old.py:2: tune.report(loss=x): write tune.report({"loss": x})',
    ]
    assert found.stderr == "Found 2 places in 2 files, none to change by hand.\n"
    assert found.returncode == 1
    assert localtune(tmp_path, "migrate", "--check", "new.py").returncode == 0


def test_the_change_is_shown_as_a_diff(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "old.py"
    path.write_text(OLD)

    assert main(["migrate", str(path)]) == 0
    name = str(path).lstrip("/")
    assert capsys.readouterr().out.splitlines() == [
        f"--- a/{name}",
        f"+++ b/{name}",
        "@@ -1,2 +1,2 @@",
        *(f"-{line}" for line in OLD.splitlines()),
        *(f"+{line}" for line in NEW.splitlines()),
    ]
    assert path.read_text() == OLD


def test_what_is_left_to_hand_is_said_and_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "old.py"
    path.write_text("from ray import tune\n" + BY_HAND + "tune.run(f, local_dir='x')\n")

    assert main(["migrate", "--check", str(path)]) == 1
    shown = capsys.readouterr()
    assert shown.out.splitlines() == [
        f"{path}:1: from ray import tune: write import localtune as tune",
        f"{path}:2: import ray: remove it, once no use of ray is left (by hand)",
        f"{path}:3: ray.nodes: localtune runs on one machine (by hand)",
        f"{path}:4: tune.run(local_dir=): write storage_path=, with an absolute path",
    ]
    assert shown.err == "Found 4 places in 1 file, 2 to change by hand.\n"
    assert main(["migrate", "--write", str(path)]) == 1
    assert capsys.readouterr().err.splitlines() == [
        "Changed 1 file.",
        "To change by hand:",
        f"  {path}:3: import ray: remove it, once no use of ray is left",
        f"  {path}:4: ray.nodes: localtune runs on one machine",
    ]
    assert path.read_text() == (
        "import os\nimport localtune as tune\n"
        + BY_HAND
        + "tune.run(f, storage_path=os.path.abspath('x'))\n"
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (OLD.encode("utf-8-sig"), NEW.encode("utf-8-sig")),
        (OLD.replace("\n", "\r\n").encode(), NEW.replace("\n", "\r\n").encode()),
        (
            b"# coding: latin-1\n" + OLD.encode() + "x = 'ä'\n".encode("latin-1"),
            b"# coding: latin-1\n" + NEW.replace('"', "'").encode() + "x = 'ä'\n".encode("latin-1"),
        ),
        (OLD.rstrip("\n").encode(), NEW.rstrip("\n").encode()),
        (b"", b""),
    ],
)
def test_the_bytes_of_all_else_stay(tmp_path: Path, before: bytes, after: bytes) -> None:
    path = tmp_path / "script.py"
    path.write_bytes(before)
    path.chmod(0o750)

    assert main(["migrate", "--write", str(path)]) == 0
    assert path.read_bytes() == after
    assert stat.S_IMODE(path.stat().st_mode) == 0o750
    assert os.listdir(tmp_path) == ["script.py"]


def test_a_link_stays(tmp_path: Path) -> None:
    target = tmp_path / "target.py"
    target.write_text(OLD)
    (tmp_path / "link.py").symlink_to(target)

    assert main(["migrate", "--write", str(tmp_path / "link.py")]) == 0
    assert target.read_text() == NEW
    assert (tmp_path / "link.py").is_symlink()


def test_directories_are_searched(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a/old.py", ".hidden/old.py", "venv/lib/old.py", "b/python2.py", "b/other.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(OLD)
    (tmp_path / "venv" / "pyvenv.cfg").touch()
    (tmp_path / "b" / "python2.py").write_text("import ray\nprint 1\n")
    (tmp_path / "b" / "other.py").write_text("print 1\n")

    # A file that was not named itself does not keep the others from being changed.
    assert main(["migrate", "--write", str(tmp_path)]) == 1
    assert (tmp_path / "a" / "old.py").read_text() == NEW
    assert (tmp_path / ".hidden" / "old.py").read_text() == OLD
    assert (tmp_path / "venv" / "lib" / "old.py").read_text() == OLD
    message = capsys.readouterr().err
    assert f"{tmp_path}/b/python2.py:2 is not valid for Python 3: " in message
    assert "other.py" not in message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"import ray\nprint 'x'\n", "bad.py:2 is not valid for Python 3"),
        (b"def f(:\n", "bad.py:1 is not valid for Python 3"),
        (b"\0\1\2", "it has null characters"),
        (b"x = '\xff'\n", "is no text in the encoding that it declares"),
        (b"# coding: klingon\n", "is no text in the encoding that it declares"),
        (b"(" * 5000 + b")" * 5000, "bad.py"),
    ],
)
def test_bad_scripts_are_refused_before_a_file_changes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, message: str
) -> None:
    (tmp_path / "old.py").write_text(OLD)
    (tmp_path / "bad.py").write_bytes(content)

    arguments = ["migrate", "--write", str(tmp_path / "old.py"), str(tmp_path / "bad.py")]
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert said.startswith("localtune migrate: ") and message in said
    assert (tmp_path / "old.py").read_text() == OLD


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.py"], "there is no file 'missing.py'."),
        (["data.csv"], "'data.csv' is neither a script (.py) nor a notebook (.ipynb)."),
        (["--check", "--write", "old.py"], "give either --check or --write."),
        (["--write", "-"], "the standard input cannot be changed."),
        (
            ["--write", "old.py", "locked.py"],
            "'locked.py' is not writable. No file has been changed.",
        ),
        (["broken.ipynb"], "'broken.ipynb' is no notebook of Jupyter, format 4."),
    ],
)
def test_what_cannot_be_done_is_refused(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(OLD.encode())))
    for name in ("old.py", "data.csv", "locked.py"):
        Path(name).write_text(OLD)
    Path("locked.py").chmod(0o444)
    Path("broken.ipynb").write_text('{"worksheets": []}')

    assert main(["migrate", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert Path("old.py").read_text() == OLD


def test_the_standard_input_is_a_script(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(OLD.encode())))

    assert main(["migrate", "-"]) == 0
    assert capsys.readouterr().out.startswith("--- a/stdin\n")


def test_json_has_all_places(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "old.py"
    path.write_text(OLD + "\n" + BY_HAND)

    assert main(["migrate", "--json", str(path)]) == 1
    (document,) = json.loads(capsys.readouterr().out)
    assert document["file"] == str(path)
    assert document["changed"] is True
    assert [each["line"] for each in document["uses"]] == [1, 2, 4, 5]
    assert document["by_hand"][1] == {
        "cell": None,
        "line": 5,
        "column": 1,
        "name": "ray.nodes",
        "advice": "localtune runs on one machine",
    }
    assert document["diff"].startswith("--- a/")
    assert main(["migrate", "--json", "--check", str(path)]) == 1
    (document,) = json.loads(capsys.readouterr().out)
    assert [each["line"] for each in document["by_hand"]] == [4, 5]


def _notebook(*sources: Any) -> dict[str, Any]:
    cells = [
        {"cell_type": "code", "execution_count": 1, "metadata": {}, "outputs": [], "source": each}
        for each in sources
    ]
    cells.insert(0, {"cell_type": "markdown", "metadata": {}, "source": ["import ray"]})
    return {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


def test_notebooks_are_changed_cell_by_cell(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "old.ipynb"
    before = _notebook(
        ["!ls ray\n", "%matplotlib inline\n", "import ray\n", "from ray import tune"],
        "if True:\n    %time ray.init()\ntune.report?\ntune.report(loss=1)  # ä",
        ["%%bash\n", "ray stop"],
        ["%%time\n", "tune.run(f, local_dir='x')"],
        ["this is no Python, and", "nothing of ray"],
        "!pip install -q 'ray[tune]' torch",
    )
    path.write_text(json.dumps(before, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    assert main(["migrate", "--check", str(path)]) == 1
    shown = capsys.readouterr().out
    assert f"{path}:3:4: tune.report(loss=x)" in shown
    assert f"{path}:7:1: install ray: install localtune (by hand)" in shown
    assert main(["migrate", "--write", str(path)]) == 1
    left = capsys.readouterr().err.splitlines()[2:]
    assert [each.partition(": ")[0] for each in left] == [
        f"  {path}:3:2",
        f"  {path}:6:1",
        f"  {path}:7:1",
    ]
    after = _notebook(
        ["!ls ray\n", "%matplotlib inline\n", "import os\n", "import localtune as tune"],
        "if True:\n    %time ray.init()\ntune.report?\ntune.report({'loss': 1})  # ä",
        ["%%bash\n", "ray stop"],
        ["%%time\n", "tune.run(f, storage_path=os.path.abspath('x'))"],
        ["this is no Python, and", "nothing of ray"],
        "!pip install -q 'ray[tune]' torch",
    )
    expected = json.dumps(after, indent=1, ensure_ascii=False) + "\n"
    assert path.read_text(encoding="utf-8") == expected
