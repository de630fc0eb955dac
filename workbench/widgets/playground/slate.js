// One list of items, or two beside each other: real tables whose rows take the focus; "why" asks about one of them.
// Everything is put in as text, never as HTML.

const ARROWS = { up: "▲", down: "▼", new: "＋" };
const HEADINGS = ["Rank", "Title", "Probability"];

function put(parent, tag, text = "", className = "") {
  const made = Object.assign(document.createElement(tag), { textContent: text, className });
  parent.append(made);
  return made;
}

function fillTitle(cell, row) {
  put(cell, "span", row.title);
  if (row.chinese) put(cell, "span", ` ${row.chinese}`, "wb-second").lang = "zh";
}

function fillProbability(cell, row) {
  put(cell, "span", row.probability);
  put(cell, "div", "", "wb-bar").style.width = `${100 * Math.min(1, Math.max(0, row.share))}%`;
}

function fillChange(cell, change) {
  const arrow = ARROWS[change.split(" ")[0]];
  if (arrow) put(cell, "span", `${arrow} `).setAttribute("aria-hidden", "true"); // the word beside says the same
  put(cell, "span", change);
}

function addRow(body, row, narrow) {
  const line = body.insertRow();
  line.tabIndex = -1;
  line.dataset.item = row.item;
  line.insertCell().textContent = row.rank;
  fillTitle(line.insertCell(), row);
  fillProbability(line.insertCell(), row);
  fillChange(line.insertCell(), row.change);
  const why = put(narrow ? line.cells[3] : line.insertCell(), "button", "why");
  Object.assign(why, { type: "button", tabIndex: -1, title: `What in the prompt helps ${row.title} most` });
}

function buildTable(list, narrow) {
  const table = document.createElement("table");
  table.createCaption().textContent = list.caption;
  if (!list.rows.length) return table;
  table.setAttribute("role", "grid");
  const head = table.createTHead().insertRow(), body = table.createTBody();
  for (const name of [...HEADINGS, list.heading]) put(head, "th", name).scope = "col";
  if (!narrow) head.insertCell(); // above the buttons, which need no heading
  for (const row of list.rows) addRow(body, row, narrow);
  body.rows[0].tabIndex = 0;
  return table;
}

function buildList(list, narrow) {
  const part = document.createElement("div");
  part.className = "wb-scroll";
  part.append(buildTable(list, narrow));
  if (list.empty) put(part, "p", list.empty);
  return part;
}

export default {
  render({ model, el }) {
    const box = put(el, "div", "", "workbench-view workbench-slate");
    box.dataset.lmSuppressShortcuts = "true"; // Enter and the arrows mean something else to the notebook around
    const columns = put(box, "div", "", "wb-columns");
    columns.style.height = `${model.get("height")}px`;
    columns.tabIndex = -1; // takes the focus when the row that had it goes
    const [stream, notes, why] = ["wb-stream", "wb-notes", "wb-why"].map((name) => put(box, "div", "", name));
    why.setAttribute("role", "status");
    let tables = [];

    const lines = (table) => [...(table.tBodies[0]?.rows ?? [])];
    const walk = (rows, to) => {
      if (!rows[to]) return;
      rows.forEach((row, place) => (row.tabIndex = place === to ? 0 : -1));
      rows[to].focus();
    };
    const ask = (row) => {
      model.set("asked", [tables.findIndex((table) => table.contains(row)), row.dataset.item]);
      model.save_changes();
    };
    const show = () => {
      const had = document.activeElement?.closest("tr[data-item]"), inside = had && columns.contains(had);
      const at = tables.findIndex((table) => table.contains(had)), tops = [...columns.children].map((part) => part.scrollTop);
      const lists = model.get("lists");
      columns.replaceChildren(...lists.map((list) => buildList(list, lists.length > 1)));
      tables = [...columns.querySelectorAll("table")];
      tops.forEach((top, number) => columns.children[number] && (columns.children[number].scrollTop = top));
      box.dataset.number = model.get("number");
      if (!inside) return; // who walks through a list stays with its item when the list changes
      const rows = tables[at] ? lines(tables[at]) : [];
      const same = rows.findIndex((row) => row.dataset.item === had.dataset.item);
      rows.length ? walk(rows, same < 0 ? 0 : same) : columns.focus();
    };
    const tell = () => {
      stream.textContent = model.get("stream");
      notes.replaceChildren();
      for (const note of model.get("notes")) put(notes, "p", note);
      notes.scrollHeight > notes.clientHeight ? (notes.tabIndex = 0) : notes.removeAttribute("tabindex"); // to scroll by keys
      if (why.textContent !== model.get("why")) why.textContent = model.get("why");
    };
    columns.addEventListener("click", ({ target }) => {
      const row = target.closest("tr[data-item]");
      if (!row) return;
      walk(lines(row.closest("table")), row.sectionRowIndex);
      if (target.closest("button")) ask(row);
    });
    columns.addEventListener("keydown", (event) => {
      const row = event.target.closest("tr[data-item]");
      if (!row) return;
      const rows = lines(row.closest("table")), at = row.sectionRowIndex;
      const steps = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: rows.length - 1 };
      if (!(event.key in steps || event.key === "Enter" || event.key === " ")) return;
      event.preventDefault();
      event.key in steps ? walk(rows, steps[event.key]) : ask(row);
    });
    const due = new Set(); // what changes together is drawn once
    const soon = (act) => () => {
      if (!due.size) queueMicrotask(() => { const acts = [...due]; due.clear(); acts.forEach((own) => own()); });
      due.add(act);
    };
    model.on("change:lists change:number", soon(show));
    model.on("change:stream change:notes change:why", soon(tell));
    show();
    tell();
  },
};
