"""``localtune run --command``: programs are stopped, killed, resumed, cloned, refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from localtune.tools.cli.main import main
from tests.runs.lifecycle.programs import environment, running, wait_until
from tests.tools.cli.command import PROGRAM, for_json, localtune

pytestmark = pytest.mark.slow

# Counts to its second argument from where its state says. With the file `fail` in its first
# argument, it is killed in the middle of writing its third state.
COUNT_SH = """
n=0; state=$LOCALTUNE_CHECKPOINT_DIR/n
[ -f "$state" ] && read n < "$state"
while [ $n -lt $2 ]; do
  n=$((n + 1))
  if [ $n -eq 3 ] && [ -e "$1/fail" ]; then
    printf half > "$state"; : > "$1/is_writing"; exec sleep 300
  fi
  echo $n > "$state"; echo "{\\"count\\": $n, \\"checkpoint\\": true}"; read go || exit 1
done
"""


def test_a_run_that_is_killed_while_a_program_writes_goes_on_from_the_state_before(
    tmp_path: Path,
) -> None:
    (tmp_path / "count.sh").write_text(COUNT_SH)
    (tmp_path / "fail").touch()
    arguments = ["run", "--command", "sh count.sh {dir} {limit}", "--lockstep"]
    arguments += ["--param", f"dir={tmp_path}", "--param", "limit=4"]
    arguments += ["--metric", "count", "--mode", "max", "--storage", "s", "--name", "a"]
    with running([*PROGRAM, *arguments], tmp_path, env=environment()) as program:
        wait_until((tmp_path / "is_writing").exists, "the third state is being written")
        program.kill()
        program.wait(60)
    (tmp_path / "fail").unlink()
    (tmp_path / "elsewhere").mkdir()

    # The script is found, although its path is relative to where the run was started.
    outcome = for_json(tmp_path / "elsewhere", "resume", "../s/a")

    assert outcome["trials"] == {"TERMINATED": 1}
    assert outcome["best"]["result"]["count"] == 4
    trial = for_json(tmp_path, "show", "s/a", "0")
    rows = [json.loads(row) for row in Path(trial["path"], "result.json").read_text().splitlines()]
    assert [row["count"] for row in rows] == [1, 2, 3, 4]
    assert trial["command"].endswith(f"count.sh {tmp_path} 4")
    assert f"command      {trial['command']}\n" in localtune(tmp_path, "show", "s/a", "0").stdout
    assert for_json(tmp_path, "best", "s/a")["command"] == trial["command"]


TRAIN_AWK = """
BEGIN {
  for (step = 1; step <= 9; step++) {
    printf "step %d\\n loss: %s\\n", step, ARGV[1] / step; fflush()
  }
}
"""


def test_asha_stops_programs_whose_output_a_pattern_reads(tmp_path: Path) -> None:
    (tmp_path / "train.awk").write_text(TRAIN_AWK)
    command = ["--command", "awk -f train.awk {level}"]
    pattern = r"step (?P<step>\d+)|loss: (?P<loss>\S+)"
    arguments = [*command, "--pattern", pattern, "--param", "level=grid_search([1, 2, 3, 4])"]
    arguments += ["--scheduler", "asha(max_t=9, grace_period=1, reduction_factor=3)"]
    arguments += ["--metric", "loss", "--mode", "min", "--max-concurrent", "1"]

    outcome = for_json(tmp_path, "run", *arguments, "--storage", "s", "--name", "a")

    assert outcome["best"]["result"]["step"] == outcome["best"]["result"]["training_iteration"] == 9
    trials = for_json(tmp_path, "show", "s/a")["trials"]
    assert [each["results"] for each in trials] == [9, 1, 1, 1]
    assert [each["command"].rsplit(" ", 1)[1] for each in trials] == ["1", "2", "3", "4"]


def test_a_program_that_keeps_its_output_back_is_no_success(tmp_path: Path) -> None:
    (tmp_path / "late.sh").write_text("echo '{\"los\": 1}'; exec sleep 300")
    arguments = ["run", "--command", "sh late.sh", "--metric", "loss", "--mode", "min"]

    done = localtune(tmp_path, *arguments, "--time-budget", "2", "--storage", "s", "--name", "a")

    assert done.returncode == 1
    assert "1 trial ended without a result of its program" in done.stderr
    assert "was stopped before it had reported a result" in done.stderr
    assert 'The last lines of its output:\n{"los": 1}' in done.stderr
    # A program that tells where its parameters are read from is shown with them.
    arguments = ["run", "--command", "printenv LOCALTUNE_PARAM_X", "--params-by", "env"]
    arguments += ["--param", "x=5", "--pattern", "(?P<loss>[0-9]+)", "--storage", "s"]
    assert localtune(tmp_path, *arguments, "--name", "b").returncode == 0
    shown = for_json(tmp_path, "show", "s/b", "0")["command"]
    assert shown.startswith("env LOCALTUNE_PARAM_X=5 ") and shown.endswith(" LOCALTUNE_PARAM_X")


SLOPE_PY = """
import json, os, sys

state = os.path.join(os.environ["LOCALTUNE_CHECKPOINT_DIR"], "state.json")
with open(os.environ["LOCALTUNE_PARAMS_FILE"]) as file:
    rate = json.load(file)["rate"]
step, score = json.load(open(state)) if os.path.exists(state) else (0, 0)
while step < 6:
    step, score = step + 1, score + rate
    with open(state, "w") as file:
        json.dump([step, score], file)
    result = {"score": score, "unit": os.environ["UNIT"], "checkpoint": True}
    print(json.dumps(result), flush=True)
    sys.stdin.readline() or sys.exit(1)
