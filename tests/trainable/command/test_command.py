"""Command: a program as a trainable, in whole runs."""

from __future__ import annotations

import json
import os
import pickle
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

import localtune as tune
from localtune.error import ProgramError
from localtune.trainable.command import program_run
from localtune.utils.source import source_digest
from tests.small_runs import fit, processes, rows

GOAL = {"metric": "loss", "mode": "min"}
ROOT = Path(__file__).parents[3]


def shell(text: str, **options: Any) -> tune.Command:
    """A command for the shell without placeholders."""
    return tune.Command(text.replace("{", "{{").replace("}", "}}"), shell=True, **options)


def python(source: str, *arguments: str, **options: Any) -> tune.Command:
    """A program in Python that can import localtune."""
    source = source.replace("{", "{{").replace("}", "}}")
    options.setdefault("env", {"PYTHONPATH": str(ROOT)})
    return tune.Command([sys.executable, "-c", source, *arguments], **options)


# -- construction ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "options", "text"),
    [
        ([], {}, "must name a program"),
        ("  ", {}, "must name a program"),
        (["sh", 3], {}, "must be a list of texts, but it has 3"),
        ("sh 'open", {}, "cannot be split into arguments"),
        ("sh train.sh 2>&1 | tee 'a b'", {}, "has '2>&1' as an argument, but no shell runs"),
        ("make && ./fit", {}, "has '&&' as an argument"),
        (["sh", "{"], {}, "must belong to the name of a parameter"),
        (["sh"], {"shell": True}, "the command must be one text"),
        ("f '{x}'", {"shell": True}, "between quotes"),
        ("sh", {"params_by": "arg"}, "params_by must be one of 'args', 'env', 'file'"),
        ("sh", {"results": "lines"}, "results must be one of"),
        ("sh", {"results": "file", "pattern": "(?P<x>.)"}, "looks elsewhere"),
        ("sh", {"pattern": "("}, "cannot be compiled"),
        ("sh", {"pattern": "x"}, "must have named groups"),
        ("sh", {"pattern": "(?P<x>.)", "metric": "y"}, "a group for the metric 'y'"),
        ("sh", {"grace_s": -1}, "grace_s must be a number of seconds"),
        ("sh", {"grace_s": float("nan")}, "grace_s must be a number of seconds"),
        ("sh", {"env": {"A": 1}}, "env must be a dict of texts"),
        ("sh", {"metrics_file": "../x"}, "metrics_file must be the path of a file"),
        ("sh", {"final_file": "/x"}, "final_file must be the path of a file"),
    ],
)
def test_wrong_arguments_are_refused(arguments: Any, options: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError) as caught:
        tune.Command(arguments, **options)
    assert text in str(caught.value)


def test_an_argument_in_quotes_may_look_like_a_part_of_a_shell_command() -> None:
    command = tune.Command(r"""cut -d '|' \; "a | b" x>y""")
    words = [each.text for each in command.argv]
    assert words == ["cut", "-d", "|", ";", "a | b", "x>y"]
    assert [each.text for each in tune.Command(["cut", "|"]).argv] == ["cut", "|"]


@pytest.mark.parametrize(
    ("argv", "name"),
    [
        ("python train.py --lr={lr}", "train"),
        (["python3.11", "-u", "a/fit.py"], "fit"),
        ("python -m package.train", "package"),
        (["sh", "-c", "echo hi", "x"], "sh"),
        ("./my-prog.sh {x}", "my-prog"),
        ("python {script}", "python"),
        (["/a b/c d"], "c_d"),
    ],
)
def test_the_name_is_that_of_the_program_or_its_script(argv: Any, name: str) -> None:
    assert tune.Command(argv).__name__ == name


def test_a_copy_in_another_process_is_the_same() -> None:
    command = tune.Command("sh -c 'echo {x}'", pattern="(?P<x>.)", env={"A": None})
    copy = pickle.loads(pickle.dumps(command))
    assert repr(copy) == repr(command) == "Command(['sh', '-c', 'echo {x}'])"
    assert copy.source_text() == command.source_text()


