// A table whose rows are chosen by mouse or by keyboard: arrows, Home and End walk, Enter or space chooses. A cell is a
// text, or a text and a share (0 to 1) drawn as a bar below it. All of it is put in as text, never as HTML. The row that
// Python chooses is scrolled into view.

function fill(cell, content) {
  const [text, share] = Array.isArray(content) ? content : [content, null];
  cell.textContent = text;
  if (share === null) return;
  const bar = Object.assign(document.createElement("div"), { className: "wb-bar" });
  bar.style.width = `${100 * Math.min(1, Math.max(0, share))}%`;
  cell.append(bar);
}

function build(model) {
  const table = document.createElement("table");
  table.createCaption().textContent = model.get("caption");
  if (!model.get("rows").length) return table;
  table.setAttribute("role", "grid");
  const head = table.createTHead().insertRow(), body = table.createTBody();
  for (const name of model.get("columns")) {
    head.append(Object.assign(document.createElement("th"), { scope: "col", textContent: name }));
  }
  for (const content of model.get("rows")) {
    const row = body.insertRow();
    row.tabIndex = -1;
    for (const value of content) fill(row.insertCell(), value);
  }
  body.rows[0].tabIndex = 0;
  return table;
}

export default {
  render({ model, el }) {
    const box = document.createElement("div");
    box.className = "workbench-view workbench-rows";
    box.dataset.lmSuppressShortcuts = "true"; // Enter and the arrows mean something else to the notebook around
    box.style.height = `${model.get("height")}px`;
    box.tabIndex = -1; // takes the focus when the row that had it goes
    const said = Object.assign(document.createElement("div"), { className: "wb-unseen" });
    said.setAttribute("role", "status"); // a caption that goes with its table is never read aloud
    box.append(said);
    el.append(box);
    let rows = [];

    const stand = (at) => rows.forEach((row, place) => (row.tabIndex = place === at ? 0 : -1)); // where Tab leads
    const walk = (to) => {
      if (!rows[to]) return;
      stand(to);
      rows[to].focus();
    };
    const reveal = (row) => {
      const own = row.getBoundingClientRect(), top = box.getBoundingClientRect().top + box.clientTop;
      const above = top - own.top, below = own.bottom - top - box.clientHeight;
      if (row === rows[0]) box.scrollTop = 0; // and its headings
      else if (above > 0) box.scrollTop -= Math.ceil(above);
      else if (below > 0) box.scrollTop += Math.ceil(below);
    };
    const mark = () => {
      const chosen = model.get("chosen");
      rows.forEach((row, place) => row.setAttribute("aria-selected", place === chosen));
      if (!rows[chosen]) return;
      stand(chosen);
      reveal(rows[chosen]); // by hand: scrollIntoView would move the notebook around, too
    };
    const choose = (place) => {
      if (place < 0) return;
      model.set("chosen", place);
      model.save_changes();
    };
    const show = () => {
      const inside = box.contains(document.activeElement); // who walks through a table stays in it when it changes
      const table = build(model), scrolled = box.scrollTop;
      box.querySelector("table")?.remove();
      box.append(table);
      if (said.textContent !== model.get("caption")) said.textContent = model.get("caption");
      rows = [...(table.tBodies[0]?.rows ?? [])];
      const chosen = rows[model.get("chosen")];
      box.scrollTop = chosen ? scrolled : 0; // a moved row is the same table, anything else another one
      mark();
      if (inside) rows.length ? walk(Math.max(0, rows.indexOf(chosen))) : box.focus();
    };
    box.addEventListener("click", ({ target }) => choose(rows.indexOf(target.closest("tr"))));
    box.addEventListener("keydown", (event) => {
      const at = rows.indexOf(document.activeElement);
      const steps = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: rows.length - 1 };
      if (at < 0 || !(event.key in steps || event.key === "Enter" || event.key === " ")) return;
      event.preventDefault();
      if (event.key in steps) walk(steps[event.key]);
      else choose(at);
    });
    let due = false;
    model.on("change:rows change:caption", () => {
      if (!due) queueMicrotask(() => ((due = false), show())); // both change together: build the table once
      due = true;
    });
    model.on("change:chosen", mark);
    show();
  },
};
