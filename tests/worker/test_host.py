"""A host's replies to failures of user code that are hard to describe."""

from __future__ import annotations

import pickle
import threading
from pathlib import Path
from typing import Any

import pytest

import localtune as tune
from localtune.error import TrialStopped
from localtune.testing.chaos import ChaosTrainable
from localtune.trainable.active_session import current_session
from localtune.trainable.function_trainable import wrap_function
from localtune.trainable.trainable import Trainable
from localtune.trial.trial import Trial
from localtune.worker import messages
from localtune.worker.assignment import assignment_of
from localtune.worker.host import ProcessHost, TrainableHost, failure_reply


class NeedsArguments(Exception):
    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class HasNoText(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")


class HoldsALock(Exception):
    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.lock = threading.Lock()


def caught(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as raised:
        return raised


def test_an_exception_that_can_travel_does() -> None:
    failed = failure_reply("Train", caught(ValueError("text", 3)))
    assert failed.type_name == "ValueError"
    assert not failed.fatal
    assert failed.pickled_error is not None
    assert pickle.loads(failed.pickled_error).args == ("text", 3)


@pytest.mark.parametrize(
    "error",
    [NeedsArguments(7, "the text"), HoldsALock("the text"), ValueError("the text" * 200_000)],
)
def test_an_exception_that_cannot_travel_is_told_in_words(error: Exception) -> None:
    failed = failure_reply("Train", caught(error))
    assert failed.pickled_error is None
    assert failed.type_name == type(error).__qualname__
    assert failed.message.startswith("the text")
    assert "in caught" in failed.traceback_text


def test_an_exception_without_a_text_is_told_by_its_class() -> None:
    failed = failure_reply("Train", caught(HasNoText()))
    assert failed.message == "<HasNoText: its text cannot be made>"
    assert "HasNoText" in failed.traceback_text


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), TrialStopped("end")])
def test_what_is_no_exception_is_fatal(error: BaseException) -> None:
    assert failure_reply("Train", caught(error)).fatal


@pytest.mark.parametrize("executor", ["template", "spawn", "portable", "inprocess"])
@pytest.mark.parametrize("kind", [NeedsArguments, HasNoText, HoldsALock])
def test_an_odd_exception_fails_its_trial_and_not_the_run(
    tmp_path: Path, executor: str, kind: type[Exception]
) -> None:
    grid: Any = tune.Tuner(
        raises_something_odd,
        param_space={"kind": kind.__name__},
        run_config=tune.RunConfig(storage_path=tmp_path, verbose=0),
        executor=executor
        if executor == "inprocess"
        else tune.ProcessExecutor(num_cpus=1, start_method=executor),
    ).fit()
    (error,) = grid.errors
    assert kind.__name__ in str(error)
    assert "in raises_something_odd" in Path(grid[0].path, "error.txt").read_text()


def raises_something_odd(config: dict[str, Any]) -> None:
    if config["kind"] == "NeedsArguments":
        raise NeedsArguments(7, "the text")
    raise {"HasNoText": HasNoText, "HoldsALock": HoldsALock}[config["kind"]]("the text")


def reports_what_only_workers_have(config: dict[str, Any]) -> None:
    import sys
    import types

    module = sys.modules["only_in_workers"] = types.ModuleType("only_in_workers")
    source = "class Value:\n    pass\n"
    exec(source, vars(module))
    tune.report({"value": module.Value()})


@pytest.mark.parametrize("start_method", ["template", "spawn", "portable"])
def test_an_object_that_only_workers_can_load_stays_closed(
    tmp_path: Path, start_method: str
) -> None:
    grid: Any = tune.Tuner(
        reports_what_only_workers_have,
        run_config=tune.RunConfig(storage_path=tmp_path, verbose=0),
        executor=tune.ProcessExecutor(num_cpus=1, start_method=start_method),
    ).fit()
    assert not grid.errors
    value = grid[0].metrics["value"]
    assert value.type_name == "Value"
    assert "only_in_workers.Value object" in str(value)


def construct(
    tmp_path: Path, config: dict[str, Any] | None = None, **options: Any
) -> messages.Construct:
    trial = Trial("name", trial_id="id", config=config, experiment_path=str(tmp_path.parent))
    trial.dirname = tmp_path.name
    assignment = assignment_of(trial)
    # A host that ends early does not put back the environment of this process.
    assignment.environment = {}
    return messages.Construct(assignment, **options)