def test_a_changed_script_is_another_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    script = tmp_path / "train.py"
    digests = []
    for text in ("1", "1", "2"):
        script.write_text(text)
        command = tune.with_resources(tune.Command([sys.executable, "train.py"]), {"cpu": 1})
        digests.append(source_digest(command))
    assert None not in digests
    assert digests[0] == digests[1] != digests[2]


def test_a_command_is_no_function_to_be_called() -> None:
    with pytest.raises(RuntimeError, match="as a trial only"):
        tune.Command("sh")({})


# -- what a program gets --------------------------------------------------------------------------


def test_a_program_gets_its_parameters_and_facts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KEPT", "1")
    monkeypatch.setenv("REMOVED", "1")
    source = """
import json, os, sys
print(json.dumps({"loss": 0, "argv": sys.argv[1:], "env": dict(os.environ), "cwd": os.getcwd(),
                  "params": json.load(open("params.json")), "stdin": sys.stdin.read()}))"""
    Path("train.py").write_text(source)
    command = tune.Command(
        [
            sys.executable,
            "train.py",
            "{a/b}",
            "--id={trial_id}",
            "{seed}",
            "{original_dir}",
            "{{x}}",
        ],
        params_by="env",
        env={"REMOVED": None, "ADDED": "2"},
    )
    space = {"a": {"b": "two words; $HOME"}, "PATH": "harmless", "list": [1, 2]}
    (result,) = fit(command, tmp_path, space, **GOAL)
    told, env, path = result.metrics, result.metrics["env"], result.path
    trial_id, seed = told["trial_id"], env["LOCALTUNE_TRIAL_SEED"]
    assert told["argv"] == ["two words; $HOME", f"--id={trial_id}", seed, str(tmp_path), "{x}"]
    assert told["params"] == space
    assert told["cwd"] == env["LOCALTUNE_TRIAL_DIR"] == path
    assert told["stdin"] == ""
    assert env["LOCALTUNE_PARAM_A__B"] == "two words; $HOME"
    assert env["LOCALTUNE_PARAM_PATH"] == "harmless" and env["PATH"] == os.environ["PATH"]
    assert env["LOCALTUNE_PARAM_LIST"] == "[1, 2]"
    assert env["TUNE_ORIG_WORKING_DIR"] == str(tmp_path)
    assert env["LOCALTUNE_PARAMS_FILE"] == os.path.join(path, "params.json")
    assert env["PYTHONUNBUFFERED"] == "1"
    assert (env["KEPT"], env["ADDED"], env.get("REMOVED")) == ("1", "2", None)
    kept = json.loads(Path(path, "program.json").read_text())
    assert kept["argv"][1:3] == [str(tmp_path / "train.py"), "two words; $HOME"]
    assert "'two words; $HOME'" in kept["command"]
    assert kept["environment"]["LOCALTUNE_PARAM_PATH"] == "harmless"
    assert not {"KEPT", "ADDED"} & kept["environment"].keys()


# -- how results come back ------------------------------------------------------------------------

THREE = "for n in 1 2 3; do echo '{\"loss\": '$n'}'; done"
REPORTS = """
import subprocess, sys, localtune
for n in 1, 2, 3:
    localtune.report({"loss": n, "id": localtune.get_context().get_trial_id()})"""
# Python closes descriptors for what it starts: the channel is lost.
WITHOUT_CHANNEL = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {REPORTS!r}])"


