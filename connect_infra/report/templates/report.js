"use strict";
(() => {
  const form = document.querySelector(".tools");
  const every = (selector, root = document) => [...root.querySelectorAll(selector)];
  const reveal = () => {
    const id = decodeURIComponent(location.hash.slice(1));
    const wanted = id && document.getElementById(id);
    if (!wanted) return;
    if (wanted.hidden || wanted.closest("[hidden]")) clear();
    for (let at = wanted; at; at = at.parentElement) if (at.matches("details")) at.open = true;
    wanted.scrollIntoView();
  };

  // What is searched is what is shown, so that a search finds what the eye has seen.
  const components = every("#controls details.component").map((details) => ({
    details,
    open: details.open,
    rows: every("tr[data-status]", details).map((row) => ({
      row,
      text: `${details.querySelector("summary").textContent} ${row.textContent}`.toLowerCase(),
    })),
  }));
  let clear = () => {};

  if (form) {
    const { search, all } = form.elements;
    const chosen = () => every("input[name=status]:checked", form).map((box) => box.value);
    const filter = () => {
      const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      const kinds = chosen();
      const active = words.length > 0 || kinds.length > 0;
      let shown = 0;
      for (const { details, rows, open } of components) {
        let matches = 0;
        for (const { row, text } of rows) {
          const match =
            (kinds.length === 0 || kinds.includes(row.dataset.status)) &&
            words.every((word) => text.includes(word));
          row.hidden = !match;
          matches += match;
        }
        details.hidden = matches === 0;
        details.open = active ? matches > 0 : open;
        shown += matches;
      }
      const total = components.reduce((sum, { rows }) => sum + rows.length, 0);
      form.querySelector("output").textContent = active ? `${shown} of ${total} shown` : "";
      document.querySelector("#controls .nothing").hidden = shown > 0;
      say(false);
    };
    const say = (opened) => {
      all.setAttribute("aria-pressed", String(opened));
      all.textContent = opened ? "Close all" : "Open all";
    };
    clear = () => {
      form.reset();
      filter();
    };
    form.hidden = false;
    form.addEventListener("input", filter);
    form.addEventListener("submit", (event) => event.preventDefault());
    all.addEventListener("click", () => {
      const opened = all.getAttribute("aria-pressed") !== "true";
      for (const { details } of components) details.open = opened;
      say(opened);
    });
    document.querySelector("#controls .nothing button").addEventListener("click", () => {
      clear();
      search.focus();
    });
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && event.target === search) clear();
      if (event.key !== "/" || event.ctrlKey || event.metaKey || event.target.matches("input")) return;
      event.preventDefault();
      search.focus();
    });
  }

  // On paper nothing can be opened any more.
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = every("details:not([open])");
    for (const details of closed) details.open = true;
  });
  addEventListener("afterprint", () => {
    for (const details of closed) details.open = false;
  });
  addEventListener("hashchange", reveal);
  reveal();
})();
