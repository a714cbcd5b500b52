"use strict";
// Sorts and filters the table of trials.
(() => {
  const table = document.getElementById("trial-table");
  if (!table) return;
  const body = table.tBodies[0];
  const headings = [...table.tHead.rows[0].cells];
  const rows = [...body.rows];
  const filter = document.getElementById("filter");
  const status = document.getElementById("status");
  const shown = document.getElementById("shown");
  const statusColumn = headings.findIndex((each) => each.textContent === "Status");
  const collator = new Intl.Collator(undefined, { numeric: true });

  const valueOf = (row, column) => {
    const cell = row.cells[column];
    return cell.dataset.v ?? cell.textContent;
  };

  function compare(a, b, column, isNumber) {
    const [left, right] = [valueOf(a, column), valueOf(b, column)];
    if (!isNumber) return collator.compare(left, right);
    return Number(left) - Number(right);
  }

  function sort(column) {
    const heading = headings[column];
    const isNumber = heading.classList.contains("num");
    const isUp = heading.getAttribute("aria-sort") !== "ascending";
    for (const each of headings) each.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", isUp ? "ascending" : "descending");
    // What has no value, or is no number, is last either way.
    const lacks = (row) => {
      const value = valueOf(row, column);
      return value === "" || (isNumber && Number.isNaN(Number(value)));
    };
    const sorted = rows.filter((row) => !lacks(row));
    sorted.sort((a, b) => compare(a, b, column, isNumber) * (isUp ? 1 : -1));
    body.append(...sorted, ...rows.filter(lacks));
  }

  // A search does not go over from one cell to the next.
  const textOf = (row) => [...row.cells].map((cell) => cell.textContent).join("\n");
  const texts = new Map(rows.map((row) => [row, textOf(row).toLowerCase()]));

  function select() {
    const wanted = filter.value.trim().toLowerCase();
    let number = 0;
    for (const row of rows) {
      const fits =
        texts.get(row).includes(wanted) &&
        (!status.value || row.cells[statusColumn].dataset.v === status.value);
      row.hidden = !fits;
      number += fits;
    }
    const all = rows.length.toLocaleString("en");
    shown.textContent =
      number === rows.length ? `${all} trials` : `${number.toLocaleString("en")} of ${all} trials`;
  }

  headings.forEach((heading, column) =>
    heading.querySelector("button").addEventListener("click", () => sort(column)),
  );
  filter.addEventListener("input", select);
  status.addEventListener("change", select);
})();
