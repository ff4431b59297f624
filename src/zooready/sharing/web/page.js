// The page: reads images, has the worker run the network, and shows what comes out. An image is {width, height, channels, slices, times,
// frames: one Float32Array for each time, slice and channel in turn, pixel and spacing (in micrometres or null), name}.
"use strict";
const facts = JSON.parse(document.getElementById("facts").textContent);
const element = (id) => document.getElementById(id);
const stacked = facts.input.axes.includes("z");
let worker = null;
let image = null;
let waiting = null;

function say(text, isBad = false) {
  element("status").textContent = text;
  element("status").classList.toggle("bad", isBad);
}

function make(name, properties = {}, ...children) {
  const node = Object.assign(document.createElement(name), properties);
  node.append(...children);
  return node;
}

// What is embedded

async function unpacked(name) {
  const text = element(`blob-${name}`).textContent;
  const raw = atob(text);
  const bytes = new Uint8Array(raw.length);
  for (let k = 0; k < raw.length; k++) bytes[k] = raw.charCodeAt(k);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function startWorker() {
  const [ort, module, wasm, network] = await Promise.all(["ort", "module", "wasm", "network"].map(unpacked));
  const source = element("worker-source").textContent;
  worker = new Worker(URL.createObjectURL(new Blob([source], {type: "text/javascript"})));
  worker.onerror = (event) => answer({error: event.message || "the browser stopped the network"});
  worker.onmessage = ({data}) => answer(data);
  const ready = new Promise((resolve) => { waiting = resolve; });
  worker.postMessage({start: {ort, module, wasm, network}});
  const result = await ready;
  if (result.error) throw new Error(`this browser cannot run the network (${result.error}). A current Chrome, Edge or Firefox can.`);
}

function answer(message) {
  const resolve = waiting;
  waiting = null;
  if (resolve) resolve(message);
}

// Reading images

function micrometres(length, unit) {
  const one = {micron: 1, um: 1, "\u00b5m": 1, "\u03bcm": 1, "\\u00B5m": 1, nm: 1e-3, mm: 1e3, cm: 1e4}[(unit || "").trim()];
  return one && length ? Math.abs(length) * one : null;
}

function imagejFacts(text, count) {
  const lines = Object.fromEntries(text.split("\n").filter((line) => line.includes("=")).map((line) => line.split(/=(.*)/s)));
  const channels = Number(lines.channels) || 1, times = Number(lines.frames) || 1;
  return {
    order: "CZT", sizes: {C: channels, Z: Number(lines.slices) || count / channels / times, T: times}, unit: lines.unit,
    spacing: micrometres(Number(lines.spacing), lines.zunit || lines.unit), pixel: null,
  };
}

function omeFacts(text) {
  const stated = new DOMParser().parseFromString(text, "text/xml").getElementsByTagNameNS("*", "Pixels")[0];
  if (!stated) throw new Error("its OME description cannot be read: save it in Fiji as TIFF.");
  const length = (axis) => micrometres(Number(stated.getAttribute(`PhysicalSize${axis}`)), stated.getAttribute(`PhysicalSize${axis}Unit`) || "\u00b5m");
  const sizes = Object.fromEntries(["C", "Z", "T"].map((axis) => [axis, Number(stated.getAttribute(`Size${axis}`)) || 1]));
  return {order: stated.getAttribute("DimensionOrder").slice(2), sizes, unit: "", spacing: length("Z"), pixel: length("X")};
}

// Planes in the order of a file, the first letter counting fastest, in the order of an image
function inOrder(frames, {order, sizes}) {
  const strides = {};
  [...order].reduce((step, axis) => (strides[axis] = step) * sizes[axis], 1);
  const found = [];
  for (let t = 0; t < sizes.T; t++) for (let z = 0; z < sizes.Z; z++) for (let c = 0; c < sizes.C; c++) found.push(frames[t * strides.T + z * strides.Z + c * strides.C]);
  return found;
}

function pixelsOf(page) {
  const value = (tag, otherwise) => (page[tag] ? page[tag][0] : otherwise);
  const bits = value("t258", 1), samples = value("t277", 1), format = value("t339", 1);
  if (![8, 16, 32, 64].includes(bits) || format > 3 || (bits === 64 && format !== 3)) throw new Error(`TIFFs of ${bits} bits a pixel are not read here: save it with 8, 16 or 32.`);
  if (samples > 1 && value("t284", 1) === 2) throw new Error("this TIFF keeps its colours in separate planes: save it again in Fiji.");
  const view = new DataView(page.data.buffer, page.data.byteOffset, page.data.byteLength);
  const name = `get${format === 3 ? "Float" : format === 2 ? "Int" : "Uint"}${bits}`;
  const count = page.width * page.height, step = bits / 8;
  const planes = Array.from({length: samples}, () => new Float32Array(count));
  for (let k = 0; k < count; k++) for (let s = 0; s < samples; s++) planes[s][k] = view[name]((k * samples + s) * step, page.isLE);
  if (value("t262", 1) === 0) planes.forEach((plane) => plane.forEach((v, k) => { plane[k] = 2 ** bits - 1 - v; }));
  return planes;
}

function pixelSize(page, unit) {
  const stated = page.t282 && page.t282[0];
  const resolution = Array.isArray(stated) ? stated[0] / stated[1] : stated;
  return resolution > 0 ? micrometres(1 / resolution, unit) : null;
}

function readTiff(buffer, name) {
  const pages = UTIF.decode(buffer).filter((page) => page.t256);
  if (!pages.length) throw new Error("this TIFF holds no image.");
  const first = pages[0];
  const same = pages.filter((page) => page.t256[0] === first.t256[0] && page.t257[0] === first.t257[0]);
  const bytes = Uint8Array.from((first.t270 && first.t270[0]) || "", (letter) => letter.charCodeAt(0));
  const text = new TextDecoder().decode(bytes).replaceAll("\0", "");
  const frames = [];
  for (const page of same) {
    UTIF.decodeImage(buffer, page, pages);
    frames.push(...pixelsOf(page));
    page.data = null;
  }
  const samples = frames.length / same.length, width = first.t256[0], height = first.t257[0];
  const plain = {order: "CZT", sizes: {C: samples, Z: same.length, T: 1}};
  const named = text.startsWith("ImageJ=") ? imagejFacts(text, same.length) : text.includes("<OME") ? omeFacts(text) : {};
  const stated = {unit: "", spacing: null, pixel: null, ...plain, ...named, ...(samples > 1 ? plain : {})};
  const {C: channels, Z: slices, T: times} = stated.sizes;
  if (channels * slices * times !== frames.length) {
    throw new Error(`it states ${channels} channels, ${slices} slices and ${times} frames, and holds ${frames.length} planes: save it again in Fiji.`);
  }
  const pixel = stated.pixel || pixelSize(first, stated.unit);
  return {width, height, channels, slices, times, frames: inOrder(frames, stated), pixel, spacing: stated.spacing, name};
}

async function readPicture(file, buffer) {
  const bytes = new Uint8Array(buffer);
  if (bytes[0] === 0x89 && bytes[24] > 8) throw new Error("this PNG has 16 bits a pixel, which browsers cut to 8: save it as TIFF.");
  const bitmap = await createImageBitmap(file, {colorSpaceConversion: "none", premultiplyAlpha: "none"});
  const canvas = make("canvas", {width: bitmap.width, height: bitmap.height});
  const context = canvas.getContext("2d", {willReadFrequently: true});
  context.drawImage(bitmap, 0, 0);
  const data = context.getImageData(0, 0, bitmap.width, bitmap.height).data;
  const count = bitmap.width * bitmap.height;
  const frames = [0, 1, 2].map((c) => Float32Array.from({length: count}, (_, k) => data[4 * k + c]));
  return {width: bitmap.width, height: bitmap.height, channels: 3, slices: 1, times: 1, frames, pixel: null, spacing: null, name: file.name};
}

function greyIfEqual(read) {
  if (read.channels !== 3) return read;
  for (let n = 0; n < read.frames.length; n += 3) {
    for (let k = 0; k < read.frames[n].length; k++) {
      if (read.frames[n][k] !== read.frames[n + 1][k] || read.frames[n][k] !== read.frames[n + 2][k]) return read;
    }
  }
  return {...read, channels: 1, frames: read.frames.filter((_, n) => n % 3 === 0)};
}

async function open(file) {
  try {
    say(`Reading ${file.name} …`);
    const buffer = await file.arrayBuffer();
    const bytes = new Uint8Array(buffer, 0, Math.min(4, buffer.byteLength));
    const isTiff = (bytes[0] === 0x49 && bytes[1] === 0x49) || (bytes[0] === 0x4d && bytes[1] === 0x4d);
    const read = isTiff ? readTiff(buffer, file.name) : await readPicture(file, buffer);
    image = greyIfEqual(read);
    element("results").replaceChildren();
    offerChoices();
    await run();
  } catch (error) {
    say(`${file.name} cannot be used: ${error.message || "it is no image that a browser reads. Save it as TIFF or PNG."}`, true);
  }
}

// What is run

function offerChoices() {
  const many = facts.input.channels.length > 1;
  element("channel-choice").hidden = many || image.channels === 1;
  element("channel").replaceChildren(...Array.from({length: image.channels}, (_, c) => make("option", {value: c, textContent: c + 1})));
  const choices = stacked ? image.times : image.slices * image.times;
  element("plane-choice").hidden = choices === 1;
  element("plane-word").textContent = stacked ? "Frame" : "Plane";
  element("plane").max = choices;
  element("plane").value = stacked ? 1 : Math.ceil(choices / 2);
  element("plane-number").textContent = element("plane").value;
  element("choices").hidden = false;
}

function inputOf() {
  const wanted = facts.input.channels.length;
  if (wanted > 1 && image.channels !== wanted) throw new Error(`the network takes ${wanted} channels (${facts.input.channels.join(", ")}), and the image has ${image.channels}.`);
  const channels = wanted > 1 ? image.channels : 1;
  if (stacked && image.slices === 1 && facts.input.sizes.z !== 1) {
    throw new Error(image.times > 1
      ? `the network takes stacks (z), and the planes of the image are stored as time (${image.times} frames): if they are a stack, exchange slices and frames in Fiji (Image > Properties).`
      : "the network takes stacks, and the image is a single plane: open the whole stack.");
  }
  const planes = stacked ? image.slices : 1;
  const size = image.width * image.height, total = size * planes * channels;
  for (const [axis, length] of Object.entries(facts.input.sizes)) {
    const have = {z: planes, y: image.height, x: image.width}[axis];
    if (have !== length) throw new Error(`the network takes exactly ${length} along ${axis}, and the image has ${have}: crop it.`);
  }
  if (total > facts.largest) {
    const side = Math.floor(Math.sqrt(facts.largest / planes / channels));
    throw new Error(`the image is too large for a browser (${image.width} × ${image.height}${planes > 1 ? ` × ${planes}` : ""}): crop it to ${side} × ${side} or less, or use zooready predict.`);
  }
  const pixels = new Float32Array(total);
  const chosen = Number(element("channel").value) || 0, plane = Number(element("plane").value) - 1;
  for (let c = 0; c < channels; c++) {
    for (let z = 0; z < planes; z++) {
      const frame = (stacked ? plane * planes + z : plane) * image.channels + (wanted > 1 ? c : chosen);
      pixels.set(image.frames[frame], (c * planes + z) * size);
    }
  }
  return {run: pixels, shape: stacked ? [1, channels, planes, image.height, image.width] : [1, channels, image.height, image.width]};
}

function busy(isBusy) {
  element("run").disabled = isBusy || !image;
  element("sample").disabled = isBusy;
  element("file").disabled = isBusy;
  element("stop").hidden = !isBusy;
  element("progress").hidden = !isBusy;
}

async function run() {
  let result;
  try {
    const message = inputOf();
    busy(true);
    say(`Running ${facts.name} on ${image.name}, ${image.width} × ${image.height} px …`);
    if (!worker) await startWorker();
    const shown = message.run.slice();
    const done = new Promise((resolve) => { waiting = resolve; });
    worker.postMessage(message, [message.run.buffer]);
    result = await done;
    if (result.stopped) return say("Stopped.");
    if (result.error) throw new Error(explained(result.error));
    show(shown, message.shape, result.outputs);
    say(`${image.name}: ${result.seconds.toFixed(1)} s.${pixelNote()}`);
  } catch (error) {
    say(`${image.name}: ${error.message}`, true);
  } finally {
    busy(false);
  }
}

function explained(message) {
  if (/alloc|memory|out of bounds|Aborted|^\d+$/i.test(message)) {
    restart();
    return "the image is too large for the memory that this browser gives: crop it, or use zooready predict.";
  }
  return `the network failed (${message}).`;
}

function restart() {
  if (worker) worker.terminate();
  worker = null;
}

function pixelNote() {
  const range = facts.pixel_size_um;
  if (!range || !image.pixel) return "";
  const inside = image.pixel >= range[0] * 0.999 && image.pixel <= range[1] * 1.001;
  return inside ? "" : ` Its pixels are ${image.pixel.toPrecision(3)} µm, and the network was trained for ${range[0]} to ${range[1]} µm.`;
}

// Showing results

function show(pixels, shape, outputs) {
  const figures = [figureOf({...facts.input, kind: "image"}, pixels, shape)];
  const found = facts.outputs.map((spec, k) => ({spec, ...(outputs.find((one) => one.name === spec.name) || outputs[k])}));
  const scores = found.find(({spec}) => !spec.axes.includes("y"));
  const best = scores ? scores.data.indexOf(Math.max(...scores.data)) : 0;
  for (const {spec, data, shape: size} of found) {
    const ofClasses = scores && spec.channels.join() === scores.spec.channels.join();
    const before = facts.restores && spec.kind === "image" && size.slice(-2).join() === shape.slice(-2).join() ? {pixels, shape} : null;
    figures.push(spec.axes.includes("y") ? figureOf(spec, Float32Array.from(data), size, ofClasses ? best : 0, before) : barsOf(spec, data));
  }
  element("results").replaceChildren(...figures);
}

function barsOf(spec, values) {
  const list = Array.from(values, Number), largest = Math.max(...list.map(Math.abs), 1e-12);
  const rows = list.flatMap((value, k) => {
    const bar = make("i");
    bar.style.width = `${(100 * Math.max(0, value)) / largest}%`;
    return [make("b", {textContent: spec.channels[k] || k + 1}), bar, make("span", {textContent: value.toPrecision(3)})];
  });
  const rowsOf = () => [["class", "score"], ...list.map((value, k) => [spec.channels[k] || k + 1, value])];
  const tools = make("div", {className: "tools"}, saving("Save CSV", () => csv(rowsOf(), spec.name)));
  return make("figure", {}, make("h2", {textContent: title(spec)}), make("div", {className: "bars"}, ...rows), tools);
}

function title(spec) {
  return spec.name.replaceAll("_", " ");
}

function saving(text, act) {
  return make("button", {type: "button", textContent: text, onclick: act});
}

// `before` is the input of a restored image: a slider draws it over the image's left part.
function figureOf(spec, data, shape, chosen = 0, before = null) {
  const [height, width] = shape.slice(-2), planes = shape.length === 5 ? shape[2] : 1, channels = shape[1];
  const canvas = make("canvas", {width, height});
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", title(spec));
  const channel = make("select", {}, ...Array.from({length: channels}, (_, c) => make("option", {value: c, textContent: spec.channels[c] || c + 1})));
  channel.value = chosen;
  const plane = make("input", {type: "range", min: 1, max: planes, value: Math.ceil(planes / 2)});
  const number = make("output", {textContent: plane.value});
  const zoom = make("input", {type: "range", min: 100, max: 800, step: 50, value: 100});
  const frame = (c, z) => data.subarray((c * planes + z) * width * height, (c * planes + z + 1) * width * height);
  const curtain = before ? curtainOf(before) : null;
  const draw = () => {
    paint(canvas, frame(Number(channel.value), plane.value - 1), spec.kind);
    if (curtain) curtain.draw(plane.value - 1);
  };
  channel.onchange = draw;
  plane.oninput = () => { number.textContent = plane.value; draw(); };
  zoom.oninput = () => {
    for (const one of curtain ? [canvas, curtain.canvas] : [canvas]) one.style.width = `${zoom.value}%`;
  };
  const tools = make("div", {className: "tools"});
  if (channels > 1) tools.append(make("label", {}, "Channel ", channel));
  if (planes > 1) tools.append(make("label", {}, "z ", plane, number));
  tools.append(make("label", {}, "Zoom ", zoom));
  if (curtain) tools.append(make("label", {}, "Input over it ", curtain.share));
  if (spec.name !== facts.input.name) tools.append(saving("Save TIFF", () => download(tiff(data, shape), `${spec.name}.tif`, "image/tiff")));
  let heading = title(spec);
  if (spec.kind === "labels") {
    const objects = measured(data, width, height);
    heading += `: ${objects.length} object${objects.length === 1 ? "" : "s"}`;
    tools.append(saving("Save CSV", () => csv(tableOf(objects), spec.name)));
  }
  draw();
  return make("figure", {}, make("h2", {textContent: heading}), make("div", {className: "frame"}, canvas, ...(curtain ? [curtain.canvas] : [])), tools);
}

function curtainOf({pixels, shape}) {
  const [height, width] = shape.slice(-2), planes = shape.length === 5 ? shape[2] : 1;
  const canvas = make("canvas", {width, height, className: "before"});
  canvas.setAttribute("aria-hidden", "true");
  const share = make("input", {type: "range", min: 0, max: 100, value: 50});
  share.oninput = () => { canvas.style.clipPath = `inset(0 ${100 - share.value}% 0 0)`; };
  share.oninput();
  const draw = (z) => {
    const at = Math.min(z, planes - 1) * width * height;
    paint(canvas, pixels.subarray(at, at + width * height), "image");
  };
  return {canvas, share, draw};
}

function paint(canvas, values, kind) {
  const context = canvas.getContext("2d"), picture = context.createImageData(canvas.width, canvas.height);
  const colour = kind === "labels" ? label : grey(values);
  for (let k = 0; k < values.length; k++) {
    const [r, g, b] = colour(values[k]);
    picture.data.set([r, g, b, 255], 4 * k);
  }
  context.putImageData(picture, 0, 0);
}

function grey(values) {
  const step = Math.max(1, Math.floor(values.length / 20000));
  const sorted = Float32Array.from({length: Math.ceil(values.length / step)}, (_, k) => values[k * step]).sort();
  const low = sorted[Math.floor(0.002 * (sorted.length - 1))], high = sorted[Math.ceil(0.998 * (sorted.length - 1))];
  const span = high - low || 1;
  return (value) => { const level = (255 * (value - low)) / span; return [level, level, level]; };
}

function label(value) {
  if (value < 0.5) return [0, 0, 0];
  const hue = (value * 0.618034) % 1, part = (shift) => Math.round(255 * (0.55 + 0.45 * Math.cos(2 * Math.PI * (hue + shift))));
  return [part(0), part(1 / 3), part(2 / 3)];
}

function measured(data, width, height) {
  const found = new Map();
  const size = width * height;
  for (let k = 0; k < data.length; k++) {
    const value = Math.round(data[k]);
    if (value < 1) continue;
    const one = found.get(value) || {label: value, pixels: 0, x: 0, y: 0, z: 0};
    one.pixels += 1;
    one.x += k % width;
    one.y += Math.floor((k % size) / width);
    one.z += Math.floor(k / size);
    found.set(value, one);
  }
  return [...found.values()].sort((a, b) => a.label - b.label);
}

function tableOf(objects) {
  const side = image.pixel;
  const head = ["label", "pixels", "x_px", "y_px", ...(side ? ["area_um2", "x_um", "y_um"] : [])];
  return [head, ...objects.map((one) => {
    const x = one.x / one.pixels, y = one.y / one.pixels;
    return [one.label, one.pixels, x, y, ...(side ? [one.pixels * side * side, x * side, y * side] : [])];
  })];
}

// Saving

function csv(rows, name) {
  const cell = (value) => (typeof value === "number" ? String(+value.toPrecision(9)) : `"${String(value).replaceAll('"', '""')}"`);
  download(rows.map((row) => row.map(cell).join(",")).join("\n") + "\n", `${name}.csv`, "text/csv");
}

function download(content, name, type) {
  const stem = image.name.replace(/(\.ome)?\.[^.]*$/i, "");
  const link = make("a", {href: URL.createObjectURL(new Blob([content], {type})), download: `${stem}_${name}`});
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

// A float32 TIFF as ImageJ writes hyperstacks: channels, slices, pixel size.
function tiff(data, shape) {
  const [height, width] = shape.slice(-2), planes = shape.length === 5 ? shape[2] : 1, channels = shape[1], count = channels * planes;
  const spacing = planes > 1 ? (stacked ? image.spacing : facts.z_um) : null; // those that the network made are not the image's
  const words = ["ImageJ=1.54p", `images=${count}`];
  if (channels > 1) words.push(`channels=${channels}`);
  if (planes > 1) words.push(`slices=${planes}`);
  if (count > 1) words.push("hyperstack=true", "mode=grayscale");
  if (image.pixel) words.push("unit=micron");
  else if (spacing) words.push("unit=pixel", "zunit=micron");
  if (spacing) words.push(`spacing=${spacing}`);
  const text = new TextEncoder().encode(`${words.join("\n")}\n\0`);
  const size = 4 * width * height, tags = 13, directory = 2 + 12 * tags + 4, shared = 8 + text.length + 16;
  const offset = shared + (shared % 2);
  const view = new DataView(new ArrayBuffer(offset + count * directory + count * size));
  view.setUint16(0, 0x4949), view.setUint16(2, 42, true), view.setUint32(4, offset, true);
  new Uint8Array(view.buffer).set(text, 8);
  const ratio = image.pixel ? [Math.round(1e6 / image.pixel), 1000000] : [1, 1];
  [0, 8].forEach((shift) => ratio.forEach((value, k) => view.setUint32(8 + text.length + shift + 4 * k, value, true)));
  for (let page = 0; page < count; page++) {
    let at = offset + page * directory;
    const start = offset + count * directory + page * size;
    view.setUint16(at, tags, true);
    at += 2;
    const entries = [[256, 4, 1, width], [257, 4, 1, height], [258, 3, 1, 32], [259, 3, 1, 1], [262, 3, 1, 1], [270, 2, text.length, 8], [273, 4, 1, start],
      [277, 3, 1, 1], [278, 4, 1, height], [279, 4, 1, size], [282, 5, 1, 8 + text.length], [283, 5, 1, 16 + text.length], [339, 3, 1, 3]];
    for (const [tag, type, length, value] of entries) {
      view.setUint16(at, tag, true), view.setUint16(at + 2, type, true), view.setUint32(at + 4, length, true), view.setUint32(at + 8, value, true);
      at += 12;
    }
    view.setUint32(at, page + 1 < count ? offset + (page + 1) * directory : 0, true);
    const frame = (page % channels) * planes + Math.floor(page / channels); // ImageJ counts channels fastest
    for (let k = 0; k < width * height; k++) view.setFloat32(start + 4 * k, data[frame * width * height + k], true);
  }
  return view.buffer;
}

// Beginning

function describe() {
  element("description").textContent = facts.description;
  element("readme").textContent = facts.readme;
  element("licenses").textContent = `${facts.notices.join("\n")}\n\n${facts.licenses}`;
  const channels = facts.input.channels.length > 1 ? `${facts.input.channels.length} channels (${facts.input.channels.join(", ")})` : "one channel";
  const sizes = Object.entries(facts.input.sizes).map(([axis, length]) => `${length} px in ${axis}`).join(", ");
  const range = facts.pixel_size_um ? ` Trained for pixels of ${facts.pixel_size_um[0]} to ${facts.pixel_size_um[1]} µm.` : "";
  const blur = facts.blur_px ? ` Trained for a blur of ${facts.blur_px.join(" to ")} px, wavelength / (NA × pixel size): images are not scaled to it here, as zooready predict and the macro for Fiji do.` : "";
  element("wanted").textContent = `The network takes ${stacked ? "stacks" : "images"} of ${channels}, raw as the microscope saved them${sizes ? `, of exactly ${sizes}` : ""}.${range}${blur}`;
  element("about").textContent = `By ${facts.authors.join(", ")}. Licence: ${facts.license}.`;
}

async function openSample() {
  await open(new File([await unpacked("sample")], "sample.tif"));
}

const drop = element("drop");
drop.ondragover = (event) => { event.preventDefault(); drop.classList.add("over"); };
drop.ondragleave = () => drop.classList.remove("over");
document.ondragover = (event) => event.preventDefault();
document.ondrop = (event) => {
  event.preventDefault();
  drop.classList.remove("over");
  if (event.dataTransfer.files.length && !element("file").disabled) open(event.dataTransfer.files[0]);
};
element("file").onchange = ({target}) => { if (target.files.length) open(target.files[0]); target.value = ""; };
element("sample").onclick = openSample;
element("run").onclick = run;
element("stop").onclick = () => { restart(); answer({stopped: true}); };
element("plane").oninput = ({target}) => { element("plane-number").textContent = target.value; };
describe();
busy(false);
openSample();
