// The map: what lies over the points (lines, names, what lights up), and what the hands do. Stands after points.js.

const REACH = 9; // pixels within which a click or the pointer meets a point
const HINT = "Click a point. Drag moves, shift and drag selects; + and -, or the wheel after a click, zoom.";

const font = (pen) => `600 13px ${getComputedStyle(pen.canvas).fontFamily}`;

function writeName(pen, text, x, y, { page, ink }) {
  pen.font = font(pen);
  Object.assign(pen, { lineWidth: 4, lineJoin: "round", strokeStyle: page, fillStyle: ink, textAlign: "center" });
  pen.strokeText(text, x, y), pen.fillText(text, x, y);
}

// Names of groups, largest group first; one that would lie on another waits until zooming makes room.
function writeLabels(pen, labels, where, look, { width, height }) {
  const taken = [];
  pen.font = font(pen);
  for (const { x, y, text } of labels) {
    const [left, top] = where(x, y), half = pen.measureText(text).width / 2 + 4;
    const box = [left - half, top - 14, left + half, top + 6];
    if (box[0] < 0 || box[1] < 0 || box[2] > width || box[3] > height) continue;
    if (taken.some((other) => box[0] < other[2] && other[0] < box[2] && box[1] < other[3] && other[1] < box[3])) continue;
    taken.push(box);
    writeName(pen, text, left, top, look);
  }
}

class PointMap {
  constructor(model, el) {
    this.model = model;
    el.innerHTML = `<div class="workbench-view workbench-map" data-lm-suppress-shortcuts="true">
      <canvas tabindex="0" role="application" aria-roledescription="map"></canvas>
      <div class="wb-tools"><button type="button" data-do="lasso" aria-pressed="false"
      title="Draw around points to select them; shift and drag does the same">Lasso</button>
      <button type="button" data-do="in" aria-label="Zoom in" title="Zoom in (+)">+</button>
      <button type="button" data-do="out" aria-label="Zoom out" title="Zoom out (-)">−</button>
      <button type="button" data-do="home" title="Show the whole map (0)">Whole map</button></div>
      <div class="wb-hint"></div><div class="wb-tip" hidden></div></div>`;
    this.root = el.firstElementChild;
    this.canvas = this.root.querySelector("canvas");
    this.tip = this.root.querySelector(".wb-tip");
    this.root.querySelector(".wb-hint").textContent = HINT;
    this.root.style.height = `${model.get("height")}px`;
    // "willReadFrequently" keeps the canvas on the processor: where there is no GPU, an emulated one is many times slower
    this.pen = this.canvas.getContext("2d", { willReadFrequently: true });
    this.listen();
    this.read();
  }

  read() {
    this.points = readPoints(this.model);
    this.redraw();
  }

  // One picture per frame, however many reasons there are to draw.
  draw() {
    clearTimeout(this.later);
    this.waiting ??= requestAnimationFrame(() => ((this.waiting = null), this.paint()));
  }

  paint() {
    const [width, height, ratio] = [this.root.clientWidth, this.root.clientHeight, devicePixelRatio], { model } = this;
    if (!width || !height) return (this.later = setTimeout(() => this.draw(), 300)); // not to be seen at the moment
    this.view ??= home(this.points, width, height);
    const room = { width: Math.round(width * ratio), height: Math.round(height * ratio) };
    if (this.canvas.width !== room.width || this.canvas.height !== room.height) {
      Object.assign(this.canvas, room);
      this.stale = true;
    }
    const style = getComputedStyle(this.root), look = { page: style.backgroundColor, ink: style.color };
    const zoom = Math.min(2, (this.view.scale / this.view.least) ** 0.3);
    const usual = this.points.n > 30000 ? 2 : this.points.n > 8000 ? 2.5 : this.points.n > 3000 ? 3 : 4;
    this.size = Math.round(4 * zoom * usual) / 4; // few sizes, so that few shapes are rasterised
    const { pen } = this, faint = model.get("lit").length > 0;
    if (this.stale || this.faint !== faint) {
      this.picture = pen.createImageData(room.width, room.height);
      stampPoints(this.picture, this.points, this.view, { page: look.page, size: this.size, ratio, faint });
      Object.assign(this, { stale: false, faint });
    }
    pen.putImageData(this.picture, 0, 0);
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.paintAbove(pen, look, { width, height });
  }

