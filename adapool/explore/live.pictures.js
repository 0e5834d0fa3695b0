// The pictures of the panels. A picture has the `kinds` of its cells and their `names`, draws itself, `draw(width,
// panel)`, as the inside of an <svg>, and knows what lights up with a part of it, and what is said then: `light(side,
// at)`; or, a film, it has `steps`, and says what is to be seen `about` each.

const ROW = 34, FALL = 236, TALL = 2 * ROW + FALL + 4, FILM = 236; // pixels: a row, the windows, all; a film
const READS = { input: "input", unread: "read by nobody", shared: "read by several windows", padding: "padding",
  window: "window", output: "output" }; // the kinds of cells, and their names in the legend
const WRITES = { input: "input", window: "it writes here", output: "output", shared: "written by several",
  unread: "written by none", padding: "taken off by P" };

const px = v => v.toFixed(2);
const part = (kind, side, at, inside) => `<g class="${kind}" data-side="${side}" data-at="${at}">${inside}</g>`;
const rectangle = (x, y, w, h, more) =>
  `<rect x="${px(x)}" y="${px(y)}" width="${px(w)}" height="${px(h)}" ${more}/>`;

function box(x, y, w, h, label, size = 13) { // a cell, with its label where there is room for it
  const gap = w > 8 ? 1 : 0.4, fits = label !== undefined && String(label).length * size * 0.62 < w - 1 && h > size - 2;
  return rectangle(x + gap, y, w - 2 * gap, h, `rx="${px(Math.min(3, w / 4))}"`) +
    (fits ? `<text x="${px(x + w / 2)}" y="${px(y + h / 2)}" font-size="${size}">${label}</text>` : "");
}

// Cells, the units that read them or write to them, and between them the windows: bars that fall from left to right.
function stairs({ taps, left, wide, cells, units, guides = [], transposed = false, ofRow }) {
  const low = ROW + FALL + 4; // where the lower row begins
  const [cell, unit, done] = transposed ? ["Output cell", "input", "written"] : ["Input cell", "output", "read"];
  const ofCell = ({ label }, rows) => `${label === undefined ? "A cell outside" : `${cell} ${label}`} is ${done} by ` +
    `${rows.length ? named(unit, rows) : "nobody"}.`;
  return {
    wide, names: transposed ? WRITES : READS, kinds: ["window", ...[...cells, ...units].map(c => c.kind)],
    hint: "Point at a cell or a window, or go through a list with the arrow keys.",
    draw(width) {
      const unit = width / wide, at = x => (x - left) * unit, pitch = FALL / taps.length, size = unit < 20 ? 10 : 13;
      const row = (side, all, y) => all.map(({ kind, x, w = 1, label }, i) =>
        part(kind, side, i, box(at(x), y, w * unit, ROW, label, size)));
      const bar = (row, j) => {
        const high = Math.min(0.76 * pitch, 24), top = ROW + 2 + j * pitch, y = top + (pitch - high) / 2;
        const a = at(row[0]), b = at(row.at(-1) + 1), apart = row[1] - row[0] > 1;
        const drawn = !apart ? box(a, y, b - a, high, interval([row[0], row.at(-1) + 1]), 12)
          : `<path d="M${px(a)} ${px(y + high / 2)}H${px(b)}"/>${row.map(t => box(at(t), y, unit, high)).join("")}`;
        return part("window", "row", j, drawn + rectangle(a, top, b - a, pitch, 'class="hit"'));
      };
      return [...guides.map(x => `<path class="guide" d="M${px(at(x))} ${ROW}V${low}"/>`), ...taps.map(bar),
        ...row("cell", cells, transposed ? low : 0), ...row("unit", units, transposed ? 0 : low)].join("");
    },
    light(side, at) { // a window with its unit and its cells, or a cell with its windows and their units
      const rows = side === "cell" ? range(0, taps.length).filter(j => taps[j].includes(cells[at].x)) : [at];
      const on = (s, i) => s !== "cell" ? rows.includes(i) : side === "cell" ? i === at : taps[at].includes(cells[i].x);
      return [on, side === "cell" ? ofCell(cells[at], rows) : ofRow(at)];
    },
  };
}

