"""Tests of localtune.compat.program: scripts run as Python itself runs them."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMPAT = ["-m", "localtune.compat"]

SCRIPT = """
import sys
from ray import air, tune
from ray.air import session
from ray.tune.schedulers import ASHAScheduler


def train(config):
    from ray import train as inside
    for step in range(2):
        tune.report(loss=config["a"] * step)
    inside.report({"loss": config["a"] / 2})


def modern(config):
    session.report({"loss": config["a"]})


if __name__ == "__main__":
    space = {"a": tune.grid_search([1, 2])}
    analysis = tune.run(
        train, config=space, local_dir="results", metric="loss", mode="max", verbose=0, name="old",
        log_to_file=True,
    )
    results = tune.Tuner(
        modern, param_space=space, run_config=air.RunConfig(name="new", verbose=0)
    ).fit()
    print(sys.argv, __name__, analysis.best_config, len(results))
"""

# Shows what a script can see of the way in which it runs.
LOOK = """# -*- coding: latin-1 -*-
'''Says what a script sees: \xe9.'''
import sys, os, inspect, pickle, __main__
def add(a, b=1):
    return a + b
class Point:
    x: int = 1
assert __name__ != "__main__" or __main__.__dict__ is globals()
assert pickle.loads(pickle.dumps(add)) is add and type(pickle.loads(pickle.dumps(Point()))) is Point
shown = {k: v for k, v in globals().items() if k.startswith("__") and k != "__main__"}
shown["__loader__"] = getattr(__loader__, "path", __loader__)
shown["__spec__"] = __spec__ and (__spec__.name, __spec__.origin, __spec__.parent)
print(ascii(sorted(shown.items())))
print(sys.argv, sys.path[:2], __name__, sys.flags.optimize, sys.flags.dev_mode)
print(add.__annotations__, Point.__annotations__, add.__code__.co_filename)
try:
    print(inspect.getsource(add))
except OSError as error:
    print(error)