@pytest.mark.parametrize(
    ("command", "losses"),
    [
        (shell(THREE), [1, 2, 3]),
        (shell(f"({THREE}) >> metrics.jsonl"), [1, 2, 3]),
        (shell(f"({THREE}) > other; {THREE}", metrics_file="other", results="file"), [1, 2, 3]),
        (shell(f"yes x | head -n 1000000 > metrics.jsonl; ({THREE}) >> metrics.jsonl"), [1, 2, 3]),
        (shell("echo '{\"loss\": 4}' > metrics.json; echo '{\"acc\": 1}'"), [4]),
        (shell("echo loss=1; echo loss=2 >&2; sleep 0", pattern=r"loss=(?P<loss>\d)"), None),
        (shell("echo '{\"loss\": 4}' > metrics.json; echo '{\"loss\": 1}'"), [1]),
        (shell(f"echo '{{\"acc\": 4}}'; {THREE}", metric="acc"), [None]),
        (python(REPORTS), [1, 2, 3]),
        (python(WITHOUT_CHANNEL), [1, 2, 3]),
        (python(REPORTS + "\nprint('{\"loss\": 9}')", results="stdout"), [9]),
    ],
    ids=[
        "stdout",
        "file",
        "named",
        "long",
        "final",
        "pattern",
        "first",
        "metric",
        "report",
        "lost",
        "ignored",
    ],
)
def test_results_come_back(command: tune.Command, losses: Any, tmp_path: Path) -> None:
    goal = {} if command.metric else GOAL
    (result,) = fit(command, tmp_path, **goal)
    assert result.error is None
    found = [row.get("loss") for row in rows(result)]
    # The order of two streams is not known.
    assert {*found} == {1, 2} if losses is None else found == losses


def test_a_platform_whose_processes_inherit_nothing_uses_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program_run, "CAN_INHERIT", False)
    source = """
import localtune, os
os.makedirs("made")
localtune.report({"loss": 1}, checkpoint=localtune.Checkpoint(os.path.abspath("made")))
localtune.report({"loss": 2})"""
    (result,) = fit(python(source), tmp_path, **GOAL)
    assert result.error is None
    assert [row["loss"] for row in rows(result)] == [1, 2]
    assert os.path.basename(result.checkpoint.path) == "checkpoint_000000"
    assert not list(Path(result.path).glob(".staging*"))


def test_reports_take_the_state_of_the_checkpoint_directory(tmp_path: Path) -> None:
    source = """
import localtune, os
for n in 1, 2:
    open(os.environ["LOCALTUNE_CHECKPOINT_DIR"] + "/n", "w").write(str(n))
    localtune.report({"loss": n, "checkpoint": n == 1})
os.remove(os.environ["LOCALTUNE_CHECKPOINT_DIR"] + "/n")"""
    (result,) = fit(python(source), tmp_path, **GOAL)
    assert result.error is None
    assert Path(result.checkpoint.path, "n").read_text() == "1"
    assert result.checkpoint.path == result.best_checkpoints[0][0].path


def test_all_output_is_passed_on_and_only_results_count(tmp_path: Path) -> None:
    source = """
import os, sys
out = sys.stdout.buffer
out.write(b"{" * 5_000_000 + b"\\n")
out.write(os.urandom(100_000).replace(b"{", b"x") + b"\\n")
for _ in range(300):
    out.write((b"x" * 1023 + b"\\n") * 64)
out.write(b'{"loss": 1\\n{"loss": 2}')"""
    (result,) = fit(python(source), tmp_path, log_to_file=True, **GOAL)
    assert [row["loss"] for row in rows(result)] == [2]
    assert Path(result.path, "stdout").stat().st_size == 5_000_001 + 100_001 + 300 * 65_536 + 22


