// The panels of adapool, drawn in the browser by one module without imports and without a build step, which a page
// holds once: live.words.js, live.pictures.js and this, one after the other. It takes the place of the still and the
// words in every <div class="adapool-live" data-panel="…">.

// ---- Elements ----
const KEYS = { "data-lm-suppress-shortcuts": "true" }; // JupyterLab leaves such an element its keys

function html(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [k, v] of Object.entries(attributes))
    k.startsWith("on") ? made.addEventListener(k.slice(2), v) : made.setAttribute(k, v);
  made.append(...children.flat());
  return made;
}

const button = (words, act, name = words) =>
  html("button", { type: "button", "aria-label": name, onclick: act, ...KEYS }, words);
const input = (type, more) => html("input", { type, ...KEYS, ...more });
const list = (title, entries) => !title ? [] : [html("p", {}, title),
  html("div", { class: "list", role: "listbox", "aria-label": title }, entries.map(([side, at, line], i) =>
    html("span", { role: "option", tabindex: i ? -1 : 0, "data-side": side, "data-at": at, ...KEYS }, line)))];
const legend = (names, mark = "") => names.map(([k, v]) => html("span", {}, html("i", { class: `${mark} ${k}` }), v));

async function copy(text, pressed) {
  const words = pressed.textContent;
  try {
    await navigator.clipboard.writeText(text);
    pressed.textContent = "copied";
  } catch { pressed.textContent = "not allowed here"; }
  setTimeout(() => { pressed.textContent = words; }, 1500);
}

// ---- Controls: each gets what `read` makes of a text, what it `takes`, and how to `show` a value ----
function flag(c, set, label) {
  const tick = input("checkbox", { onchange: () => set(tick.checked) });
  c.read = text => ({ true: true, false: false })[text];
  c.takes = value => typeof value === "boolean";
  c.show = value => { tick.checked = value; };
  return html("label", { class: "flag" }, tick, label);
}

function choice(c, set) {
  const name = `${c.name}-${Math.random()}`; // of this panel alone
  const all = c.words.map(word => input("radio", { name, onchange: () => set(word) }));
  c.read = text => text;
  c.takes = value => c.words.includes(value);
  c.show = value => all.forEach((one, i) => { one.checked = c.words[i] === value; });
  return html("fieldset", { class: "choice" }, html("legend", {}, c.name),
    c.words.map((word, i) => html("label", {}, all[i], word)));
}

function typed(c, set, type, more) { // a field that keeps its text while that is what the value came from
  const field = input(type, { oninput: () => set(c.read(field.value)), ...more });
  c.takes = value => [value].flat().every(v => Number.isInteger(v) && v >= c.least && v <= Math.max(MOST, c.most));
  c.show = value => {
    if (String(c.read(field.value)) !== String(value)) field.value = Array.isArray(value) ? by(value) : value;
    field.setAttribute("aria-invalid", !c.takes(value));
  };
  return field;
}

function pair(c, set, label) { // "5", or "5 × 7" for rows and columns
  c.read = text => {
    const found = /^\s*(\d+)\s*(?:[×x*, ]\s*(\d+)\s*)?$/.exec(text);
    return found ? [+found[1], +(found[2] ?? found[1])] : text;
  };
  const step = d => () => c.takes(c.value) && set(c.value.map(v => Math.min(Math.max(v + d, c.least), c.most)));
  const field = typed(c, set, "text", { inputmode: "numeric", "aria-label": c.name,
    onkeydown: e => ({ ArrowUp: step(1), ArrowDown: step(-1) })[e.key]?.() });
  return html("div", { class: "pair" }, label,
    html("div", {}, button("−", step(-1), `less ${c.name}`), field, button("+", step(1), `more ${c.name}`)));
}

function slider(c, set, label, { strip }, marked) {
  c.read = text => /^-?\d+$/.test(text) ? +text : text;
  const slide = input("range", { min: c.least, max: c.most, "aria-label": c.name, oninput: () => set(+slide.value) });
  const field = typed(c, set, "number", { min: c.least, max: MOST, "aria-label": `${c.name}, typed` }), show = c.show;
  const ticks = strip ? range(c.least, c.most + 1).map(v => html("i", { title: v, onclick: () => set(v) })) : [];
  c.show = (value, values) => {
    show(value);
    if (Number.isInteger(value)) slide.value = value;
    ticks.forEach((tick, i) => {
      const v = c.least + i, { mark, words } = marked({ ...values, [c.name]: v }, c.name);
      tick.className = `mark ${mark}${v === value ? " here" : ""}`;
      if (v === value) slide.setAttribute("aria-valuetext", `${v}: ${words}`);
    });
  };
  return html("div", { class: "control" }, label, html("div", {}, slide, strip ? html("div", { class: "strip",
    "aria-hidden": "true", style: `--steps: ${c.most - c.least || 1}` }, ticks) : []), field);
}