def test_another_version_of_the_protocol_is_refused(tmp_path: Path) -> None:
    host = TrainableHost(lambda: ChaosTrainable)
    reply = host.handle(construct(tmp_path, version=99))
    assert isinstance(reply, messages.Failed)
    assert f"different protocols (99 and {messages.PROTOCOL_VERSION})" in reply.message


def test_a_command_before_the_first_one_is_refused() -> None:
    reply = TrainableHost(lambda: ChaosTrainable).handle(messages.Train())
    assert isinstance(reply, messages.Failed)
    assert "before Construct" in reply.message


def test_an_unknown_command_is_refused() -> None:
    reply = TrainableHost(lambda: ChaosTrainable).handle(messages.Command())
    assert isinstance(reply, messages.Failed)
    assert "does not know the command" in reply.message


class Script:
    """A channel that gives commands in an order and keeps the replies."""

    def __init__(self, *commands: messages.Command, has_more: bool = True) -> None:
        self._commands = list(commands)
        self._has_more = has_more
        self.replies: list[messages.Reply] = []

    def receive(self) -> messages.Command:
        if not self._commands:
            raise EOFError
        return self._commands.pop(0)

    def has_more(self) -> bool:
        return self._has_more  # The next command, or the end.

    def send(self, reply: messages.Reply) -> None:
        self.replies.append(reply)

    @property
    def kinds(self) -> list[str]:
        return [type(reply).__name__ for reply in self.replies]


def serve(
    tmp_path: Path,
    trainable: type[Trainable],
    *commands: messages.Command,
    config: dict[str, Any] | None = None,
) -> tuple[int, Script]:
    channel = Script(construct(tmp_path, config), *commands)
    code = ProcessHost(lambda: trainable, channel).run()
    return code, channel


class NeverReset(ChaosTrainable):
    def reset_config(self, new_config: dict[str, Any]) -> bool:
        return False


def reports_once(config: dict[str, Any]) -> None:
    tune.report({"value": 1})


