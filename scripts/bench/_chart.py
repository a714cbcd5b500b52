"""A chart of falling curves, as an SVG file, without any library."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

# Readable on white, and apart from each other for people who see few colours.
_COLOURS = ("#000000", "#e69f00", "#56b4e9", "#009e73", "#0072b2", "#d55e00", "#cc79a7", "#8c6d1f")
_WIDTH, _HEIGHT = 720.0, 400.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 70.0, 190.0, 20.0, 50.0


def chart(
    curves: Mapping[str, Sequence[tuple[float, float]]],
    *,
    x_label: str,
    y_label: str,
    x_ticks: Sequence[float],
    y_ticks: Sequence[float],
    joins_points: bool = False,
) -> str:
    """Draws steps, or lines, on two logarithmic axes.

    Args:
        curves: {name: points}, by growing x. Of those left of the axis only the last one counts.
        x_label: What x is.
        y_label: What y is.
        x_ticks: Numbers on the axis, in rising order; the first and last are its ends.
        y_ticks: The same for y. Values beyond the ends are drawn there.
        joins_points: Whether lines join the points. Otherwise a value holds until the next point.

    Returns:
        The text of the file.
    """

    def x_of(value: float) -> float:
        return _LEFT + _share(value, x_ticks) * (_WIDTH - _LEFT - _RIGHT)

    def y_of(value: float) -> float:
        return _HEIGHT - _BOTTOM - _share(value, y_ticks) * (_HEIGHT - _TOP - _BOTTOM)

    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}" '
        'font-family="sans-serif" font-size="13">',
        f'<rect width="{_WIDTH:g}" height="{_HEIGHT:g}" fill="white"/>',
    ]
    for tick in x_ticks:
        x = x_of(tick)
        parts.append(f'<path d="M{x:.1f} {_TOP:g}V{bottom:g}" stroke="#ddd"/>')
        parts.append(_text(x, bottom + 18, f"{tick:,g}", "middle"))
    for tick in y_ticks:
        y = y_of(tick)
        parts.append(f'<path d="M{_LEFT:g} {y:.1f}H{right:g}" stroke="#ddd"/>')
        parts.append(_text(_LEFT - 8, y + 4, f"{tick:g}", "end"))
    parts.append(_text((_LEFT + right) / 2, _HEIGHT - 10, x_label, "middle"))
    middle = (_TOP + bottom) / 2
    turned = f' transform="rotate(-90 18 {middle:g})"'
    parts.append(_text(18, middle, y_label, "middle", turned))
    for number, (name, all_points) in enumerate(curves.items()):
        started = [point for point in all_points if point[0] <= x_ticks[0]][-1:]
        points = started + [point for point in all_points if point[0] > x_ticks[0]]
        colour = _COLOURS[number % len(_COLOURS)]
        dash = ' stroke-dasharray="6 3"' if number >= len(_COLOURS) else ""
        style = f'fill="none" stroke="{colour}" stroke-width="2"{dash}'
        placed = [(x_of(x), y_of(y)) for x, y in points]
        path = _lines(placed) if joins_points else _steps(placed, right)
        parts.append(f'<path d="{path}" {style}/>')
        y = _TOP + 12 + 22 * number
        parts.append(f'<path d="M{right + 12:g} {y:g}h24" {style}/>')
        parts.append(_text(right + 42, y + 4, name, "start"))
    return "\n".join([*parts, "</svg>", ""])


def _share(value: float, ticks: Sequence[float]) -> float:
    low, high = ticks[0], ticks[-1]
    value = min(max(value, low), high)
    return math.log(value / low) / math.log(high / low)


def _steps(points: Sequence[tuple[float, float]], end: float) -> str:
    path = "M{:.1f} {:.1f}".format(*points[0])
    level = f"{points[0][1]:.1f}"
    for x, y in points[1:]:
        if f"{y:.1f}" != level:
            level = f"{y:.1f}"
            path += f"H{x:.1f}V{level}"
    return f"{path}H{end:.1f}"


def _lines(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def _text(x: float, y: float, text: str, anchor: str, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>{escape(text)}</text>'
