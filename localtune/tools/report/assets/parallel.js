"use strict";
// Parallel coordinates: a line for each trial, coloured by its rank.
(() => {
  const {
    data, best, byId, isNarrow, short, valueText,
    axis, draw, categoriesOf, lowest, highest, add,
  } = Chart;

  // Where a value stands on its axis, 0 to 1, and the labels of the axis.
  function scaleOf(parameter) {
    if (!parameter.number) {
      const names = categoriesOf(parameter);
      const at = new Map(names.map((name, place) => [name, (place + 0.5) / names.length]));
      const step = Math.max(1, Math.ceil(names.length / 8));
      const labels = names.filter((_, place) => place % step === 0);
      return {
        place: (value) => at.get(value) ?? null,
        labels: labels.map((name) => [at.get(name), short(String(name), 12)]),
      };
    }
    const convert = parameter.log ? Math.log10 : (value) => value;
    const [low, high] = [lowest(parameter.values), highest(parameter.values)];
    const span = convert(high) - convert(low) || 1;
    const compact = (value) => String(Number(value.toPrecision(3))).replace("-", "−");
    return {
      place: (value) => (value === null ? null : (convert(value) - convert(low)) / span),
      labels: [[0, compact(low)], [1, compact(high)]],
    };
  }

  function drawParallel() {
    const goal = {
      name: data.metric, number: true, log: false,
      values: data.values.map((value) => value ?? null),
    };
    const axes = [...data.parameters.slice(0, data.axes), goal];
    const scales = axes.map(scaleOf);
    const top = Number(byId("parallel-top")?.value ?? 0);
    const numbers = data.goal && top ? data.dots.slice(0, top) : data.dots;
    // From the worst to the best, in steps of colour: a trace each.
    const steps = data.goal ? Math.min(12, numbers.length) : 1;
    const [weak, strong] = [Theme.color("weak"), Theme.color("accent")];
    const traces = [];
    for (let step = steps - 1; step >= 0; step--) {
      const trace = { x: [], y: [], text: [] };
      const from = Math.floor((step * numbers.length) / steps);
      const to = Math.floor(((step + 1) * numbers.length) / steps);
      for (const n of numbers.slice(from, to)) {
        if (n === best) continue;
        addLine(trace, n);
      }
      const share = steps > 1 ? 1 - step / (steps - 1) : 0.5;
      traces.push(line(trace, Theme.mix(weak, strong, share), numbers.length > 200 ? 0.75 : 1.4));
    }
    if (best !== null) {
      const trace = { x: [], y: [], text: [] };
      addLine(trace, best);
      traces.push(line(trace, Theme.color("best"), 3.5));
    }

    function addLine(trace, n) {
      axes.forEach((each, at) => {
        trace.x.push(at);
        trace.y.push(scales[at].place(each.values[n]));
        trace.text.push(valueText(n));
      });
      trace.x.push(null);
      trace.y.push(null);
      trace.text.push("");
    }

    function line(trace, color, width) {
      return {
        ...trace,
        type: "scatter",
        mode: "lines+markers",
        marker: { size: numbers.length > 200 ? 1 : 4, color },
        line: { color, width },
        hovertemplate: "%{text}<extra></extra>",
      };
    }

    // The names at the edges stay within the chart.
    const length = isNarrow() ? 10 : 18;
    const titles = axes.map((each, at) => ({
      x: at, y: 1.1, showarrow: false, yanchor: "bottom",
      text: each === goal ? `<b>${short(each.name, length)}</b>` : short(each.name, length),
      xanchor: at === 0 ? "left" : at === axes.length - 1 ? "right" : "center",
      xshift: at === 0 ? -6 : at === axes.length - 1 ? 6 : 0,
      font: { color: Theme.color("muted") },
    }));
    const labels = scales.flatMap((scale, at) =>
      scale.labels.map(([y, text]) => ({
        x: at, y, text, showarrow: false,
        xanchor: at === axes.length - 1 ? "right" : "left",
        xshift: at === axes.length - 1 ? -6 : 6,
        yshift: y === 0 ? -9 : y === 1 ? 9 : 0,
        font: { size: 11, color: Theme.color("ink") },
        bgcolor: Theme.color("card"), borderpad: 1, opacity: 0.9,
      })),
    );
    // On a phone the axes keep their distance, and the chart scrolls.
    const frame = byId("parallel-chart");
    const element = frame.firstElementChild ?? frame.appendChild(document.createElement("div"));
    element.style.minWidth = `${104 * axes.length}px`;
    return draw(element, traces, {
      height: isNarrow() ? 380 : 440,
      annotations: [...titles, ...labels],
      shapes: axes.map((_, at) => ({
        type: "line", x0: at, x1: at, y0: 0, y1: 1, layer: "below",
        line: { color: Theme.color("muted"), width: 1 },
      })),
      margin: { l: 8, r: 8, t: 4, b: 4 },
      xaxis: axis({ visible: false, range: [-0.1, axes.length - 0.9], fixedrange: true }),
      yaxis: axis({ visible: false, range: [-0.07, 1.18], fixedrange: true }),
    });
  }

  add("parallel-chart", drawParallel, ["parallel-top"]);
})();