# -- ends -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "texts"),
    [
        (
            shell("echo some words; exit 3"),
            ["ended with exit code 3: some words", "some words; exit"],
        ),
        (shell("echo a >&2; echo b; kill -SEGV $$"), ["was ended by SIGSEGV: a", "output:\nb"]),
        (shell("exit 3"), ["It printed nothing."]),
        (
            shell("echo '{\"acc\": 1}'"),
            ["JSON object with the metric 'loss'", "had: acc.", 'output:\n{"acc": 1}'],
        ),
        (
            shell('echo \'{"l": 1, "lo": 1}\'; echo \'{"x": 1}\' > metrics.json'),
            ["The objects had: l, lo, x. Did you mean 'lo'?"],
        ),
        (
            shell("echo loss=0.25,", pattern=r"loss=(?P<loss>\S+)"),
            ["found '0.25,' for the metric 'loss'", "numbers only: (?P<loss>[-+.eE0-9]+)."],
        ),
        (shell('echo \'{"loss": "0.25"}\''), ["'0.25' as the metric 'loss'. Print a number."]),
        (
            shell("echo acc 1", pattern="loss (?P<loss>.)"),
            ["matches the pattern 'loss (?P<loss>.)'"],
        ),
        (shell("true", results="final"), ["metrics.json is no JSON object with the metric 'loss'"]),
        (shell(f"({THREE}) > metrics.jsonl; {THREE}"), ["in two ways", "results='stdout'"]),
        (shell('echo \'{"loss": 1, "checkpoint": true}\''), ["wrote nothing to {checkpoint_dir}"]),
        (tune.Command("{program}"), ["The program 'no-such' was not found"]),
        (tune.Command("./odd"), ["could not be started", "Exec format error"]),
        (shell("x=$(head -c 200000 /dev/zero | tr '\\0' y); echo $x; exit 1"), ["yyyy"]),
    ],
    ids=[
        "exit",
        "signal",
        "silent",
        "no-metric",
        "near-metric",
        "wide-match",
        "text-metric",
        "no-match",
        "no-final",
        "two-ways",
        "no-state",
        "missing",
        "odd",
        "long",
    ],
)
def test_a_failure_says_what_happened(
    command: tune.Command, texts: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("odd").write_bytes(b"\x7fELF odd")
    Path("odd").chmod(0o755)
    space = {"program": "no-such"} if command.argv[0].names else {}
    (result,) = fit(command, tmp_path, space, **GOAL)
    assert isinstance(result.error, (ProgramError, OSError))
    text = str(result.error)
    for each in texts:
        assert each in text
    assert "Traceback" not in text or isinstance(result.error, OSError)
    assert len(text) < 5_000


def test_an_error_suggests_the_abbreviation_of_a_metric(tmp_path: Path) -> None:
    command = shell('echo \'{"a": 1, "acc": 1, "loss": 1}\'')
    (result,) = fit(command, tmp_path, metric="accuracy", mode="max")
    assert "The objects had: a, acc, loss. Did you mean 'acc'?" in str(result.error)


def test_a_program_that_never_ends_is_ended_with_what_it_has_started(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    # It prints its id and that of a process that has left its session, and ignores SIGTERM.
    source = """
trap '' TERM
python -c 'import os, time; os.setsid(); print(os.getpid(), flush=True); time.sleep(600)' > other &
while ! [ -s other ]; do sleep 0.01; done
echo '{"los": 1}'
echo $$ $(cat other) > pids
while true; do sleep 1; done""".replace("python", sys.executable)

    (result,) = fit(
        shell(source, grace_s=0.1), tmp_path, executor=processes(1), time_budget_s=1.0, **GOAL
    )
    assert result.error is None
    pids = [int(each) for each in Path(result.path, "pids").read_text().split()]
    assert len(pids) == 2
    assert not any(psutil.pid_exists(pid) for pid in pids)
    said = capfd.readouterr().err
    assert "was stopped before it had reported a result: no line of its output is a JSON" in said
    assert "The objects had: los. Did you mean 'los'?" in said
    assert "let it flush each line" in said and 'of its output:\n{"los": 1}' in said


def test_a_stopped_program_unwinds_from_its_report(tmp_path: Path) -> None:
    source = """
import localtune
n = 0
try:
    while True:
        n += 1
        localtune.report({"loss": n})
finally:
    open("unwound", "w").write(str(n))"""
    (result,) = fit(python(source), tmp_path, stop={"training_iteration": 2}, **GOAL)
    assert result.error is None
    assert Path(result.path, "unwound").read_text() == "2"
    assert [row["loss"] for row in rows(result)] == [1, 2]


def test_the_state_at_a_good_end_counts(tmp_path: Path) -> None:
    text = "echo 1 > $LOCALTUNE_CHECKPOINT_DIR/n; echo '{\"loss\": 1}'"
    good, bad = (
        fit(shell(f"{text}; exit {code}"), tmp_path, name=f"exit{code}", **GOAL)[0]
        for code in (0, 1)
    )
    assert Path(good.checkpoint.path, "n").read_text() == "1\n"
    assert len(rows(good)) == 1 and good.metrics["loss"] == 1
    assert bad.checkpoint is None and isinstance(bad.error, ProgramError)
