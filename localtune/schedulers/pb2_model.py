"""The model of PB2: how much a configuration will gain, and which one promises most.

A Gaussian process over (time, score, hyperparameters). Its kernel is that of Parker-Holder et al.
2020, section 4: squared-exponential in the hyperparameters, times a factor ``(1 - e)^(|t-t'|/2)``
by which the past is forgotten. That factor is the exponential kernel (Matern with nu = 1/2).
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

# Less says nothing; what is random is as good.
_FEWEST_OBSERVATIONS = 3
# To learn how fast the kernel falls costs the cube of this.
_FITTED_OBSERVATIONS = 200
_CANDIDATES = 500
# Around the best candidate, nearer and nearer.
_REFINEMENTS = (0.1, 0.03, 0.01)


@dataclass(frozen=True, slots=True)
class Situation:
    """Where a trial begins an interval.

    Attributes:
        time: How far it is.
        score: Its score then, higher is better.
        values: Its hyperparameters from then on.
    """

    time: float
    score: float
    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Observation:
    """What a trial gained in an interval.

    Attributes:
        before: Where it began.
        gain: Change of the score per unit of time.
    """

    before: Situation
    gain: float


def suggest(
    observations: Sequence[Observation],
    running: Sequence[Situation],
    time: float,
    score: float,
    bounds: Sequence[tuple[float, float]],
    rng: random.Random,
) -> tuple[float, ...]:
    """The hyperparameters with the highest upper confidence bound on the gain.

    Args:
        observations: What is known, oldest first.
        running: What is being tried: nothing is to be learnt beside it. As Parker-Holder et al.
            2020, section 4, the bound is narrower there though no gain is known yet.
        time: How far the trial is that gets them.
        score: Its score.
        bounds: (lowest, highest value) of each.
        rng: What is random comes from here.

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
    context = scale.rows([Situation(time, score, tuple(low for low, _ in bounds))])[0, :2]

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
    """Brings situations to where kernels expect numbers: about 0 to 1."""

    def __init__(
        self,
        known: Sequence[Situation],
        time: float,
        score: float,
        bounds: Sequence[tuple[float, float]],
    ) -> None:
        times = [time, *(each.time for each in known)]
        scores = [score, *(each.score for each in known)]
        self._ranges = [(min(times), max(times)), (min(scores), max(scores)), *bounds]

    def rows(self, situations: Sequence[Situation]) -> Array:
        """One row for each: time, score, hyperparameters."""
        import numpy as np

        lows = np.array([low for low, _ in self._ranges])
        spans = np.array([(high - low) or 1.0 for low, high in self._ranges])
        raw = [(each.time, each.score, *each.values) for each in situations]
        scaled: Array = (np.array(raw).reshape(-1, len(self._ranges)) - lows) / spans
        return scaled


def upper_bound(rows: Array, gains: Array, running: Array) -> Any:
    """A function: rows -> upper confidence bounds of their gains, in units of their spread.

    Args:
        rows: What has been tried, oldest first: time, score, hyperparameters.
        gains: What each gained.
        running: Rows of what is being tried.
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
        # To learn what is expected anyway changes no expectation, only how sure it is.
        rows, gains = np.vstack([rows, running]), np.append(gains, model.predict(running))
        model = GaussianProcessRegressor(learner.kernel_, optimizer=None).fit(rows, gains)

    def bound(candidates: Array) -> Array:
        mean, deviation = model.predict(candidates, return_std=True)
        bounds: Array = mean + weight * deviation
        return bounds

    return bound


def _kernel() -> Any:
    """Squared-exponential in score and hyperparameters, fading with time, and noise."""
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, Matern, WhiteKernel

    on_columns = _column_kernel()
    likeness = on_columns(RBF(0.5, (0.05, 10.0)), 1, None)
    memory = on_columns(Matern(1.0, (0.05, 100.0), nu=0.5), 0, 1)
    noise = WhiteKernel(0.05, (1e-4, 1.0))
    return ConstantKernel(1.0, (0.05, 20.0)) * likeness * memory + noise


def _column_kernel() -> Any:
    """The class of kernels that look at some columns only; made late, for its base is an extra."""
    from sklearn.gaussian_process.kernels import Kernel

    class OnColumns(Kernel):  # type: ignore[misc]
        """A kernel of the columns from ``first`` up to, not including, ``last``."""

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
