"use strict";
// Which trial ran when.
(() => {
  const { data, best, byId, isNarrow, trialName, about, axis, draw, add } = Chart;

  function drawTimeline() {
    const colors = {
      finished: Theme.color("accent"),
      "went on": Theme.color("weak"),
      running: Theme.color("running"),
      paused: Theme.color("paused"),
      "cut off": Theme.color("paused"),
      failed: Theme.color("bad"),
    };
    const present = Object.keys(colors).filter((status) =>
      data.timeline.some((each) => each.status === status),
    );
    const seconds = (ms) => (ms < 60000 ? `${(ms / 1000).toFixed(1)} s` :
      `${Math.floor(ms / 60000)} min ${Math.round((ms % 60000) / 1000)} s`);
    const traces = present.map((status) => {
      const items = data.timeline.filter((each) => each.status === status);
      return {
        type: "bar",
        orientation: "h",
        name: status,
        base: items.map((each) => each.start),
        x: items.map((each) => each.ms),
        y: items.map((each) => each.slot),
        text: items.map((each) => String(each.n)),
        textposition: "inside",
        insidetextanchor: "middle",
        textangle: 0,
        insidetextfont: { color: Theme.color("on-bar") },
        hovertext: items.map(
          (each) =>
            `${trialName(each.n)}<br>${each.status}, ${seconds(each.ms)}` +
            `<br>from ${each.start.slice(11, 19)}` + about(each.n),
        ),
        hovertemplate: "%{hovertext}<extra></extra>",
        marker: {
          color: colors[status],
          line: {
            // A failure at once is a line, at least.
            color: items.map((each) =>
              each.n === best ? Theme.color("best")
              : status === "failed" ? colors.failed
              : Theme.color("card")),
            width: items.map((each) =>
              each.n === best ? 2.5 : status === "failed" ? 2 : data.timeline.length > 200 ? 0 : 1),
          },
        },
      };
    });
    const slots = 1 + data.timeline.reduce((most, each) => Math.max(most, each.slot), 0);
    return draw(byId("timeline-chart"), traces, {
      height: Math.min(640, 90 + 30 * slots),
      barmode: "overlay",
      bargap: 0.2,
      showlegend: present.length > 1,
      legend: { orientation: "h", x: 0, y: 1, yanchor: "bottom" },
      uniformtext: { minsize: 9, mode: "hide" },
      xaxis: axis({ type: "date", nticks: isNarrow() ? 4 : undefined }),
      yaxis: axis({
        title: "slot",
        autorange: "reversed",
        tickvals: slots <= 16 ? [...Array(slots).keys()] : undefined,
        ticktext: slots <= 16 ? [...Array(slots).keys()].map((slot) => slot + 1) : undefined,
        showgrid: false,
        zeroline: false,
      }),
    });
  }

  add("timeline-chart", drawTimeline);
})();
