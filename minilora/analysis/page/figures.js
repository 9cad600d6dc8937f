// Figures of the update itself.

// Layers by number and kind, shaded by a measure; `choose` is called with the layer clicked.
function drawMap(place, layers, measure, chosen, choose) {
  const numbers = [...new Set(layers.map((x) => x.number))].sort((a, b) => a - b);
  const kinds = [...new Set(layers.map((x) => x.kind))];
  const names = shortNames(kinds);
  const known = measure.values.filter((x) => x !== null);
  const high = Math.max(...known);
  const low = Math.min(...known, 0.75 * high); // small differences stay small
  const left = 34, right = 8;
  const across = (Math.max(120, place.clientWidth) - left - right) / kinds.length;
  const longest = Math.max(...names.map((x) => x.length)) * 6.8;
  const turned = longest > across - 6;
  const head = turned ? Math.min(110, 16 + longest * 0.6) : 24;
  const down = Math.max(15, Math.min(28, 560 / numbers.length));
  const alt = `Heat map of ${measure.label} by layer and matrix, from ` +
    `${number(Math.min(...known))} to ` +
    `${number(high)}; largest in ${layers[measure.values.indexOf(high)].path}.`;
  const { svg, width } = drawing(place, head + down * numbers.length + 34, alt);
  names.forEach((name, j) => {
    const x = left + across * (j + 0.5);
    if (turned) write(svg, x + 4, head - 6, name, { turn: -35 });
    else write(svg, x, head - 8, name, { anchor: "middle" });
  });
  numbers.forEach((n, i) => write(svg, left - 8, head + down * (i + 0.5) + 4, n ?? "–",
    { anchor: "end" }));
  layers.forEach((layer, at) => {
    const value = measure.values[at];
    const x = left + across * kinds.indexOf(layer.kind);
    const y = head + down * numbers.indexOf(layer.number);
    const t = value === null ? 0 : high > low ? (value - low) / (high - low) : 0.5;
    const cell = rectangle(svg, x + 1, y + 1, across - 2, down - 2,
      value === null ? { fill: "none", stroke: "var(--line)" } : shade(t),
      `${layer.path}: ${number(value)}`);
    cell.style.cursor = "pointer";
    cell.addEventListener("click", () => choose(at));
    if (across > 34) {
      write(svg, x + across / 2, y + down / 2 + 4, number(value), { anchor: "middle",
        style: inkOn(t) });
      svg.lastChild.style.pointerEvents = "none";
    }
  });
  const at = layers[chosen];
  rectangle(svg, left + across * kinds.indexOf(at.kind), head + down * numbers.indexOf(at.number),
    across, down, { fill: "none", stroke: "var(--orange)", "stroke-width": 3,
      "pointer-events": "none" });
  drawKey(svg, left, head + down * numbers.length + 12, Math.min(160, width / 3), low, high);
}

function drawKey(svg, x, y, width, low, high) {
  write(svg, x, y + 11, number(low));
  const start = x + 8 + number(low).length * 7, steps = 24;
  for (let i = 0; i < steps; i++) {
    rectangle(svg, start + (width / steps) * i, y, width / steps + 0.5, 12, shade(i / (steps - 1)));
  }
  write(svg, start + width + 8, y + 11, number(high));
}

// Names without what all of them begin with, up to a dot.
function shortNames(names) {
  const parts = names.map((name) => name.split("."));
  let shared = 0;
  while (parts.every((p) => p.length > shared + 1 && p[shared] === parts[0][shared])) shared++;
  return parts.map((p) => p.slice(shared).join("."));
}

// Share of the energy kept, by rank.
function drawEnergy(place, data, chosen, k) {
  const most = Math.max(...data.layers.map((x) => x.rank));
  const ranks = Array.from({ length: most }, (_, i) => i + 1);
  const curve = (layers) => ranks.map((r) => keptOf(together(layers.map((x) => cut(x, r)))));
  const all = curve(data.layers);
  const figure = drawing(place, 300, `Share of the energy kept by rank: ` +
    `${share(all[k - 1])} of all layers' at rank ${k}; at rank 1 ${share(all[0])}.`);
  const box = frame(figure, 46, 26);
  const others = data.layers.length > 64 ? [] : data.layers.map((layer) => curve([layer]));
  const of = curve([data.layers[chosen]]);
  const lowest = Math.min(...all, ...of, ...others.flat());
  const floor = Math.max(0, Math.min(0.9, Math.floor(lowest * 10) / 10));
  const x = linear(1, most, box.left + 8, box.right - 8);
  const y = linear(floor, 1, box.bottom, box.top);
  verticalAxis(figure.svg, box, y, ticks(floor, 1, 5), "energy kept",
    (v) => `${Math.round(v * 100)} %`);
  horizontalAxis(figure.svg, box, x, wholeTicks(most), "rank");
  const points = (values) => values.map((v, i) => [x(i + 1), y(v)]);
  for (const other of others) {
    path(figure.svg, points(other), { stroke: "var(--pale)", "stroke-width": 1, opacity: 0.5 });
  }
  path(figure.svg, points(of), { stroke: "var(--orange)", "stroke-dasharray": "6 4",
    "stroke-width": 2 });
  path(figure.svg, points(all), { stroke: "var(--blue)", "stroke-width": 3 });
  line(figure.svg, x(k), box.top, x(k), box.bottom, { stroke: "var(--soft)" });
  figure.svg.append(element("circle", { cx: x(k), cy: y(all[k - 1]), r: 6, fill: "var(--blue)",
    stroke: "var(--paper)", "stroke-width": 2 }));
  const late = k > most / 2;
  write(figure.svg, x(k) + (late ? -12 : 12), Math.min(y(all[k - 1]) + 22, box.bottom - 6),
    share(all[k - 1]), { style: "halo", anchor: late ? "end" : "start" });
}

