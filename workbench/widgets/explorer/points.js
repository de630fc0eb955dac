// Points of a map, drawn pixel by pixel: each shape is rasterised once and stamped into a picture, which without a GPU is
// many times faster than the canvas's own drawing. Stands before point_map.js in one script.

const HIDDEN = 255; // the code of a point that is not shown

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
