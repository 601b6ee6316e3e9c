// Draws the graph that stands beside this script as JSON. What a page is called is text, and becomes nothing else.
(() => {
  const { kinds, pages, links } = JSON.parse(document.getElementById("graph").textContent);
  const count = pages.length;
  const FOUND_MAX = 40, LINKED_MAX = 200, LABELS_MAX = 45, LABELS_TRIED_MAX = 400, LABEL_LETTERS_MAX = 40, STEPPING_MS = 20, UNSEEN_MS = 50;
  const ZOOM_MIN = 0.02, ZOOM_MAX = 12, READABLE = 1.3;
  // However far away, a dot can be seen: the smallest, in pixels; the more there are, the smaller.
  const DOT = Math.max(1.2, 6 - 1.4 * Math.log10(count + 1));

  const { X, Y, degree, isSettled, step } = layOut(count, links);
  const radius = Float64Array.from(degree, (links) => 3 + Math.min(12, 1.2 * Math.sqrt(links)));
  const beside = Array.from({ length: count }, () => []);
  for (const [a, b] of links) { beside[a].push(b); beside[b].push(a); }
  const first = (a, b) => degree[b] - degree[a] || a - b;
  const byDegree = Array.from({ length: count }, (_, i) => i).sort(first);
  const said = pages.map(({ title }) => title.length > LABEL_LETTERS_MAX ? title.slice(0, LABEL_LETTERS_MAX - 1) + "…" : title);
  const words = pages.map(({ title, name, text }) => (title + " " + name + " " + text).toLowerCase());
  const shown = kinds.map(() => true);
  const isShown = (i) => shown[pages[i].kind];

  const element = (name) => document.getElementById(name);
  const canvas = element("canvas"), pen = canvas.getContext("2d"), data = document.body.dataset;
  let colours = {}, zoom = 1, panX = 0, panY = 0, fitted = true, chosen = -1, over = -1, asked = false, found = null;
  const readColours = () => {
    const style = getComputedStyle(document.documentElement), read = (name) => style.getPropertyValue(name).trim();
    colours = { ink: read("--ink"), line: read("--line"), ground: read("--ground"), kinds: kinds.map((_, k) => read("--k" + k)) };
  };
  // The room is read when it changes, and never while drawing.
  let width = 0, height = 0, dense = 1, left = 0;
  function measure() {
    const box = canvas.getBoundingClientRect(), panel = element("panel").getBoundingClientRect();
    width = box.width; height = box.height; dense = window.devicePixelRatio || 1;
    left = panel.width < width / 2 ? panel.right : 0;
    canvas.width = Math.round(width * dense); canvas.height = Math.round(height * dense);
  }
  function fit() {
    let west = -60, east = 60, north = -60, south = 60;
    for (let i = 0; i < count; i++) {
      west = Math.min(west, X[i]); east = Math.max(east, X[i]);
      north = Math.min(north, Y[i]); south = Math.max(south, Y[i]);
    }
    const room = width - left;
    zoom = Math.min(2.2, 0.86 * room / (east - west), 0.86 * height / (south - north));
    panX = left / 2 - zoom * (west + east) / 2; panY = -zoom * (north + south) / 2;
  }
  const size = (i) => radius[i] * Math.max(1, DOT / (3 * zoom));

  function lines(of, which) {
    pen.beginPath();
    for (const [a, b] of of) if (which(a, b)) { pen.moveTo(X[a], Y[a]); pen.lineTo(X[b], Y[b]); }
    pen.stroke();
  }
  function dots(alpha, which) {
    pen.globalAlpha = alpha;
    for (let k = 0; k < kinds.length; k++) {
      if (!shown[k]) continue;
      pen.fillStyle = colours.kinds[k];
      pen.beginPath();
      for (let i = 0; i < count; i++) {
        if (pages[i].kind !== k || !which(i)) continue;
        pen.moveTo(X[i] + size(i), Y[i]); pen.arc(X[i], Y[i], size(i), 0, 6.2832);
      }
      pen.fill();
    }
  }
  function labels(named) {
    pen.globalAlpha = 1; pen.fillStyle = colours.ink; pen.strokeStyle = colours.ground;
    pen.font = 12 / zoom + "px system-ui, sans-serif"; pen.textAlign = "center"; pen.lineWidth = 3 / zoom; pen.lineJoin = "round";
    const reachX = width / 2 / zoom, reachY = height / 2 / zoom, midX = -panX / zoom, midY = -panY / zoom;
    const written = [];
    let tried = 0;
    for (const i of named) {
      if (written.length >= LABELS_MAX || tried >= LABELS_TRIED_MAX) break;
      const y = Y[i] - size(i) - 4 / zoom;
      if (!isShown(i) || Math.abs(X[i] - midX) > reachX || Math.abs(y - midY) > reachY) continue;
      tried += 1;
      const half = pen.measureText(said[i]).width / 2 + 3 / zoom;
      // None is written over another.
      if (written.some((other) => Math.abs(other.y - y) < 15 / zoom && Math.abs(other.x - X[i]) < other.half + half)) continue;
      written.push({ x: X[i], y, half });
      pen.strokeText(said[i], X[i], y); pen.fillText(said[i], X[i], y);
    }
  }
  function draw() {
    asked = false;
    if (fitted) fit();
    pen.setTransform(dense, 0, 0, dense, 0, 0);
    pen.clearRect(0, 0, width, height);
    pen.setTransform(dense * zoom, 0, 0, dense * zoom, dense * (width / 2 + panX), dense * (height / 2 + panY));
    const near = chosen >= 0 ? new Set([chosen, ...beside[chosen]]) : found;
    pen.strokeStyle = colours.line; pen.lineWidth = 0.8 / zoom;
    pen.globalAlpha = near ? 0.25 : Math.max(0.22, Math.min(0.9, 1800 / (links.length + 1)));
    lines(links, (a, b) => isShown(a) && isShown(b));
    if (chosen >= 0) {
      pen.globalAlpha = 1; pen.strokeStyle = colours.kinds[pages[chosen].kind]; pen.lineWidth = 1.4 / zoom;
      lines(beside[chosen].map((other) => [chosen, other]), (_, b) => isShown(b));
    }
    if (near) dots(0.18, (i) => !near.has(i));
    dots(1, (i) => !near || near.has(i));
    if (chosen >= 0) {
      pen.strokeStyle = colours.ink; pen.lineWidth = 2 / zoom;
      pen.beginPath(); pen.arc(X[chosen], Y[chosen], size(chosen) + 3 / zoom, 0, 6.2832); pen.stroke();
    }
    const named = near ? [...near].sort(first) : byDegree;
    labels([over, chosen].filter((i) => i >= 0).concat(named));
    data.drawn = "yes";
  }
  const redraw = () => { if (!asked) { asked = true; requestAnimationFrame(draw); } };
  // A page that nobody sees yet is given no frame to draw, and settles all the same.
  const soon = (then) => {
    let isDone = false;
    const once = () => { if (!isDone) { isDone = true; then(); } };
    requestAnimationFrame(once);
    setTimeout(once, UNSEEN_MS);
  };
  function settle() {
    const until = performance.now() + STEPPING_MS;
    do step(); while (!isSettled() && performance.now() < until);
    draw();
    if (isSettled()) data.settled = "yes"; else soon(settle);
  }

  const entry = (i) => {
    const item = document.createElement("li"), button = document.createElement("button"), dot = document.createElement("i");
    button.type = "button";
    dot.className = "k" + pages[i].kind;
    const title = document.createElement("span");
    title.textContent = pages[i].title;
    button.append(dot, title);
    button.title = pages[i].name;
    button.addEventListener("click", () => choose(i, true));
    item.append(button);
    return item;
  };
  // A page in the middle of the room that is left, with what it links around it.
  function show(i) {
    const right = width > 2 * left ? left : 0, room = Math.min(width - left - right, height);
    const reach = Math.max(60, ...beside[i].filter(isShown).map((other) => Math.hypot(X[other] - X[i], Y[other] - Y[i])));
    fitted = false;
    zoom = Math.min(READABLE, 0.42 * room / reach);
    panX = (left - right) / 2 - X[i] * zoom; panY = -Y[i] * zoom;
  }
  const plural = (count, noun) => count + " " + noun + (count === 1 ? "" : "s");
  function choose(i, moves) {
    chosen = i;
    element("chosen").hidden = i < 0;
    data.chosen = i < 0 ? "" : pages[i].name;
    if (i >= 0) {
      const { title, name, kind, text } = pages[i];
      element("chosen-title").textContent = title;
      element("chosen-text").textContent = text;
      element("chosen-name").textContent = "wiki/" + name + ".md";
      const more = degree[i] > LINKED_MAX ? ", of which " + LINKED_MAX + " are listed" : "";
      element("chosen-kind").textContent = kinds[kind] + ", " + plural(degree[i], "link") + more;
      element("chosen-links").replaceChildren(...beside[i].slice().sort(first).slice(0, LINKED_MAX).map(entry));
      if (moves) show(i);
    }
    redraw();
  }
  function find() {
    const asked = element("words").value.toLowerCase().split(/\s+/).filter(Boolean);
    const list = asked.length ? byDegree.filter((i) => isShown(i) && asked.every((word) => words[i].includes(word))) : [];
    found = asked.length ? new Set(list) : null;
    element("found").replaceChildren(...list.slice(0, FOUND_MAX).map(entry));
    element("found-count").textContent = asked.length ? plural(list.length, "page") + " found" : "";
    data.found = String(list.length);
    redraw();
    return list;
  }
  kinds.forEach((kind, k) => {
    const of = pages.filter((page) => page.kind === k).length;
    if (!of) return;
    const label = document.createElement("label"), box = document.createElement("input"), dot = document.createElement("i");
    box.type = "checkbox"; box.checked = true; dot.className = "k" + k;
    box.addEventListener("change", () => { shown[k] = box.checked; find(); });
    label.append(box, dot, kind + " (" + of + ")");
    element("kinds").append(label);
  });
  element("words").addEventListener("input", () => { if (chosen >= 0) choose(-1, false); find(); });
  element("words").addEventListener("keydown", (event) => {
    const [best] = event.key === "Enter" ? find() : [];
    if (best !== undefined) choose(best, true);
  });
  element("close").addEventListener("click", () => { choose(-1, false); canvas.focus(); });

  function zoomed(by, x, y) {
    const before = zoom;
    fitted = false;
    zoom = Math.min(ZOOM_MAX, Math.max(ZOOM_MIN, zoom * by));
    panX += x * (before - zoom); panY += y * (before - zoom);
    redraw();
  }
  const middle = () => chosen >= 0 ? [X[chosen], Y[chosen]] : [(left / 2 - panX) / zoom, -panY / zoom];
  // From a page to that of its neighbours which lies most that way; from none, to the one with the most links.
  function go(dx, dy) {
    if (chosen < 0) { const [most] = byDegree.filter(isShown); if (most !== undefined) choose(most, true); return; }
    let best = -1, bestBy = 0.2;
    for (const i of beside[chosen]) {
      const x = X[i] - X[chosen], y = Y[i] - Y[chosen], by = (x * dx + y * dy) / (Math.hypot(x, y) || 1);
      if (isShown(i) && by > bestBy) { best = i; bestBy = by; }
    }
    if (best >= 0) choose(best, true);
  }
  const KEYS = {
    ArrowLeft: () => go(-1, 0), ArrowRight: () => go(1, 0), ArrowUp: () => go(0, -1), ArrowDown: () => go(0, 1),
    "+": () => zoomed(1.3, ...middle()), "=": () => zoomed(1.3, ...middle()), "-": () => zoomed(1 / 1.3, ...middle()),
    0: () => { fitted = true; redraw(); },
  };
  canvas.addEventListener("keydown", (event) => {
    if (!KEYS[event.key] || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    KEYS[event.key]();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      if (chosen >= 0) choose(-1, false); else { element("words").value = ""; find(); }
    }
    if (event.key === "/" && document.activeElement !== element("words")) { event.preventDefault(); element("words").select(); }
  });

  let grabbed = null;
  const at = (event) => [(event.clientX - width / 2 - panX) / zoom, (event.clientY - height / 2 - panY) / zoom];
  function under(event) {
    const [x, y] = at(event);
    let best = -1, bestAway = 6 / zoom;
    for (let i = 0; i < count; i++) {
      if (!isShown(i)) continue;
      const away = Math.hypot(X[i] - x, Y[i] - y) - size(i);
      if (away < bestAway) { best = i; bestAway = away; }
    }
    return best;
  }
  canvas.addEventListener("pointerdown", (event) => {
    grabbed = { x: event.clientX, y: event.clientY, panX, panY, moved: false };
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (grabbed) {
      const dx = event.clientX - grabbed.x, dy = event.clientY - grabbed.y;
      if (Math.hypot(dx, dy) > 4) { grabbed.moved = true; fitted = false; }
      if (grabbed.moved) { panX = grabbed.panX + dx; panY = grabbed.panY + dy; redraw(); }
      return;
    }
    const now = under(event);
    if (now !== over) { over = now; canvas.classList.toggle("on", over >= 0); redraw(); }
  });
  canvas.addEventListener("pointerup", (event) => {
    if (grabbed && !grabbed.moved) choose(under(event), false);
    grabbed = null;
  });
  canvas.addEventListener("pointercancel", () => { grabbed = null; });
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoomed(Math.exp(-event.deltaY * 0.0015), ...at(event));
  }, { passive: false });
  window.addEventListener("resize", () => { measure(); redraw(); });
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { readColours(); redraw(); });

  readColours();
  measure();
  data.pages = String(count);
  data.links = String(links.length);
  settle();
})();
