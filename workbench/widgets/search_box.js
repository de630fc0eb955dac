// A field that finds items: hits open below it while one types. Enter takes the first, arrows and Enter another one,
// a click too. Titles are put in as text.

export default {
  render({ model, el }) {
    const name = `wb-search-${Math.random().toString(36).slice(2)}`; // several may be on a page
    const box = document.createElement("div");
    box.className = "workbench-view workbench-search";
    box.dataset.lmSuppressShortcuts = "true";
    const label = Object.assign(document.createElement("label"), { htmlFor: name, textContent: model.get("description") });
    const field = Object.assign(document.createElement("input"), { id: name, type: "text", autocomplete: "off" });
    const hits = Object.assign(document.createElement("ul"), { id: `${name}-hits`, hidden: true });
    field.placeholder = model.get("placeholder");
    field.title = model.get("tooltip");
    const about = { role: "combobox", "aria-expanded": "false", "aria-autocomplete": "list", "aria-controls": hits.id };
    for (const [attribute, value] of Object.entries(about)) field.setAttribute(attribute, value);
    hits.setAttribute("role", "listbox");
    hits.setAttribute("aria-label", "Found");
    const said = Object.assign(document.createElement("span"), { className: "wb-unseen" });
    said.setAttribute("role", "status");
    box.append(label, field, hits, said);
    el.append(box);
    let at = -1;

    const open = (shown) => {
      hits.hidden = !shown;
      field.setAttribute("aria-expanded", String(shown));
    };
    const point = (to) => {
      const options = [...hits.children];
      at = options.length ? (to + options.length) % options.length : -1;
      options.forEach((option, place) => option.setAttribute("aria-selected", String(place === at)));
      at < 0 ? field.removeAttribute("aria-activedescendant") : field.setAttribute("aria-activedescendant", options[at].id);
      options[at]?.scrollIntoView({ block: "nearest" });
    };
    const take = (item) => {
      model.set("taken", [model.get("taken")[0] + 1, field.value, item]); // the text too: an answer may still be on its way
      model.save_changes();
    };
    const show = () => {
      const found = model.get("hits");
      hits.replaceChildren(
        ...found.map(([item, text], place) => {
          const option = Object.assign(document.createElement("li"), { id: `${name}-${place}`, textContent: text });
          option.setAttribute("role", "option");
          option.dataset.item = item;
          return option;
        }),
      );
      at = -1;
      field.removeAttribute("aria-activedescendant");
      open(found.length > 0 && field.value.trim() !== "");
      said.textContent = field.value.trim() ? `${found.length} found` : "";
    };
    field.addEventListener("input", () => {
      model.set("text", field.value);
      model.save_changes();
      if (!field.value.trim()) open(false);
    });
    field.addEventListener("keydown", (event) => {
      if (event.isComposing) return; // Enter ends a Chinese word, it does not take a film
      const steps = { ArrowDown: at + 1, ArrowUp: at < 0 ? -1 : at - 1 };
      if (event.key in steps) (open(hits.children.length > 0), point(steps[event.key]));
      else if (event.key === "Enter") take(hits.hidden || at < 0 ? "" : hits.children[at].dataset.item);
      else if (event.key === "Escape") open(false);
      else return;
      event.preventDefault();
      event.stopPropagation();
    });
    field.addEventListener("blur", () => open(false));
    field.addEventListener("focus", () => open(hits.children.length > 0 && field.value.trim() !== ""));
    hits.addEventListener("mousedown", (event) => {
      event.preventDefault(); // the field keeps the focus
      const option = event.target.closest("li");
      if (option) take(option.dataset.item);
    });
    model.on("change:hits", show);
    model.on("change:cleared", () => {
      field.value = "";
      open(false);
    });
    show();
  },
};
