// The update cut to rank k, by its singular values: Eckart and Young.

const sum = (values) => values.reduce((a, b) => a + b, 0);

// What one layer keeps at rank k.
function cut(layer, k) {
  const kept = Math.min(k, layer.rank);
  const lost = sum(layer.values.slice(kept).map((s) => s * s));
  const parameters = kept * (layer.shape[0] + layer.shape[1]);
  return { rank: kept, lost, energy: sum(layer.values.map((s) => s * s)), parameters,
    bytes: parameters * layer.itemBytes };
}

// What layers keep together: energies, parameters and bytes add up.
function together(parts, otherBytes = 0) {
  const total = { rank: Math.max(...parts.map((p) => p.rank)), lost: 0, energy: 0, parameters: 0,
    bytes: otherBytes };
  for (const part of parts) {
    for (const key of ["lost", "energy", "parameters", "bytes"]) total[key] += part[key];
  }
  return total;
}

const keptOf = (part) => (part.energy > 0 ? 1 - part.lost / part.energy : 1);
const errorOf = (part) => (part.energy > 0 ? Math.sqrt(part.lost / part.energy) : 0);

// Directions (r, n) from whole numbers and their scales.
function directions({ scales, bytes: text }) {
  const raw = atob(text);
  const n = raw.length / scales.length;
  return scales.map((scale, i) => Float32Array.from({ length: n }, (_, j) =>
    ((raw.charCodeAt(i * n + j) << 24) >> 24) * scale));
}

// Entries of Σ σ_i u_i v_iᵀ over the directions i from `first` up to `last`.
function rebuilt(layer, first, last) {
  const left = directions(layer.picture.left), right = directions(layer.picture.right);
  const m = layer.picture.rows.length, n = layer.picture.columns.length;
  const entries = new Float32Array(m * n);
  for (let i = first; i < Math.min(last, layer.values.length); i++) {
    for (let row = 0; row < m; row++) {
      const factor = layer.values[i] * left[i][row];
      for (let column = 0; column < n; column++) {
        entries[row * n + column] += factor * right[i][column];
      }
    }
  }
  return { entries, m, n };
}
