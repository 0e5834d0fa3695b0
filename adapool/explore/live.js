// The panels of adapool, drawn in the browser: one module without imports. A page holds it once, beside
// <div class="adapool-live" data-panel="…">, whose still and text it replaces. adapool.explore says the same in Python:
// the tests compare both, letter for letter, at every position of the sliders.

// ---- Numbers and words ----
const MOST = 1024, DRAWN = 64; // the largest number that is taken; columns or rows of a picture
const floor = (a, b) => Math.floor(a / b), ceil = (a, b) => -Math.floor(-a / b), up = text => text[0].toUpperCase() + text.slice(1);
const range = (stop, start = 0, step = 1) => Array.from({ length: Math.max(ceil(stop - start, step), 0) }, (_, i) => start + i * step);
const gcd = (a, b) => b ? gcd(b, a % b) : a, both = (...lines) => lines.filter(Boolean).join("\n");
const counted = (n, what = "cell") => `${n || "no"} ${what}${n === 1 ? "" : "s"}`;
const listed = (numbers, most = 12) => (numbers.length > most ? [...numbers.slice(0, most - 1), "…"] : numbers).join(", ");
const refuse = words => { throw new RangeError(words); };

function bounded(params, least = {}) {
  for (const [name, v] of Object.entries(params)) {
    if (!Number.isInteger(v)) refuse(`${name} must be an integer, got ${v === "" ? "nothing" : `'${v}'`}`);
    if (v > MOST) refuse(`${name} must be <= ${MOST} in a panel, got ${v}`);
  }
  for (const [name, v] of Object.entries(params)) if (v < (least[name] ?? 1)) refuse(`${name} must be >= ${least[name] ?? 1}, got ${v}`);
}

function readsInWords(taps) {
  const shown = taps.slice(0, 8).map((row, j) => `output ${j}: ${listed(row, 8)}`);
  return `${(taps.length > 8 ? [...shown, "and so on"] : shown).join("; ")}.`;
}

const tooLarge = (columns, rows) => Math.max(columns, rows) > DRAWN ? `Too large to draw: ${columns} × ${rows} cells.` : "";

// ---- Adaptive pools ----
const windows = (n, m) => range(m).map(i => [floor(i * n, m), ceil((i + 1) * n, m)]);

function fixed(n, m) { // the ordinary pool with the windows of n → m: [K, S, P]
  const q = floor(n, m), r = n % m;
  if (m === 1) return [n, n, 0];
  if (n >= m && r <= 1) return [n - (m - 1) * q, q, 0];
  return r === m - 1 ? [q + 2, q + 1, 1] : null;
}

function blocked(n, m) { // the same within equal blocks: [blocks, K, S, P]
  for (const blocks of [1, gcd(n, m)]) {
    const pool = fixed(n / blocks, m / blocks);
    if (pool) return [blocks, ...pool];
  }
  return null;
}

function whyExact(n, m) {
  const q = floor(n, m), r = n % m, blocks = gcd(n, m), part = n / blocks, of = m / blocks;
  if (m === 1) return "exact: one window over all cells";
  if (n >= m && r === 0) return `exact: ${m} divides ${n}, so the windows have ${counted(q)} each and do not overlap`;
  if (n >= m && r === 1) return `exact: ${n} = ${q}·${m} + 1, so the windows are equal and neighbours share one cell`;
  if (r === m - 1) return `exact with one padded cell at both ends, which a mean must not count (count_include_pad=False): ${n} = ${q + 1}·${m} − 1`;
  if (blocked(n, m)) return `exact after a reshape: ${n} → ${m} is ${blocks} times ${part} → ${of}, and that is ${whyExact(part, of)}`;
  if (n < m) return "no ordinary pool: more cells come out than go in";
  const more = blocks > 1 ? `, and ${part} mod ${of} = ${part % of}, of one of ${blocks} blocks, is none of 0, 1 and ${of - 1}` : "";
  return `no ordinary pool: ${n} mod ${m} = ${r} is none of 0, 1 and ${m - 1}${more}; the windows do not start at equal distances`;
}

