"""Programs in several languages as trials: stopped early, paused, resumed, cloned, killed."""

from __future__ import annotations

import json
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

import localtune as tune
from localtune.schedulers import ASHAScheduler, PopulationBasedTraining
from localtune.trainable.util import validate_save_restore
from tests.small_runs import PauseAlways, Program, fit, make_tuner, processes, rows

# Programs that count to their first argument. Each goes on from the number in the file `n` of its
# checkpoint directory, and waits after each result.
COUNTERS = {
    "sh": """
        n=0; [ -f "$LOCALTUNE_CHECKPOINT_DIR/n" ] && read n < "$LOCALTUNE_CHECKPOINT_DIR/n"
        while [ $n -lt $1 ]; do
          n=$((n + 1)); echo $n > "$LOCALTUNE_CHECKPOINT_DIR/n"
          echo "{\\"count\\": $n, \\"checkpoint\\": true}"; read go || exit
        done""",
    "awk": """
        BEGIN { file = ENVIRON["LOCALTUNE_CHECKPOINT_DIR"] "/n"; n = 0
          wait = "read go && echo $go"
          if ((getline line < file) > 0) n = line
          while (n < ENVIRON["LOCALTUNE_PARAM_LIMIT"] + 0) {
            print ++n > file; close(file)
            printf "{\\"count\\": %d, \\"checkpoint\\": true}\\n", n; fflush()
            # Some awk would read more than one line itself.
            if ((wait | getline go) <= 0) exit
            close(wait) } }""",
    "perl": """
        $| = 1; my $file = "$ENV{LOCALTUNE_CHECKPOINT_DIR}/n"; my $n = 0;
        if (open(my $in, "<", $file)) { $n = <$in>; }
        while ($n < $ARGV[0]) {
          $n++; open(my $out, ">", $file); print $out $n; close($out);
          print "{\\"count\\": $n, \\"checkpoint\\": true}\\n"; defined(<STDIN>) or exit; }""",
    "python": """if True:
        import json, os, sys
        path = os.path.join(os.environ["LOCALTUNE_CHECKPOINT_DIR"], "n")
        n = int(open(path).read()) if os.path.exists(path) else 0
        while n < int(sys.argv[1]):
            n += 1
            with open(path, "w") as file:
                file.write(str(n))
            print(json.dumps({"count": n, "checkpoint": True}), flush=True)
            sys.stdin.readline() or sys.exit()""",
}
STARTS = {
    "sh": ["sh", "-c"],
    "awk": ["awk"],
    "perl": ["perl", "-e"],
    "python": [sys.executable, "-c"],
}
# A machine need not have all of them.
LANGUAGES = [each for each in STARTS if shutil.which(STARTS[each][0])]


def counter(language: str, **options: Any) -> tune.Command:
    """The command of a program that counts to the parameter ``limit``."""
    source = COUNTERS[language].replace("{", "{{").replace("}", "}}")
    arguments = [*STARTS[language], source]
    if language == "awk":
        options["params_by"] = "env"
    else:
        arguments += ["counter"] if language == "sh" else []
        arguments.append("{limit}")
    return tune.Command(arguments, lockstep=True, **options)


def counts(result: Any) -> list[int]:
    return [row["count"] for row in rows(result)]


