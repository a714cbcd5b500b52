"""Who unpickles what: loading a pickle runs the code that it names."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.layers import package_modules

_LIBRARIES = frozenset({"pickle", "cloudpickle", "_pickle", "dill", "joblib", "shelve", "marshal"})
_LOADS = frozenset({"load", "loads", "Unpickler", "open"})

# Bytes that this user's own processes made, and that nobody else has had in their hands.
_PIPE = "bytes from the pipe between a parent and its own worker"
_OWN = "bytes that this process has just pickled itself"
_DATABASE = "a value of a database that the gate let pass"
_TUNER = "a part of tuner.pkl, which the gate let pass"

# {module.function: why what it loads cannot be another user's}. New loads of files go through
# localtune.utils.trust; what does not must say here why it need not.
ALLOWED = {
    "localtune.utils.trust.GuardedDirectory.load": "the gate: a file of a judged directory",
    "localtune.utils.trust.load_own": "the gate: a file that was judged itself",
    "localtune.worker.messages.decode": _PIPE,
    "localtune.worker.program.prepare": _PIPE,
    "localtune.execution.cluster.node_storage.check_store": "the place of the store, from the "
    "parent of the agent",
    "localtune.execution.cluster.wire._PlainUnpickler": "plain data only",
    "localtune.worker.messages._ReplyUnpickler": _PIPE,
    "localtune.trial.pickled_object.PickledObject.load": "an object of a result that came "
    "through the pipe, or from a database that the gate let pass",
    "localtune.worker.host.TrainableHost._construct": _PIPE,
    "localtune.worker.host.TrainableHost._reset": _PIPE,
    "localtune.worker.host._pickled": _OWN,
    "localtune.error.TrialTaskError.cause": "what user code raised: it came through the pipe, or "
    "from a database or a file that the gate let pass",
    "localtune.trainable.parameters.loads_with_parameters": "the program, from the parent",
    "localtune.trainable.parameters.load_with_parameters": "the program, written by the parent "
    "into its private directory",
    "localtune.compat.calls._can_travel": _OWN,
    "localtune.compat.objects.ObjectStore.read": "a file in a directory that the gate let pass",
    "localtune.execution.process.interpreter": "the settings, written by the parent into its "
    "private directory",
    "localtune.execution.process.guard.Guard._start_template": _PIPE,
    "localtune.execution.process.base.Base._become_template": _PIPE,
    "localtune.execution.simulated_host.SimulatedHost._begin": _OWN,
    "localtune.execution.simulated_host.SimulatedHost._restore": "a checkpoint of a simulation, "
    "in an experiment that the gate let pass",
    "localtune.utils.json_encode.TuneFunctionDecoder._object": "only if the caller allows it",
    "localtune.storage.reader.ExperimentReader._unpickled": _DATABASE,
    "localtune.storage.schema._version": _DATABASE,
    "localtune.storage.trial_record.RecordLoader._common_of": _DATABASE,
    "localtune.storage.trial_record._error_of": _DATABASE,
    "localtune.storage.trial_record.recorded_values": _DATABASE,
    "localtune.controller.kept_state._Unpickler": _DATABASE,
    "localtune.search.base.load_snapshot": _DATABASE,
    "localtune.search.base.inner_snapshot": _DATABASE,
    "localtune.search.hyperopt.hyperopt_search.HyperOptSearch.set_state": _DATABASE,
    "localtune.search.optuna.optuna_search.OptunaSearch.set_state": _DATABASE,
    "localtune.config.spec.RunSpec.load": _TUNER,
    "localtune.config.spec.RunSpec.load_field": _TUNER,
    "localtune.config.spec._loaded": _TUNER,
    "localtune.config.spec.is_saved_space": _TUNER,
    "localtune.testing.searcher_contract.SearcherContract."
    "test_a_restored_searcher_suggests_the_same": _OWN,
    "localtune.examples.population.Network.load_checkpoint": "user code: its own checkpoint",
    "localtune.examples.digits.load_model": "user code: its own checkpoint",
    "localtune.examples.checkpoints.Network.load_checkpoint": "user code: its own checkpoint",
}


def test_every_load_of_a_pickle_is_behind_the_gate_or_says_why_it_need_not_be() -> None:
    found = {place for name, path in package_modules().items() for place in _loads(name, path)}
    assert sorted(found - ALLOWED.keys()) == [], "behind localtune.utils.trust, or in the table?"
    assert sorted(ALLOWED.keys() - found) == [], "gone: take them out of the table"


def _loads(module: str, path: Path) -> Iterator[str]:
    tree = ast.parse(path.read_text("utf-8"))
    yield from _loads_below(tree, module, module)


def _loads_below(node: ast.AST, place: str, module: str) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        inner = place
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            inner = f"{place}.{child.name}"
        if _is_load(child):
            yield inner
        yield from _loads_below(child, inner, module)


def _is_load(node: ast.AST) -> bool:
    if isinstance(node, ast.Attribute):
        return (
            isinstance(node.value, ast.Name) and node.value.id in _LIBRARIES and node.attr in _LOADS
        )
    if isinstance(node, ast.ImportFrom):
        # Under another name it would be overlooked.
        return node.module in _LIBRARIES and any(each.name in _LOADS for each in node.names)
    if isinstance(node, ast.Import):
        return any(each.name in _LIBRARIES and each.asname for each in node.names)
    # Code in a text, such as that of a fresh interpreter.
    return (
        isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and "import pickle" in node.value
        and "pickle.load" in node.value
    )
