"""Messages for searchers of users: templates, filled in with ``format``."""

from __future__ import annotations

# {cls}: name of the searcher's class; {space}: name of its argument for the space.
UNDEFINED_SEARCH_SPACE = (
    "{cls} has no search space: pass {space} to it, or param_space to the Tuner (config to "
    "tune.run)."
)
# {cls}: name of the searcher's class; {metric} and {mode}: what they are.
UNDEFINED_METRIC_MODE = (
    "{cls} needs a metric and a mode, but got metric={metric!r} and mode={mode!r}: pass both to "
    "it, or to TuneConfig or tune.run."
)
# {cls}: name of the searcher's class; {par}: name of its argument for the space.
UNRESOLVED_SEARCH_SPACE = (
    "The argument {par} of {cls} holds domains such as tune.uniform(...), which are converted to "
    "the form of its library."
)