  paintAbove(pen, look, room) {
    const { points, model } = this, size = this.size + (model.get("lit").length < 200), mark = (i, radius) => {
      const [x, y] = this.placeOf(i);
      pen.save(), pen.translate(x, y), pen.beginPath();
      SHAPES[points.shapes[i]](pen, radius), pen.restore();
    };
    const lit = model.get("lit"), line = model.get("line"), chosen = model.get("chosen");
    const shown = (i) => points.codes[i] !== HIDDEN;
    Object.assign(pen, { strokeStyle: look.ink, lineWidth: 1.2, globalAlpha: 0.45, lineJoin: "round" });
    pen.beginPath();
    line.filter(shown).forEach((i, place) => (place ? pen.lineTo(...this.placeOf(i)) : pen.moveTo(...this.placeOf(i))));
    pen.stroke();
    pen.globalAlpha = 1;
    for (const i of lit.filter(shown)) {
      pen.fillStyle = points.palette[points.codes[i]];
      mark(i, size), pen.fill();
    }
    Object.assign(pen, { strokeStyle: look.ink, lineWidth: 1.6 });
    for (const i of model.get("ringed").filter(shown)) mark(i, size + 2), pen.stroke();
    if (chosen < 0) writeLabels(pen, model.get("labels"), (x, y) => this.toScreen(x, y), look, room);
    else {
      mark(chosen, size + 4);
      pen.fillStyle = shown(chosen) ? points.palette[points.codes[chosen]] : look.page;
      Object.assign(pen, { strokeStyle: look.ink, lineWidth: 2.5 });
      pen.fill(), pen.stroke();
      const [x, y] = this.placeOf(chosen);
      writeName(pen, points.names[chosen].split("\n")[0], x, y - size - 10, look);
    }
    if (this.loop) {
      pen.setLineDash([5, 4]), pen.beginPath();
      polygon(pen, 1, this.loop);
      pen.stroke(), pen.setLineDash([]);
    }
    // for whoever watches the page, a test for instance: what the picture shows now
    Object.assign(this.canvas.dataset, { points: points.order.length, lit: lit.length, chosen, ...this.view });
  }

  toScreen(x, y) {
    const { clientWidth: width, clientHeight: height } = this.root, { view } = this;
    return [(x - view.x) * view.scale + width / 2, (view.y - y) * view.scale + height / 2];
  }

  toPlane(left, top) {
    const { clientWidth: width, clientHeight: height } = this.root, { view } = this;
    return [(left - width / 2) / view.scale + view.x, view.y - (top - height / 2) / view.scale];
  }

  placeOf(i) {
    return this.toScreen(this.points.xy[2 * i], this.points.xy[2 * i + 1]);
  }

  // The shown point nearest to a place on the screen, or -1; of equally near ones the last, which lies on top.
  pointAt(left, top) {
    const [x, y] = this.toPlane(left, top), { xy, order } = this.points;
    let best = -1, least = (Math.max(REACH, this.size) / this.view.scale) ** 2;
    for (const i of order) {
      const distance = (xy[2 * i] - x) ** 2 + (xy[2 * i + 1] - y) ** 2;
      if (distance <= least) [best, least] = [i, distance];
    }
    return best;
  }

  move(dx, dy) {
    this.view.x -= dx / this.view.scale, this.view.y += dy / this.view.scale;
    this.redraw();
  }

  zoom(factor, left = this.root.clientWidth / 2, top = this.root.clientHeight / 2) {
    const [x, y] = this.toPlane(left, top), { view } = this;
    view.scale = Math.min(500 * view.least, Math.max(0.5 * view.least, view.scale * factor));
    const [after, below] = this.toPlane(left, top);
    view.x += x - after, view.y += y - below;
    this.redraw();
  }

  redraw() {
    this.stale = this.tip.hidden = true;
    this.draw();
  }

  // A point; or with -1 none, and whoever listens lets go of the selection.
  choose(point) {
    this.set(point < 0 ? { chosen: -1, cleared: this.model.get("cleared") + 1 } : { chosen: point });
  }

  set(changes) {
    this.model.set(changes), this.model.save_changes();
    this.draw();
  }