"""
SWEEP_TOML = """
command = ["python", "slope.py"]
params_by = "file"
lockstep = true
env = {UNIT = "m"}
metric = "score"
mode = "max"
scheduler = '''pbt(time_attr="training_iteration", perturbation_interval=2, synch=True,
    resample_probability=0, hyperparam_mutations={"rate": [100.0, 200.0]})'''
storage = "s"
name = "pbt"

[param_space]
rate = "grid_search([1.0, 100.0])"
"""


def test_a_sweep_file_runs_programs_that_pbt_clones(tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "slope.py").write_text(SLOPE_PY)
    (folder / "sweep.toml").write_text(SWEEP_TOML)

    # Paths in a sweep file start at its directory.
    outcome = for_json(tmp_path, "run", "files/sweep.toml")

    assert outcome["trials"] == {"TERMINATED": 2}
    bad, good = for_json(tmp_path, "show", "files/s/pbt")["trials"]
    assert (good["result"]["unit"], good["results"], bad["results"]) == ("m", 6, 6)
    # On its own it would have come to 6.
    assert bad["result"]["score"] > 200


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["no-such-program"], "was not found in any directory of PATH"),
        (["./data.txt"], "is not executable. Make it so"),
        (["sh {lr} {rl}", "--param", "lr=1"], "{rl}, but there is no such parameter"),
        (["sh", "--param", "lr=1"], "--lr={lr}'; or say --params-by env or file"),
        (["sh {seed}", "--param", "seed=1"], "'seed' has a reserved name"),
        (["sh {model/lr", "--param", "lr=1"], "A brace in a command must belong"),
        (["sh a.sh > log.txt"], "has '>' as an argument, but no shell runs"),
        (["sh a.sh | tee log.txt"], "Say --shell to run the command through the shell"),
        (["sh 'a"], "No closing quotation"),
        (["echo '{lr}'", "--param", "lr=1", "--shell"], "stands between quotes"),
        (["sh", "--pattern", "loss=(?P<los>.*)"], "--pattern must have a group for the metric"),
        (["sh", "--pattern", "(?P<loss>.*)", "--results", "file"], "but --results file looks"),
    ],
)
def test_a_command_that_makes_no_sense_is_refused_before_anything_is_written(
    arguments: list[str],
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.txt").touch()
    goal = ["--metric", "loss", "--mode", "min", "--storage", "s"]

    assert main(["run", "--command", *arguments, *goal]) == 2

    assert says in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["data.txt"]


@pytest.mark.parametrize(
    ("key", "line", "says"),
    [
        ("command", 'command = "sh {"', "A brace in a command"),
        ("command", 'command = ["sh", 1]', "Put it in quotes"),
        ("pattern", 'command = "sh"\npattern = "("', "cannot be compiled"),
        ("env/A", 'command = "sh"\nenv = {A = 1}', "must be a text"),
        ("shell", 'trainable = "a.py:b"\nshell = true', "the file has a trainable, too"),
    ],
)
def test_an_error_in_a_sweep_file_names_file_and_key(
    key: str, line: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "sweep.toml"
    file.write_text(line)

    assert main(["run", str(file), "--storage", str(tmp_path / "s")]) == 2

    said = capsys.readouterr().err
    assert f"{file}, line {len(line.splitlines())}, key {key!r}: " in said
    assert says in said
    assert list(tmp_path.iterdir()) == [file]


def test_programs_that_fail_say_how_and_what_was_run(tmp_path: Path) -> None:
    bodies = {
        "code": "echo before; echo no data >&2; exit 3",
        "garbage": "head -c 3000000 /dev/urandom; echo; echo the end",
        "other": "echo '{\"los\": 1}'",
    }
    (tmp_path / "job.sh").write_text(
        "case $1 in " + " ".join(f"{name}) {body};;" for name, body in bodies.items()) + " esac"
    )
    arguments = ["--command", "sh job.sh {way}", "--param", f"way=grid_search({list(bodies)})"]
    arguments += ["--metric", "loss", "--mode", "min"]

    done = localtune(
        tmp_path, "run", *arguments, "--storage", "s", "--name", "a", "--log-to-file", "--json"
    )

    assert done.returncode == 1
    assert json.loads(done.stdout)["trials"] == {"ERROR": 3}
    errors: dict[str, Any] = {
        each["config"]["way"]: each["error"] for each in for_json(tmp_path, "show", "s/a")["trials"]
    }
    assert "The program ended with exit code 3: no data" in errors["code"]
    assert "job.sh code\n\nThe last lines of its error output:\nno data" in errors["code"]
    for name, last in (("garbage", "the end"), ("other", '{"los": 1}')):
        assert "no line of its output is a JSON object with the metric 'loss'" in errors[name]
        assert "The last lines of its output:\n" in errors[name] and last in errors[name]


def test_a_program_that_never_ends_is_ended_by_a_time_limit(tmp_path: Path) -> None:
    limit = ["--trial-timeout", "0.5", "--grace", "0", "--storage", "s", "--name", "a"]
    outcome = for_json(tmp_path, "run", "--command", "sleep 300", *limit, code=1)

    assert outcome["trials"] == {"ERROR": 1}
    assert "trial_timeout_s=0.5 is set" in for_json(tmp_path, "show", "s/a", "0")["error"]