// Singular values of one update as bars; those that rank k cuts are hollow.
function drawSpectrum(place, layer, k) {
  const n = layer.values.length;
  const figure = drawing(place, 260, `Singular values of ${layer.path}: ` +
    `${layer.values.slice(0, 8).map((s) => number(s)).join(", ")}${n > 8 ? ", …" : ""}; ` +
    `the first ${Math.min(k, n)} of ${n} are kept.`);
  const box = frame(figure, 52, 26);
  const high = layer.values[0] || 1;
  const x = linear(0, n, box.left, box.right), y = linear(0, high, box.bottom, box.top);
  verticalAxis(figure.svg, box, y, ticks(0, high, 4), "σ");
  const across = x(1) - x(0), gap = Math.min(4, across * 0.2);
  layer.values.forEach((s, i) => {
    const kept = i < k;
    rectangle(figure.svg, x(i) + gap / 2, y(s), across - gap, box.bottom - y(s), {
      fill: kept ? "var(--blue)" : "none", stroke: kept ? "var(--blue)" : "var(--soft)",
      "stroke-dasharray": kept ? "none" : "3 2",
    }, `σ${i + 1} = ${number(s, 4)}, ${kept ? "kept" : "cut"}`);
  });
  horizontalAxis(figure.svg, box, (i) => x(i - 0.5), wholeTicks(n), "direction");
}

// A small spectrum for every layer, side by side on one scale.
function drawSpectra(place, layers, chosen, k, choose) {
  const width = Math.max(120, place.clientWidth);
  const columns = Math.max(2, Math.min(12, Math.floor(width / 105)));
  const across = width / columns, down = 78;
  const rows = Math.ceil(layers.length / columns);
  const high = Math.max(...layers.map((x) => x.values[0] || 0)) || 1;
  const names = shortNames(layers.map((x) => x.path));
  const { svg } = drawing(place, rows * down, `Spectra of ${layers.length} updates on one scale; ` +
    `the largest singular value is ${number(high)}.`);
  layers.forEach((layer, at) => {
    const left = (at % columns) * across + 4, top = Math.floor(at / columns) * down + 4;
    const bottom = top + down - 26, x = linear(0, layer.values.length, left, left + across - 12);
    const y = linear(0, high, bottom, top);
    const cell = rectangle(svg, left - 3, top - 3, across - 4, down - 4, { fill: "transparent",
      stroke: at === chosen ? "var(--orange)" : "none", "stroke-width": 2 }, layer.path);
    cell.style.cursor = "pointer";
    cell.addEventListener("click", () => choose(at));
    line(svg, left, bottom, left + across - 12, bottom);
    const bars = (from, to, attributes) => {
      let d = "";
      for (let i = from; i < to; i++) {
        d += `M${x(i).toFixed(1)} ${bottom}V${y(layer.values[i]).toFixed(1)}` +
          `H${(x(i + 1) - 1).toFixed(1)}V${bottom}Z`;
      }
      svg.append(element("path", { d, "pointer-events": "none", ...attributes }));
    };
    const kept = Math.min(k, layer.values.length);
    bars(0, kept, { fill: "var(--blue)" });
    bars(kept, layer.values.length, { fill: "none", stroke: "var(--soft)", "stroke-width": 0.75 });
    const fits = Math.floor((across - 12) / 6);
    const name = names[at].length > fits ? `…${names[at].slice(1 - fits)}` : names[at];
    write(svg, left, bottom + 15, fits < 4 ? "" : shortEnd(names[at], fits, name));
    svg.lastChild.setAttribute("pointer-events", "none");
  });
}

// "0.attention.self.query" -> "0 query" where it does not fit.
function shortEnd(name, fits, otherwise) {
  if (name.length <= fits) return name;
  const parts = name.split(".");
  const short = `${parts[0]} ${parts[parts.length - 1]}`;
  return short.length <= fits ? short : otherwise;
}

// Entries of the update: whole, at rank k, and what is lost.
function drawPictures(place, layer, k) {
  if (!layer.picture) {
    const text = document.createElement("p");
    text.textContent = "The page has pictures of the largest updates only; choose another layer.";
    place.replaceChildren(text);
    return;
  }
  const n = layer.values.length;
  const images = [["ΔW", 0, n], [`at rank ${Math.min(k, n)}`, 0, k], ["lost", k, n]].map(
    ([title, first, last]) => [title, rebuilt(layer, first, last)]);
  const largest = Math.max(...images[0][1].entries.map(Math.abs)) || 1;
  place.replaceChildren(...images.map(([title, image]) => picture(title, image, largest)));
}

function picture(title, { entries, m, n }, largest) {
  const colors = { above: styleOf("--blue"), below: styleOf("--orange") };
  const canvas = document.createElement("canvas");
  canvas.width = n;
  canvas.height = m;
  const size = Math.sqrt(sum(Array.from(entries, (x) => x * x)) / entries.length);
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label",
    `${title}: ${m} by ${n} entries, root mean square ${number(size)}`);
  const context = canvas.getContext("2d");
  entries.forEach((x, i) => {
    context.fillStyle = x > 0 ? colors.above : colors.below;
    context.globalAlpha = Math.min(1, Math.abs(x) / largest);
    context.fillRect(i % n, Math.floor(i / n), 1, 1);
  });
  const box = document.createElement("div"), name = document.createElement("p");
  name.textContent = title;
  box.append(name, canvas);
  return box;
}
