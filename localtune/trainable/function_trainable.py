"""Makes a trainable of a function.

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
from localtune.old_names.trainables import today_function
from localtune.old_names.use import OldNameError
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
    from collections.abc import Callable, Sequence

    from localtune.resources import PlacementGroupFactory
    from localtune.trainable.space_parameters import SpaceParameter


_MAX_WRAPPERS = 32


class FunctionTrainable(Trainable):
    """Runs a function as a trial: each of its reports is an iteration.

    :func:`wrap_function` makes the subclass for a function.

    Attributes:
        driver_factory: Makes the driver of a new instance. A class attribute.
        session: Session that takes the function's reports.
    """

    driver_factory: ClassVar[Callable[[FunctionTrainable], FunctionDriver]] = ThreadDriver

    _name: ClassVar[str] = "func"
    # The user's function, and its request from with_resources.
    _function: ClassVar[Callable[[dict[str, Any]], Any] | None] = None
    _resources: ClassVar[Any] = None
    # Of the run.
    _metric: ClassVar[str | None] = None
    # Why the function cannot run: its text uses old names.
    _refusal: ClassVar[str | None] = None

    def setup(self, config: dict[str, Any]) -> None:
        if self._refusal is not None:
            raise OldNameError(self._refusal)
        # type(self): a plain function accessed through the instance would become a method.
        self._driver: FunctionDriver = type(self).driver_factory(self)
        self._open_session(None)

    def set_driver(self, driver: FunctionDriver) -> None:
        """Replaces the driver of the function; allowed before the first :meth:`train`."""
        self._driver = driver
        self.session.driver = driver

    def end_function(self) -> None:
        """Ends the user's function if it waits in a report; the next iteration starts it anew."""
        self._driver.stop()

    def step(self) -> dict[str, Any]:
        return self._driver.advance()

    def run_function(self) -> dict[str, Any]:
        """Runs the user's function from its beginning to its end. The driver calls this method.

        The values that the function yields and returns are reported: a dict as it is, a number as
        ``_metric``.

        Returns:
            The closing reply, which is no result.

        Raises:
            TrialStopped: if the trial was stopped.
            RuntimeError: if the function ended with ``SystemExit(0)`` or ``StopIteration``.
            BaseException: any error of the function.
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
            SHOULD_CHECKPOINT: self.session.has_late_checkpoint,
        }

    def save(self, checkpoint_dir: str | os.PathLike[str] | None = None) -> TrainingResult:
        """Returns the checkpoint that the function reported.

        Args:
            checkpoint_dir: Must be None, since the function itself saves its checkpoints.

        Returns:
            The checkpoint of the latest report, or None if it had none, and its metrics.

        Raises:
            AssertionError: before the first report.
            ValueError: for a ``checkpoint_dir``.
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
        """Makes the function start again with a checkpoint to continue from.

        Args:
            checkpoint_path: As for :meth:`Trainable.restore`. After a training result without a
                checkpoint the function starts from scratch, and iterations count from 0.

        Raises:
            ValueError: if the directory does not exist.
            AssertionError: for an argument of another type.
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

    @classmethod
    def _check_run(
        cls, parameters: Sequence[SpaceParameter], metric: str | None, *, is_complete: bool
    ) -> None:
        check = getattr(_innermost(cls._function), "check_run", None)
        if check is not None:
            check(parameters, metric, is_complete=is_complete)

    @classmethod
    def _for_metric(cls, metric: str | None) -> type[FunctionTrainable]:
        same = {name: getattr(cls, name) for name in ("__module__", "__qualname__", "__doc__")}
        return type(cls.__name__, (cls,), {**same, "_metric": metric})

    def _clean(self, result: dict[str, Any]) -> dict[str, Any]:
        # The session has checked and copied it: an error there shows the user's line.
        return result

    def _load(self, checkpoint: Checkpoint) -> None:
        self._start_over(checkpoint)

    def _start_over(self, checkpoint: Checkpoint | None) -> None:
        self.end_function()
        self._open_session(checkpoint)

    def _open_session(self, checkpoint: Checkpoint | None) -> None:
        storage = self._storage or StorageContext(os.path.dirname(self.logdir), self.logdir)
        self.session = Session(
            self._driver, storage, self._trial_info, checkpoint, type(self)._metric
        )

    def _report_each(self, outputs: GeneratorType[Any, Any, Any]) -> None:
        try:
            for output in outputs:
                self._report_output(output)
        finally:
            # Runs the generator's finally blocks if the trial is stopped at a yield.
            outputs.close()

    def _report_output(self, output: Any) -> None:
        """Reports a value that the function returned or yielded, unless it is empty or zero."""
        if _is_nothing(output):
            return
        if isinstance(output, dict):
            self.session.report(output, None)
        elif isinstance(output, Number):
            self.session.report({DEFAULT_METRIC: output}, None)
        else:
            raise ValueError(
                "A function trainable must return or yield a dict of metrics, a number or "
                f"nothing, but gave {type(output).__name__}: {output!r}. Use for example "
                "{'loss': loss}, or call tune.report()."
            )


def wrap_function(
    train_func: Callable[..., Any], name: str | None = None
) -> type[FunctionTrainable]:
    """Makes a trainable class of a function.

    Args:
        train_func: Callable with one positional argument, the config.
        name: Name of the trainable; None for the name of the function.

    Returns:
        A class; each instance runs the function once.

    Raises:
        ValueError: if the function cannot be called with the config alone.
        OldNameError: if it has a shape of earlier releases.
    """
    # Workers have no text to read.
    from localtune.old_names.bodies import refusal_of

    train_func = today_function(train_func)
    _check_signature(train_func)
    members = {
        "_name": name or getattr(train_func, "__name__", FunctionTrainable._name),
        "_function": staticmethod(train_func),
        "_resources": getattr(train_func, "_resources", None),
        "_refusal": refusal_of(train_func),
        "__doc__": getattr(train_func, "__doc__", None),
    }
    bases = (*getattr(train_func, "__mixins__", ()), FunctionTrainable)
    return type("ImplicitFunc", bases, members)


def _innermost(function: Any) -> Any:
    """Returns the function that with_resources, with_parameters or partial has wrapped."""
    # Some objects have every attribute.
    for _ in range(_MAX_WRAPPERS):
        inner = (getattr(function, name, None) for name in ("__wrapped__", "_function", "func"))
        found = next(filter(callable, inner), None)
        if found is None:
            break
        function = found
    return function


def _is_nothing(output: Any) -> bool:
    try:
        return not output
    except Exception:  # An array has no truth value.
        return False


def _refuse_silent_end(error: BaseException) -> NoReturn:
    if isinstance(error, SystemExit) and error.code not in (None, 0):
        raise error
    raise RuntimeError(
        f"The function trainable ended with {error!r}, which means neither success nor failure. "
        "End it with `return`."
    ) from error


def _check_signature(function: Callable[..., Any]) -> None:
    import inspect

    try:
        inspect.signature(function).bind({})
    except (TypeError, ValueError) as error:
        name = getattr(function, "__name__", repr(function))
        raise ValueError(
            f"The function trainable {name!r} cannot be called with one positional argument, its "
            f"config: {error}. Accepted are:\n"
            "    def train(config): ...\n"
            "    def train(config, data=None): ...    # further arguments have defaults\n"
            "    tune.with_parameters(train, data=data)    # or are bound\n"
            "Report with tune.report(metrics), and get the checkpoint to continue from with "
            "tune.get_checkpoint()."
        ) from None
