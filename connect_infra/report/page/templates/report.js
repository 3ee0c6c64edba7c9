"use strict";
(() => {
  const every = (selector, root = document) => [...root.querySelectorAll(selector)];
  const lists = every(".list").map(filtered);

  function filtered(list) {
    const form = list.querySelector(".tools");
    const nothing = list.querySelector(".nothing");
    const { search, all } = form.elements;
    // What is searched is what is shown, so that a search finds what the eye has seen.
    const groups = every("details.component", list).map((details) => ({
      details,
      open: details.open,
      rows: every("tr[data-status]", details).map((row) => ({
        row,
        text: `${details.querySelector("summary").textContent} ${row.textContent}`.toLowerCase(),
      })),
    }));
    const total = groups.reduce((sum, { rows }) => sum + rows.length, 0);

    const filter = () => {
      const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      const kinds = every("input[name=status]:checked", form).map((box) => box.value);
      const active = words.length > 0 || kinds.length > 0;
      let shown = 0;
      for (const { details, rows, open } of groups) {
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
      form.querySelector("output").textContent = active ? `${shown} of ${total} shown` : "";
      nothing.hidden = shown > 0;
      say(false);
    };
    const say = (opened) => {
      all.setAttribute("aria-pressed", String(opened));
      all.textContent = opened ? "Close all" : "Open all";
    };
    const clear = () => {
      form.reset();
      filter();
    };

    form.hidden = false;
    form.addEventListener("input", filter);
    form.addEventListener("submit", (event) => event.preventDefault());
    search.addEventListener("keydown", (event) => event.key === "Escape" && clear());
    all.addEventListener("click", () => {
      const opened = all.getAttribute("aria-pressed") !== "true";
      for (const { details } of groups) details.open = opened;
      say(opened);
    });
    nothing.querySelector("button").addEventListener("click", () => {
      clear();
      search.focus();
    });
    return { search, clear };
  }

  document.addEventListener("keydown", (event) => {
    const typing = event.target.matches("input") || event.ctrlKey || event.metaKey;
    if (event.key !== "/" || typing || lists.length === 0) return;
    event.preventDefault();
    lists[0].search.focus();
  });

  const reveal = () => {
    const id = decodeURIComponent(location.hash.slice(1));
    const wanted = id && document.getElementById(id);
    if (!wanted) return;
    if (wanted.closest("[hidden]")) for (const { clear } of lists) clear();
    for (let at = wanted; at; at = at.parentElement) if (at.matches("details")) at.open = true;
    wanted.scrollIntoView();
  };

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
