"""The model of PB2: predicts gains, and suggests the configuration with the highest promise.

The model is a Gaussian process over (time, score, hyperparameters). Its kernel is that of
Parker-Holder et al. 2020, section 4: squared-exponential in the hyperparameters, times a factor
``(1 - e)^(|t-t'|/2)`` that reduces the weight of the past. The factor is the exponential kernel
(Matern with nu = 1/2).
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

# With fewer observations, a random configuration is as good.
_FEWEST_OBSERVATIONS = 3
# Fitting the kernel's scales takes time that grows with the cube of this.
_FITTED_OBSERVATIONS = 200
_CANDIDATES = 500
# Widths of the searches around the best candidate, one after the other.
_REFINEMENTS = (0.1, 0.03, 0.01)


@dataclass(frozen=True, slots=True)
class IntervalStart:
    """The state of a trial at the beginning of an interval.

    Attributes:
        time: The trial's time.
        score: Its score at that time, higher is better.
        values: Its hyperparameters during the interval.
    """

    time: float
    score: float
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Observation:
    """The gain of a trial in an interval.

    Attributes:
        before: State at the beginning of the interval.
        gain: Change of the score per unit of time.
    """

    before: IntervalStart
    gain: float


def suggest(
    observations: Sequence[Observation],
    running: Sequence[IntervalStart],
    time: float,
    score: float,
    bounds: Sequence[tuple[float, float]],
    rng: random.Random,
) -> tuple[float, ...]:
    """Returns the hyperparameters with the highest upper confidence bound on the gain.

    Args:
        observations: The known gains, oldest first.
        running: The intervals that trials are in. The bound is narrower near them although their
            gains are not known yet (Parker-Holder et al. 2020, section 4).
        time: Time of the trial that gets the hyperparameters.
        score: Score of that trial.
        bounds: (lowest, highest value) of each hyperparameter.
        rng: Source of randomness.

    Returns:
        One value for each of the bounds.
    """
    if len(observations) < _FEWEST_OBSERVATIONS:
        return tuple(low + (high - low) * rng.random() for low, high in bounds)
    import numpy as np

    generator = np.random.default_rng(rng.getrandbits(64))
    scale = _Scale([each.before for each in observations] + list(running), time, score, bounds)
    bound = upper_bound(
        scale.rows([each.before for each in observations]),
        np.array([each.gain for each in observations]),
        scale.rows(running),
    )
    size = len(bounds)
    context = scale.rows([IntervalStart(time, score, tuple(low for low, _ in bounds))])[0, :2]

    def best_of(points: Array) -> Array:
        rows = np.hstack([np.tile(context, (len(points), 1)), points])
        chosen: Array = points[int(np.argmax(bound(rows)))]
        return chosen

    best = best_of(generator.random((_CANDIDATES, size)))
    for width in _REFINEMENTS:
        near = best + width * generator.standard_normal((_CANDIDATES // 4, size))
        best = best_of(np.vstack([best[None, :], np.clip(near, 0.0, 1.0)]))
    return tuple(
        low + (high - low) * float(part) for (low, high), part in zip(bounds, best, strict=True)
    )


class _Scale:
    """Scales times, scores and hyperparameters to about 0 to 1, as the kernels expect."""

    def __init__(
        self,
        known: Sequence[IntervalStart],
        time: float,
        score: float,
        bounds: Sequence[tuple[float, float]],
    ) -> None:
        times = [time, *(each.time for each in known)]
        scores = [score, *(each.score for each in known)]
        self._ranges = [(min(times), max(times)), (min(scores), max(scores)), *bounds]

    def rows(self, starts: Sequence[IntervalStart]) -> Array:
        """Returns one scaled row per start: time, score, hyperparameters."""
        import numpy as np

        lows = np.array([low for low, _ in self._ranges])
        spans = np.array([(high - low) or 1.0 for low, high in self._ranges])
        raw = [(each.time, each.score, *each.values) for each in starts]
        scaled: Array = (np.array(raw).reshape(-1, len(self._ranges)) - lows) / spans
        return scaled


def upper_bound(rows: Array, gains: Array, running: Array) -> Any:
    """Returns a function: rows -> upper confidence bounds of their gains.

    The bounds are in units of the standard deviation of ``gains``.

    Args:
        rows: One row per observation, oldest first: time, score, hyperparameters.
        gains: The gain of each observation.
        running: Rows of the intervals that trials are in.
    """
    import warnings

    import numpy as np
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.gaussian_process import GaussianProcessRegressor

    weight = math.sqrt(0.2 + math.log(1 + 0.4 * len(rows)))
    spread = float(gains.std())
    gains = (gains - gains.mean()) / (spread or 1.0)
    learner = GaussianProcessRegressor(_kernel())
    with warnings.catch_warnings():
        # With few observations the scales of the kernel end at their bounds.
        warnings.simplefilter("ignore", ConvergenceWarning)
        learner.fit(rows[-_FITTED_OBSERVATIONS:], gains[-_FITTED_OBSERVATIONS:])
    model = GaussianProcessRegressor(learner.kernel_, optimizer=None).fit(rows, gains)
    if len(running):
        # Adding the predicted gains leaves the mean as it is and lowers the deviation.
        rows, gains = np.vstack([rows, running]), np.append(gains, model.predict(running))
        model = GaussianProcessRegressor(learner.kernel_, optimizer=None).fit(rows, gains)

    def bound(candidates: Array) -> Array:
        mean, deviation = model.predict(candidates, return_std=True)
        bounds: Array = mean + weight * deviation
        return bounds

    return bound


def _kernel() -> Any:
    """Returns the kernel: squared-exponential in score and hyperparameters, fading with time."""
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, Matern, WhiteKernel

    on_columns = _column_kernel()
    similarity = on_columns(RBF(0.5, (0.05, 10.0)), 1, None)
    memory = on_columns(Matern(1.0, (0.05, 100.0), nu=0.5), 0, 1)
    noise = WhiteKernel(0.05, (1e-4, 1.0))
    return ConstantKernel(1.0, (0.05, 20.0)) * similarity * memory + noise


def _column_kernel() -> Any:
    """Returns the class of kernels over some columns; its base class is in an extra."""
    from sklearn.gaussian_process.kernels import Kernel

    class OnColumns(Kernel):  # type: ignore[misc]
        """Applies a kernel to the columns from ``first`` up to, not including, ``last``."""

        def __init__(self, kernel: Any, first: int, last: int | None) -> None:
            self.kernel = kernel
            self.first = first
            self.last = last

        def get_params(self, deep: bool = True) -> dict[str, Any]:
            return {"kernel": self.kernel, "first": self.first, "last": self.last}

        @property
        def hyperparameters(self) -> Any:
            return self.kernel.hyperparameters

        @property
        def theta(self) -> Any:
            return self.kernel.theta

        @theta.setter
        def theta(self, theta: Any) -> None:
            self.kernel.theta = theta

        @property
        def bounds(self) -> Any:
            return self.kernel.bounds

        def __call__(self, X: Any, Y: Any = None, eval_gradient: bool = False) -> Any:
            columns = slice(self.first, self.last)
            other = None if Y is None else Y[:, columns]
            return self.kernel(X[:, columns], other, eval_gradient)

        def diag(self, X: Any) -> Any:
            return self.kernel.diag(X[:, self.first : self.last])

        def is_stationary(self) -> bool:
            return True

    return OnColumns
