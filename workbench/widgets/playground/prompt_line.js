// The exact prompt, unit by unit: a line to look at, and a table of the same with the ids, closed at first.

const SHOWN = { control: "a control word", item: "an item", request: "of the request", context: "of the context", profile: "of the profile" };

function put(parent, tag, text = "", className = "") {
  const made = Object.assign(document.createElement(tag), { textContent: text, className });
  parent.append(made);
  return made;
}

export default {
  render({ model, el }) {
    const box = put(el, "div", "", "workbench-view workbench-prompt-line");
    box.dataset.lmSuppressShortcuts = "true";
    const line = put(box, "p"), said = put(box, "p"), more = put(box, "details");
    line.setAttribute("role", "group");
    line.setAttribute("aria-label", "What the model reads");
    put(more, "summary", "Every unit with its ids");
    const place = put(more, "div", "", "wb-scroll");

    const table = () => {
      const made = document.createElement("table");
      const head = made.createTHead().insertRow(), body = made.createTBody();
      for (const name of ["Unit", "What it is", "Ids"]) put(head, "th", name).scope = "col";
      for (const [kind, label, ids] of model.get("units")) {
        const row = body.insertRow();
        for (const text of [label, SHOWN[kind], ids.join(" ")]) row.insertCell().textContent = text;
      }
      place.tabIndex = 0; // may scroll
      place.setAttribute("role", "region");
      place.setAttribute("aria-label", "Units and ids");
      place.replaceChildren(made);
    };
    const show = () => {
      line.replaceChildren();
      for (const [kind, label, ids] of model.get("units")) {
        put(line, "span", kind === "item" ? `[${label}]` : label, `wb-${kind}`).title = `id ${ids.join(" ")}`;
        line.append(" "); // so that the line may break here
      }
      line.scrollHeight > line.clientHeight ? (line.tabIndex = 0) : line.removeAttribute("tabindex");
      said.textContent = model.get("said");
      if (more.open) table();
    };
    more.addEventListener("toggle", () => more.open && table());
    let due = false;
    model.on("change:units change:said", () => {
      if (!due) queueMicrotask(() => ((due = false), show()));
      due = true;
    });
    show();
  },
};
