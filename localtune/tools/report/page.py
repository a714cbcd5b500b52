"""Assembles the page: text, data, scripts and styles in one file."""

from __future__ import annotations

import base64
import hashlib
import time
from importlib import resources
from typing import Any

from localtune.analysis.reader import ExperimentState
from localtune.tools.report import sections
from localtune.tools.report.content import Content
from localtune.tools.report.curves import MAX_CURVES
from localtune.tools.report.importance import MIN_TRIALS
from localtune.tools.report.markup import Html, data_script, tag
from localtune.tools.report.params import Parameter
from localtune.tools.report.trial_table import trial_table
from localtune.trial.status import Status
from localtune.utils.text import count

# More axes or charts than these are hard to read.
_MAX_AXES = 8
_MAX_SCATTERS = 12
# More of these make a browser slow.
_MAX_DOTS = 2000
_MAX_BARS = 3000
_TOP = (1, 3, 5, 10, 20, 50)
_DEFAULT_TOP = 5

# Later ones use earlier ones.
_TEXT_SCRIPTS = ("table.js", "copy.js")
_CHART_SCRIPTS = (
    "theme.js",
    "chart.js",
    "curves.js",
    "importance.js",
    "scatters.js",
    "parallel.js",
    "timeline.js",
    "start.js",
)


