"use strict";
// Copies a snippet, and says so.
(() => {
  // Browsers may refuse the clipboard to a file: then by way of a selection.
  function copyBySelection(text) {
    const field = document.createElement("textarea");
    field.value = text;
    field.className = "unseen";
    document.body.append(field);
    field.select();
    const copied = document.execCommand("copy");
    field.remove();
    return copied;
  }

  async function copy(text) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      return copyBySelection(text);
    }
  }

  for (const button of document.querySelectorAll("button.copy")) {
    const label = button.textContent;
    button.setAttribute("aria-live", "polite");
    button.addEventListener("click", async () => {
      const copied = await copy(document.getElementById(button.dataset.copy).textContent);
      button.textContent = copied ? "Copied" : "Not allowed here";
      button.focus();
      setTimeout(() => (button.textContent = label), 2000);
    });
  }
})();