@pytest.fixture
def stays_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps a host in this process from changing the directory: its end may come early."""
    monkeypatch.setenv("RAY_CHDIR_TO_TRIAL_DIR", "0")
    monkeypatch.setenv("TUNE_ORIG_WORKING_DIR", "here")


@pytest.mark.usefixtures("stays_here")
class TestLoop:
    def test_it_answers_each_command_until_it_is_told_to_stop(self, tmp_path: Path) -> None:
        code, channel = serve(
            tmp_path, ChaosTrainable, messages.Train(), messages.Save(), messages.Stop()
        )
        assert channel.kinds == ["Ready", "Trained", "Saved", "Stopped"]
        assert code == 0

    def test_it_ends_when_the_parent_has_gone(self, tmp_path: Path) -> None:
        code, channel = serve(tmp_path, ChaosTrainable, messages.Train())
        assert channel.kinds == ["Ready", "Trained"]
        assert code == 1

    def test_a_function_unwinds_when_the_parent_has_gone(self, tmp_path: Path) -> None:
        ended: list[str] = []

        def train(config: dict[str, Any]) -> None:
            try:
                while True:
                    tune.report({"value": 1})
            except TrialStopped as error:
                ended.append(str(error))
                raise

        code, _ = serve(tmp_path, wrap_function(train), messages.Train())
        assert ended == ["The parent process has gone."]
        assert code == 1

    def test_a_function_that_looks_for_its_end_does_not_need_to_report(
        self, tmp_path: Path
    ) -> None:
        def train(config: dict[str, Any]) -> None:
            session = current_session()
            assert session is not None
            while True:
                session.check_stop()

        code, channel = serve(tmp_path, wrap_function(train), messages.Train(), messages.Stop())
        assert channel.kinds == ["Ready", "Stopped"]
        assert code == 0

    def test_it_trains_at_once_and_ends_with_the_function_where_it_may(
        self, tmp_path: Path
    ) -> None:
        first = construct(tmp_path, trains_at_once=True, ends_with_function=True)
        channel = Script(first, messages.Train(), has_more=False)
        assert ProcessHost(lambda: wrap_function(reports_once), channel).run() == 0
        assert channel.kinds == ["Ready", "Trained", "Trained"]
        ready, result, closing = channel.replies
        assert isinstance(ready, messages.Ready) and ready.trains
        assert isinstance(result, messages.Trained) and not result.has_ended
        assert isinstance(closing, messages.Trained) and closing.has_ended

    def test_it_does_not_train_when_it_is_told_to_stop_before(self, tmp_path: Path) -> None:
        channel = Script(construct(tmp_path, trains_at_once=True), messages.Stop())
        assert ProcessHost(lambda: ChaosTrainable, channel).run() == 0
        assert channel.kinds == ["Ready", "Stopped"]

    def test_it_trains_at_once_when_it_was_reset(self, tmp_path: Path) -> None:
        command = construct(tmp_path)
        reset = messages.Reset(command.assignment, trains_at_once=True)
        channel = Script(command, reset, has_more=False)
        assert ProcessHost(lambda: ChaosTrainable, channel).run() == 1
        assert channel.kinds == ["Ready", "ResetDone", "Trained"]
        done = channel.replies[1]
        assert isinstance(done, messages.ResetDone) and done.accepted and done.trains

    def test_it_does_not_train_when_it_refuses_to_be_reset(self, tmp_path: Path) -> None:
        command = construct(tmp_path)
        reset = messages.Reset(command.assignment, trains_at_once=True)
        channel = Script(command, reset, has_more=False)
        assert ProcessHost(lambda: NeverReset, channel).run() == 1
        assert channel.kinds == ["Ready", "ResetDone"]

    def test_a_class_does_not_end_by_itself(self, tmp_path: Path) -> None:
        first = construct(tmp_path, ends_with_function=True)
        channel = Script(first, messages.Train(), messages.Stop())
        assert ProcessHost(lambda: ChaosTrainable, channel).run() == 0
        assert channel.kinds == ["Ready", "Trained", "Stopped"]

    def test_it_waits_for_the_order_to_end_where_there_may_be_something_to_save(
        self, tmp_path: Path
    ) -> None:
        def train(config: dict[str, Any]) -> None:
            tune.report({"value": 1})
            session = current_session()
            assert session is not None
            session.has_stored = True

        first = construct(tmp_path, ends_with_function=True)
        commands = [messages.Train(), messages.Train(), messages.Save(), messages.Stop()]
        channel = Script(first, *commands)
        assert ProcessHost(lambda: wrap_function(train), channel).run() == 0
        assert channel.kinds == ["Ready", "Trained", "Trained", "Saved", "Stopped"]

    def test_a_failure_is_answered_and_the_next_command_served(self, tmp_path: Path) -> None:
        class Fails(ChaosTrainable):
            def step(self) -> dict[str, Any]:
                raise ValueError("once")

        code, channel = serve(tmp_path, Fails, messages.Train(), messages.Stop())
        assert channel.kinds == ["Ready", "Failed", "Stopped"]
        assert code == 0

    @pytest.mark.parametrize("error", [SystemExit(2), KeyboardInterrupt()])
    def test_a_fatal_failure_is_its_last_word(self, tmp_path: Path, error: Any) -> None:
        class Exits(ChaosTrainable):
            def step(self) -> dict[str, Any]:
                raise error

        code, channel = serve(tmp_path, Exits, messages.Train(), messages.Train())
        assert channel.kinds == ["Ready", "Failed"]
        assert code == 1

    def test_a_cleanup_that_fails_ends_it_too(self, tmp_path: Path) -> None:
        class CannotClean(ChaosTrainable):
            def cleanup(self) -> None:
                raise ValueError("not clean")

        code, channel = serve(tmp_path, CannotClean, messages.Stop())
        assert channel.kinds == ["Ready", "Failed"]
        assert code == 1

    def test_what_user_code_has_changed_in_the_config_travels(self, tmp_path: Path) -> None:
        class Changes(ChaosTrainable):
            def step(self) -> dict[str, Any]:
                result = super().step()
                if self.steps == 2:
                    self.config["lr"] = 0.5
                if self.steps == 3:
                    del self.config["first"]
                return result

        commands = [messages.Train(), messages.Train(), messages.Train(), messages.Stop()]
        _, channel = serve(tmp_path, Changes, *commands, config={"first": 1})
        trained = [reply for reply in channel.replies if isinstance(reply, messages.Trained)]
        assert [each.changed_config for each in trained] == [{}, {"lr": 0.5}, {"lr": 0.5}]
        assert [each.removed_config for each in trained] == [[], [], ["first"]]
        assert all("config" not in each.result for each in trained)
