"""The parts of the page that are text; they need no scripts."""

from __future__ import annotations

import time
from typing import Any

from localtune._version import __version__
from localtune.analysis.reader import ExperimentState
from localtune.tools.commands.json_text import json_text
from localtune.tools.report.content import Content, Failure
from localtune.tools.report.markup import Html, joined, tag
from localtune.tools.report.params import flat_config
from localtune.trial.status import Status
from localtune.utils.text import count, format_duration, one_line, shorten

_MAX_FAILURES = 100

_STATES = {
    ExperimentState.EMPTY: "no trials yet",
    ExperimentState.RUNNING: "running",
    ExperimentState.INTERRUPTED: "interrupted",
    ExperimentState.DONE: "done",
}
STATUS_WORDS = {
    Status.TERMINATED: "finished",
    Status.ERROR: "failed",
    Status.RUNNING: "running",
    Status.INTERRUPTED: "interrupted",
    Status.PENDING: "waiting",
    Status.PAUSED: "paused",
}


def header(content: Content) -> Html:
    """Title, state, and when the report was made."""
    experiment = content.experiment
    state = _STATES.get(experiment.state, experiment.state.value)
    return tag(
        "header",
        tag(
            "div",
            tag("p", "localtune report", class_="eyebrow"),
            tag("h1", experiment.name),
            tag("p", tag("code", experiment.path), class_="path"),
            class_="title",
        ),
        tag(
            "p",
            tag("span", state, class_=f"state {experiment.state.value}"),
            f" Report of {_date(content.made_at)}, localtune {__version__}",
            class_="made",
        ),
    )


def warnings(content: Content) -> Html | None:
    """Makes the notes: what is missing, and why."""
    notes = [content.experiment.problem] if content.experiment.problem else []
    state = content.experiment.state
    if state is ExperimentState.EMPTY:
        notes.append("This experiment has no trials yet. Make the report again later.")
    elif state is ExperimentState.RUNNING:
        notes.append("The run goes on: this report shows how far it was.")
    elif state is ExperimentState.INTERRUPTED:
        notes.append("The run was interrupted: some trials have not ended. It can be resumed.")
    if content.trials and not content.is_goal:
        known = f" Shown is {content.metric!r}." if content.metric else ""
        notes.append(
            "It is not known what is best: the run names no metric and mode."
            f"{known} Say it with --metric NAME --mode min|max."
        )
    elif content.trials and not content.ranking:
        notes.append(f"No trial has reported a finite value of {content.metric!r} so far.")
    if content.experiment.others():
        notes.append(content.experiment.others())
    notes += content.problems[:10]
    if len(content.problems) > 10:
        notes.append(f"... and {len(content.problems) - 10} more histories with such problems.")
    if not notes:
        return None
    return tag("section", *(tag("p", note) for note in notes), class_="notes", aria_label="Notes")


def summary(content: Content) -> Html:
    """Makes the section of figures."""
    experiment, trials = content.experiment, content.trials
    counts = experiment.counts()
    by_status = ", ".join(
        f"{counts[status.value]:,} {word}"
        for status, word in STATUS_WORDS.items()
        if status in counts
    )
    tiles = []
    if content.best is not None:
        value = content.values[content.best]
        tiles.append(
            _tile(
                f"Best {experiment.metric}",
                one_line(value, 5),
                f"trial {content.best}; {_direction(experiment.mode)}",
                "best",
            )
        )
    tiles.append(_tile("Trials", f"{len(trials):,}", by_status or "none so far"))
    if content.started is not None and content.ended is not None:
        trained_s = sum(trial.run_time_s for trial in trials)
        so_far = " so far" if content.is_running else ""
        tiles.append(
            _tile(
                f"Duration{so_far}",
                format_duration(max(0.0, content.ended - content.started)),
                f"{format_duration(trained_s)} of training",
            )
        )
    if content.slots:
        used = f", {content.busy:.0%} used" if content.busy is not None else ""
        tiles.append(_tile("Slots", str(content.slots), f"trials at once at most{used}"))
    rows = [
        ("Started", _date(content.started) if content.started is not None else None),
        ("Machine", ", ".join(content.hosts[:3]) or None),
        ("Trainable", trials[0].trainable_name if trials else None),
        ("Search", _search_text(content)),
        ("Scheduler", _scheduler_text(content)),
        ("Seed", _seed_text(content)),
        ("Run by", str(experiment.owner) if experiment.owner is not None else None),
    ]
    facts = [joined(tag("dt", name), tag("dd", text)) for name, text in rows if text is not None]
    return section(
        "summary",
        "Summary",
        tag("div", *tiles, class_="tiles"),
        tag("dl", *facts, class_="facts") if facts else None,
    )