function adaptiveFormula(n, m) {
  const same = blocked(n, m), sizes = [...new Set(windows(n, m).map(([a, b]) => b - a))].sort((a, b) => a - b);
  const start = `${n} → ${m}: windows of ${sizes.join(" or ")}`;
  if (!same) return `${start}, no ordinary pool`;
  const [blocks, K, S, P] = same;
  return `${start}, exactly a pool K = ${K}, S = ${S}${P ? `, P = ${P}` : ""}${blocks > 1 ? ` in ${blocks} blocks` : ""}`;
}

function beside(size, sizes) { // the next one below and above
  return [sizes.filter(s => s < size).at(-1), sizes.find(s => s > size)].filter(Boolean);
}

function adaptive({ input_size: n, output_size: m }) {
  bounded({ input_size: n, output_size: m });
  const spans = windows(n, m), taps = spans.map(([a, b]) => range(b, a));
  const inputs = beside(n, range(n + m + 2, 1).filter(k => fixed(k, m))), outputs = beside(m, range(n + 2, 1).filter(k => fixed(n, k)));
  const or = sizes => sizes.join(" or ") || "no other number of", why = whyExact(n, m), large = tooLarge(n, m);
  const near = `The nearest exact sizes, by one pool without a reshape: ${or(inputs)} input cells for ${m} outputs, ${or(outputs)} outputs for ${n} input cells.`;
  const shared = spans.map(([, b], i) => i + 1 < m ? b - spans[i + 1][0] : "");
  const table = [["output i", ...range(m)], ["cells", ...spans.map(([a, b]) => `[${a}, ${b})`)], ["size", ...spans.map(([a, b]) => b - a)], ["shared with the next", ...shared]];
  return {
    formula: `window i = [⌊i·n/m⌋, ⌈(i + 1)·n/m⌉) = [⌊i·${n}/${m}⌋, ⌈(i + 1)·${n}/${m}⌉)\n${adaptiveFormula(n, m)}`,
    message: both(`${up(why)}.`, near, large), table: large ? [] : table,
    alt: `${counted(n, "input cell")} with ${counted(m, "window")} as bars below, and two rulers of ${n} and ${m} cells that are equally long. ${readsInWords(taps)}`,
    verdict: [`${up(why)}.`, exactness(n, m)[0], large], near: [...inputs.map(v => ["input_size", v]), ...outputs.map(v => ["output_size", v])],
    list: spans.map(([a, b], i) => `${i}: [${a}, ${b})`),
    scene: large ? null : {
      left: 0, columns: n, taps, words: i => {
        const [a, b] = spans[i], next = shared[i] ? `, the last of them also window ${i + 1}'s` : "";
        return `Window ${i} = [⌊${i * n}/${m}⌋, ⌈${(i + 1) * n}/${m}⌉) = [${a}, ${b}): ${counted(b - a)}${next}.`;
      },
      top: range(n).map(c => ({ x: c, w: 1, label: c })), topIs: "Input cell", many: "shared", one: "input", none: "unread",
      bottom: range(m).map(i => ({ x: i * n / m, w: n / m, label: i, kind: "output", rows: [i] })), bottomIs: "Output cell",
      guides: range(m + 1).map(i => i * n / m),
    },
  };
}

function exactness(n, m) { // how it is marked below a slider, and said of it
  return fixed(n, m) ? ["exact", "exact"] : blocked(n, m) ? ["reshape", "exact after a reshape"] : ["none", "no ordinary pool"];
}

