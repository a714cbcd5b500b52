"""Tests of localtune.tools.migrate.change: pairs of scripts, before and after.

The pairs stand in ``pairs/*.txt``.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from localtune.old_names.table import OLD_NAMES
from localtune.tools.migrate.change import findings, migrated
from localtune.tools.migrate.rewriters import BY_HAND, REWRITERS

_PAIR = re.compile(r"^=== (.*)\n((?:.*\n)*?)---\n((?:.*\n)*?)(?==== |\Z)", re.MULTILINE)
PAIRS = {
    f"{path.stem}: {title}": (before, after)
    for path in sorted((Path(__file__).parent / "pairs").glob("*.txt"))
    for title, before, after in _PAIR.findall(path.read_text("utf-8"))
}


@pytest.mark.parametrize(("before", "after"), PAIRS.values(), ids=PAIRS)
def test_a_script_is_changed(before: str, after: str) -> None:
    assert migrated(before) == (after, [])


def test_a_second_change_does_nothing() -> None:
    for _, after in PAIRS.values():
        assert migrated(after) == (after, [])
        assert findings(after) == []


def test_names_of_other_modules_are_not_found() -> None:
    before, _ = PAIRS["imports: names that mean something else"]
    assert findings(before) == []


def test_each_row_of_the_table_is_changed_or_left_to_hand() -> None:
    imported = {name for name, row in OLD_NAMES.items() if row.kind == "module"}
    assert REWRITERS.keys() | BY_HAND | imported == OLD_NAMES.keys()
    assert not REWRITERS.keys() & BY_HAND


@pytest.mark.parametrize(
    ("script", "places"),
    [
        (
            "import ray\nray.init(num_cpus=2)\n@ray.remote\ndef f(): pass\n",
            {(1, "import ray"), (2, "ray.init"), (3, "ray.remote")},
        ),
        (
            "import ray\nfrom ray import tune\ntune.run(f, config={'x': ray.put(1)})\n",
            {(1, "import ray"), (3, "ray.put")},
        ),
        (
            "from ray.rllib import algorithms\nalgorithms.train()\n",
            {(1, "from ray.rllib import algorithms"), (2, "ray.rllib.algorithms.train")},
        ),
        (
            "from ray.train.torch import TorchTrainer\nTorchTrainer(f)\n",
            {
                (1, "from ray.train.torch import TorchTrainer"),
                (2, "ray.train.torch.TorchTrainer"),
            },
        ),
        (
            "from ray import tune\nwith tune.checkpoint_dir(1) as path:\n    save(path)\n",
            {(2, "tune.checkpoint_dir")},
        ),
        (
            "import xgboost_ray as x\ntrainer.hyperparameter_search(backend='ray')\n",
            {(1, "xgboost_ray"), (2, 'hyperparameter_search(backend="ray")')},
        ),
        (
            "from ray.tune.nothing import Gone\ndef f() -> 'list[Gone]': pass\n",
            {(1, "from ray.tune.nothing import Gone")},
        ),
        (
            "import ray\nfrom ray import tune\nray.init('ray://head:10001')\n"
            "ray.init(address=args.x, num_cpus=1)\nray.util.connect(x)\ntune.run(f)\n",
            {(1, "import ray"), (3, "ray.init"), (4, "ray.init"), (5, "ray.util.connect")},
        ),
        (  # There is no run that could get an executor.
            "import ray\nray.init(local_mode=True)\n",
            {(1, "import ray"), (2, "ray.init")},
        ),
        (
            "import ray\nray.init(**options)\n",
            {(1, "import ray"), (2, "ray.init")},
        ),
        (
            "from ray import tune\ntune.run(f, loggers=[MyLogger, WandbLogger])\n",
            {(2, "tune.run(loggers=)")},
        ),
        (  # The dictionary has other uses, too.
            "from ray import tune\nkw = dict(local_dir='/x')\nsave(kw)\ntune.run(f, **kw)\n",
            {(2, "tune.run(local_dir=)")},
        ),
        (
            "from ray import tune\nkw = {}\nkw['local_dir'] = 'x'\nkw.update(loggers=None)\n"
            "kw = {**kw, 'upload_dir': 'y'} if a else kw | {'queue_trials': True}\n"
            "def main():\n    tune.run(f, **kw)\n",
            {
                (3, "tune.run(local_dir=)"),
                (4, "tune.run(loggers=)"),
                (5, "tune.run(upload_dir=)"),
                (5, "tune.run(queue_trials=)"),
            },
        ),
        (
            "from ray import tune\ntune.run(f, storage_path='/y', **{'local_dir': '/x'})\n"
            "tune.SyncConfig(**dict(upload_dir='s3://x'))\n",
            {(2, "tune.run(local_dir=)"), (3, "SyncConfig(upload_dir=)")},
        ),
        (
            "from ray import tune\ndef f(config, reporter):\n    call(reporter)\ntune.run(f)\n",
            {(2, "def train(config, reporter)")},
        ),
    ],
)
def test_the_rest_is_left_to_hand(script: str, places: set[tuple[int, str]]) -> None:
    text, left = migrated(script)
    assert {(each.line, each.name) for each in left} == places
    ast.parse(text)
    assert migrated(text) == (text, left)


def test_each_place_says_what_to_do() -> None:
    script = (
        "import ray\nfrom ray import air\nfrom ray.util import queue\nfrom ray.tune.no import No\n"
        "ray.put(air.nothing, queue, No)\nair.session.report(a=1)\n"
        "from ray import init, tune\nfrom ray.tune.suggest import BasicVariantGenerator as B, Off\n"
        "init(num_cpus=1, x=Off)\nray.init(args.address)\nray.init(local_mode=True)\n"
        "ray.init()\nray.shutdown()\nray.util.connect('x')\ntune.run(f, queue_trials=True)\n"
    )
    said = [(each.line, each.advice) for each in findings(script)]
    nothing = "localtune has no such name"
    assert said == [
        (1, "remove it, once no use of ray is left"),
        (2, "write import localtune as tune"),
        (3, "localtune has no ray.util"),
        (4, nothing),
        (5, "write tune.with_parameters(train, data=data)"),
        (5, nothing),
        (5, "localtune has no ray.util"),
        (5, nothing),
        (6, "write tune.report(metrics)"),
        (6, 'write tune.report({"loss": x})'),
        (7, "write import localtune as tune; remove it"),
        (8, f"write from localtune.search import BasicVariantGenerator as B; {nothing}"),
        (9, "write executor=tune.ProcessExecutor(num_cpus=...) in Tuner or tune.run"),
        (9, nothing),
        (10, "remove it: localtune runs on one machine"),
        (11, 'write executor="inprocess" in Tuner or tune.run'),
        (12, "remove it"),
        (13, "remove it"),
        (14, "remove it: localtune runs on one machine"),
        (15, "remove it"),
    ]


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_what_is_left_has_its_line_of_before(newline: str) -> None:
    before, _ = PAIRS["imports: the layout of names in parentheses stays"]
    parts = [before, "import ray", "from ray import tune", "tune.run(f, local_dir='x')"]
    script = "\n".join([*parts, "a = ray.nodes(); b = ray.nodes()", ""]).replace("\n", newline)
    _, left = migrated(script)
    first = before.count("\n") + 2
    assert [(each.name, each.line_before) for each in left] == [
        ("import ray", first),
        ("ray.nodes", first + 3),
    ]


def test_what_is_left_keeps_its_import() -> None:
    text, _ = migrated("from ray import tune\nfrom ray.tune import run, Wrong\nrun(Wrong)\n")
    assert text.splitlines() == [
        "import localtune as tune",
        "from localtune import run",
        "from ray.tune import Wrong",
        "run(Wrong)",
    ]


@pytest.mark.parametrize("newline", ["\r\n", "\r"])
def test_newlines_and_form_feeds_stay(newline: str) -> None:
    before, after = PAIRS["checkpoints: a directory and a report"]
    text, _ = migrated("\f" + newline + before.replace("\n", newline))
    assert text == "\f" + newline + after.replace("\n", newline)


def test_letters_of_several_bytes_do_not_shift_places() -> None:
    before = "from ray import tune\nprint('äöü€𝄞', tune.get_trial_id()); tune.report(ä=1)\n"
    after = (
        "import localtune as tune\n"
        "print('äöü€𝄞', tune.get_context().get_trial_id()); tune.report({'ä': 1})\n"
    )
    assert migrated(before) == (after, [])


def test_an_empty_script_stays_empty() -> None:
    assert migrated("") == ("", [])
