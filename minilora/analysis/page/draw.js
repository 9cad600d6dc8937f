"use strict";
// Drawing: SVG elements, axes, and how numbers are written.

const SVG = "http://www.w3.org/2000/svg";

function element(name, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// An empty drawing as wide as its place, with `alt` as its alternative text.
function drawing(place, height, alt) {
  const width = Math.max(120, place.clientWidth);
  const svg = element("svg", {
    width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": alt,
  });
  place.replaceChildren(svg);
  return { svg, width, height };
}

function write(svg, x, y, text, { anchor = "start", style = "", turn = 0 } = {}) {
  const attributes = { x, y, "text-anchor": anchor, class: style };
  if (turn) attributes.transform = `rotate(${turn} ${x} ${y})`;
  svg.append(element("text", attributes, text));
}

function line(svg, x1, y1, x2, y2, attributes = {}) {
  svg.append(element("line", { x1, y1, x2, y2, stroke: "var(--line)", ...attributes }));
}

// A line through points; where one is null it is broken.
function path(svg, points, attributes) {
  let d = "", pen = "M";
  for (const point of points) {
    if (point === null) { pen = "M"; continue; }
    d += `${pen}${point[0].toFixed(1)} ${point[1].toFixed(1)}`;
    pen = "L";
  }
  svg.append(element("path", { d, fill: "none", "stroke-width": 1.5, ...attributes }));
}

function rectangle(svg, x, y, width, height, attributes, says = "") {
  const made = element("rect", { x, y, width: Math.max(0, width), height: Math.max(0, height),
    ...attributes });
  if (says) made.append(element("title", {}, says));
  svg.append(made);
  return made;
}

// Room for axes: where values are drawn.
function frame(figure, left = 46, top = 22, right = 10, bottom = 36) {
  return { left, top, right: figure.width - right, bottom: figure.height - bottom };
}

const linear = (low, high, from, to) => (x) =>
  from + ((x - low) / (high - low || 1)) * (to - from);

function logarithmic(low, high, from, to) {
  const scale = linear(Math.log(low), Math.log(high), from, to);
  return (x) => scale(Math.log(x));
}

// Round numbers from low to high: 1, 2 or 5 times a power of ten.
function ticks(low, high, wanted = 5) {
  const rough = (high - low) / wanted || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((m) => m * power >= rough);
  const found = [];
  for (let i = Math.ceil(low / step); i * step <= high + step * 1e-9; i++) found.push(i * step);
  return found;
}

// Powers of ten, and 2 and 5 times them where that leaves few.
function logTicks(low, high) {
  const of = (multiples) => {
    const found = [];
    for (let e = Math.floor(Math.log10(low)); e <= Math.ceil(Math.log10(high)); e++) {
      for (const m of multiples) {
        const x = m * 10 ** e;
        if (x >= low * 0.999 && x <= high * 1.001) found.push(x);
      }
    }
    return found;
  };
  const all = of([1, 2, 5]);
  return all.length > 7 ? of([1]) : all;
}

function number(x, digits = 3) {
  if (x === null || x === undefined) return "–";
  if (x === 0) return "0";
  if (Math.abs(x) < 1e-3 || Math.abs(x) >= 1e6) return x.toExponential(digits - 1);
  return Number(x.toPrecision(digits)).toLocaleString("en");
}

// 99.999 % of something is not all of it.
function share(x) {
  if (x >= 1) return "100 %";
  return `${Math.min(99.99, 100 * x).toFixed(2)} %`;
}

function bytes(n) {
  for (const [size, unit] of [[1e9, "GB"], [1e6, "MB"], [1e3, "kB"]]) {
    if (n >= size) return `${Number((n / size).toPrecision(3))} ${unit}`;
  }
  return `${n} bytes`;
}

// Horizontal lines with their values, and what they are called.
function verticalAxis(svg, box, scale, values, label, says = number) {
  for (const value of values) {
    const y = scale(value);
    line(svg, box.left, y, box.right, y);
    write(svg, box.left - 6, y + 4, says(value), { anchor: "end" });
  }
  write(svg, 2, 12, label);
}

function horizontalAxis(svg, box, scale, values, label) {
  for (const value of values) {
    write(svg, scale(value), box.bottom + 16, String(value), { anchor: "middle" });
  }
  write(svg, (box.left + box.right) / 2, box.bottom + 32, label, { anchor: "middle" });
}

// Whole numbers 1 to n, as many as can be told apart.
function wholeTicks(n, wanted = 8) {
  if (n <= wanted) return Array.from({ length: n }, (_, i) => i + 1);
  return [1, ...ticks(2, n, wanted).map(Math.round).filter((i) => i > 1)];
}

const styleOf = (name) => getComputedStyle(document.documentElement).getPropertyValue(name);

// Cells of a heat map that is darkest at 1, and what is written on them.
const shade = (t) => ({ fill: "var(--blue)", "fill-opacity": (0.06 + 0.94 * t).toFixed(3) });
const inkOn = (t) => (t > parseFloat(styleOf("--turn")) ? "on" : "strong");