// The board with the windows, and a board with a unit for each of them, at one step of the film.
function boards([rows, columns], transposed, kinds) {
  const [high, wide] = [rows, columns].map(x => x.before + x.times.length + x.beyond);
  const [h, w] = [rows, columns].map(x => x.taps.length), [big, small] = transposed ? [w + 1.5, 0] : [0, wide + 1.5];
  const tapsAt = at => [rows.taps[floor(at, w)], columns.taps[at % w]];
  const holds = (at, y, x) => { const [r, c] = tapsAt(at); return r.includes(y) && c.includes(x); };
  const kind = (y, x, at) => {
    const lit = holds(at, y, x), inside = y in rows.times && x in columns.times;
    if (!inside) return lit ? "window padding" : "padding";
    if (!transposed) return lit ? "window" : rows.times[y] && columns.times[x] ? "input" : "unread";
    const written = count(range(0, at + 1), k => holds(k, y, x));
    return ["blank", "output", "shared"][Math.min(written, 2)] + (lit ? " here" : "");
  };
  const unitKind = (k, at) => (transposed ? k === at ? "window" : "input" : k > at ? "blank" : "output") +
    (k === at ? " here" : "");
  return {
    kinds, names: transposed ? WRITES : READS, steps: h * w,
    draw(width, { at }) {
      const unit = Math.min(width / (wide + 1.5 + w), (FILM - 26) / Math.max(high, h), 40);
      const left = (width - (wide + 1.5 + w) * unit) / 2, top = tall => 24 + (FILM - 26 - tall * unit) / 2;
      const cell = (x, y, tall) => box(left + x * unit, top(tall) + y * unit + 0.6, unit, unit - 1.2);
      const title = (x, cells, text) =>
        `<text class="title" x="${px(left + (x + cells / 2) * unit)}" y="10" font-size="13">${text}</text>`;
      return [title(big, wide, transposed ? "output" : "input"), title(small, w, transposed ? "input" : "output"),
        ...range(0, high * wide).map(k => [floor(k, wide), k % wide]).map(([y, x]) =>
          `<g class="${kind(y - rows.before, x - columns.before, at)}">${cell(big + x, y, high)}</g>`),
        ...range(0, h * w).map(k => part(unitKind(k, at), "unit", k, cell(small + k % w, floor(k, w), h)))].join("");
    },
    about(at) {
      const taps = tapsAt(at), [r, c] = [rows, columns].map(({ times }, a) => taps[a].filter(i => i in times));
      return doing(transposed, `(${floor(at, w)}, ${at % w})`, `${named("row", r)} and ${named("column", c)}`,
        r.length * c.length, r.length * c.length === taps[0].length * taps[1].length);
    },
  };
}

// A row for each layer, each cell amid what it sees.
function chain(sizes, jumps, K, S, P, D) {
  const seen = (level, at) => { // by level: the cells of the layers below, and of the input, that a cell sees
    const below = { [level]: [at] };
    for (let l = level; l > 0; l--) below[l - 1] = once(below[l].flatMap(j => range(0, K).map(t => j * S - P + t * D)))
      .filter(i => i >= 0 && i < sizes[l - 1]);
    return below;
  };
  return {
    wide: sizes[0], kinds: ["input", "output"], names: READS, hint: "Point at a cell to see what it sees.",
    draw(width) {
      const unit = width / sizes[0], pitch = TALL / sizes.length, high = Math.min(pitch * 0.55, ROW);
      let middle = 0.5;
      return sizes.flatMap((m, l) => {
        if (l) middle += ((K - 1) * D / 2 - P) * jumps[l - 1];
        const w = Math.min(jumps[l], sizes[0]) * unit, y = l * pitch + (pitch - high) / 2, left = middle * unit - w / 2;
        return range(0, m).map(j => part(l ? "output" : "input", l, j,
          box(left + j * jumps[l] * unit, y, w, high, j, unit < 20 ? 10 : 13)));
      }).join("");
    },
    light(side, at) { // a cell, or the middle one of a layer
      const [level, j] = side === "layer" ? [at, sizes[at] >> 1] : [+side, at], below = seen(level, j);
      const ends = below[0].length ? `, from ${Math.min(...below[0])} to ${Math.max(...below[0])}` : "";
      return [(s, i) => s === "layer" ? i === level : Boolean(below[s]?.includes(i)), !level ? `Input cell ${j}.`
        : `Cell ${j} of layer ${level} sees ${counted(below[0].length, "input cell")}${ends}.`];
    },
  };
}

function colour(pixels, [top, bottom], [left, right], reduction) { // of a window: each colour by itself
  const sum = [0, 0, 0], most = [0, 0, 0], least = [255, 255, 255];
  for (let y = top; y < bottom; y++) for (let x = left; x < right; x++) for (let c = 0; c < 3; c++) {
    const v = pixels[4 * (y * PHOTO[1] + x) + c];
    sum[c] += v;
    if (v > most[c]) most[c] = v;
    if (v < least[c]) least[c] = v;
  }
  const cells = (bottom - top) * (right - left);
  return { mean: sum.map(v => Math.round(v / cells)), max: most, min: least }[reduction];
}

// The photograph with its windows, and the blocks.
function portrait(rows, columns, reduction) {
  const place = k => [floor(k, columns.length), k % columns.length];
  const spans = k => [rows[place(k)[0]], columns[place(k)[1]]];
  return {
    kinds: [], names: {}, hint: "Point at a block or a window.",
    draw(width, { address, pixels }) {
      if (!pixels) return "";
      const w = Math.min((width - 16) / 2, 330), unit = w / PHOTO[1], h = PHOTO[0] * unit;
      const high = h / rows.length, wide = w / columns.length, all = range(0, rows.length * columns.length);
      const draw = (k, x, y, w, h, more) => rectangle(x, y, w, h, `data-side="block" data-at="${k}" ${more}`);
      const pane = k => {
        const [[top, bottom], [left, right]] = spans(k);
        return draw(k, left * unit, top * unit, (right - left) * unit, (bottom - top) * unit, 'class="pane"');
      };
      const block = k => draw(k, w + 16 + place(k)[1] * wide, place(k)[0] * high, wide + 0.4, high + 0.4,
        `class="block" style="fill: rgb(${colour(pixels, ...spans(k), reduction)})"`);
      const photo = `<image href="${address}" width="${px(w)}" height="${px(h)}"/>`;
      return [photo, ...all.map(pane), ...all.map(block)].join("");
    },
    light: (side, at) => [(s, k) => k === at, `Block (${place(at).join(", ")}) is the ${reduction} of rows ` +
      `${spans(at).map(interval).join(" and columns ")}.`],
  };
}
