// Points in the plane, drawn pixel by pixel: each shape is rasterised once and stamped into a picture, which without a
// GPU is many times faster than the canvas's own drawing. Lines, names and what lights up are drawn over that picture.

const HIDDEN = 255; // the code of a point that is not shown
const REACH = 9; // pixels within which a click or the pointer meets a point
const HINT = "Click a point. Drag moves, shift and drag selects; + and -, or the wheel after a click, zoom.";

const SHAPES = [
  (pen, r) => pen.arc(0, 0, r, 0, 2 * Math.PI), // item
  (pen, r) => polygon(pen, 1.3 * r, [[0, -1], [1, 0], [0, 1], [-1, 0]]), // user
  (pen, r) => polygon(pen, 0.9 * r, [[-1, -1], [1, -1], [1, 1], [-1, 1]]), // request
];

function polygon(pen, r, corners) {
  corners.forEach(([x, y], place) => (place ? pen.lineTo(r * x, r * y) : pen.moveTo(r * x, r * y)));
  pen.closePath();
}

// A function that makes each of its answers once.
function remembering(make) {
  const known = new Map();
  return (...given) => {
    const key = given.join();
    return known.get(key) ?? known.set(key, make(...given)).get(key);
  };
}

// A shape as the pixels it covers: offsets from its centre, and how much of each pixel, 0 to 255.
const rasterise = remembering((shape, radius) => {
  const half = Math.ceil(1.3 * radius) + 1, side = 2 * half + 1;
  const canvas = Object.assign(document.createElement("canvas"), { width: side, height: side });
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.translate(half + 0.5, half + 0.5), pen.beginPath();
  SHAPES[shape](pen, radius), pen.fill();
  const alpha = pen.getImageData(0, 0, side, side).data, pixels = [];
  for (let at = 0; at < side * side; at++) {
    const cover = alpha[4 * at + 3];
    if (cover) pixels.push({ dx: (at % side) - half, dy: Math.floor(at / side) - half, cover });
  }
  return { half, pixels };
});

const rgb = remembering((colour) => {
  const pen = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d");
  pen.fillStyle = colour;
  pen.fillRect(0, 0, 1, 1);
  const [red, green, blue, opacity] = pen.getImageData(0, 0, 1, 1).data;
  return [red, green, blue, opacity / 255];
});

const bytes = (view) => new Uint8Array(view.buffer, view.byteOffset, view.byteLength);

// What the model holds, as arrays. `order` is that of drawing: users below items, greys (last in the palette) below all.
function readPoints(model) {
  const codes = bytes(model.get("codes")), shapes = bytes(model.get("shapes"));
  const xy = new Float32Array(bytes(model.get("xy")).slice().buffer);
  const height = Int32Array.from(codes, (code, i) => [256, 0, 512][shapes[i]] - code);
  const order = Uint32Array.from(codes.keys()).filter((i) => codes[i] !== HIDDEN).sort((a, b) => height[a] - height[b]);
  return { n: codes.length, xy, codes, shapes, order, palette: model.get("palette"), names: model.get("names") };
}

function home(points, width, height) {
  let [left, right, low, high] = [Infinity, -Infinity, Infinity, -Infinity];
  for (let i = 0; i < points.n; i++) {
    left = Math.min(left, points.xy[2 * i]), right = Math.max(right, points.xy[2 * i]);
    low = Math.min(low, points.xy[2 * i + 1]), high = Math.max(high, points.xy[2 * i + 1]);
  }
  const scale = 0.88 * Math.min(width / (right - left || 1), height / (high - low || 1));
  return { x: (left + right) / 2, y: (low + high) / 2, scale, least: scale };
}

// All points into the picture; with something lit, the others are faint.
function stampPoints(picture, points, view, { page, size, ratio, faint }) {
  const { width, height, data } = picture, { xy, codes, shapes, order } = points, colours = points.palette.map(rgb);
  const strength = (faint ? 0.22 : points.n > 8000 ? 0.6 : 0.85) / 255;
  new Uint32Array(data.buffer).fill(new Uint32Array(Uint8Array.from(rgb(page).with(3, 255)).buffer)[0]);
  const stamps = SHAPES.map((_, shape) => rasterise(shape, size * ratio)), scale = view.scale * ratio;
  for (const i of order) {
    const x = Math.round((xy[2 * i] - view.x) * scale + width / 2);
    const y = Math.round((view.y - xy[2 * i + 1]) * scale + height / 2), { half, pixels } = stamps[shapes[i]];
    if (x < half || y < half || x >= width - half || y >= height - half) continue;
    const [red, green, blue, opacity] = colours[codes[i]];
    for (const { dx, dy, cover } of pixels) {
      const at = 4 * ((y + dy) * width + x + dx), part = cover * strength * opacity;
      data[at] += (red - data[at]) * part;
      data[at + 1] += (green - data[at + 1]) * part;
      data[at + 2] += (blue - data[at + 2]) * part;
    }
  }
}

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
    line.forEach((i, place) => (place ? pen.lineTo(...this.placeOf(i)) : pen.moveTo(...this.placeOf(i))));
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
    Object.assign(this.canvas.dataset, { points: points.order.length, lit: lit.length, chosen });
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
      if (!keys[event.key] || event.ctrlKey || event.metaKey) return;
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
    this.tip.textContent = this.points.names[i];
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
