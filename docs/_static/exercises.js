// Exercises of a page: a box for each question whose answer is a value, and the words of adapool.exercises about it.
// A whole number is a BigInt here and a float is a Number, so that what Python tells apart stays apart.
(() => {
  "use strict";
  const WAITING = "Not answered yet: type your answer into the box, and press Enter.";
  const ELLIPSIS = Symbol("...");
  const NAMES = {True: true, False: false, None: null, nan: NaN, inf: Infinity};
  const MOST_DIGITS = 1000, MOST_LETTERS = 200;

  class Tuple extends Array {}
  class Impossible extends Error {}
  const isNumber = (v) => typeof v === "bigint" || typeof v === "number";

  // What is typed, read as Python reads it: numbers and sums of them, words, lists, tuples, sets.
  function read(text) {
    const TOKEN = /\s*(?:(\.\.\.|…)|((?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|([\p{L}_][\p{L}\p{N}_.]*)|("[^"]*"|'[^']*')|(\*\*|\/\/|[-+*\/%()[\]{},]))/uy;
    const tokens = [];
    text = text.replace(/[−–]/g, "-").replace(/[×·]/g, "*").replace(/[“”]/g, '"').replace(/[‘’]/g, "'")
      .replace(/^\s*answer\s*=/, "").trim();
    for (TOKEN.lastIndex = 0; TOKEN.lastIndex < text.length;) {
      const from = TOKEN.lastIndex, found = TOKEN.exec(text);
      if (!found) throw new SyntaxError(text.slice(from).trim());
      tokens.push(found);
    }
    let at = 0;
    const next = () => (tokens[at] || [])[5];
    const take = (...signs) => signs.includes(next()) ? tokens[at++][5] : null;

    function many(close) {
      const values = [];
      let commas = 0;
      while (at < tokens.length && !(close && next() === close)) {
        values.push(sum());
        if (!take(",")) break;
        commas++;
      }
      if (close && !take(close)) throw new SyntaxError(text);
      return [values, commas];
    }
    function atom() {
      const token = tokens[at++];
      if (!token) throw new SyntaxError(text);
      const [, dots, number, word, quoted, sign] = token;
      if (dots) return ELLIPSIS;
      if (number) {
        const digits = number.replaceAll("_", "");
        return /[.eE]/.test(digits) ? Number(digits) : BigInt(digits);
      }
      if (word === "set" && take("(")) return new Set(many(")")[0].flatMap((v) => [...v]));
      if (word) return Object.hasOwn(NAMES, word) ? NAMES[word] : word;
      if (quoted) return quoted.slice(1, -1);
      if (sign === "[") return Array.from(many("]")[0]);
      if (sign === "{") return new Set(many("}")[0]);
      if (sign !== "(") throw new SyntaxError(text);
      const [values, commas] = many(")");
      return values.length === 1 && !commas ? values[0] : Tuple.from(values);
    }
    function power() {
      const base = atom();
      return take("**") ? calculated("**", base, unary()) : base;
    }
    function unary() {
      const sign = take("-", "+");
      if (!sign) return power();
      const value = unary();
      if (!isNumber(value)) throw new SyntaxError(text);
      return sign === "-" ? -value : value;
    }
    function chain(part, ...signs) {
      let value = part(), sign;
      while ((sign = take(...signs))) value = calculated(sign, value, part());
      return value;
    }
    function product() { return chain(unary, "*", "//", "/", "%"); }
    function sum() { return chain(product, "+", "-"); }

    const [values, commas] = many();
    if (at < tokens.length || !values.length) throw new SyntaxError(text);
    return values.length === 1 && !commas ? values[0] : Tuple.from(values);
  }

  function calculated(sign, a, b) {
    if (!isNumber(a) || !isNumber(b)) throw new SyntaxError(sign);
    if ("//%".includes(sign) && b == 0) throw new Impossible("division by zero");
    if (sign === "**" && typeof a === typeof 1n && typeof b === typeof 1n && b >= 0n) {
      if (BigInt(a.toString().length) * b > MOST_DIGITS) throw new Impossible("a number with too many digits");
      return a ** b;
    }
    const whole = typeof a === "bigint" && typeof b === "bigint" && sign !== "/" && sign !== "**";
    if (!whole) [a, b] = [Number(a), Number(b)];
    if (sign === "+") return a + b;
    if (sign === "-") return a - b;
    if (sign === "*") return a * b;
    if (sign === "/") return a / b;
    if (sign === "**") return a ** b;
    if (!whole) return sign === "//" ? Math.floor(a / b) : a - b * Math.floor(a / b);
    const rest = ((a % b) + b) % b;
    return sign === "%" ? rest : (a - rest) / b;
  }

  // A value as Python writes it.
  function repr(v) {
    if (v === null) return "None";
    if (v === ELLIPSIS) return "Ellipsis";
    if (typeof v === "boolean") return v ? "True" : "False";
    if (typeof v === "bigint") return String(v);
    if (typeof v === "number") return float(v);
    if (typeof v === "string") return v.includes("'") && !v.includes('"') ? `"${v}"` : `'${v.replaceAll("'", "\\'")}'`;
    if (v instanceof Set) return v.size ? `{${[...v].map(repr).join(", ")}}` : "set()";
    if (v instanceof Tuple) return `(${v.map(repr).join(", ")}${v.length === 1 ? "," : ""})`;
    return `[${v.map(repr).join(", ")}]`;
  }
  function float(x) {
    if (!Number.isFinite(x)) return Number.isNaN(x) ? "nan" : x > 0 ? "inf" : "-inf";
    const [digits, exponent] = x.toExponential().split("e");
    const power = Math.abs(Number(exponent));
    if (x && (exponent < -4 || exponent >= 16)) return `${digits}e${exponent[0]}${String(power).padStart(2, "0")}`;
    return Object.is(x, -0) ? "-0.0" : Number.isInteger(x) ? `${BigInt(x)}.0` : String(x);
  }

  // What is wrong with an answer, or null: adapool.exercises, function by function.
  function number(got, want) {
    if (!isNumber(got)) return `a number is asked for, got ${repr(got)}`;
    if (want !== want) return got !== got ? null : "that is not it";
    const exact = typeof want === "bigint";
    const near = (a, b) => Number.isFinite(a - b) &&
      Math.abs(a - b) <= Math.max(1e-5 * Math.max(Math.abs(a), Math.abs(b)), 1e-9);
    if (got == want || (!exact && near(Number(got), want))) return null;
    const side = got > want ? "large" : "small";
    if (!exact) return `${repr(got)} is too ${side}`;
    if (typeof got === "number" && !Number.isFinite(got)) return `a whole number is asked for, got ${repr(got)}`;
    if (typeof got === "number" && !Number.isInteger(got)) {
      const left = want == Math.floor(got) ? ": the floor is missing"
        : want == Math.ceil(got) ? ": it has to be rounded up" : "";
      return `a whole number is asked for, got ${repr(got)}${left}`;
    }
    const apart = typeof got === "number" ? Math.abs(got - Number(want)) : got > want ? got - want : want - got;
    return `${repr(got)} is too ${side} by ${repr(apart)}`;
  }
  function values(got, want) {
    if (!Array.isArray(got)) return `${want.length} values are asked for, got ${repr(got)}`;
    if (got.length !== want.length) return `${want.length} values are asked for, got ${got.length}`;
    for (const [i, w] of want.entries()) {
      const found = fault(got[i], w);
      if (found) return found.startsWith("at [") ? `at [${i}]${found.slice(3)}` : `at [${i}], ${found}`;
    }
    return null;
  }
  const key = (v) => isNumber(v) ? `number ${Number(v)}` : v instanceof Tuple ? `(${v.map(key)})` : repr(v);
  function members(got, want) {
    if (Array.isArray(got)) got = new Set(got);
    if (!(got instanceof Set)) return `a set is asked for, {...}, got ${repr(got)}`;
    const keys = (set) => new Map([...set].map((v) => [key(v), v]));
    const given = keys(got), wanted = keys(want);
    const extra = [...given].filter(([k]) => !wanted.has(k)).map(([, v]) => repr(v)).sort();
    if (extra.length) return `${extra[0]} does not belong`;
    const missing = wanted.size - given.size;
    return missing ? `${missing} more belong${missing === 1 ? "s" : ""}` : null;
  }
  const plain = (v) => Array.isArray(v) ? Array.from(v, plain) : v;
  function fault(got, want) {
    if (want instanceof Set) return members(got, want);
    [got, want] = [plain(got), plain(want)];
    if (Array.isArray(want)) return values(got, want);
    if (isNumber(want)) return number(got, want);
    if (typeof want === "boolean" && typeof got !== "boolean") return `True or False is asked for, got ${repr(got)}`;
    return got === want ? null : `${repr(got)} is not it`;
  }
  const unanswered = (v) => v === ELLIPSIS
    || ((Array.isArray(v) || v instanceof Set) && [...v].some(unanswered));

  // `[right, text]` on what is typed: true, false, or null as long as there is no answer.
  function verdict(exercise, text) {
    if (!text.trim()) return [null, WAITING];
    let answer;
    try { answer = read(text); } catch (error) {
      if (error instanceof Impossible) return [null, `This cannot be worked out: ${error.message}.`];
      return [null, "This cannot be read. An answer is a number, a word, True, False or None, "
        + "several of them with commas between, or a set: {1, 2}."];
    }
    if (unanswered(answer)) return [null, WAITING];
    const found = fault(answer, read(exercise.expected));
    if (!found) return [true, "Right."];
    const slip = exercise.slips.find(([wrong]) => !fault(answer, read(wrong)));
    const letters = Array.from(slip ? slip[1] : found);
    const told = letters.slice(0, MOST_LETTERS).join("") + (letters.length > MOST_LETTERS ? "…" : "");
    return [false, `Not yet: ${told}.${exercise.hint ? ` Hint: ${exercise.hint}` : ""}`];
  }

  function element(tag, attributes, text = "") {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.textContent = text;
    return made;
  }
  function box(place) {
    const bytes = Uint8Array.from(atob(place.dataset.exercise), (c) => c.charCodeAt(0));
    const exercise = JSON.parse(new TextDecoder().decode(bytes)), id = `answer-${place.dataset.name}`;
    const form = element("form", {class: "exercise", novalidate: ""});
    const input = element("input", {
      id, type: "text", autocomplete: "off", autocapitalize: "off", spellcheck: "false", maxlength: "2000",
      placeholder: place.dataset.form, "aria-describedby": `${id}-said`});
    const said = element("p", {id: `${id}-said`, role: "status"});
    form.append(element("label", {for: id}, place.dataset.label), input,
      element("button", {type: "submit"}, "Check"), said);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const [right, text] = verdict(exercise, input.value);
      said.textContent = text;
      form.dataset.right = right;
    });
    place.replaceChildren(form);
  }

  globalThis.adapoolVerdict = verdict;
  const begin = () => document.querySelectorAll("[data-exercise]").forEach(box);
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", begin);
  else begin();
})();
