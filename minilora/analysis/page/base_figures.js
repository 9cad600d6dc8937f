// Figures of an update beside its base, and beside another adapter.

// Amplification by layer, a panel for every kind of matrix.
function drawAmplification(place, layers, chosen) {
  const known = layers.filter((x) => x.base).flatMap((x) => x.base.amplification)
    .filter((x) => x !== null && x > 0);
  if (!known.length) { place.textContent = "There is none: every update is zero."; return; }
  const kinds = [...new Set(layers.map((x) => x.kind))], names = shortNames(kinds);
  const columns = Math.min(kinds.length, Math.max(1, Math.floor(place.clientWidth / 190)));
  const rows = Math.ceil(kinds.length / columns), down = rows > 1 ? 170 : 260;
  const low = Math.min(...known) / 1.2, high = Math.max(...known) * 1.2;
  const median = [0, 1].map((i) => middle(layers.filter((x) => x.base)
    .map((x) => x.base.amplification[i]).filter((x) => x !== null)));
  const figure = drawing(place, rows * down + 18, `Amplification of ${layers.length} layers: ` +
    `median ${number(median[0])}, of random directions ${number(median[1])}.`);
  write(figure.svg, 2, 12, "times as large as W");
  const across = (figure.width - 40) / columns;
  kinds.forEach((kind, p) => {
    const left = 44 + (p % columns) * across, top = 40 + Math.floor(p / columns) * down;
    const box = { left, right: left + across - 14, top, bottom: top + down - 58 };
    const y = logarithmic(low, high, box.bottom, box.top);
    for (const value of logTicks(low, high)) {
      line(figure.svg, box.left, y(value), box.right, y(value));
      if (p % columns === 0) {
        write(figure.svg, box.left - 6, y(value) + 4, number(value), { anchor: "end" });
      }
    }
    const here = layers.map((layer, at) => ({ layer, at })).filter((x) => x.layer.kind === kind);
    const x = linear(-0.5, here.length - 0.5, box.left, box.right);
    const points = (which) => here.map(({ layer }, i) => {
      const value = layer.base && layer.base.amplification[which];
      return value ? [x(i), y(value)] : null;
    });
    path(figure.svg, points(1), { stroke: "var(--soft)", "stroke-dasharray": "6 4" });
    path(figure.svg, points(2), { stroke: "var(--soft)", "stroke-dasharray": "1.5 3.5" });
    points(0).forEach((point, i) => {
      if (!point) return;
      const is = here[i].at === chosen;
      figure.svg.append(element("circle", { cx: point[0], cy: point[1], r: is ? 6 : 4,
        fill: "var(--blue)", stroke: is ? "var(--orange)" : "none", "stroke-width": 3 },
      element("title", {}, `${here[i].layer.path}: ` +
        `${number(here[i].layer.base.amplification[0])}`)));
    });
    const step = Math.ceil(here.length / Math.max(1, Math.floor((box.right - box.left) / 24)));
    here.forEach(({ layer }, i) => {
      if (i % step === 0) {
        write(figure.svg, x(i), box.bottom + 16, layer.number ?? "–", { anchor: "middle" });
      }
    });
    write(figure.svg, box.left, box.top - 8, names[p], { style: "strong" });
  });
}

