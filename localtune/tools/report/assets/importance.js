"use strict";
// Importance of the parameters, as bars.
(() => {
  const { data, byId, short, plain, figure, axis, draw, add } = Chart;

  function drawImportance() {
    const items = [...data.importance].reverse();
    return draw(
      byId("importance-chart"),
      [
        {
          type: "bar",
          orientation: "h",
          x: items.map((each) => each.share),
          y: items.map((_, at) => at),
          text: items.map((each) => `${Math.round(100 * each.share)} %`),
          textposition: "outside",
          cliponaxis: false,
          marker: { color: Theme.color("accent") },
          customdata: items.map((each) =>
            each.trend === null
              ? "categories have no direction"
              : `rank correlation (Spearman) ${figure(Number(each.trend.toFixed(2)))}`,
          ),
          hovertext: items.map((each) => plain(each.name)),
          hovertemplate: "<b>%{hovertext}</b>: %{text}<br>%{customdata}<extra></extra>",
        },
      ],
      {
        height: 44 + 30 * items.length,
        bargap: 0.35,
        margin: { l: 12, r: 48, t: 4, b: 12 },
        xaxis: axis({ range: [0, Math.max(0.1, ...items.map((each) => each.share)) * 1.05],
          tickformat: ".0%", fixedrange: true }),
        yaxis: axis({
          tickvals: items.map((_, at) => at),
          ticktext: items.map((each) => short(each.name)),
          showgrid: false,
          zeroline: false,
          fixedrange: true,
          ticklen: 6,
          tickcolor: "rgba(0,0,0,0)",
        }),
      },
    );
  }

  if (data.importance.length) add("importance-chart", drawImportance);
})();
