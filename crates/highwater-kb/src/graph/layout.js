"use strict";
// Where the pages of a graph go: every page pushes the others away, and every link pulls its two together, less and less until all stay.
// It begins the same each time and knows no chance, so the same graph is always drawn alike.
function layOut(count, links) {
  const PUSH = 260, PULL = 0.6, APART = 52, INWARD = 0.03, SPEED_MAX = 60, NEAR2 = 0.81, DEPTH_MAX = 24;
  const STEPS = count > 2000 ? 220 : 320;
  const X = new Float64Array(count), Y = new Float64Array(count);
  const vx = new Float64Array(count), vy = new Float64Array(count), degree = new Int32Array(count);
  for (const [a, b] of links) { degree[a] += 1; degree[b] += 1; }
  for (let i = 0; i < count; i++) {
    // A spiral: each begins in a place of its own.
    const at = 14 * Math.sqrt(i + 0.5), turn = i * 2.399963229728653;
    X[i] = at * Math.cos(turn); Y[i] = at * Math.sin(turn);
  }

  // What is far away pushes as one: a tree of squares, each with how many are in it and where their middle is.
  const cells = 8 * count + 1024;
  const kid = new Int32Array(4 * cells), only = new Int32Array(cells);
  const mass = new Float64Array(cells), sumX = new Float64Array(cells), sumY = new Float64Array(cells);
  let used = 0, rootSize = 1;
  const cell = () => {
    kid.fill(-1, 4 * used, 4 * used + 4);
    only[used] = -1; mass[used] = 0; sumX[used] = 0; sumY[used] = 0;
    return used++;
  };
  const put = (c, i) => { mass[c] += 1; sumX[c] += X[i]; sumY[c] += Y[i]; };
  function plant() {
    let west = Infinity, east = -Infinity, north = Infinity, south = -Infinity;
    for (let i = 0; i < count; i++) {
      west = Math.min(west, X[i]); east = Math.max(east, X[i]);
      north = Math.min(north, Y[i]); south = Math.max(south, Y[i]);
    }
    rootSize = Math.max(east - west, south - north, 1);
    used = 0;
    cell();
    for (let i = 0; i < count; i++) {
      let c = 0, x = west, y = north, size = rootSize;
      for (let depth = 0; ; depth++) {
        put(c, i);
        if (mass[c] === 1) { only[c] = i; break; }
        // Pages in the same place stay one cell.
        if (depth === DEPTH_MAX || used + 2 > cells) { only[c] = -1; break; }
        size /= 2;
        const quarter = (n) => (X[n] > x + size ? 1 : 0) + (Y[n] > y + size ? 2 : 0);
        const first = only[c];
        if (first >= 0) {
          only[c] = -1;
          const below = cell();
          kid[4 * c + quarter(first)] = below;
          put(below, first);
          only[below] = first;
        }
        const q = quarter(i);
        if (kid[4 * c + q] < 0) kid[4 * c + q] = cell();
        c = kid[4 * c + q];
        x += q & 1 ? size : 0; y += q & 2 ? size : 0;
      }
    }
  }
  const stack = new Int32Array(4 * DEPTH_MAX + 8), sizes = new Float64Array(4 * DEPTH_MAX + 8);
  function push(i, strength) {
    let top = 0;
    stack[0] = 0; sizes[0] = rootSize;
    while (top >= 0) {
      const c = stack[top], size = sizes[top--], at = 4 * c;
      if (only[c] === i) continue;
      let dx = X[i] - sumX[c] / mass[c], dy = Y[i] - sumY[c] / mass[c];
      let away = dx * dx + dy * dy;
      const isLeaf = kid[at] < 0 && kid[at + 1] < 0 && kid[at + 2] < 0 && kid[at + 3] < 0;
      if (isLeaf || size * size < NEAR2 * away) {
        if (away < 1) { dx = (i % 7) - 3 || 1; dy = (i % 5) - 2 || 1; away = 9; }
        const by = strength * mass[c] / away;
        vx[i] += dx * by; vy[i] += dy * by;
        continue;
      }
      for (let q = 0; q < 4; q++) {
        if (kid[at + q] >= 0) { stack[++top] = kid[at + q]; sizes[top] = size / 2; }
      }
    }
  }

  let done = 0;
  function step() {
    const heat = Math.pow(1 - done / STEPS, 1.5);
    plant();
    for (let i = 0; i < count; i++) {
      push(i, PUSH * heat);
      // What nothing links would leave for good.
      const inward = (degree[i] ? INWARD : 2 * INWARD) * heat;
      vx[i] -= X[i] * inward; vy[i] -= Y[i] * inward;
    }
    for (const [a, b] of links) {
      const dx = X[b] - X[a], dy = Y[b] - Y[a], apart = Math.sqrt(dx * dx + dy * dy) || 1;
      // Who has many links is pulled little by each.
      const by = ((apart - APART) / apart) * PULL * heat / Math.min(degree[a], degree[b]);
      const share = degree[a] / (degree[a] + degree[b]);
      vx[b] -= dx * by * share; vy[b] -= dy * by * share;
      vx[a] += dx * by * (1 - share); vy[a] += dy * by * (1 - share);
    }
    for (let i = 0; i < count; i++) {
      vx[i] *= 0.6; vy[i] *= 0.6;
      const speed = Math.sqrt(vx[i] * vx[i] + vy[i] * vy[i]), most = speed > SPEED_MAX ? SPEED_MAX / speed : 1;
      X[i] += vx[i] * most; Y[i] += vy[i] * most;
    }
    done += 1;
  }
  return { X, Y, degree, isSettled: () => done >= STEPS, step };
}
