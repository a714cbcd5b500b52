"""A function as a trainable.

train() -> step() -> driver.advance() -> run_function() -> the user's function
                                                             report() -> driver.deliver()
"""

from __future__ import annotations

import os
import time
from numbers import Number
from types import GeneratorType
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from localtune.checkpoint import Checkpoint, TrainingResult
from localtune.result import (
    CHECKPOINT_DIR_NAME,
    DEFAULT_METRIC,
    RESULT_DUPLICATE,
    SHOULD_CHECKPOINT,
    TIMESTAMP,
)
from localtune.trainable.active_session import Session
from localtune.trainable.drivers import FunctionDriver, ThreadDriver
from localtune.trainable.saving import CheckpointSource
from localtune.trainable.trainable import Trainable
from localtune.trial.trial_info import StorageContext

if TYPE_CHECKING:
    from collections.abc import Callable

    from localtune.resources import PlacementGroupFactory


class FunctionTrainable(Trainable):
    """Runs a function as a trial: each of its reports is an iteration.

    :func:`localtune.trainable.util.wrap_function` makes the subclass for a function.

    Attributes:
        driver_factory: Makes the driver of a new instance. Class attribute.
        session: What the function reports to.
    """

    driver_factory: ClassVar[Callable[[FunctionTrainable], FunctionDriver]] = ThreadDriver

    _name: ClassVar[str] = "func"
    # The user's function, and what with_resources gave it.
    _function: ClassVar[Callable[[dict[str, Any]], Any] | None] = None
    _resources: ClassVar[Any] = None

    def setup(self, config: dict[str, Any]) -> None:
        # Through the class: a plain function found on the instance would be bound to it.
        self._driver: FunctionDriver = type(self).driver_factory(self)
        self._open_session(None)

    def set_driver(self, driver: FunctionDriver) -> None:
        """Let another driver run the function; before the first :meth:`train`.

        Args:
            driver: The driver.
        """
        self._driver = driver
        self.session.driver = driver

    def end_function(self) -> None:
        """Unwind the user's function if it waits in a report; what comes next begins anew."""
        self._driver.stop()

    def step(self) -> dict[str, Any]:
        return self._driver.advance()

    def run_function(self) -> dict[str, Any]:
        """Run the user's function from its top to its end; called by the driver.

        What it yields and returns is reported: a dict as it is, a number as ``_metric``.

        Returns:
            The closing reply, which is no result of its own.

        Raises:
            TrialStopped: The trial was stopped.
            RuntimeError: The function left with ``SystemExit(0)`` or ``StopIteration``.
            BaseException: What the function raised.
        """
        function = type(self)._function
        if function is None:
            raise NotImplementedError(
                "FunctionTrainable has no function to run. Use wrap_function(train)."
            )
        with self.session:
            try:
                output = function(self.config)
                if isinstance(output, GeneratorType):
                    self._report_each(output)
                else:
                    self._report_output(output)
            except (StopIteration, SystemExit) as error:
                _refuse_silent_end(error)
        return {
            RESULT_DUPLICATE: True,
            TIMESTAMP: int(time.time()),
            CHECKPOINT_DIR_NAME: None,
            SHOULD_CHECKPOINT: False,
        }

    def save(self, checkpoint_dir: str | os.PathLike[str] | None = None) -> TrainingResult:
        """Tell what the function saved.

        Args:
            checkpoint_dir: Must be None: the function itself chooses what it reports.

        Returns:
            The checkpoint of the latest report, None if that had none, and its metrics.

        Raises:
            AssertionError: Nothing was reported yet.
            ValueError: A ``checkpoint_dir`` was given.
        """
        if checkpoint_dir:
            self.save_checkpoint(os.fspath(checkpoint_dir))
        if self._last_result is None:
            raise AssertionError("There is nothing to save before the first report.")
        return TrainingResult(self.session.reported_checkpoint, dict(self._last_result))

    def save_checkpoint(self, checkpoint_dir: str) -> NoReturn:
        raise ValueError(
            "A function trainable saves by report(metrics, checkpoint=...), not into "
            f"a given directory, but got {checkpoint_dir!r}."
        )

    def restore(self, checkpoint_path: CheckpointSource) -> None:
        """Let the function begin again, with a checkpoint to go on from.

        Args:
            checkpoint_path: As for :meth:`Trainable.restore`. A training result without a
                checkpoint leaves nothing to go on from: iterations count from 0 then.

        Raises:
            ValueError: There is no such directory.
            AssertionError: It is something else.
        """
        if isinstance(checkpoint_path, TrainingResult) and checkpoint_path.checkpoint is None:
            self._reset_counters()
            self._start_over(None)
            return
        super().restore(checkpoint_path)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self._start_over(None)
        return True

    def cleanup(self) -> None:
        self.end_function()

    def __repr__(self) -> str:
        return self._name

    @classmethod
    def default_resource_request(
        cls, config: dict[str, Any]
    ) -> PlacementGroupFactory | dict[str, Any] | None:
        resources = cls._resources
        request: PlacementGroupFactory | dict[str, Any] | None
        request = resources(config) if callable(resources) else resources
        return request

    def _clean(self, result: dict[str, Any]) -> dict[str, Any]:
        # The session has checked and copied it, where the error points at the user's line.
        return result

    def _load(self, checkpoint: Checkpoint) -> None:
        self._start_over(checkpoint)

    def _start_over(self, checkpoint: Checkpoint | None) -> None:
        self.end_function()
        self._open_session(checkpoint)

    def _open_session(self, checkpoint: Checkpoint | None) -> None:
        storage = self._storage or StorageContext(os.path.dirname(self.logdir), self.logdir)
        self.session = Session(self._driver, storage, self._trial_info, checkpoint)

    def _report_each(self, outputs: GeneratorType[Any, Any, Any]) -> None:
        try:
            for output in outputs:
                self._report_output(output)
        finally:
            # So that its own finally blocks run when the trial is stopped at a yield.
            outputs.close()

    def _report_output(self, output: Any) -> None:
        """Report what the function returned or yielded; nothing if it is empty or zero."""
        if _is_nothing(output):
            return
        if isinstance(output, dict):
            self.session.report(output, None)
        elif isinstance(output, Number):
            self.session.report({DEFAULT_METRIC: output}, None)
        else:
            raise ValueError(
                "A function trainable must return or yield a dict of metrics, a number or "
                f"nothing, but gave {type(output).__name__}: {output!r}. Give for example "
                "{'loss': loss}, or call tune.report()."
            )


def _is_nothing(output: Any) -> bool:
    try:
        return not output
    except Exception:  # An array has no truth value.
        return False


def _refuse_silent_end(error: BaseException) -> NoReturn:
    if isinstance(error, SystemExit) and error.code not in (None, 0):
        raise error
    raise RuntimeError(
        f"The function trainable left with {error!r}, which says neither that it is finished nor "
        "that it failed. End it with `return`."
    ) from error
