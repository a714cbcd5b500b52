"use strict";
// Learning curves: the best in colour, the rest in grey.
(() => {
  const {
    data, best, byId, isNarrow, short, figure, trialName, about,
    axis, logAxis, draw, add,
  } = Chart;

  function drawCurves() {
    const metric = byId("curve-metric").value;
    const top = Number(byId("curve-top").value);
    const key = byId("curve-x").value;
    const byTrial = new Map(data.curves.map((each) => [each.n, each]));
    const order = data.ranking.filter((n) => byTrial.has(n));
    const palette = Theme.palette();

    const rest = { x: [], y: [], text: [] };
    for (const n of order.slice(top)) {
      const curve = byTrial.get(n);
      const label = trialName(n);
      rest.x.push(...curve[key], null);
      rest.y.push(...curve.y[metric], null);
      for (const value of curve.y[metric]) rest.text.push(`${label}<br>${figure(value)}`);
      rest.text.push("");
    }
    const traces = [];
    if (rest.x.length) {
      traces.push({
        ...rest,
        type: "scatter",
        mode: "lines",
        line: { color: Theme.color("faint"), width: order.length > 100 ? 0.6 : 1 },
        hovertemplate: "%{text}<extra></extra>",
        showlegend: false,
      });
    }
    const unit = key === "t" ? " s" : "";
    // The best one last: on top of all.
    order.slice(0, top).reverse().forEach((n, fromEnd, all) => {
      const place = all.length - 1 - fromEnd;
      const curve = byTrial.get(n);
      const ys = curve.y[metric];
      const isFew = ys.length <= 30;
      traces.push({
        type: "scatter",
        x: curve[key],
        y: ys,
        text: ys.map(
          (value, at) =>
            `${trialName(n)}<br>${key === "t" ? "after" : "iteration"} ` +
            `${figure(curve[key][at])}${unit}: ${short(metric, 40)} = <b>${figure(value)}</b>` +
            about(n),
        ),
        hovertemplate: "%{text}<extra></extra>",
        name: `${n}${n === best ? " (best)" : ""}`,
        legendrank: place,
        mode: isFew ? "lines+markers" : "lines",
        marker: { size: 5 },
        line: {
          color: palette[place % palette.length],
          width: place === 0 && data.goal ? 3 : 1.75,
          dash: ["solid", "dash", "dot"][Math.floor(place / palette.length) % 3],
        },
      });
    });
    const showsLegend = !isNarrow() && top > 1 && top <= 10;
    return draw(byId("curves-chart"), traces, {
      height: isNarrow() ? 320 : 420,
      showlegend: showsLegend,
      legend: { title: { text: "Trial" }, itemsizing: "constant" },
      xaxis: axis({
        title: key === "t" ? "training time in s" : "iteration",
        ...logAxis(byId("curve-log-x").checked),
      }),
      yaxis: axis({ title: short(metric, 40), ...logAxis(byId("curve-log-y").checked) }),
    });
  }

  add("curves-chart", drawCurves, [
    "curve-metric", "curve-top", "curve-x", "curve-log-x", "curve-log-y",
  ]);
})();