"""


def run(
    folder: Path, arguments: list[str], text: str | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "HOME": str(folder), "PYTHONPATH": str(ROOT)},
        input=text,
        capture_output=True,
        text=True,
    )


def same(folder: Path, arguments: list[str], text: str | None = None, options: str = "") -> str:
    """Runs arguments of Python with and without the shim; returns the output, which is equal."""
    by_python = run(folder, [*options.split(), *arguments], text)
    by_shim = run(folder, [*options.split(), *COMPAT, *arguments], text)
    assert (by_shim.stdout, by_shim.stderr) == (by_python.stdout, by_python.stderr)
    assert by_shim.returncode == by_python.returncode
    return f"{by_shim.returncode}\n{by_shim.stdout}{by_shim.stderr}"


def test_a_script_runs_unchanged_and_says_once_what_to_write(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    done = run(tmp_path, [*COMPAT, "script.py", "--deep"])
    assert done.stdout == "['script.py', '--deep'] __main__ {'a': 2} 2\n"
    assert (tmp_path / "results" / "old").is_dir()
    assert done.stderr.count("tune.report(loss=x)") == 1
    assert done.stderr.count("tune.run(local_dir=)") == 1
    # The notes are not in the files of the trials.
    files = list((tmp_path / "results" / "old").glob("*/stderr"))
    assert [file.read_text() for file in files] == ["", ""]


def test_a_script_sees_what_python_shows_it(tmp_path: Path) -> None:
    look = LOOK.encode("latin-1")
    folder = tmp_path / "project"
    for name in ("look.py", "other.name", "pack/__init__.py", "pack/__main__.py", "pack/sub.py"):
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(look)
    (folder / "pack/relative.py").write_text("from .sub import add\nprint(add(1), __package__)\n")
    (folder / "main_only").mkdir()
    (folder / "main_only/__main__.py").write_text("import beside, sys\nprint(sys.path[:1])\n")
    (folder / "main_only/beside.py").write_text("print(__name__)\n")
    with zipfile.ZipFile(folder / "app.pyz", "w") as archive:
        archive.writestr("__main__.py", "import sys\nprint(__file__, sys.argv)\n")
    (tmp_path / "link.py").symlink_to(folder / "look.py")

    assert "'__file__', " in same(folder, ["look.py", "-x", "--deep=1"], options="-X dev -O -u")
    assert "project" in same(tmp_path, ["project/../project/look.py"])
    assert "project" in same(tmp_path, ["link.py"])
    same(folder, ["other.name"])
    assert "pack" in same(folder, ["-m", "pack", "1"])
    assert "\n2 pack\n" in same(folder, ["-m", "pack.relative"])
    assert "beside" in same(folder, ["main_only"])
    assert "app.pyz" in same(folder, ["app.pyz", "a b"])
    assert "<stdin>" in same(folder, ["-", "1"], text=LOOK.partition("\n")[2])
    assert "<string>" in same(folder, ["-c", LOOK.partition("try:")[0], "-m"])
    if sys.version_info >= (3, 11):
        same(folder, ["look.py"], options="-P")


@pytest.mark.parametrize(
    "script",
    [
        "import sys; sys.exit(3)",
        "import sys; sys.exit('no data')",
        "raise SystemExit",
        "def f():\n    raise KeyError('lr')\nf()\n",
        "try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    raise RuntimeError('x') from e\n",
        "raise KeyboardInterrupt",
        "import sys\nsys.excepthook = lambda *a: print(a[0], a[2].tb_next)\n1 / 0\n",
        "def f(:\n    pass\n",
        "import atexit, threading\natexit.register(print, 'end')\n"
        "threading.Thread(target=print, args=['thread']).start()\n",
        "import broken\n",
    ],
)
def test_a_script_ends_as_under_python(tmp_path: Path, script: str) -> None:
    (tmp_path / "script.py").write_text(script)
    (tmp_path / "broken.py").write_text("x = (\n")
    assert "localtune" not in same(tmp_path, ["script.py"]).replace(str(ROOT), "")


def test_what_cannot_run_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "binary.py").write_bytes(b"x = 1\n\0\xff")
    (tmp_path / "folder").mkdir()
    for arguments, code, expected in (
        ([], 2, "no script is named."),
        (["absent.py"], 2, "cannot read the script 'absent.py': No such file or directory."),
        (["-m"], 2, "-m needs the name of a module."),
        (["-W", "x.py"], 2, "there is no option -W. Options of Python stand before -m"),
        (["-m", "absent"], 1, "No module named absent"),
        (["folder"], 1, "can't find '__main__' module in"),
        (["binary.py"], 1, 'binary.py", line 2'),
    ):
        done = run(tmp_path, [*COMPAT, *arguments])
        assert done.returncode == code
        assert expected in done.stderr
        assert "Traceback" not in done.stderr
        assert done.stdout == ""
    assert "usage:" in run(tmp_path, [*COMPAT, "--help"]).stdout


def test_a_checkout_in_the_current_folder_is_found_by_workers(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("import sys\nprint(sys.path[0], sys.path[-1])\n")
    done = subprocess.run(
        [sys.executable, *COMPAT, str(tmp_path / "script.py")],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": ""},
        capture_output=True,
        text=True,
    )
    assert done.stdout == f"{os.path.realpath(tmp_path)} {ROOT}\n", done.stderr


def test_profilers_run_a_script(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text("def own_function():\n    pass\nown_function()\n")
    done = run(tmp_path, ["-m", "cProfile", *COMPAT, "script.py"])
    assert "(own_function)" in done.stdout, done.stderr


CHILDREN = """
import multiprocessing, sys
from concurrent.futures import ProcessPoolExecutor
from ray import tune

def child(value):
    from ray.tune.schedulers import ASHAScheduler
    return value, __name__, ASHAScheduler.__module__

def in_new_process(method, function, *arguments):
    context = multiprocessing.get_context(method)
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(function, *arguments).result()

if __name__ == "__main__":
    print("spawn", in_new_process("spawn", in_new_process, "spawn", child, 1))
    for method in ("fork", "forkserver"):
        print(method, in_new_process(method, child, 1))
"""


@pytest.mark.slow
def test_processes_of_the_script_have_the_shim(tmp_path: Path) -> None:
    (tmp_path / "children.py").write_text(CHILDREN)
    # The second form finds localtune only where the script itself puts it.
    (tmp_path / "first_line.py").write_text(
        f"import sys\nsys.path.append({str(ROOT)!r})\n"
        f"import localtune.compat; localtune.compat.install()\n{CHILDREN}"
    )
    expected = {
        f"{method} (1, '{name}', 'localtune.schedulers.async_hyperband')"
        for method, name in (
            ("fork", "__main__"),
            ("spawn", "__mp_main__"),
            ("forkserver", "__mp_main__"),
        )
    }
    for arguments in ([*COMPAT, "children.py"], [*COMPAT, "-m", "children"], ["first_line.py"]):
        done = run(tmp_path, arguments)
        assert set(done.stdout.splitlines()) == expected, done.stderr
