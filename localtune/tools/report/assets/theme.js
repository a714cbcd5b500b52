"use strict";
// Colours of the charts are those of the page: see page.css.
const Theme = (() => {
  const root = document.documentElement;
  const read = (name) => getComputedStyle(root).getPropertyValue(`--${name}`).trim();
  const parts = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
  return {
    color: read,
    palette: () => [1, 2, 3, 4, 5, 6, 7].map((number) => read(`line-${number}`)),
    // Between two colours, share 0 to 1.
    mix(from, to, share) {
      const [a, b] = [parts(from), parts(to)];
      return `rgb(${a.map((each, at) => Math.round(each + (b[at] - each) * share)).join(",")})`;
    },
    isPrinting: () => root.classList.contains("printing"),
    // Calls back when the colours change; a print is light, and as wide as its paper.
    onChange(redraw) {
      matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
      for (const [event, isPrinting] of [["beforeprint", true], ["afterprint", false]]) {
        addEventListener(event, () => {
          root.classList.toggle("printing", isPrinting);
          redraw();
        });
      }
    },
  };
})();