def test_sh_is_always_there() -> None:
    assert {"sh", "python"} <= set(LANGUAGES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_program_that_is_paused_goes_on_from_its_state(language: str, tmp_path: Path) -> None:
    options: dict[str, Any] = {"scheduler": PauseAlways(), "metric": "count", "mode": "max"}
    (result,) = fit(counter(language), tmp_path, {"limit": 3}, **options)
    assert result.error is None
    assert counts(result) == [1, 2, 3]
    assert [row["training_iteration"] for row in rows(result)] == [1, 2, 3]
    # Each result has its own state, and nothing else is left.
    made = [Path(path.path, "n").read_text().strip() for path, _ in result.best_checkpoints]
    assert made == ["1", "2", "3"]
    assert not list(Path(result.path).glob(".staging*"))


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_program_keeps_the_contract_of_saving(language: str) -> None:
    assert validate_save_restore(counter(language), {"limit": 10})


def test_programs_are_stopped_early_by_a_signal(tmp_path: Path) -> None:
    source = (
        'trap "echo $1 > stopped; exit" TERM; n=0\n'
        'while [ $n -lt 9 ]; do n=$((n+1)); echo "{{\\"loss\\": $1}}"; read go || sleep 60; done'
    )
    grid = fit(
        tune.Command(["sh", "-c", source, "train", "{level}"], lockstep=True),
        tmp_path,
        {"level": tune.grid_search([1, 2, 3, 4])},
        executor=processes(1),
        scheduler=ASHAScheduler(max_t=9, grace_period=1, reduction_factor=3),
        metric="loss",
        mode="min",
    )
    assert [each.error for each in grid] == [None] * 4
    assert [each.metrics["training_iteration"] for each in grid] == [9, 1, 1, 1]
    stopped = [Path(each.path, "stopped") for each in grid]
    assert [path.exists() for path in stopped[1:]] == [True] * 3


# Reports by localtune.report, with a checkpoint of its own.
SLOPE = """
import json, os, sys
import localtune as tune

step, score, origin = 0, 0.0, None
if tune.get_checkpoint():
    origin = tune.get_checkpoint().path
    step, score = json.load(open(os.path.join(origin, "state")))
while step < 8:
    step, score = step + 1, score + float(sys.argv[1])
    os.makedirs("made", exist_ok=True)
    with open("made/state", "w") as file:
        json.dump([step, score], file)
    metrics = {"score": score, "origin": origin, "id": tune.get_context().get_trial_id()}
    tune.report(metrics, checkpoint=tune.Checkpoint(os.path.abspath("made")))
"""


def test_a_program_is_cloned_by_pbt(tmp_path: Path) -> None:
    script = tmp_path / "slope.py"
    script.write_text(SLOPE)
    scheduler = PopulationBasedTraining(
        "training_iteration",
        perturbation_interval=3,
        resample_probability=0,
        hyperparam_mutations={"rate": [50.0, 100.0, 200.0]},
    )
    root = Path(__file__).parents[2]
    bad, good = fit(
        tune.Command([sys.executable, str(script), "{rate}"], env={"PYTHONPATH": str(root)}),
        tmp_path,
        {"rate": tune.grid_search([1.0, 100.0])},
        executor=processes(1),
        scheduler=scheduler,
        metric="score",
        mode="max",
        seed=1,
    )
    assert bad.error is good.error is None
    assert good.metrics["score"] == 800
    assert bad.metrics["score"] > 300
    origins = {row["origin"] for row in rows(bad)}
    assert any(origin and origin.startswith(good.path) for origin in origins)
    assert {row["id"] for row in rows(bad)} == {bad.metrics["trial_id"]}


def test_a_try_that_dies_while_it_writes_leaves_the_state_before(tmp_path: Path) -> None:
    source = """
n=$(cat "$LOCALTUNE_CHECKPOINT_DIR/n" 2> /dev/null || echo 0)
echo $n >> "$LOCALTUNE_TRIAL_DIR/starts"
while [ $n -lt 4 ]; do
  n=$((n + 1))
  if [ $n = 3 ] && [ ! -f tried ]; then
    touch tried; printf half > "$LOCALTUNE_CHECKPOINT_DIR/n"; kill -9 $$
  fi
  echo $n > "$LOCALTUNE_CHECKPOINT_DIR/n"; echo "{\\"count\\": $n, \\"checkpoint\\": true}"; read go
done"""
    source = source.replace("{", "{{").replace("}", "}}")
    (result,) = fit(
        tune.Command(["sh", "-c", source], lockstep=True),
        tmp_path,
        executor=processes(1),
        max_failures=1,
        metric="count",
        mode="max",
    )
    assert result.error is None
    assert Path(result.path, "starts").read_text().split() == ["0", "2"]
    assert counts(result) == [1, 2, 3, 4]
    assert "was ended by SIGKILL" in Path(result.path, "error.txt").read_text()


RESUMABLE = """
import sys
from tests.runs.test_programs import resumable
resumable({path!r}).fit()
"""


def resumable_command(go: Path) -> tune.Command:
    """A program that counts to 2, or to 4 once a file is there."""
    limit = f"(4 if os.path.exists({str(go)!r}) else 2)"
    source = COUNTERS["python"].replace("int(sys.argv[1])", limit)
    source += "\n        while n == 2:\n            sys.stdin.read()"
    source = source.replace("{", "{{").replace("}", "}}")
    return tune.Command([sys.executable, "-c", source], lockstep=True, name="counter")


def resumable(path: str) -> tune.Tuner:
    """A run of that program, which does not end before the file is there."""

    class Note(tune.Callback):
        def on_checkpoint(self, iteration, trials, trial, checkpoint, **info):  # type: ignore[no-untyped-def]
            print("saved", trial.last_result["count"], flush=True)

    return make_tuner(
        resumable_command(Path(path, "go")),
        Path(path),
        executor=processes(1),
        metric="count",
        mode="max",
        callbacks=[Note()],
    )


def test_a_killed_run_ends_its_programs_and_is_resumed(tmp_path: Path) -> None:
    program = Program(RESUMABLE.format(path=str(tmp_path)))
    program.wait_for("saved 2")
    family = psutil.Process(program.process.pid).children(recursive=True)
    program.end(signal.SIGKILL)
    _, alive = psutil.wait_procs(family, timeout=10)
    assert alive == []

    (tmp_path / "go").touch()
    command = resumable_command(tmp_path / "go")
    (result,) = tune.Tuner.restore(tmp_path / "run", command, executor=processes(1)).fit()
    assert result.error is None
    assert counts(result) == [1, 2, 3, 4]
    assert (
        json.loads(Path(str(result.path), "program.json").read_text())["argv"][0] == sys.executable
    )
