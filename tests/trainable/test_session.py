from __future__ import annotations

import inspect
import threading
import warnings
from typing import Any

import pytest

from localtune.checkpoint import Checkpoint
from localtune.error import TrialStopped
from localtune.resources import PlacementGroupFactory
from localtune.trainable.active_session import Session, current_session
from localtune.trainable.context import TuneContext
from localtune.trainable.session import get_checkpoint, get_context, report
from localtune.trainable.trainable import Trainable
from localtune.trial.trial_info import StorageContext, TrialInfo


class Deliveries:
    """Driver that keeps what is delivered."""

    def __init__(self) -> None:
        self.results: list[dict[str, Any]] = []
        self.is_stopping = False

    def advance(self) -> dict[str, Any]:
        raise NotImplementedError

    def check_stop(self) -> None:
        if self.is_stopping:
            raise TrialStopped

    def deliver(self, result: dict[str, Any]) -> None:
        self.check_stop()
        self.results.append(result)

    def stop(self) -> None:
        self.is_stopping = True


@pytest.fixture
def driver() -> Deliveries:
    return Deliveries()


@pytest.fixture
def session(driver: Deliveries, storage: StorageContext) -> Session:
    return Session(driver, storage, None)


def info(**changes: Any) -> TrialInfo:
    values: dict[str, Any] = {
        "trial_id": "abc",
        "trial_name": "train_abc",
        "experiment_name": "exp",
        "trial_dir": "/e/t",
        "experiment_dir": "/e",
        "resources": PlacementGroupFactory([{"CPU": 3}]),
    }
    return TrialInfo(**{**values, **changes})


GETTERS = [
    "get_experiment_name",
    "get_trial_name",
    "get_trial_id",
    "get_trial_resources",
    "get_trial_dir",
    "get_storage",
]


# Outside of a session


@pytest.mark.parametrize("name", ["report", "get_checkpoint", *GETTERS])
def test_each_function_warns_once_outside(name: str) -> None:
    def call() -> Any:
        if name == "report":
            return report({"loss": 1})
        return get_checkpoint() if name == "get_checkpoint" else getattr(get_context(), name)()

    with pytest.warns(UserWarning, match=f"`{name}` has an effect only in a function") as caught:
        assert call() is None
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert call() is None


def test_other_functions_warn_for_themselves() -> None:
    with pytest.warns(UserWarning) as caught:
        get_checkpoint()
        get_context().get_trial_id()
        get_checkpoint()
    assert len(caught) == 2


def test_a_class_has_no_session(storage: StorageContext) -> None:
    class Reporting(Trainable):
        def step(self) -> dict[str, Any]:
            with pytest.warns(UserWarning, match="returns its metrics from step"):
                report({"loss": 1})
            return {}

    assert "loss" not in Reporting(storage=storage).train()


@pytest.mark.parametrize(
    ("name", "outside"),
    [
        ("get_world_size", 1),
        ("get_world_rank", 0),
        ("get_local_rank", 0),
        ("get_local_world_size", 0),
        ("get_node_rank", 0),
    ],
)
def test_names_of_distributed_training_are_deprecated(
    name: str, outside: int, session: Session
) -> None:
    method = getattr(get_context(), name)
    with pytest.warns(DeprecationWarning, match=name), pytest.warns(UserWarning, match=name):
        assert method() == outside
    with session:
        for _ in range(2):
            with pytest.warns(DeprecationWarning, match=name) as caught:
                assert method() is None
            assert len(caught) == 1


def test_get_metadata_raises() -> None:
    with pytest.raises(DeprecationWarning, match=r"checkpoint\.get_metadata"):
        get_context().get_metadata()


def test_the_context_is_one_object_for_all() -> None:
    assert isinstance(get_context(), TuneContext)
    assert get_context() is get_context()


def test_the_signature_of_report() -> None:
    parameters = inspect.signature(report).parameters
    assert list(parameters) == ["metrics", "checkpoint"]
    assert parameters["checkpoint"].kind is inspect.Parameter.KEYWORD_ONLY
    assert parameters["checkpoint"].default is None


# Inside a session