  listen() {
    const { model, canvas } = this, actions = {
      in: () => this.zoom(1.5), out: () => this.zoom(1 / 1.5),
      home: () => ((this.view = null), this.redraw()),
      lasso: (button) => button.setAttribute("aria-pressed", button.getAttribute("aria-pressed") !== "true"),
    };
    this.root.addEventListener("click", ({ target }) => actions[target.dataset.do]?.(target));
    const keys = {
      "+": actions.in, "=": actions.in, "-": actions.out, 0: actions.home, Escape: () => this.choose(-1),
      ArrowLeft: () => this.move(60, 0), ArrowRight: () => this.move(-60, 0),
      ArrowUp: () => this.move(0, 60), ArrowDown: () => this.move(0, -60),
    };
    canvas.addEventListener("keydown", (event) => {
      if (!keys[event.key] || event.ctrlKey || event.metaKey || event.altKey) return; // the browser's own
      event.preventDefault(), keys[event.key]();
    });
    canvas.addEventListener("wheel", (event) => {
      if (document.activeElement !== canvas) return; // whoever only scrolls by keeps scrolling
      event.preventDefault();
      this.zoom(Math.exp(-event.deltaY / 400), event.offsetX, event.offsetY);
    }, { passive: false });
    this.listenToPointer();
    model.on("change:xy change:codes change:names change:palette change:shapes", () => this.read());
    model.on("change:lit change:ringed change:line change:labels change:chosen", () => this.draw());
    const name = () => canvas.setAttribute("aria-label", model.get("alt"));
    model.on("change:alt", name), name();
    const again = () => this.redraw();
    this.watchers = [new ResizeObserver(again), new MutationObserver(again)];
    this.watchers[0].observe(this.root);
    this.watchers[1].observe(document.body, { attributeFilter: ["data-jp-theme-name"] });
  }

  listenToPointer() {
    const { canvas } = this, lasso = this.root.querySelector("[data-do=lasso]");
    let from = null;
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      this.tip.hidden = true;
      canvas.setPointerCapture(event.pointerId);
      from = { left: event.offsetX, top: event.offsetY, moved: false };
      const around = event.shiftKey || lasso.getAttribute("aria-pressed") === "true";
      this.loop = around ? [[from.left, from.top]] : null;
    });
    canvas.addEventListener("pointermove", ({ offsetX: left, offsetY: top }) => {
      if (!from) return this.showTip(left, top);
      if (!from.moved && Math.hypot(left - from.left, top - from.top) < 4) return;
      from.moved = true;
      if (this.loop) return this.loop.push([left, top]), this.draw();
      this.move(left - from.left, top - from.top);
      Object.assign(from, { left, top });
    });
    canvas.addEventListener("pointerup", () => {
      if (from && this.loop?.length > 2) this.sendLoop();
      else if (from && !from.moved) this.choose(this.pointAt(from.left, from.top));
      from = this.loop = null;
    });
    canvas.addEventListener("pointercancel", () => (from = this.loop = null));
    canvas.addEventListener("pointerleave", () => (this.tip.hidden = true));
  }

  // At most 100 corners of the loop, in the map's own coordinates.
  sendLoop() {
    const every = Math.ceil(this.loop.length / 100), corners = this.loop.filter((_, place) => place % every === 0);
    this.set({ lasso: corners.map(([left, top]) => this.toPlane(left, top).map((value) => Number(value.toPrecision(6)))) });
  }

  showTip(left, top) {
    const i = this.pointAt(left, top);
    this.tip.hidden = i < 0;
    this.canvas.style.cursor = i < 0 ? "grab" : "pointer";
    if (i < 0) return;
    this.tip.textContent = `${this.points.names[i]}\n${this.model.get("meanings")[this.points.codes[i]]}`;
    const room = this.root.clientWidth - this.tip.offsetWidth - 4;
    this.tip.style.left = `${Math.max(4, Math.min(left + 14, room))}px`;
    this.tip.style.top = `${Math.max(4, top - this.tip.offsetHeight - 10)}px`;
  }

  close() {
    cancelAnimationFrame(this.waiting), clearTimeout(this.later);
    this.watchers.forEach((watcher) => watcher.disconnect());
  }
}

export default {
  render({ model, el }) {
    const map = new PointMap(model, el);
    return () => map.close();
  },
};