def best_configuration(content: Content) -> Html | None:
    """Makes the section of the best trial: its configuration, and how to run it again."""
    if content.best is None or content.recipe is None:
        return None
    trial = content.trials[content.best]
    varying = {parameter.name for parameter in content.parameters}
    rows = [
        tag(
            "tr",
            tag("th", key, scope="row"),
            tag("td", one_line(value, None)),
            class_="varies" if key in varying else None,
        )
        for key, value in flat_config(trial.config).items()
    ]
    table = tag("table", tag("tbody", *rows), class_="config") if rows else tag("p", "(empty)")
    recipe, program = content.recipe, content.recipe.program
    return section(
        "best",
        "Best configuration",
        tag(
            "p",
            f"Trial {content.best} ({trial.trial_id}): {content.experiment.metric} = ",
            tag("strong", one_line(content.values[content.best], 6)),
            f" after {count(trial.result_count, 'result')}.",
        ),
        table,
        tag(
            "p",
            tag("button", "Copy as JSON", type="button", class_="copy", data_copy="config-json"),
            class_="under",
        ),
        tag("pre", json_text(trial.config), id="config-json", hidden=True),
        tag("h3", "Run it again"),
        *(tag("p", note, class_="hint") for note in recipe.notes),
        _code("The program", program.line + "\n", "snippet-program") if program else None,
        _code("The program with its variables", program.script, "snippet-variables")
        if program
        else None,
        _code("Command line", recipe.command, "snippet-command") if recipe.command else None,
        _code("Python", recipe.python, "snippet-python"),
    )


def failures(content: Content) -> Html | None:
    """Makes the section of failed trials, grouped by their error."""
    if not content.failures:
        return None
    more = len(content.failures) - _MAX_FAILURES
    return section(
        "failures",
        "Failures",
        *(_failure(each, content) for each in content.failures[:_MAX_FAILURES]),
        tag("p", f"... and {more:,} other errors: see the table of trials.", class_="hint")
        if more > 0
        else None,
    )


def chart(
    element_id: str, title: str, text: Any, *controls: Html, many: bool = False, under: Any = None
) -> Html:
    """A section with a chart that a script draws.

    Args:
        element_id: Of the section; the chart's is that with ``-chart``.
        title: Heading.
        text: What it shows, for those who do not see it, too.
        controls: Elements above the chart.
        many: Whether there are several charts side by side.
        under: What stands below.
    """
    return section(
        element_id,
        title,
        tag("p", text, class_="hint", id=f"{element_id}-text"),
        tag("div", *controls, class_="controls") if controls else None,
        tag(
            "div",
            id=f"{element_id}-chart",
            class_="charts" if many else "chart",
            role="group" if many else "img",
            aria_label=title,
            aria_describedby=f"{element_id}-text",
        ),
        under,
    )


def section(element_id: str, title: str, *children: Any) -> Html:
    """Makes a part of the page with a heading.

    Args:
        element_id: Id of the part.
        title: The heading.
        children: Its content.
    """
    heading = f"{element_id}-title"
    return tag(
        "section",
        tag("h2", title, id=heading),
        *children,
        id=element_id,
        aria_labelledby=heading,
    )


def _tile(name: str, figure: str, about: str, kind: str | None = None) -> Html:
    return tag(
        "div",
        tag("p", name, class_="name"),
        tag("p", figure, class_="figure"),
        tag("p", about, class_="about"),
        class_=f"tile {kind}" if kind else "tile",
    )


def _code(title: str, text: str, element_id: str) -> Html:
    return tag(
        "figure",
        tag(
            "figcaption",
            title,
            tag("button", "Copy", type="button", class_="copy", data_copy=element_id),
        ),
        tag("pre", tag("code", text, id=element_id), tabindex="0"),
        class_="code",
    )


def _failure(failure: Failure, content: Content) -> Html:
    shown = [f"{number} ({content.trials[number].trial_id})" for number in failure.numbers[:20]]
    more = len(failure.numbers) - len(shown)
    which = ", ".join(shown) + (f" and {more} more" if more else "")
    ending = "" if failure.are_over else ", retried"
    return tag(
        "details",
        tag(
            "summary",
            tag("code", shorten(failure.headline, 160)),
            tag("span", f"{count(len(failure.numbers), 'trial')}{ending}", class_="badge"),
        ),
        tag("p", f"Trial {which}" if len(failure.numbers) == 1 else f"Trials {which}"),
        tag("pre", failure.text.rstrip(), tabindex="0"),
        class_="failure",
    )


def _direction(mode: str | None) -> str:
    return "higher is better" if mode == "max" else "lower is better"


def _search_text(content: Content) -> str | None:
    config = content.experiment.tune_config
    if config is None:
        return None
    search = getattr(config, "search_alg", None)
    return _class_text(search) if search is not None else "random and grid (the default)"


def _scheduler_text(content: Content) -> str | None:
    config = content.experiment.tune_config
    if config is None:
        return None
    scheduler = getattr(config, "scheduler", None)
    return _class_text(scheduler) if scheduler is not None else "none (FIFO)"


def _class_text(thing: Any) -> str:
    return thing if isinstance(thing, str) else type(thing).__name__


def _seed_text(content: Content) -> str | None:
    seed = getattr(content.experiment.tune_config, "seed", None)
    return str(seed) if seed is not None else None


def _date(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(seconds))
