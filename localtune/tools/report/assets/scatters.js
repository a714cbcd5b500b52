"use strict";
// Each parameter against the metric.
(() => {
  const {
    data, best, byId, short, valueText, axis,
    logAxis, draw, categoriesOf, lowest, highest, add,
  } = Chart;

  const decades = (values) => Math.log10(highest(values) / lowest(values));

  function drawScatter(element, parameter) {
    const numbers = data.dots.filter((n) => parameter.values[n] !== null);
    const names = parameter.number ? [] : categoriesOf(parameter);
    // Dots of one category are spread a little, the same way each time.
    const place = (n) =>
      parameter.number
        ? parameter.values[n]
        : names.indexOf(parameter.values[n]) + (((n * 0.618034) % 1) - 0.5) * 0.4;
    const dots = (list, marker) => ({
      type: "scatter",
      mode: "markers",
      x: list.map(place),
      y: list.map((n) => data.values[n]),
      text: list.map(valueText),
      hovertemplate: "%{text}<extra></extra>",
      marker,
    });
    const accent = Theme.color("accent");
    const opacity = numbers.length > 200 ? 0.35 : 0.7;
    const traces = [dots(numbers, { color: accent, size: 6, opacity })];
    if (numbers.includes(best)) {
      const color = Theme.color("best");
      traces.push(dots([best], { color, size: 15, symbol: "circle-open", line: { width: 2.5 } }));
    }
    const categories = {
      tickvals: names.slice(0, 12).map((_, at) => at),
      ticktext: names.slice(0, 12).map((name) => short(String(name), 14)),
      range: [-0.5, names.length - 0.5],
      showgrid: false,
    };
    return draw(element, traces, {
      height: 260,
      xaxis: axis({
        title: short(parameter.name, 40),
        ...(parameter.number ? logAxis(parameter.log) : categories),
        ...(parameter.log ? { dtick: decades(parameter.values) >= 2 ? 1 : "D2" } : { nticks: 6 }),
      }),
      yaxis: axis({ ...logAxis(byId("scatter-log-y").checked), nticks: 6 }),
    });
  }

  function drawScatters() {
    const group = byId("scatters-chart");
    return data.parameters.map((parameter, at) => {
      const element = group.children[at] ?? group.appendChild(document.createElement("div"));
      element.setAttribute("role", "img");
      element.setAttribute("aria-label", `${data.metric} against ${parameter.name}`);
      return drawScatter(element, parameter);
    });
  }

  add("scatters-chart", drawScatters, ["scatter-log-y"]);
})();