def test_the_context_tells_of_the_trial(driver: Deliveries, storage: StorageContext) -> None:
    context = get_context()
    with Session(driver, storage, info()):
        assert context.get_experiment_name() == "exp"
        assert context.get_trial_name() == "train_abc"
        assert context.get_trial_id() == "abc"
        assert context.get_trial_resources() == PlacementGroupFactory([{"CPU": 3}])
        assert context.get_trial_dir() == storage.trial_dir
        assert context.get_storage() is storage


def test_report_delivers(session: Session, driver: Deliveries) -> None:
    with session, warnings.catch_warnings():
        warnings.simplefilter("error")
        report({"loss": 1})
    (result,) = driver.results
    assert result["loss"] == 1


def test_the_restored_checkpoint_is_found(driver: Deliveries, storage: StorageContext) -> None:
    checkpoint = Checkpoint(storage.trial_dir)
    with Session(driver, storage, None, checkpoint):
        assert get_checkpoint() is checkpoint


def test_an_inner_session_hides_the_outer_one(
    session: Session, driver: Deliveries, storage: StorageContext
) -> None:
    inner = Session(driver, storage, None)
    with session:
        with inner:
            assert current_session() is inner
        assert current_session() is session
    assert current_session() is None


def test_a_session_ends_with_an_error(session: Session) -> None:
    with pytest.raises(KeyError), session:
        raise KeyError
    assert current_session() is None


def in_thread(function: Any) -> Any:
    """What a function returns in a thread of its own."""
    returned = []
    thread = threading.Thread(target=lambda: returned.append(function()))
    thread.start()
    thread.join()
    return returned[0]


def test_threads_of_the_function_find_its_session(session: Session, driver: Deliveries) -> None:
    with session:
        in_thread(lambda: report({"from": "thread"}))
        assert in_thread(current_session) is session
    assert driver.results[0]["from"] == "thread"


def test_a_thread_finds_none_where_several_run(
    session: Session, driver: Deliveries, storage: StorageContext
) -> None:
    with session, Session(driver, storage, None) as inner:
        assert current_session() is inner
        assert in_thread(current_session) is None


def test_threads_take_turns(session: Session, storage: StorageContext) -> None:
    class Slow(Deliveries):
        def __init__(self) -> None:
            super().__init__()
            self.is_first_inside = threading.Event()
            self.may_go_on = threading.Event()
            self.inside = 0

        def deliver(self, result: dict[str, Any]) -> None:
            self.inside += 1
            self.results.append({**result, "inside": self.inside})
            self.is_first_inside.set()
            self.may_go_on.wait()
            self.inside -= 1

    driver = Slow()
    session = Session(driver, storage, None)
    with session:
        threads = [threading.Thread(target=lambda: report({})) for _ in range(3)]
        for thread in threads:
            thread.start()
        driver.is_first_inside.wait()
        driver.may_go_on.set()
        for thread in threads:
            thread.join()
    assert [result["inside"] for result in driver.results] == [1, 1, 1]


def test_a_report_in_the_middle_of_another_is_refused(storage: StorageContext) -> None:
    class Nested(Deliveries):
        def deliver(self, result: dict[str, Any]) -> None:
            report({})

    with (
        Session(Nested(), storage, None),
        pytest.raises(RuntimeError, match="in the middle of another"),
    ):
        report({})


def test_after_a_stop_each_report_is_stopped_before_it_stores_anything(
    session: Session, driver: Deliveries, storage: StorageContext
) -> None:
    with session:
        driver.is_stopping = True
        with pytest.raises(TrialStopped):
            report({})
        driver.is_stopping = False
        with pytest.raises(TrialStopped):
            report({}, checkpoint=Checkpoint(storage.experiment_dir))
    assert driver.results == []
    assert storage.next_checkpoint_index == 0


def test_a_refused_report_does_not_hinder_the_next(session: Session, driver: Deliveries) -> None:
    with session:
        with pytest.raises(FileNotFoundError):
            report({}, checkpoint=Checkpoint("/does/not/exist"))
        report({"loss": 1})
    assert len(driver.results) == 1
