"use strict";
(() => {
  const root = document.documentElement;
  root.classList.add("scripted");
  const read = (id) => JSON.parse(document.getElementById(id).textContent);

  // Figures: embedded once, coloured for the theme, and again when it changes.
  const colours = (printed) => {
    const style = getComputedStyle(root);
    const printing = { ink: "#000000", muted: "#444444", line: "#c4c9cf", paper: "#ffffff" };
    const told = (name) => style.getPropertyValue(`--${name}`).trim();
    if (printed) return printing;
    return { ink: told("ink"), muted: told("muted"), line: told("line"), paper: told("paper") };
  };
  const figures = [];
  const paint = (printed) => {
    const by = colours(printed);
    for (const view of figures) {
      for (const model of view.model.references()) {
        for (const tag of model.tags) {
          const [property, colour] = `${tag}`.split("=");
          if (colour in by) model[property] = by[colour];
        }
      }
      if (!printed) continue;
      // Paper does not wait: what the library would do in the next frame is done now.
      for (const drawn of view.all_renderer_views ?? []) drawn.set_visuals?.();
      view.repaint?.();
    }
  };
  const theme = matchMedia("(prefers-color-scheme: dark)");
  theme.addEventListener("change", () => paint(false));

  const embed = async () => {
    for (const place of document.querySelectorAll(".drawn")) {
      const item = read(`${place.id}-item`);
      const views = await Bokeh.embed.embed_item(item, place.id);
      figures.push(...views);
    }
    paint(false);
    root.dataset.drawn = `${figures.length}`;
  };

  // The table: a button in each heading sorts; what is missing comes last in either direction.
  const announce = (table, text) => {
    const told = table.closest("section").querySelector("[aria-live]");
    if (told) told.textContent = text;
  };
  for (const table of document.querySelectorAll("table[data-sortable]")) {
    const body = table.tBodies[0];
    const original = [...body.rows];
    table.querySelectorAll("thead th").forEach((heading, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...heading.childNodes);
      heading.append(button);
      button.addEventListener("click", () => {
        const upwards = heading.getAttribute("aria-sort") !== "ascending";
        for (const other of table.querySelectorAll("th[aria-sort]")) other.removeAttribute("aria-sort");
        heading.setAttribute("aria-sort", upwards ? "ascending" : "descending");
        const numbers = heading.classList.contains("number");
        const key = (row) => {
          const cell = row.cells[column];
          if (!numbers) return cell.classList.contains("missing") ? null : cell.textContent.trim();
          return cell.dataset.value === undefined ? null : Number(cell.dataset.value);
        };
        const compare = (a, b) => (numbers ? a - b : a.localeCompare(b, "en", { numeric: true }));
        const keyed = original.map((row) => [key(row), row]);
        keyed.sort(([a], [b]) => {
          if (a === null || b === null) return (a === null) - (b === null);
          return upwards ? compare(a, b) : compare(b, a);
        });
        body.append(...keyed.map(([, row]) => row));
        announce(table, `sorted by ${button.textContent.trim()}, ${upwards ? "ascending" : "descending"}`);
      });
    });
  }

  // The filter: every word must be somewhere in the row's file, engine, precision or run.
  const filter = document.getElementById("filter");
  const run = document.getElementById("filter-run");
  const rows = [...document.querySelectorAll("#every-row tbody tr")];
  const apply = () => {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const there = words.every((word) => row.dataset.words.toLowerCase().includes(word));
      const wanted = !run || run.value === "" || row.dataset.run === run.value;
      row.hidden = !(there && wanted);
      shown += row.hidden ? 0 : 1;
    }
    announce(document.getElementById("every-row"), `${shown} of ${rows.length} rows`);
  };
  filter?.addEventListener("input", apply);
  run?.addEventListener("change", apply);

  // One artifact at a time: matrices, classes, flips and the reliability curve.
  const chooser = document.getElementById("chooser");
  const curves = read("curves");
  const choose = () => {
    for (const block of document.querySelectorAll("[data-choice]")) {
      block.hidden = block.dataset.choice !== chooser.value;
      block.open = !block.hidden;
    }
    const told = document.querySelector('figcaption a[href^="#reliability-"]');
    if (told) told.setAttribute("href", `#reliability-${chooser.value}`);
    const curve = curves[chooser.value];
    for (const view of figures) {
      for (const key of ["chosen", "float"]) {
        const source = view.model.document.get_model_by_name(`reliability-${key}`);
        if (source) source.data = curve[key];
      }
    }
  };
  if (chooser) {
    chooser.addEventListener("change", choose);
    choose();
  }

  // On paper everything is open, and the figures are drawn for white.
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open])")].filter((one) => !one.hidden);
    for (const one of closed) one.open = true;
    paint(true);
  });
  addEventListener("afterprint", () => {
    for (const one of closed) one.open = false;
    paint(false);
  });

  // Choosing again puts what the browser remembered of the control into the figures; of the filters
  // it knows once the page is shown.
  addEventListener("load", () => embed().then(() => chooser && choose()));
  addEventListener("pageshow", () => (filter?.value || run?.value) && apply());
})();