function middle(values) {
  const sorted = [...values].sort((a, b) => a - b), n = sorted.length;
  if (!n) return null;
  return n % 2 ? sorted[(n - 1) / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

// Spectra of W, W + ΔW and ΔW on logarithmic axes.
function drawWeights(place, layer) {
  const own = layer.values.map((s, i) => [i + 1, s]);
  const { weight, adapted } = layer.base;
  const all = [...weight, ...adapted, ...own];
  const top = Math.max(...all.map(([, s]) => s));
  if (!(top > 0)) { place.textContent = "All of them are zero."; return; }
  const positive = (pairs) => pairs.filter(([, s]) => s > top * 1e-6);
  const low = Math.min(...positive(all).map(([, s]) => s)) / 1.2, high = top * 1.2;
  const figure = drawing(place, 278, `Largest singular values in ${layer.path}: ` +
    `W ${number(weight[0][1])}, W + ΔW ${number(adapted[0][1])}, ΔW ${number(own[0][1])}.`);
  const box = frame(figure, 54, 26);
  const most = Math.max(2, ...all.map(([i]) => i));
  const x = logarithmic(1, most, box.left + 8, box.right - 8);
  const y = logarithmic(low, high, box.bottom, box.top);
  verticalAxis(figure.svg, box, y, logTicks(low, high), "σ");
  horizontalAxis(figure.svg, box, x, logTicks(1, most), "direction");
  path(figure.svg, positive(weight).map(([i, s]) => [x(i), y(s)]), { stroke: "var(--soft)" });
  for (const [i, s] of positive(adapted)) {
    figure.svg.append(element("circle", { cx: x(i), cy: y(s), r: 3.5, fill: "none",
      stroke: "var(--orange)" }));
  }
  for (const [i, s] of positive(own)) {
    figure.svg.append(element("circle", { cx: x(i), cy: y(s), r: 4, fill: "var(--blue)" }));
  }
}

// φ(i, j) of what is written (left) and read (right), side by side.
function drawPhi(place, layer, phi, one, other) {
  const sides = [["left", "written", layer.shape[0]], ["right", "read", layer.shape[1]]];
  const boxes = sides.map(() => document.createElement("div"));
  place.replaceChildren(...boxes); // both, before their widths are asked for
  sides.forEach(([side, name, dimensions], i) =>
    drawPhiSide(boxes[i], phi[side], name, dimensions, one, other));
}

function drawPhiSide(place, table, name, dimensions, one, other) {
  const rows = table.length, columns = table[0].length;
  const left = 32, top = 24, size = Math.max(120, place.clientWidth) - left - 4;
  const across = size / columns, down = Math.min(across, 28);
  const corner = table[rows - 1][columns - 1] / 100;
  const chance = Math.max(rows, columns) / dimensions;
  const { svg } = drawing(place, top + down * rows + 54, `Similarity of what is ${name}: ` +
    `φ(${rows}, ${columns}) = ${corner.toFixed(2)}, by chance ${chance.toFixed(2)}.`);
  write(svg, left, 13, `what is ${name}`, { style: "strong" });
  table.forEach((values, i) => values.forEach((value, j) => {
    const t = value / 100, null_ = Math.max(i + 1, j + 1) / dimensions;
    rectangle(svg, left + across * j, top + down * i, across - 0.5, down - 0.5, shade(t),
      `φ(${i + 1}, ${j + 1}) = ${t.toFixed(2)}, by chance ${null_.toFixed(2)}`);
    if (across >= 30) {
      write(svg, left + across * (j + 0.5), top + down * (i + 0.5) + 4, t.toFixed(2).replace(/^0/, ""),
        { anchor: "middle", style: inkOn(t) });
    }
  }));
  for (const i of wholeTicks(rows, down < 14 ? 4 : 8)) {
    write(svg, left - 6, top + down * (i - 0.5) + 4, i, { anchor: "end" });
  }
  for (const j of wholeTicks(columns, 4)) {
    write(svg, left + across * (j - 0.5), top + down * rows + 15, j, { anchor: "middle" });
  }
  write(svg, left, top + down * rows + 32, `i (down) of ${one}, j of ${other}`);
  write(svg, left, top + down * rows + 49,
    `φ(${rows}, ${columns}) ${corner.toFixed(2)}, chance ${chance.toFixed(2)}`);
}

// Cosines of the leading directions of W + ΔW to W's.
function drawCosines(place, layer) {
  const sides = layer.base.intruders;
  if (!sides.length) {
    place.textContent = "This weight is too large for a search for intruder dimensions.";
    return;
  }
  const n = sides[0].cosines.length, { threshold } = sides[0];
  const below = sides.map((s) => s.cosines.filter((c) => c < threshold).length);
  const figure = drawing(place, 260, `Cosines of the ${n} leading directions of W + ΔW in ` +
    `${layer.path} to those of W; below ${threshold}: ${below[0]} written, ${below[1]} read.`);
  const box = frame(figure, 46, 26);
  const x = linear(0.5, n + 0.5, box.left, box.right), y = linear(0, 1, box.bottom, box.top);
  verticalAxis(figure.svg, box, y, [0, 0.25, 0.5, 0.75, 1], "cosine (● written, ○ read)");
  horizontalAxis(figure.svg, box, x, wholeTicks(n, 10), "direction of W + ΔW");
  line(figure.svg, box.left, y(threshold), box.right, y(threshold), { stroke: "var(--orange)",
    "stroke-dasharray": "6 4", "stroke-width": 2 });
  sides.forEach(({ side, cosines }, which) => cosines.forEach((cosine, i) => {
    const at = [x(i + 1) + (which ? 5 : -5), y(cosine)], intruder = cosine < threshold;
    const color = intruder ? "var(--orange)" : "var(--blue)";
    const attributes = { fill: which ? "var(--paper)" : color, stroke: color, "stroke-width": 2 };
    const shape = intruder
      ? element("path", { d: `M${at[0]} ${at[1] - 6}l6 6l-6 6l-6 -6z`, ...attributes })
      : element("circle", { cx: at[0], cy: at[1], r: 4, ...attributes });
    shape.append(element("title", {}, `${side} ${i + 1}: ${number(cosine)}`));
    figure.svg.append(shape);
  }));
}
