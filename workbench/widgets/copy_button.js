// A button that puts text on the clipboard; where the browser does not allow that, the text is shown to be copied.
export default {
  render({ model, el }) {
    el.innerHTML = `<div class="workbench-view workbench-copy" data-lm-suppress-shortcuts="true">
      <button type="button" class="jupyter-button"></button> <span role="status"></span>
      <pre tabindex="0" hidden></pre></div>`;
    const [button, said, shown] = el.firstElementChild.children;
    // JupyterLab takes the arrows and letters of a focused control for its own, unless the control itself says no.
    requestAnimationFrame(() => {
      el.closest(".workbench-view-box")?.addEventListener("focusin", (event) => {
        event.target.dataset.lmSuppressShortcuts = "true";
      });
    });
    button.textContent = model.get("description");
    button.title = model.get("tooltip");
    button.addEventListener("click", async () => {
      shown.textContent = model.get("text");
      try {
        await navigator.clipboard.writeText(shown.textContent);
        said.textContent = "Copied.";
      } catch {
        shown.hidden = false;
        said.textContent = "Copy it from here:";
      }
    });
    model.on("change:text", () => {
      shown.hidden = true;
      said.textContent = "";
    });
  },
};