def render(content: Content, plotly_source: str) -> str:
    """Renders the page.

    Args:
        content: Content of the page.
        plotly_source: The library that draws its charts, in JavaScript.
    """
    has_charts = bool(content.stretches or content.curves or content.ranking)
    scripts = [_asset(name) for name in _TEXT_SCRIPTS]
    if has_charts:
        scripts += [plotly_source, *map(_asset, _CHART_SCRIPTS)]
    # A parser of HTML turns all ends of lines into this one, before the digest is compared.
    scripts = [text.replace("\r\n", "\n").replace("\r", "\n") for text in scripts]
    parts: list[tuple[str, str, Html | None]] = [
        ("summary", "Summary", sections.summary(content)),
        ("best", "Best", sections.best_configuration(content)),
        ("curves", "Curves", _curves(content)),
        ("importance", "Importance", _importance(content)),
        ("scatters", "Parameters", _scatters(content)),
        ("parallel", "Parallel", _parallel(content)),
        ("timeline", "Timeline", _timeline(content)),
        ("failures", "Failures", sections.failures(content)),
        ("trials", "Trials", trial_table(content)),
    ]
    links = [
        tag("a", title, href=f"#{element_id}")
        for element_id, title, part in parts
        if part is not None
    ]
    body = tag(
        "body",
        tag("a", "Skip to the trials", href="#trials", class_="skip") if content.trials else None,
        sections.header(content),
        tag("nav", *links, aria_label="Sections") if len(links) > 1 else None,
        Html(
            "<noscript><p class=notes>Charts, sorting and copying need JavaScript.</p></noscript>"
        ),
        tag(
            "main",
            sections.warnings(content),
            *(part for _, _, part in parts if part is not None),
        ),
        data_script("data", _data(content)),
        *(Html(f"<script>{text}</script>") for text in scripts),
    )
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        # Nothing is loaded, and no script runs but those that stand here.
        tag("meta", http_equiv="Content-Security-Policy", content=_policy(scripts)),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"{content.experiment.name} - localtune report"),
        Html(f"<style>{_asset('page.css')}</style>"),
    )
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def _policy(scripts: list[str]) -> str:
    digests = " ".join(
        "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"
        for text in scripts
    )
    return (
        f"default-src 'none'; script-src {digests}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def _asset(name: str) -> str:
    return (resources.files("localtune.tools.report") / "assets" / name).read_text("utf-8")


# -- charts ---------------------------------------------------------------------------------------


def _curves(content: Content) -> Html | None:
    if not content.curves:
        return None
    drawn, points = len(content.curves), sum(len(each.iterations) for each in content.curves)
    text = "Each line is a trial; move over one to see its values."
    if content.is_goal:
        text += f" The best trials by the last {content.metric} are in colour, the others grey."
    if len(content.ranking) > MAX_CURVES:
        which = "best" if content.is_goal else "first"
        text += f" Drawn are the {which} {drawn:,} of {len(content.ranking):,} trials."
    results = sum(each.result_count for each in content.curves)
    if points < results:
        text += (
            f" Thinned: {points:,} of {count(results, 'result')} are drawn, "
            f"with the extremes of {content.metric}."
        )
    word = "Best" if content.is_goal else "First"
    tops = [top for top in _TOP if top < drawn] + ([drawn] if drawn <= _TOP[-1] else [])
    return sections.chart(
        "curves",
        "Learning curves",
        text,
        _select("curve-metric", "Metric", [(name, name) for name in content.metrics]),
        _select(
            "curve-top",
            "In colour",
            [(str(top), f"{word} {top}" if top < drawn else f"All {top}") for top in tops],
            str(_DEFAULT_TOP if _DEFAULT_TOP in tops else tops[-1]),
        ),
        _select("curve-x", "Against", [("x", "iteration"), ("t", "training time")]),
        _checkbox("curve-log-x", "Log x"),
        _checkbox("curve-log-y", "Log y"),
    )


def _importance(content: Content) -> Html | None:
    if not content.parameters or content.metric is None:
        return None
    method = (
        f"How much of the order of the trials by {content.metric} one parameter alone explains: "
        "epsilon squared of the Kruskal-Wallis test (Kelley 1935, Kruskal and Wallis 1952), over "
        f"the {len(content.ranking):,} trials with a value. Numbers are put into at most five "
        "ranges. Joint effects of parameters are not seen, and a scheduler that stops trials "
        "early bends the picture."
    )
    if not content.importances:
        valued = len(content.ranking)
        reason = (
            f"Too few trials to tell: {valued} of at least {MIN_TRIALS} have a value."
            if valued < MIN_TRIALS
            else "Nothing to tell: the trials' values do not differ."
        )
        return sections.chart("importance", "Parameter importance", reason)
    if len(content.ranking) < 3 * MIN_TRIALS:
        method += f" With only {count(len(content.ranking), 'trial')} this is a rough guess."
    return sections.chart("importance", "Parameter importance", method)


def _scatters(content: Content) -> Html | None:
    shown = _shown_parameters(content)[:_MAX_SCATTERS]
    if not shown or not content.ranking:
        return None
    text = f"Each dot is a trial: its last {content.metric} against one parameter."
    if content.best is not None:
        text += " The best one is marked with a ring."
    text += _left_out(content, len(shown))
    return sections.chart(
        "scatters",
        f"Parameters against {content.metric}",
        text,
        _checkbox("scatter-log-y", "Log y"),
        many=True,
    )


def _parallel(content: Content) -> Html | None:
    shown = _shown_parameters(content)[:_MAX_AXES]
    if not shown or not content.ranking:
        return None
    text = "Each line is a trial."
    if content.is_goal:
        text += " The stronger the colour, the better; the best one is thick."
    text += _left_out(content, len(shown))
    tops = [("0", "all")] + [
        (str(top), f"best {top}") for top in _TOP[1:] if top < len(content.ranking)
    ]
    controls = (
        [_select("parallel-top", "Trials", tops)] if content.is_goal and len(tops) > 1 else []
    )
    return sections.chart("parallel", "Parallel coordinates", text, *controls)


def _left_out(content: Content, parameters: int) -> str:
    """Describes what a chart of parameters leaves out."""
    text = ""
    if len(content.parameters) > parameters:
        text += f" Shown are {parameters} of {len(content.parameters)} parameters."
    if len(content.ranking) > _MAX_DOTS:
        which = "best" if content.is_goal else "first"
        text += f" Drawn are the {which} {_MAX_DOTS:,} of {len(content.ranking):,} trials."
    return text


def _timeline(content: Content) -> Html | None:
    if not content.stretches:
        return None
    text = (
        "Each bar is a trial at work; gaps are idle time. Told from the trials' starts and from "
        "the times of their results, which are whole seconds; slots are the fewest rows that "
        "hold the bars."
    )
    if len(content.stretches) > _MAX_BARS:
        text += f" Drawn are the {_MAX_BARS:,} longest of {len(content.stretches):,} bars."
    if content.busy is not None:
        text = f"The {count(content.slots, 'slot')} worked {content.busy:.0%} of the time. {text}"
    return sections.chart("timeline", "Timeline of slots", text)


def _select(
    element_id: str, label: str, options: list[tuple[str, str]], chosen: str | None = None
) -> Html:
    return tag(
        "label",
        f"{label} ",
        tag(
            "select",
            *(
                tag("option", text, value=value, selected=value == chosen)
                for value, text in options
            ),
            id=element_id,
        ),
    )


def _checkbox(element_id: str, label: str) -> Html:
    return tag("label", tag("input", type="checkbox", id=element_id), f" {label}")


# -- data -----------------------------------------------------------------------------------------


def _shown_parameters(content: Content) -> list[Parameter]:
    """The varying parameters, the most important first."""
    order = {each.name: place for place, each in enumerate(content.importances)}
    return sorted(content.parameters, key=lambda each: order.get(each.name, len(order)))


def _data(content: Content) -> dict[str, Any]:
    """Returns the data that the scripts draw."""
    trials = content.trials
    return {
        "metric": content.metric,
        "mode": content.experiment.mode,
        "goal": content.is_goal,
        "ids": [trial.trial_id for trial in trials],
        "values": content.values,
        "ranking": content.ranking,
        "dots": content.ranking[:_MAX_DOTS],
        "metrics": content.metrics,
        "parameters": [
            {
                "name": each.name,
                "number": each.is_number,
                "log": each.is_log,
                "values": each.values,
            }
            for each in _shown_parameters(content)[:_MAX_SCATTERS]
        ],
        "axes": _MAX_AXES,
        "importance": [
            {"name": each.name, "share": round(each.share, 4), "trend": each.trend}
            for each in content.importances[:_MAX_SCATTERS]
        ],
        "curves": [
            {"n": each.number, "x": each.iterations, "t": each.times, "y": each.values}
            for each in content.curves
        ],
        "timeline": _timeline_data(content),
    }


def _timeline_data(content: Content) -> list[dict[str, Any]]:
    last = {each.number: each for each in sorted(content.stretches, key=lambda each: each.end)}
    running = content.experiment.state is ExperimentState.RUNNING
    data = []
    longest = sorted(content.stretches, key=lambda each: each.start - each.end)
    for each in sorted(longest[:_MAX_BARS], key=lambda each: each.start):
        status = "went on"
        if each.has_failed:
            status = "failed"
        elif last[each.number] is each:
            trial = content.trials[each.number]
            if trial.status is Status.TERMINATED:
                status = "finished"
            elif trial.status is Status.RUNNING and running:
                status = "running"
            else:
                status = "paused" if trial.status is Status.PAUSED else "cut off"
        data.append(
            {
                "n": each.number,
                "slot": each.slot,
                "start": _local_time(each.start),
                "ms": max(1, round(1000 * (each.end - each.start))),
                "status": status,
            }
        )
    return data


def _local_time(seconds: float) -> str:
    whole = int(seconds)
    text = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(whole))
    return f"{text}.{int(1000 * (seconds - whole)):03d}"