// ---- Pictures ----
const esc = text => String(text).replace(/[&<>"]/g, c => `&#${c.charCodeAt(0)};`);

function html(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [k, v] of Object.entries(attributes)) k.startsWith("on") ? made.addEventListener(k.slice(2), v) : v !== false && v !== undefined && made.setAttribute(k, v);
  made.append(...children);
  return made;
}

function box(x, y, w, h, label, kind, tags, size = 13) { // a cell, and its number where there is room for it
  const fits = String(label ?? "").length * size * 0.62 < w - 1 && h > size - 2;
  const text = fits && label !== undefined ? `<text x="${(x + w / 2).toFixed(2)}" y="${(y + h / 2).toFixed(2)}" font-size="${size}">${label}</text>` : "";
  const gap = w > 8 ? 1 : 0.4;
  return `<g class="${kind}" ${tags}><rect x="${(x + gap).toFixed(2)}" y="${y.toFixed(2)}" width="${(w - 2 * gap).toFixed(2)}" height="${h.toFixed(2)}" rx="${Math.min(3, w / 4).toFixed(1)}"/>${text}</g>`;
}

const ROW = 34, FALL = 236, HEIGHT = 2 * ROW + FALL + 4; // height of a row of cells, of the windows between two such rows, of all

function stairs(scene, width) { // cells above, windows as bars in a fall from left to right, what is made of them below
  const unit = width / scene.columns, at = x => (x - scene.left) * unit, pitch = FALL / scene.taps.length, bar = Math.min(0.76 * pitch, 24);
  const size = unit >= 20 ? 13 : 10, parts = [];
  for (const x of scene.guides ?? []) parts.push(`<path class="guide" d="M${at(x).toFixed(2)} ${ROW}V${ROW + FALL + 4}"/>`);
  for (const [side, y] of [["top", 0], ["bottom", ROW + FALL + 4]]) scene[side].forEach((cell, i) => {
    parts.push(box(at(cell.x), y, cell.w * unit, ROW, cell.label, cell.kind, `data-side="${side}" data-at="${i}"`, size));
  });
  scene.taps.forEach((taps, j) => {
    const y = ROW + 2 + j * pitch + (pitch - bar) / 2, a = at(taps[0]), b = at(taps.at(-1) + 1), apart = taps.length > 1 && taps[1] - taps[0] > 1;
    const inside = apart ? `<path d="M${a.toFixed(2)} ${(y + bar / 2).toFixed(2)}H${b.toFixed(2)}"/>` + taps.map(t => box(at(t), y, unit, bar, undefined, "", "")).join("")
      : box(a, y, b - a, bar, `[${taps[0]}, ${taps.at(-1) + 1})`, "", "", 12);
    parts.push(`<g class="window" data-side="window" data-at="${j}">${inside}<rect class="hit" x="${a.toFixed(2)}" y="${(ROW + 2 + j * pitch).toFixed(2)}" width="${(b - a).toFixed(2)}" height="${pitch.toFixed(2)}"/></g>`);
  });
  return parts.join("");
}

function settle(scene) { // which windows each cell belongs to, and its colour by how many there are
  const rows = new Map();
  scene.taps.forEach((taps, j) => taps.forEach(t => rows.set(t, [...rows.get(t) ?? [], j])));
  for (const cell of [...scene.top, ...scene.bottom]) {
    cell.rows ??= rows.get(cell.x) ?? [];
    cell.kind ??= cell.rows.length > 1 ? scene.many : cell.rows.length ? scene.one : scene.none;
  }
  return scene;
}

// ---- A panel: controls, picture, words ----
const KINDS = {
  adaptive: {
    explain: adaptive, legend: { input: "input", shared: "read by several", window: "window", output: "output" },
    strip: { exact: "one ordinary pool", reshape: "one after a reshape", none: "none" },
    mark: values => exactness(values.input_size, values.output_size),
  },
};

class Live {
  constructor(root) {
    const { kind, controls } = JSON.parse(root.dataset.panel);
    Object.assign(this, { root, kind: KINDS[kind], name: kind, controls, first: controls.map(c => c.value), inputs: {}, strips: {} });
    root.dataset.ready = "yes";
    root.setAttribute("role", "group");
    root.setAttribute("aria-label", "Panel to play with");
    this.build();
    this.width = 0;
    new ResizeObserver(() => this.resize()).observe(root);
    this.resize();
    this.follow();
  }

  get values() { return Object.fromEntries(this.controls.map(c => [c.name, c.value])); }

  set(name, value) { // what was given for a control, sense or not; the panel says what comes of it
    const control = this.controls.find(c => c.name === name);
    if (control.value === value) return;
    control.value = value;
    this.update();
    clearTimeout(this.later);
    this.later = setTimeout(() => this.root.dispatchEvent(new CustomEvent("adapool", { detail: this.values })), 50);
  }

  build() {
    const fields = html("div", { class: "controls" }, ...this.controls.map(c => this.control(c)));
    const marks = this.kind.strip && html("p", { class: "legend" }, ...Object.entries(this.kind.strip).map(([k, v]) => html("span", {}, html("i", { class: `mark ${k}` }), v)));
    const legend = html("p", { class: "legend" }, ...Object.entries(this.kind.legend).map(([k, v]) => html("span", {}, html("i", { class: k }), v)));
    this.picture = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    this.picture.setAttribute("role", "img");
    this.stage = html("div", { class: "stage" }, this.picture);
    this.about = html("p", { class: "about" });
    this.verdict = html("div", { class: "verdict", role: "status" });
    this.near = html("p", { class: "near" });
    this.formula = html("div", { class: "formula" });
    this.list = html("div", { class: "list", role: "listbox", "aria-label": "windows" });
    const lab = this.root.closest(".jp-OutputArea, .jp-OutputArea-output");
    const link = html("button", { type: "button", onclick: () => this.share(link) }, "copy link");
    const back = html("button", { type: "button", onclick: () => { this.controls.forEach((c, i) => { c.value = this.first[i]; }); this.update(); } }, "start again");
    this.root.replaceChildren(fields, ...marks ? [marks] : [], this.stage, legend, this.about, this.verdict, this.near, this.formula, this.list, html("p", { class: "actions" }, back, ...lab ? [] : [link]));
    for (const e of this.root.querySelectorAll("input, button, [tabindex]")) e.dataset.lmSuppressShortcuts = "true"; // JupyterLab leaves them their keys
    for (const part of [this.picture, this.list]) {
      part.addEventListener("pointerover", e => this.point(e.target.closest("[data-at]")));
      part.addEventListener("pointerleave", () => this.point(null));
      part.addEventListener("focusin", e => this.point(e.target.closest("[data-at]")));
      part.addEventListener("focusout", () => this.point(null));
    }
    this.list.addEventListener("keydown", e => this.walk(e));
  }

  control(c) {
    const label = html("span", {}, ...c.letter ? [html("b", {}, c.letter), " "] : [], c.name);
    if (typeof c.value === "boolean") {
      const tick = html("input", { type: "checkbox", onchange: () => this.set(c.name, tick.checked) });
      this.inputs[c.name] = [tick];
      return html("label", { class: "flag" }, tick, label);
    }
    const slide = html("input", { type: "range", min: c.least, max: c.most, "aria-label": c.name, oninput: () => this.set(c.name, Number(slide.value)) });
    const type = html("input", { type: "number", min: c.least, max: MOST, step: 1, inputmode: "numeric", "aria-label": `${c.name}, typed`,
      oninput: () => this.set(c.name, /^-?\d+$/.test(type.value) ? Number(type.value) : type.value) });
    const strip = html("div", { class: "strip", "aria-hidden": "true", style: `--steps: ${c.most - c.least || 1}`, onclick: e => e.target.dataset.v && this.set(c.name, Number(e.target.dataset.v)) },
      ...range(c.most + 1, c.least).map(v => html("i", { "data-v": v, title: v })));
    this.inputs[c.name] = [slide, type];
    this.strips[c.name] = [...strip.children];
    return html("div", { class: "control" }, label, html("div", { class: "slide" }, slide, ...this.kind.mark ? [strip] : []), type);
  }

  answer(values) {
    try { return this.kind.explain(values); }
    catch (error) {
      if (!(error instanceof RangeError)) throw error;
      return { refused: true, formula: "", message: `There is no such layer: ${error.message}.`, alt: "", table: [], verdict: [`There is no such layer: ${error.message}.`, "refused"], near: [], list: [] };
    }
  }

  update() {
    const answer = this.shown = this.answer(this.values);
    for (const c of this.controls) {
      const [slide, type] = this.inputs[c.name], number = Number.isInteger(c.value);
      if (typeof c.value === "boolean") { slide.checked = c.value; continue; }
      if (number) slide.value = c.value;
      if (String(c.value) !== type.value && (number || document.activeElement !== type)) type.value = c.value;
      type.toggleAttribute("aria-invalid", !number || c.value < c.least || c.value > MOST);
      for (const strip of this.kind.mark ? this.strips[c.name] : []) {
        const v = Number(strip.dataset.v), [mark, words] = this.marked({ ...this.values, [c.name]: v });
        strip.className = `mark ${mark}${v === c.value ? " here" : ""}`;
        if (v === c.value) slide.setAttribute("aria-valuetext", `${v}: ${words}`);
      }
    }
    this.words(answer);
    this.draw();
  }

  marked(values) { return Object.values(values).every(v => typeof v === "boolean" || Number.isInteger(v) && v >= 0) ? this.kind.mark(values) : ["none", ""]; }

  words(answer) {
    const [said, mark, more] = answer.verdict;
    this.verdict.className = `verdict ${mark}`;
    this.verdict.replaceChildren(...both(said, more).split("\n").map(line => html("p", {}, line)));
    this.near.replaceChildren(...answer.near.length ? ["Nearest exact: ", ...answer.near.map(([name, value]) => {
      const letter = this.controls.find(c => c.name === name).letter;
      return html("button", { type: "button", "data-lm-suppress-shortcuts": "true", onclick: () => { this.set(name, value); this.near.querySelector("button")?.focus(); } }, `${letter} = ${value}`);
    })] : []);
    this.formula.replaceChildren(...answer.formula.split("\n").map(line => html("code", {}, line)));
    this.list.replaceChildren(...answer.list.map((line, i) => html("span", { role: "option", tabindex: i ? -1 : 0, "data-at": i, "data-side": "window", "data-lm-suppress-shortcuts": "true" }, line)));
  }

  draw() {
    const scene = this.shown.scene && settle(this.shown.scene);
    if (!this.width) return;
    this.stage.classList.toggle("stale", !scene);
    if (!scene) return this.point(null);
    const width = Math.max(this.width, scene.columns * 10);
    this.picture.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    this.picture.setAttribute("width", width);
    this.picture.setAttribute("height", HEIGHT);
    this.picture.setAttribute("aria-label", this.shown.alt);
    this.picture.innerHTML = stairs(scene, width);
    this.point(null);
  }

  point(part) { // light what belongs together: a window, its cells, its line in the list
    const scene = this.shown.scene, { side, at } = part?.dataset ?? {}, hint = "Point at a cell or a window, or go through the list with the arrow keys.";
    if (!scene || !side) {
      this.root.classList.remove("lit");
      this.about.textContent = this.note ?? hint;
      return;
    }
    const cell = side === "window" ? null : scene[side][at], rows = cell ? cell.rows : [Number(at)], single = !cell || scene[side].filter(c => c.rows.length === 1).length === scene.taps.length && side === (scene.unit ?? "bottom");
    this.root.classList.add("lit");
    for (const e of this.root.querySelectorAll("[data-at]")) {
      const own = e.dataset.side === "window" ? rows.includes(Number(e.dataset.at)) : e.dataset.side === side ? e.dataset.at === at : scene[e.dataset.side][e.dataset.at].rows.some(r => rows.includes(r));
      e.classList.toggle("on", own);
    }
    this.about.textContent = single ? scene.words(rows[0]) : this.ofCell(scene, side, cell);
  }

  ofCell(scene, side, cell) {
    return `${scene[`${side}Is`]} ${cell.label}: ${cell.rows.length ? `windows ${listed(cell.rows)}` : "no window"}.`;
  }

  walk(e) {
    const all = [...this.list.children], here = all.indexOf(document.activeElement), last = all.length - 1;
    const to = { ArrowRight: here + 1, ArrowDown: here + 1, ArrowLeft: here - 1, ArrowUp: here - 1, Home: 0, End: last }[e.key];
    if (to === undefined || here < 0) return;
    e.preventDefault();
    const next = all[Math.min(Math.max(to, 0), last)];
    all.forEach(other => { other.tabIndex = other === next ? 0 : -1; });
    next.focus();
  }

  resize() { // as wide as there is room for; the height is that of the longest answer, so that nothing moves
    const width = Math.floor(Math.min(this.root.clientWidth - 34, 760));
    if (width === this.width || width < 60) return;
    this.width = width;
    const longest = { verdict: 0, near: 0, formula: 0, list: 0 }, ends = this.controls.map(c => typeof c.value === "boolean" ? [false, true] : [...new Set([c.least, (c.least + c.most) >> 1, c.most - 1, c.most])]);
    const tried = ends.reduce((all, values) => all.flatMap(a => values.map(v => [...a, v])), [[]]), parts = Object.keys(longest);
    this.candidates ??= this.longest(tried.map(t => Object.fromEntries(this.controls.map((c, i) => [c.name, t[i]]))));
    for (const part of parts) this[part].style.minHeight = "";
    for (const answer of this.candidates) {
      this.words(answer);
      for (const part of parts) longest[part] = Math.max(longest[part], this[part].offsetHeight);
    }
    for (const part of parts) this[part].style.minHeight = `${longest[part]}px`;
    this.update();
  }

  longest(tried) { // the answers with the most words of each kind
    const all = tried.map(values => this.answer(values)), size = { verdict: a => both(a.verdict[0], a.verdict[2]).length, near: a => a.near.length, formula: a => a.formula.length, list: a => a.list.join().length };
    return Object.values(size).map(f => all.reduce((a, b) => f(b) > f(a) ? b : a));
  }

  // ---- Links that carry the settings: #n=10&m=7, and #panel=2&n=10 for the second panel of a page ----
  get key() { return c => c.letter || c.name; }

  share(button) {
    const place = panels().indexOf(this.root) + 1, query = this.controls.map(c => `${this.key(c)}=${c.value}`).join("&");
    const hash = `#${place > 1 ? `panel=${place}&` : ""}${query}`;
    history.replaceState(null, "", hash);
    copy(location.href.split("#")[0] + hash, button);
  }

  follow(hash = location.hash) {
    const asked = new URLSearchParams(hash.slice(1)), place = panels().indexOf(this.root) + 1, known = new Set(this.controls.map(this.key));
    const keys = [...asked.keys()].filter(k => k !== "panel");
    const mine = list => keys.length && keys.every(k => list.has(k));
    const first = panels().find(e => e.live && mine(new Set(e.live.controls.map(e.live.key))));
    if (!mine(known) || (asked.has("panel") ? Number(asked.get("panel")) !== place : (first ?? this.root) !== this.root)) return false;
    const wrong = [];
    for (const c of this.controls) {
      const text = asked.get(this.key(c));
      if (text === null) continue;
      const value = typeof c.value === "boolean" ? { true: true, false: false }[text] : /^\d+$/.test(text) && text >= c.least && text <= MOST ? Number(text) : undefined;
      value === undefined ? wrong.push(`${this.key(c)} = ${text.slice(0, 20)}`) : c.value = value;
    }
    this.note = wrong.length ? `The link asks for ${wrong.join(", ")}, which makes no sense here and is left out.` : undefined;
    this.update();
    this.root.scrollIntoView({ block: "nearest" });
    return true;
  }
}

function copy(text, button) {
  const said = button.textContent, done = words => { button.textContent = words; setTimeout(() => { button.textContent = said; }, 1500); };
  const older = () => { // where a page may not use the clipboard
    const area = html("textarea", { style: "position: fixed; opacity: 0" }, text);
    document.body.append(area);
    area.select();
    done(document.execCommand("copy") ? "copied" : "not copied");
    area.remove();
    button.focus();
  };
  navigator.clipboard ? navigator.clipboard.writeText(text).then(() => done("copied"), older) : older();
}

const panels = () => [...document.querySelectorAll(".adapool-live")];

function start() {
  if (!document.getElementById("adapool-live-style")) document.head.append(html("style", { id: "adapool-live-style" }, STYLE));
  for (const root of panels()) if (!root.dataset.ready && KINDS[JSON.parse(root.dataset.panel).kind]) root.live = new Live(root);
}

const STYLE = `
.adapool-live { --ink: var(--color-foreground-primary, var(--jp-content-font-color1, #1b1f24));
  --soft: var(--color-foreground-secondary, var(--jp-content-font-color2, #555));
  --line: var(--color-background-border, var(--jp-border-color2, #ccc));
  --paper: var(--color-background-primary, var(--jp-layout-color0, #fff)); --brand: var(--color-brand-primary, var(--jp-brand-color1, #0b5f8a));
  --tint: var(--color-background-secondary, var(--jp-layout-color1, #f7f7f8));
  --input: #56b4e9; --window: #e69f00; --output: #1fae84; --shared: #e8743b; --unread: #a9adb3; --exact: #12926c; --reshape: #c06aa0;
  box-sizing: border-box; border: 1px solid var(--line); border-radius: 12px; padding: 16px; margin: 1em 0; max-width: 794px;
  background: var(--paper); color: var(--ink); font-size: 14px; line-height: 1.5; }
.adapool-live * { box-sizing: border-box; }
.adapool-live p { margin: 0; }
.adapool-live .control { display: grid; grid-template-columns: 9.5em minmax(0, 1fr) 5em; gap: 2px 12px; align-items: start; margin-bottom: 6px; }
.adapool-live .control b, .adapool-live .flag b { font-family: var(--font-stack--monospace, monospace); }
.adapool-live .flag { display: inline-flex; gap: 6px; align-items: center; margin: 0 1.4em 8px 0; }
.adapool-live input { accent-color: var(--brand); margin: 0; font: inherit; color: inherit; }
.adapool-live input[type=range] { display: block; width: 100%; height: 22px; appearance: none; background: none; cursor: pointer; }
.adapool-live input[type=range]::-webkit-slider-runnable-track { height: 4px; border-radius: 2px; background: var(--line); }
.adapool-live input[type=range]::-moz-range-track { height: 4px; border-radius: 2px; background: var(--line); }
.adapool-live input[type=range]::-webkit-slider-thumb { appearance: none; width: 18px; height: 18px; margin-top: -7px; border-radius: 50%; background: var(--brand); border: 2px solid var(--paper); }
.adapool-live input[type=range]::-moz-range-thumb { width: 14px; height: 14px; border-radius: 50%; background: var(--brand); border: 2px solid var(--paper); }
.adapool-live input[type=number] { width: 5em; padding: 1px 6px; border: 1px solid var(--soft); border-radius: 6px; background: var(--paper); }
.adapool-live input[aria-invalid] { border-color: #d5443b; box-shadow: 0 0 0 1px #d5443b; }
.adapool-live :focus-visible { outline: 2px solid var(--brand); outline-offset: 2px; }
.adapool-live .strip { display: flex; align-items: end; height: 9px; margin: 0 calc(9px - (100% - 18px) / var(--steps) / 2); cursor: pointer; }
.adapool-live .strip .mark { flex: 1; margin: 0 1px; }
.adapool-live .mark { display: inline-block; height: 3px; border-radius: 2px; background: var(--unread); }
.adapool-live .mark.exact { height: 9px; background: var(--exact); }
.adapool-live .mark.reshape { height: 6px; background: var(--reshape); }
.adapool-live .mark.refused { height: 1px; background: var(--line); }
.adapool-live .mark.here { box-shadow: 0 0 0 1px var(--paper), 0 0 0 2px var(--ink); }
.adapool-live .legend { display: flex; flex-wrap: wrap; gap: 0 1.2em; font-size: 12px; color: var(--soft); }
.adapool-live .legend span { display: inline-flex; align-items: center; gap: 5px; }
.adapool-live .legend i { display: inline-block; width: 12px; height: 12px; border-radius: 3px; }
.adapool-live .legend i.mark { height: 3px; } .adapool-live .legend i.exact { height: 9px; } .adapool-live .legend i.reshape { height: 6px; }
.adapool-live .stage { overflow-x: auto; overflow-y: hidden; margin: 12px 0 6px; height: ${HEIGHT + 6}px; }
.adapool-live .stage svg { display: block; max-width: none; }
.adapool-live .stage.stale { opacity: 0.15; }
.adapool-live svg text { text-anchor: middle; dominant-baseline: central; fill: #111; font-family: inherit; pointer-events: none; }
.adapool-live svg rect, .adapool-live svg path { transition: fill-opacity 0.12s; }
.adapool-live .input { --c: var(--input); } .adapool-live .output { --c: var(--output); } .adapool-live .window { --c: var(--window); }
.adapool-live .shared { --c: var(--shared); } .adapool-live .unread { --c: var(--unread); }
.adapool-live g > rect, .adapool-live g > g > rect { fill: var(--c); } .adapool-live .legend i:not(.mark) { background: var(--c); }
.adapool-live g > path { stroke: var(--c); stroke-width: 2; }
.adapool-live .padding { --c: transparent; } .adapool-live .padding rect, .adapool-live .legend i.padding { stroke: var(--soft); stroke-dasharray: 3 2; }
.adapool-live .legend i.padding { border: 1px dashed var(--soft); }
.adapool-live .padding text { fill: var(--ink); }
.adapool-live .guide { stroke: var(--soft); stroke-dasharray: 1 4; opacity: 0.7; }
.adapool-live svg .hit { fill: transparent; }
.adapool-live.lit g[data-at]:not(.on) { --c: color-mix(in srgb, var(--faint) 22%, var(--paper)); }
.adapool-live .input { --faint: var(--input); } .adapool-live .output { --faint: var(--output); } .adapool-live .window { --faint: var(--window); }
.adapool-live .shared { --faint: var(--shared); } .adapool-live .unread { --faint: var(--unread); } .adapool-live .padding { --faint: var(--paper); }
.adapool-live.lit g[data-at]:not(.on) text { fill: var(--ink); }
.adapool-live .about { min-height: 3em; margin: 6px 0; color: var(--soft); }
.adapool-live .verdict { border-left: 4px solid var(--unread); padding: 2px 0 2px 12px; margin: 6px 0; }
.adapool-live .verdict.exact { border-color: var(--exact); } .adapool-live .verdict.reshape { border-color: var(--reshape); } .adapool-live .verdict.refused { border-color: #d5443b; }
.adapool-live button { font: inherit; color: var(--ink); background: var(--tint); border: 1px solid var(--soft); border-radius: 6px; padding: 1px 9px; margin: 2px 6px 2px 0; cursor: pointer; }
.adapool-live button:hover { border-color: var(--brand); color: var(--brand); }
.adapool-live .formula { margin: 6px 0; } .adapool-live .formula code { display: block; background: none; border: 0; padding: 0; font-size: 13px; color: var(--ink); white-space: pre-wrap; overflow-wrap: anywhere; }
.adapool-live .list { display: grid; grid-template-columns: repeat(auto-fill, minmax(7em, 1fr)); font-family: var(--font-stack--monospace, monospace); font-size: 12.5px; align-content: start; }
.adapool-live .list span { padding: 1px 6px; border-radius: 4px; cursor: default; }
.adapool-live .list .on { background: var(--window); color: #111; }
.adapool-live:not(.lit) .list .on { background: none; color: inherit; }
.adapool-live .actions { text-align: right; margin-top: 6px; font-size: 12.5px; }
@media (max-width: 30em) { .adapool-live { padding: 12px; } .adapool-live .control { grid-template-columns: minmax(0, 1fr) 5em; }
  .adapool-live .control > span { grid-column: 1 / -1; } }
@media (prefers-reduced-motion: reduce) { .adapool-live * { transition: none !important; } }
`;

start();
if (!globalThis.adapoolLive) { // once a page, whichever panel comes first
  globalThis.adapoolLive = new MutationObserver(start);
  globalThis.adapoolLive.observe(document.body, { childList: true, subtree: true });
  addEventListener("click", e => { // a link of the page that moves a panel; JupyterLab would take it for a heading
    const hash = e.target.closest?.("a[href]")?.hash ?? "";
    if (hash.includes("=") && panels().some(root => root.live?.follow(hash))) e.preventDefault();
  }, true);
}