// ---- A panel: controls, picture, words ----
const POOLS = { good: "one ordinary pool", fair: "one after a reshape", poor: "none" };
const KINDS = { // what it says, what the strips below its sliders mean, how tall its picture is
  adaptive: { explain: adaptive, strip: POOLS },
  layer: { explain: layer,
    strip: { good: "no cell is left out", poor: "cells are left out", refused: "no such layer" } },
  film: { explain: film, tall: () => FILM },
  sizes: { explain: sizes, tall: () => 0 },
  field: { explain: field },
  photograph: { explain: photograph, strip: POOLS,
    tall: width => Math.min((width - 16) / 2, 330) * PHOTO[0] / PHOTO[1] },
};
const NOTHING = { formula: "", message: "", alt: "", code: [], near: [], lists: [], words: "" };

class Live {
  constructor(root) {
    const { kind, controls, photograph: address } = JSON.parse(root.dataset.panel);
    Object.assign(this, { root, controls, address, kind: KINDS[kind], width: 0, at: 0 });
    root.dataset.ready = "yes";
    root.setAttribute("role", "group");
    root.setAttribute("aria-label", `Panel: ${kind}`);
    this.opening = this.values;
    this.build();
    new ResizeObserver(() => this.resize()).observe(root);
    this.resize();
    if (address) this.expose();
  }

  build() {
    const make = (name, tag = "div", more = {}) => this[name] = html(tag, { class: name, ...more });
    const { strip } = this.kind, inLab = this.root.closest(".jp-OutputArea, .jp-OutputArea-output");
    const share = button("copy link", () => this.share(share));
    this.picture = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    this.picture.setAttribute("role", "img");
    make("stage").append(this.picture);
    this.view = html("div", {}, this.stage, make("legend", "p"), make("about", "p"));
    make("words").append(make("verdict", "p", { role: "status" }), make("more"), make("code"), make("near"),
      make("formula"), make("lists"));
    this.lists.append(html("div"), html("div"));
    this.root.replaceChildren(...[html("div", { class: "controls" }, this.controls.map(c => this.control(c))),
      strip ? html("p", { class: "marks" }, legend(Object.entries(strip), "mark")) : [],
      this.kind === KINDS.film ? this.transport() : [], this.view, this.words,
      html("p", { class: "actions" }, button("start again", () => this.set(this.opening)), inLab ? [] : share)].flat());
    for (const where of [this.picture, this.lists]) {
      for (const on of ["pointerover", "focusin"])
        where.addEventListener(on, e => this.light(e.target.closest("[data-at]")));
      for (const off of ["pointerleave", "focusout"]) where.addEventListener(off, () => this.light(null));
    }
    this.lists.addEventListener("keydown", e => this.walk(e));
  }

  control(c) {
    const label = html("span", {}, c.letter ? [html("b", {}, c.letter), " "] : [], c.name);
    const make = c.words.length ? choice : typeof c.value === "boolean" ? flag : Array.isArray(c.value) ? pair : slider;
    return make(c, value => this.set({ [c.name]: value }), label, this.kind, (values, name) => {
      const answer = this.answer(values);
      return answer.marks?.[name] ?? answer;
    });
  }

  get values() { return Object.fromEntries(this.controls.map(c => [c.name, c.value])); }

  set(values) { // what was given, sense or not: the panel says what comes of it
    for (const c of this.controls) if (c.name in values) c.value = values[c.name];
    this.note = undefined;
    this.update();
    this.root.dispatchEvent(new CustomEvent("adapool", { detail: this.values }));
  }

  answer(values) {
    try { return { ...NOTHING, ...this.kind.explain(values) }; }
    catch (error) {
      if (!(error instanceof RangeError)) throw error;
      const words = error.message.startsWith("This panel") ? "not shown" : "no such layer";
      return { ...NOTHING, message: error.message, mark: "refused", words };
    }
  }

  update() {
    const { values } = this;
    this.shown = this.answer(values);
    for (const c of this.controls) c.show(c.value, values);
    this.say(this.shown);
    this.draw();
  }

