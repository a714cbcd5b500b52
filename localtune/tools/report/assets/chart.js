"use strict";
// What all charts have in common: the data, texts, axes, and when to draw.
const Chart = (() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const isNarrow = () => matchMedia("(max-width: 639px)").matches;
  const best = data.goal && data.ranking.length ? data.ranking[0] : null;

  // Plotly takes some HTML in texts: whatever comes from the run is shown as it is.
  const plain = (text) =>
    String(text).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  const short = (text, length = 24) =>
    plain(text.length > length ? `${text.slice(0, length - 1)}…` : text);
  const figure = (value) => {
    if (value === null || value === undefined) return "none";
    if (typeof value !== "number") return short(String(value), 60);
    const text = String(Number(value.toPrecision(5)));
    return text.replace("-", "−");
  };
  const trialName = (n) => `<b>Trial ${n}</b> ${plain(data.ids[n])}`;
  const about = (n) =>
    data.parameters
      .slice(0, data.axes)
      .map((each) => `<br>${short(each.name, 40)}: ${figure(each.values[n])}`)
      .join("");

  const valueText = (n) =>
    `${trialName(n)}<br>${short(data.metric, 40)} = <b>${figure(data.values[n])}</b>${about(n)}`;

  function axis(more) {
    const [grid, ink] = [Theme.color("grid"), Theme.color("muted")];
    return {
      gridcolor: grid,
      zerolinecolor: grid,
      linecolor: grid,
      tickcolor: grid,
      tickfont: { color: ink },
      automargin: true,
      ...more,
      ...(more.title ? { title: { text: more.title, standoff: 8, font: { color: ink } } } : {}),
    };
  }

  const logAxis = (isLog) =>
    isLog ? { type: "log", exponentformat: "e" } : { type: "linear" };

  function draw(element, traces, layout) {
    const isCoarse = matchMedia("(pointer: coarse)").matches;
    return Plotly.react(
      element,
      traces,
      {
        paper_bgcolor: "rgba(0,0,0,0)",
        plot_bgcolor: "rgba(0,0,0,0)",
        font: { family: "system-ui, sans-serif", size: 12, color: Theme.color("ink") },
        margin: { l: 12, r: 12, t: 12, b: 12 },
        hovermode: "closest",
        hoverlabel: {
          bgcolor: Theme.color("card"),
          bordercolor: Theme.color("grid"),
          font: { color: Theme.color("ink") },
          align: "left",
        },
        showlegend: false,
        // A finger that scrolls the page must not zoom a chart.
        dragmode: isCoarse ? false : "zoom",
        width: element.clientWidth,
        ...layout,
      },
      {
        // Zoom is a drag, and a double click ends it: a bar of buttons would cover the charts.
        displayModeBar: false,
      },
    );
  }

  // Categories, by their first appearance, or the values of a number in order.
  const categoriesOf = (parameter) =>
    [...new Set(parameter.values.filter((value) => value !== null))].sort((a, b) =>
      String(a).localeCompare(String(b), "en", { numeric: true }),
    );

  const lowest = (values) => values.reduce((a, b) => (b === null ? a : Math.min(a, b)), Infinity);
  const highest = (values) => values.reduce((a, b) => (b === null ? a : Math.max(a, b)), -Infinity);

  const charts = [];
  const drawAll = () => charts.forEach(([, redraw]) => redraw());

  // Adds a chart, if its place is in the page; it is drawn again when a control changes.
  function add(id, redraw, controls = []) {
    if (!byId(id)) return;
    charts.push([id, redraw]);
    for (const control of controls) byId(control)?.addEventListener("change", redraw);
  }

  function start() {
    let [pending, width] = [0, innerWidth];
    Theme.onChange(drawAll);
    // A chart is as wide as its place: that of a window, or of a page of paper.
    addEventListener("resize", () => {
      if (width === innerWidth || Theme.isPrinting()) return;
      width = innerWidth;
      cancelAnimationFrame(pending);
      pending = requestAnimationFrame(drawAll);
    });
    // One after the other, so that the page can be read meanwhile.
    const waiting = [...charts];
    function drawNext() {
      const next = waiting.shift();
      if (!next) {
        document.body.dataset.ready = "true";
        return;
      }
      next[1]();
      setTimeout(drawNext);
    }
    drawNext();
  }

  return {
    data, best, byId, isNarrow, short, plain, figure, trialName, about, valueText,
    axis, logAxis, draw, categoriesOf, lowest, highest, add, start,
  };
})();
