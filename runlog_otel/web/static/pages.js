// Keeps lists fresh. The pages work without this.
"use strict";
(() => {
  const PATIENCE_MS = 10000;
  const part = document.querySelector("[data-refresh]");
  if (!part) return;
  const every = Number(part.dataset.refresh) * 1000;

  // Not while somebody reads with the pointer, marks runs, or looks at another tab.
  const isBusy = () =>
    document.hidden || part.contains(document.activeElement) || part.querySelector("input:checked") !== null ||
    part.contains(document.getSelection()?.anchorNode) && !document.getSelection().isCollapsed;

  async function refresh() {
    if (!isBusy()) {
      try {
        const answer = await fetch(location.href, { signal: AbortSignal.timeout(PATIENCE_MS), cache: "no-store" });
        const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById(part.id);
        if (answer.ok && fresh && !isBusy() && fresh.innerHTML !== part.innerHTML) part.replaceChildren(...fresh.childNodes);
      } catch { /* the server is not there at the moment: the next try says */ }
    }
    setTimeout(refresh, every);
  }
  setTimeout(refresh, every);
})();
