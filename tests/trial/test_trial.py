"""An ended trial is kept in little memory, and tells the same as before."""

from __future__ import annotations

import hashlib
import pickle
from typing import Any

import hypothesis
from hypothesis import strategies as st

from localtune.trial.trial import Trial

DIGESTS = st.binary(max_size=4).map(lambda content: hashlib.sha256(content).hexdigest())
FILES = st.dictionaries(
    st.sampled_from(["params.json", "params.pkl", "stdout", "error.txt"]),
    DIGESTS | st.sampled_from(["12:345", "F" * 64, " " * 64, "é" * 64, ""]),
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(-2.0, 2.0) | st.text(max_size=3),
    lambda parts: st.lists(parts, max_size=2),
)
DICTS = st.dictionaries(st.text(max_size=3), VALUES, max_size=5)


def told(trial: Trial) -> list[Any]:
    """Returns the packed attributes of a trial as texts, since 1 and 1.0 are equal."""
    return [repr(each) for each in (trial.own_files, trial.evaluated_params, trial.last_result)]


@hypothesis.given(FILES, DICTS, DICTS)
def test_a_trial_tells_the_same_when_it_has_ended(
    files: dict[str, str], params: dict[str, Any], result: dict[str, Any]
) -> None:
    trial = Trial("train", trial_id="1", evaluated_params=params)
    trial.own_files, trial.last_result = files, result
    before = told(trial)
    trial.close()
    assert told(trial) == before


def test_changes_of_what_an_ended_trial_tells_change_nothing() -> None:
    trial = Trial("train", trial_id="1", evaluated_params={"x": 1})
    trial.close()
    trial.evaluated_params["x"] = trial.own_files["note"] = trial.last_result["x"] = "2"
    assert (trial.evaluated_params, trial.own_files, trial.last_result) == ({"x": 1}, {}, {})


def test_a_pickle_from_before_parameters_were_packed_is_loaded() -> None:
    trial = Trial("train", trial_id="1", evaluated_params={"x": 1})
    state = dict(vars(trial))
    state["evaluated_params"] = state.pop("_evaluated_params")
    loaded = Trial.__new__(Trial)
    loaded.__setstate__(state)
    assert told(loaded) == told(trial)
    assert told(pickle.loads(pickle.dumps(trial))) == told(trial)
