// Folds rows of the waterfall, zooms its chart, and reads the page again while its run runs. Every page works without it.
"use strict";
(() => {
  const ROW_PIXELS = 25;
  const MIN_PAUSE_MS = 3000;
  const MAX_ZOOM = 4096;
  const view = { zoom: 1, pan: 0 };
  const folded = new Map(); // key of a row → whether it is folded

  document.documentElement.classList.add("js");
  prepare();
  unfoldTarget();
  addEventListener("hashchange", unfoldTarget);
  addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((part) => (part.open = true)));
  document.addEventListener("click", clicked);
  document.addEventListener("pointerdown", selectRange);
  if (isLive()) setTimeout(readAgain, MIN_PAUSE_MS);

  function isLive() {
    return document.querySelector("main[data-live]") !== null;
  }

  function prepare() {
    for (const table of document.querySelectorAll(".waterfall")) {
      for (const row of table.querySelectorAll("tr[data-below]")) {
        if (!folded.has(row.id)) folded.set(row.id, "folded" in row.dataset);
      }
      showRows(table);
      applyZoom(table);
    }
  }

  function rowsOf(table) {
    return table.querySelectorAll("tbody > tr");
  }

  // Rows are in the order of the log: those below a folded one are hidden, however deep.
  function showRows(table) {
    let hidden = 0;
    for (const row of rowsOf(table)) {
      row.hidden = hidden > 0;
      const below = Number(row.dataset.below || 0);
      if (below) row.querySelector(".fold").setAttribute("aria-expanded", String(!folded.get(row.id)));
      if (hidden > 0) hidden -= 1;
      else if (below && folded.get(row.id)) hidden = below;
    }
    for (const group of table.tBodies) {
      const shown = group.querySelectorAll("tr:not([hidden])").length;
      group.hidden = shown === 0;
      group.style.containIntrinsicSize = `auto ${shown * ROW_PIXELS}px`;
    }
  }

  function unfoldTarget() {
    const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    target.closest("details")?.setAttribute("open", "");
    const table = target.closest(".waterfall");
    if (!table) return;
    const rows = [...rowsOf(table)];
    const at = rows.indexOf(target);
    rows.forEach((row, index) => {
      const last = index + Number(row.dataset.below || 0);
      if (index < at && at <= last) folded.set(row.id, false);
    });
    showRows(table);
    target.scrollIntoView({ block: "center" });
  }

  function clicked(event) {
    const button = event.target.closest("button");
    if (button?.classList.contains("fold")) {
      const row = button.closest("tr");
      folded.set(row.id, !folded.get(row.id));
      showRows(row.closest("table"));
    } else if (button?.dataset.zoom) {
      zoomBy(button.dataset.zoom);
    } else if (event.target.closest("a[href^='#s-']")?.hash === location.hash) {
      unfoldTarget();
    }
  }

  // Zoom: one property of the table moves and stretches every chart in it.
  function zoomBy(how) {
    const middle = view.pan + 0.5 / view.zoom;
    if (how === "in") setView(view.zoom * 2, middle);
    else if (how === "out") setView(view.zoom / 2, middle);
    else if (how === "fit") setView(1, 0.5);
    else setView(view.zoom, middle + (how === "left" ? -0.5 : 0.5) / view.zoom);
  }

  function setView(zoom, middle) {
    view.zoom = Math.min(MAX_ZOOM, Math.max(1, zoom));
    view.pan = Math.min(1 - 1 / view.zoom, Math.max(0, middle - 0.5 / view.zoom));
    document.querySelectorAll(".waterfall").forEach(applyZoom);
  }

  function applyZoom(table) {
    table.style.setProperty("--zoom", view.zoom);
    table.style.setProperty("--pan", view.pan);
    const total = Number(table.dataset.ns);
    table.querySelectorAll(".axis span").forEach((label, quarter) => {
      label.textContent = durationText(total * (view.pan + quarter / 4 / view.zoom));
    });
    for (const button of table.closest("section").querySelectorAll("[data-zoom]")) {
      const { zoom } = button.dataset;
      button.disabled =
        (view.zoom === 1 && zoom !== "in") ||
        (zoom === "in" && view.zoom === MAX_ZOOM) ||
        (zoom === "left" && view.pan <= 0) ||
        (zoom === "right" && view.pan >= 1 - 1 / view.zoom);
    }
  }

  // As runlog_otel/web/formats.py writes durations.
  function durationText(ns) {
    const pad = (number) => String(number).padStart(2, "0");
    if (ns < 1) return "0";
    if (ns < 1e6) return `${Math.max(1, Math.round(ns / 1e3))} µs`;
    if (ns < 1e9) return `${(ns / 1e6).toFixed(ns < 1e7 ? 1 : 0)} ms`;
    if (ns < 1e11) return `${(ns / 1e9).toFixed(ns < 1e10 ? 2 : 1)} s`;
    const whole = Math.round(ns / 1e9);
    if (whole >= 86400) return `${Math.floor(whole / 86400)} d ${pad(Math.floor((whole % 86400) / 3600))} h`;
    if (whole >= 3600) return `${Math.floor(whole / 3600)} h ${pad(Math.floor((whole % 3600) / 60))} min`;
    return `${Math.floor(whole / 60)} min ${pad(whole % 60)} s`;
  }

  // A range that is drawn over the chart with a mouse is what the chart shows next.
  function selectRange(event) {
    const cell = event.target.closest(".waterfall .chart");
    if (!cell || event.button !== 0 || event.pointerType !== "mouse") return;
    const box = cell.getBoundingClientRect();
    const at = (moved) => Math.min(1, Math.max(0, (moved.clientX - box.left) / box.width));
    const start = at(event);
    const mark = document.createElement("span");
    mark.className = "selection";
    event.preventDefault();
    const draw = (moved) => {
      const [from, to] = [start, at(moved)].sort((one, other) => one - other);
      mark.style.left = `${from * 100}%`;
      mark.style.width = `${(to - from) * 100}%`;
      if (!mark.isConnected) cell.append(mark);
    };
    const end = (moved) => {
      removeEventListener("pointermove", draw);
      mark.remove();
      const [from, to] = [start, at(moved)].sort((one, other) => one - other);
      if (to - from > 0.01) setView(view.zoom / (to - from), view.pan + (from + to) / 2 / view.zoom);
    };
    addEventListener("pointermove", draw);
    addEventListener("pointerup", end, { once: true });
  }

  // A run that has not ended: the page is read again, and what the reader opened, folded or focused stays as it is.
  async function readAgain() {
    const started = performance.now();
    try {
      const answer = await fetch(location.href, { headers: { accept: "text/html" } });
      if (answer.ok) replaceContent(new DOMParser().parseFromString(await answer.text(), "text/html"));
    } catch {
      // The server is away: the next try may find it.
    }
    if (isLive()) setTimeout(readAgain, Math.max(MIN_PAUSE_MS, 5 * (performance.now() - started)));
  }

  function replaceContent(page) {
    const content = page.getElementById("content");
    if (!content || document.visibilityState === "hidden") return;
    const open = new Map([...document.querySelectorAll("main details[id]")].map((part) => [part.id, part.open]));
    const focused = placeOf(document.activeElement);
    for (const part of content.querySelectorAll("details[id]")) {
      if (open.has(part.id)) part.open = open.get(part.id);
    }
    document.title = page.title;
    document.getElementById("content").replaceWith(content);
    prepare();
    if (focused) elementAt(focused)?.focus({ preventScroll: true });
  }

  // Where an element is: the nearest one with an id, and its position among those of its kind in it.
  function placeOf(element) {
    const owner = element?.closest?.("main [id]");
    if (!owner) return null;
    return { id: owner.id, tag: element.tagName, at: [...withSelf(owner, element.tagName)].indexOf(element) };
  }

  function elementAt({ id, tag, at }) {
    const owner = document.getElementById(id);
    return owner && withSelf(owner, tag)[at];
  }

  function withSelf(owner, tag) {
    return [...(owner.tagName === tag ? [owner] : []), ...owner.querySelectorAll(tag)];
  }
})();
