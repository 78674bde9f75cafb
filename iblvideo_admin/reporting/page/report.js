"use strict";
(() => {
  const time = document.querySelector("time");
  const age = document.getElementById("age");
  const tell = () => {
    const s = Math.max(Date.now() / 1000 - Number(time.dataset.time), 0);
    const said = s < 90 ? "just now" : s < 5400 ? Math.round(s / 60) + " min ago" : s < 172800 ? Math.round(s / 3600) + " h ago" : Math.round(s / 86400) + " days ago";
    age.textContent = " (" + said + ")";
    age.className = s > 86400 ? "bad" : "";
  };
  tell();
  setInterval(tell, 30000);

  const table = document.getElementById("table");
  if (!table) return;
  // hundreds of rows further down are laid out when what is seen first has been
  const all = () => document.body.classList.add("all");
  addEventListener("load", () => requestAnimationFrame(() => setTimeout(all)));
  addEventListener("beforeprint", all);

  const body = table.tBodies[0];
  const rows = [...body.rows];
  const heads = [...table.tHead.rows[0].cells];
  let words = null;
  const parsed = {};
  const data = (id) => parsed[id] ??= JSON.parse(document.getElementById(id).textContent);

  const make = (name, text, kind) => {
    const element = document.createElement(name);
    if (text !== undefined && text !== null) element.textContent = text;
    if (kind) element.className = kind;
    return element;
  };
  const percent = (part) => part === null ? "" : (100 * part).toFixed(1) + " %";

  const course = (parts) => {
    const canvas = make("canvas", null, "course");
    canvas.width = 180; canvas.height = 14;
    const paint = canvas.getContext("2d");
    const colour = getComputedStyle(document.documentElement).getPropertyValue("--meter");
    [...parts].forEach((ninths, index) => {
      const part = ninths / 9;
      const x = Math.round(index * 180 / parts.length), next = Math.round((index + 1) * 180 / parts.length);
      paint.fillStyle = colour; paint.globalAlpha = 0.15; paint.fillRect(x, 0, next - x, 14);
      paint.globalAlpha = 1; paint.fillRect(x, 14 - 14 * part, next - x, 14 * part);
    });
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", "part of sure frames over the video");
    return canvas;
  };

  const detail = (index) => {
    const about = data("details")[index], picture = data("pictures")[index];
    const row = make("tr", null, "detail"), cell = make("td");
    cell.colSpan = heads.length;
    const head = make("p");
    head.append("job " + about.id + "  ");
    if (about.log) { const link = make("a", "log"); link.href = about.log; head.append(link); }
    cell.append(head);
    for (const text of about.said) cell.append(make("p", text, "sub"));
    const both = make("div", null, "both");
    if (picture) { const image = make("img"); image.alt = "a labelled frame"; image.src = "data:image/jpeg;base64," + picture; both.append(image); }
    if (about.points.length) {
      const figures = make("div", null, "figures"), small = make("table"), top = small.createTHead().insertRow();
      for (const [title, kind] of [["point"], ["sure", "n"], ["likelihood", "n"], ["missing", "n"], ["jumps", "n"], ["sure over the video"]]) top.append(make("th", title, kind));
      const inside = small.createTBody();
      for (const [name, sure, likelihood, missing, jumps, parts] of about.points) {
        const line = inside.insertRow();
        line.append(make("td", name), make("td", percent(sure), "n"), make("td", likelihood === null ? "" : likelihood.toFixed(3), "n"), make("td", percent(missing), "n"), make("td", jumps === null ? "" : jumps.toFixed(1), "n"));
        const last = make("td"); last.append(course(parts)); line.append(last);
      }
      figures.append(small); both.append(figures);
    }
    cell.append(both); row.append(cell);
    return row;
  };

  const isOpen = (row) => row.nextElementSibling?.classList.contains("detail");
  const close = (row) => { if (isOpen(row)) row.nextElementSibling.remove(); row.setAttribute("aria-expanded", "false"); };
  const toggle = (row) => {
    if (isOpen(row)) { close(row); return; }
    row.after(detail(Number(row.dataset.row)));
    row.setAttribute("aria-expanded", "true");
  };

  const value = (row, column, numeric) => {
    const cell = row.cells[column];
    const text = cell.dataset.value ?? cell.textContent;
    return numeric ? (text === "" ? null : Number(text)) : text.toLowerCase();
  };
  const sort = (column) => {
    const head = heads[column], numeric = head.dataset.kind === "number";
    const down = head.getAttribute("aria-sort") ? head.getAttribute("aria-sort") === "ascending" : numeric;
    heads.forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    rows.forEach(close);
    const keyed = rows.map((row, place) => [value(row, column, numeric), place, row]);
    keyed.sort(([a, i], [b, j]) => {
      if (a === null || b === null) return (a === null) - (b === null) || i - j;  // what is not known comes last
      const order = numeric ? a - b : a.localeCompare(b, undefined, { numeric: true });
      return (down ? -order : order) || i - j;
    });
    body.append(...keyed.map(([, , row]) => row));
  };
  heads.forEach((head, column) => head.firstElementChild.addEventListener("click", () => sort(column)));

  const filter = document.getElementById("filter"), shown = document.getElementById("shown");
  filter.addEventListener("input", () => {
    const wanted = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    words ??= rows.map((row) => row.textContent.toLowerCase());
    let count = 0;
    rows.forEach((row, index) => {
      const fits = wanted.every((word) => words[index].includes(word));
      if (!fits) close(row);
      row.hidden = !fits;
      count += fits;
    });
    shown.textContent = wanted.length ? count + " of " + rows.length : "";
  });

  const visible = () => [...body.rows].filter((row) => row.dataset.row !== undefined && !row.hidden);
  const move = (by) => {
    const there = visible();
    if (!there.length) return;
    const at = there.indexOf(document.activeElement);
    there[Math.min(Math.max(at + by, 0), there.length - 1)].focus();
  };
  body.addEventListener("click", (event) => {
    const row = event.target.closest("tr[data-row]");
    if (row && !getSelection().toString()) toggle(row);
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target === filter;
    if (event.key === "/" && !typing) { filter.focus(); event.preventDefault(); }
    else if (event.key === "Escape" && typing) { filter.value = ""; filter.dispatchEvent(new Event("input")); filter.blur(); }
    else if (event.key === "ArrowDown" || (event.key === "j" && !typing)) { move(1); event.preventDefault(); }
    else if ((event.key === "ArrowUp" || event.key === "k") && !typing) { move(-1); event.preventDefault(); }
    else if (event.key === "Enter" && event.target.dataset?.row !== undefined) { toggle(event.target); event.preventDefault(); }
  });
})();