  say({ message, near, formula, lists, mark, code, scene }) {
    const [first, ...rest] = message.split("\n");
    this.verdict.className = `verdict ${mark}`;
    this.verdict.textContent = first;
    this.more.replaceChildren(...rest.map(line => html("p", {}, line)));
    this.code.replaceChildren(...code.map(([name, line]) => {
      const take = button("copy", () => copy(line, take), `copy the line for ${name}`);
      return html("p", {}, html("b", {}, name), html("code", {}, line), line.startsWith("none") ? [] : take);
    }));
    this.near.replaceChildren(...near.map(([title, choices, none]) => html("p", {}, `${title}: `, choices.length
      ? choices.map(([words, values]) => button(words, e => this.take(e.currentTarget, values))) : `${none}.`)));
    this.formula.replaceChildren(...formula.split("\n").map(line => html("code", { class: "line" }, line)));
    [...this.lists.children].forEach((where, i) => where.replaceChildren(...list(...lists[i] ?? [])));
    const kinds = Object.entries(scene?.names ?? {}).filter(([kind]) => scene.kinds.includes(kind));
    this.legend.replaceChildren(...legend(kinds));
    this.words.classList.toggle("free", mark === "refused" || !this.tall);
  }

  take(pressed, values) { // what a button offers; the focus stays where it was among them
    const place = [...this.near.querySelectorAll("button")].indexOf(pressed);
    this.set(values);
    this.near.querySelectorAll("button")[place]?.focus();
  }

  draw() {
    const { scene } = this.shown, { tall } = this, width = Math.max(this.width, 10 * (scene?.wide ?? 0));
    this.at = Math.min(this.at, (scene?.steps ?? 1) - 1);
    this.stage.classList.toggle("empty", !scene);
    for (const [k, v] of Object.entries({ viewBox: `0 0 ${width} ${tall}`, width, height: tall,
      "aria-label": this.shown.alt || this.verdict.textContent })) this.picture.setAttribute(k, v);
    this.picture.innerHTML = scene ? scene.draw(width, this) : "";
    if (this.place && scene) Object.assign(this.place, { max: scene.steps - 1, value: this.at,
      ariaValueText: `${this.at + 1} of ${scene.steps}` });
    this.light(null);
  }

  light(part) { // what belongs together: a window, its cells, its line in a list; in a film, the step pointed at
    const { scene } = this.shown, { side, at } = part?.dataset ?? {};
    if (scene?.steps && part) return this.timer || +at === this.at ? undefined : this.seek(+at);
    const [on, words] = scene && part ? scene.light(side, +at) : [];
    this.root.classList.toggle("lit", Boolean(on));
    for (const e of on ? this.root.querySelectorAll("[data-at]") : [])
      e.classList.toggle("on", on(e.dataset.side, +e.dataset.at));
    this.about.textContent = words ?? this.note ?? scene?.about?.(this.at) ?? scene?.hint ?? (this.shown.large || "");
  }

  walk(e) { // through a list with the arrow keys
    const here = e.target, all = [...here.parentElement.children], i = all.indexOf(here), last = all.length - 1;
    const to = { ArrowRight: i + 1, ArrowDown: i + 1, ArrowLeft: i - 1, ArrowUp: i - 1, Home: 0, End: last }[e.key];
    if (to === undefined) return;
    const there = all[Math.min(Math.max(to, 0), last)];
    e.preventDefault();
    here.tabIndex = -1;
    there.tabIndex = 0;
    there.focus();
  }

  // ---- Room: as wide as there is, as tall as the longest words, so that nothing moves ----
  get tall() { return (this.kind.tall ?? (() => TALL))(this.width); }

  resize() {
    const width = Math.floor(Math.min(this.root.clientWidth - 34, 760));
    const { legend, words, verdict, more, code, near, formula, lists } = this;
    const parts = [legend, words, verdict, more, code, near, formula, ...lists.children];
    if (width === this.width || width < 60) return;
    this.width = width;
    this.view.hidden = !this.tall;
    this.stage.style.height = `${this.tall + 6}px`;
    for (const e of parts) e.style.minHeight = "";
    const heights = (this.longest ??= this.wordy()).map(answer => {
      this.say(answer);
      return parts.map(e => Math.ceil(e.getBoundingClientRect().height));
    });
    parts.forEach((e, i) => { e.style.minHeight = `${Math.max(...heights.map(all => all[i]))}px`; });
    words.style.minHeight = `${words.offsetHeight}px`;
    this.update();
  }

  wordy() { // the answers with the longest parts: of all settings, or of the ends and middles of many sliders
    const few = this.controls.reduce((all, c) => all * (c.most || 2), 1) < 1000;
    const tries = ({ value, least, most }) => typeof value === "boolean" ? [false, true] : !most ? [value]
      : Array.isArray(value) ? [value, this.tall ? [most, most - 1] : [value[0] + 1, value[1]]]
      : few ? range(least, most + 1) : [least, most >> 1, most];
    let settings = [{}];
    for (const c of this.controls) settings = settings.flatMap(v => tries(c).map(x => ({ ...v, [c.name]: x })));
    const answers = settings.map(v => this.answer(v)).filter(a => a.mark !== "refused");
    const parts = [a => a.message.split("\n")[0], a => a.message, a => a.code, a => a.near, a => a.formula,
      a => a.lists[0] ?? "", a => a.lists[1] ?? "", a => once(a.scene?.kinds ?? [])];
    const long = part => answers.map(a => [JSON.stringify(part(a)).length, a]).sort(([a], [b]) => b - a).slice(0, 3);
    return parts.flatMap(long).map(([, answer]) => answer);
  }

