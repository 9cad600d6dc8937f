// What the reader chooses, and what follows from it.

const data = JSON.parse(document.getElementById("data").textContent);
const at = (id) => document.getElementById(id);
const withBase = data.layers.some((layer) => layer.base);
const withOther = data.layers.some((layer) => layer.other);
const most = Math.max(...data.layers.map((layer) => layer.rank));
const state = { layer: 0, rank: most, measure: Object.keys(data.measures)[0] };

function choose(layer) {
  state.layer = layer;
  at("layer").value = layer;
  show();
}

function show() {
  const layer = data.layers[state.layer], measure = data.measures[state.measure];
  at("measure-means").textContent = measure.means;
  drawMap(at("map"), data.layers, measure, state.layer, choose);
  if (withBase) {
    drawAmplification(at("amplification"), data.layers, state.layer);
    drawWeights(at("weights"), layer);
    drawPhi(at("phi"), layer, layer.base.phi, "ΔW", "W");
    drawCosines(at("cosines"), layer);
  }
  if (withOther && layer.other) {
    drawPhi(at("phi-other"), layer, layer.other.phi, "this", "the other");
  } else if (withOther) {
    at("phi-other").textContent = "The other adapter does not have this layer.";
  }
  showRank();
}

// What depends on the rank, and is drawn again while the slider moves.
function showRank() {
  const { rank, layer: chosen } = state, layer = data.layers[chosen];
  const parts = data.layers.map((x) => cut(x, rank)), all = together(parts, data.otherBytes);
  at("rank-value").textContent = rank;
  at("rank").setAttribute("aria-valuetext", `rank ${rank}, ${share(keptOf(all))} of the energy`);
  at("summary").textContent = `keeps ${share(keptOf(all))} of the energy, ` +
    `error ${number(errorOf(all))}, ${all.parameters.toLocaleString("en")} parameters, ` +
    bytes(all.bytes);
  drawEnergy(at("energy"), data, chosen, rank);
  drawSpectrum(at("spectrum"), layer, rank);
  drawPictures(at("pictures"), layer, rank);
  drawSpectra(at("spectra"), data.layers, chosen, rank, choose);
  fill(at("numbers"), [["this layer", ...cells(parts[chosen])], ["all layers", ...cells(all)]]);
  fill(at("every"), data.layers.map((x, i) => [x.path, parts[i].rank, ...cells(parts[i])]));
  const adapter = quoted(data.adapter), out = quoted(`${data.adapter.replace(/\/+$/, "")}-r${rank}`);
  at("command").textContent = `minilora resize ${adapter} --rank ${rank} --out ${out}`;
}

const cells = (part) => [share(keptOf(part)), number(errorOf(part)),
  part.parameters.toLocaleString("en"), bytes(part.bytes)];

function fill(table, rows) {
  table.tBodies[0].replaceChildren(...rows.map((row) => {
    const line = document.createElement("tr");
    row.forEach((text, i) => {
      const cell = document.createElement(i ? "td" : "th");
      if (!i) cell.scope = "row";
      cell.textContent = text;
      line.append(cell);
    });
    return line;
  }));
}

// A word as a POSIX shell takes it.
const quoted = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replace(/'/g, `'"'"'`)}'`);

function options(select, names) {
  names.forEach(([value, text]) => select.append(new Option(text, value)));
}

const names = shortNames(data.layers.map((layer) => layer.path));
options(at("layer"), names.map((name, i) => [i, name]));
options(at("measure"), Object.entries(data.measures).map(([name, { label }]) => [name, label]));
at("rank").max = most;
at("rank").value = most;
at("layer").addEventListener("change", (event) => choose(Number(event.target.value)));
at("measure").addEventListener("change", (event) => { state.measure = event.target.value; show(); });
at("rank").addEventListener("input", (event) => {
  state.rank = Number(event.target.value);
  showRank();
});
let width = 0;
new ResizeObserver(() => {
  if (document.body.clientWidth !== width) { width = document.body.clientWidth; show(); }
}).observe(document.body);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
