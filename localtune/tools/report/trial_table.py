"""The table of all trials."""

from __future__ import annotations

from typing import Any

from localtune.tools.report.content import Content
from localtune.tools.report.markup import Html, tag
from localtune.tools.report.sections import STATUS_WORDS, section
from localtune.utils.dicts import unflattened_lookup
from localtune.utils.text import count, format_duration, one_line, shorten

# A table of more rows makes a browser slow.
MAX_ROWS = 2000
_MAX_PARAMETER_COLUMNS = 20
_MAX_METRIC_COLUMNS = 5
_MAX_CELL = 60


def trial_table(content: Content) -> Html | None:
    """Makes the table of all trials."""
    if not content.trials:
        return None
    metrics = [name for name in content.metrics if name != content.metric][:_MAX_METRIC_COLUMNS]
    parameters = content.parameters[:_MAX_PARAMETER_COLUMNS]
    numbers = _rows_of(content)
    titles = [
        ("#", True),
        ("Trial", False),
        ("Status", False),
        *(((content.metric, True),) if content.metric else ()),
        *((name, True) for name in metrics),
        ("Results", True),
        ("Time", True),
        *((parameter.name, parameter.is_number) for parameter in parameters),
    ]
    head = [
        tag(
            "th",
            tag("button", title, type="button"),
            scope="col",
            class_="num" if is_number else None,
            # The table comes in the order of the ranking.
            aria_sort=_first_order(content) if title == content.metric else None,
        )
        for title, is_number in titles
    ]
    rows = [_row(content, number, metrics, len(parameters)) for number in numbers]
    missing = len(content.trials) - len(numbers)
    note = None
    if missing:
        which = "the best" if content.is_goal else "the first"
        note = tag(
            "p",
            f"These are {which} {len(numbers):,} of {len(content.trials):,} trials; "
            "'localtune export' writes all of them.",
            class_="hint",
        )
    controls = tag(
        "div",
        tag(
            "label",
            "Filter ",
            tag("input", type="search", id="filter", placeholder="text, or parameter value"),
        ),
        tag(
            "label",
            "Status ",
            tag(
                "select",
                tag("option", "all", value=""),
                *(
                    tag("option", word, value=status.value)
                    for status, word in STATUS_WORDS.items()
                    if status in content.experiment.counts()
                ),
                id="status",
            ),
        ),
        tag("output", count(len(numbers), "trial"), id="shown", aria_live="polite"),
        class_="controls",
    )
    return section(
        "trials",
        "Trials",
        note,
        controls,
        tag(
            "div",
            tag(
                "table",
                tag("caption", "All trials; a heading sorts by its column", class_="unseen"),
                tag("thead", tag("tr", *head)),
                tag("tbody", *rows),
                id="trial-table",
            ),
            class_="scroll",
            role="region",
            tabindex="0",
            aria_label="Table of trials",
        ),
    )


def _rows_of(content: Content) -> list[int]:
    """Numbers of the trials in the table: the best first, then those without a value."""
    if not content.is_goal:
        return list(range(len(content.trials)))[:MAX_ROWS]
    ranked = set(content.ranking)
    rest = [number for number in range(len(content.trials)) if number not in ranked]
    return [*content.ranking, *rest][:MAX_ROWS]


def _row(content: Content, number: int, metrics: list[str], parameters: int) -> Html:
    trial = content.trials[number]
    cells = [
        tag("td", number, class_="num"),
        tag("th", trial.trial_id, scope="row"),
        tag(
            "td",
            tag("span", STATUS_WORDS[trial.status], class_=f"status {trial.status.value}"),
            data_v=trial.status.value,
        ),
    ]
    if content.metric:
        cells.append(_figure(_last(trial, content.metric)))
    cells += [_figure(_last(trial, name)) for name in metrics]
    cells.append(_figure(trial.result_count))
    cells.append(
        tag("td", format_duration(trial.run_time_s), class_="num", data_v=f"{trial.run_time_s:g}")
    )
    for parameter in content.parameters[:parameters]:
        value = parameter.values[number]
        if parameter.is_number:
            cells.append(_figure(value))
        else:
            cells.append(tag("td", shorten(str(value), _MAX_CELL) if value is not None else ""))
    is_best = number == content.best
    return tag("tr", *cells, class_="best" if is_best else None)


def _last(trial: Any, metric: str) -> Any:
    return unflattened_lookup(metric, trial.last_result, default=None)


def _figure(value: Any) -> Html:
    if value is None:
        return tag("td", class_="num")
    return tag("td", shorten(one_line(value, 5), _MAX_CELL), class_="num", data_v=value)


def _first_order(content: Content) -> str | None:
    if not content.is_goal:
        return None
    return "descending" if content.experiment.mode == "max" else "ascending"