  // ---- A film plays while it is in sight, unless its reader asks for less motion ----
  transport() {
    this.wanted = !matchMedia("(prefers-reduced-motion: reduce)").matches;
    const seek = to => { this.run(this.wanted = false); this.seek(to); };
    this.player = button("play", () => this.run(this.wanted = !this.timer));
    this.place = input("range", { min: 0, "aria-label": "position", oninput: () => seek(+this.place.value) });
    const watch = ([seen]) => this.run(this.wanted && seen.isIntersecting);
    new IntersectionObserver(watch, { threshold: 0.6 }).observe(this.stage);
    return html("div", { class: "transport" }, button("‹", () => seek(this.at - 1), "one back"), this.player,
      button("›", () => seek(this.at + 1), "one on"), this.place);
  }

  run(on) {
    clearInterval(this.timer);
    this.timer = on ? setInterval(() => this.seek(this.at + 1), 650) : 0;
    this.player.textContent = this.player.ariaLabel = on ? "pause" : "play";
  }

  seek(to) {
    const { steps = 1 } = this.shown.scene ?? {};
    this.at = (to + steps) % steps;
    this.draw();
  }

  async expose() { // the pixels of the photograph
    const photo = new Image(PHOTO[1], PHOTO[0]), canvas = html("canvas", { width: PHOTO[1], height: PHOTO[0] });
    photo.src = this.address;
    await photo.decode();
    const paper = canvas.getContext("2d");
    paper.drawImage(photo, 0, 0);
    this.pixels = paper.getImageData(0, 0, PHOTO[1], PHOTO[0]).data;
    this.draw();
  }

  // ---- Links that carry settings: #n=10&m=7, and #panel=2&n=10 where it is not the first that has them ----
  share(pressed) {
    const query = this.controls.map(c => `${c.letter || c.name}=${[c.value].flat().join("x")}`).join("&");
    const all = panels(), place = all.indexOf(this), first = all.findIndex(p => p.knows(query)) === place;
    history.replaceState(null, "", `#${first ? "" : `panel=${place + 1}&`}${query}`);
    copy(location.href, pressed);
  }

  knows(query) {
    const keys = [...new URLSearchParams(query).keys()].filter(k => k !== "panel");
    return keys.length > 0 && keys.every(k => this.controls.some(c => k === (c.letter || c.name)));
  }

  follow(hash) { // take the settings of a link that is for this panel; was it?
    const asked = new URLSearchParams(hash.slice(1)), all = panels(), wrong = [];
    const meant = asked.has("panel") ? all[asked.get("panel") - 1] : all.find(p => p.knows(asked));
    if (meant !== this || !this.knows(asked)) return false;
    for (const c of this.controls) {
      const key = c.letter || c.name, text = asked.get(key), value = c.read(text ?? "");
      if (text === null) continue;
      c.takes(value) ? c.value = value : wrong.push(`${key} = ${text.slice(0, 20)}`);
    }
    this.set({});
    if (wrong.length) this.note = `The link asks for ${wrong.join(", ")}, which makes no sense here and is left out.`;
    this.light(null);
    this.root.scrollIntoView({ block: "nearest", behavior: "instant" });
    return true;
  }
}

// ---- Panels come to life where they stand, also those that come later ----
const roots = () => [...document.querySelectorAll(".adapool-live[data-panel]")];
const panels = () => roots().map(root => root.live).filter(Boolean);

function start() {
  for (const root of roots()) {
    if (root.dataset.ready || !KINDS[JSON.parse(root.dataset.panel).kind]) continue;
    root.live = new Live(root);
    if (root.live.follow(location.hash) && document.readyState !== "complete") // once all above it has its height
      addEventListener("load", () => root.scrollIntoView({ block: "start", behavior: "instant" }), { once: true });
  }
}

start();
if (!globalThis.adapoolLive) { // once a page, whichever panel comes first
  globalThis.adapoolLive = new MutationObserver(start);
  globalThis.adapoolLive.observe(document.body, { childList: true, subtree: true });
  addEventListener("hashchange", () => panels().some(panel => panel.follow(location.hash)));
  addEventListener("click", e => { // a link of the page that moves a panel; JupyterLab would take it for a heading
    const hash = e.target.closest?.("a[href]")?.hash ?? "";
    if (hash.includes("=") && panels().some(panel => panel.follow(hash))) e.preventDefault();
  }, true);
}

export { KINDS };
