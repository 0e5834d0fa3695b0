// The panels of adapool, drawn in the browser: one module without imports, written by hand. A page holds it once; it
// takes the place of the still and the words in every <div class="adapool-live" data-panel="…">. What it says is what
// adapool.explore says in Python: the tests compare both, letter for letter, at every position of the sliders.

// ---- Numbers and words ----
const MOST = 1024, DRAWN = 64; // the largest number that is taken; columns or rows of a picture
const floor = (a, b) => Math.floor(a / b), ceil = (a, b) => Math.ceil(a / b), gcd = (a, b) => b ? gcd(b, a % b) : a;
const range = (start, stop, step = 1) =>
  Array.from({ length: Math.max(ceil(stop - start, step), 0) }, (_, i) => start + i * step);
const lines = (...parts) => parts.filter(Boolean).join("\n"), up = text => text[0].toUpperCase() + text.slice(1);
const counted = (n, what = "cell") => `${n || "no"} ${what}${n === 1 ? "" : "s"}`;
const listed = (all, most = 12) => (all.length > most ? [...all.slice(0, most - 1), "…"] : all).join(", ");
const or = (values, none) => values.join(" or ") || none;
const refuse = words => { throw new RangeError(words); };

class TooMany extends RangeError {} // for a panel, though perhaps not for a layer

const tooMany = what => { throw new TooMany(`This panel ${what}. Such a layer may well exist, but it is not shown here.`); };
const refused = error => error instanceof TooMany ? error.message : `There is no such layer: ${error.message}.`;

function bounded(params, most = MOST) { // whole numbers from 1 on, padding from 0 on, or words like Python's
  for (const [name, v] of Object.entries(params)) {
    if (!Number.isInteger(v)) refuse(`${name} must be an integer, got ${v === "" ? "nothing" : `'${v}'`}`);
    if (v > most) tooMany(`takes ${name} up to ${most}, got ${v}`);
  }
  for (const [name, v] of Object.entries(params)) {
    const least = name === "padding" ? 0 : 1;
    if (v < least) refuse(`${name} must be >= ${least}, got ${v}`);
  }
}

function readsInWords(taps) {
  const shown = taps.slice(0, 8).map((row, j) => `output ${j}: ${listed(row, 8)}`);
  return `${[...shown, ...taps.length > 8 ? ["and so on"] : []].join("; ")}.`;
}

const large = (columns, rows) => Math.max(columns, rows) > DRAWN && `Too large to draw: ${columns} × ${rows} cells.`;

// ---- Adaptive pools ----
const windows = (n, m) => range(0, m).map(i => [floor(i * n, m), ceil((i + 1) * n, m)]);

function fixed(n, m) { // [K, S, P] of the ordinary pool with the windows of n → m
  const q = floor(n, m), r = n % m;
  if (m === 1) return [n, n, 0];
  if (n >= m && r <= 1) return [n - (m - 1) * q, q, 0];
  return r === m - 1 ? [q + 2, q + 1, 1] : null;
}

function blocked(n, m) { // [blocks, K, S, P] of one within equal blocks
  const cuts = [1, gcd(n, m)].find(blocks => fixed(n / blocks, m / blocks));
  return cuts ? [cuts, ...fixed(n / cuts, m / cuts)] : null;
}

function whyExact(n, m) {
  const q = floor(n, m), r = n % m, blocks = gcd(n, m), part = n / blocks, of = m / blocks;
  if (m === 1) return "exact: one window over all cells";
  if (n >= m && r === 0) return `exact: ${m} divides ${n}, so the windows have ${counted(q)} each and do not overlap`;
  if (n >= m && r === 1) return `exact: ${n} = ${q}·${m} + 1, so the windows are equal and neighbours share one cell`;
  if (r === m - 1) return "exact with one padded cell at both ends, which a mean must not count " +
    `(count_include_pad=False): ${n} = ${q + 1}·${m} − 1`;
  if (blocked(n, m)) return `exact after a reshape: ${n} → ${m} is ${blocks} times ${part} → ${of}, ` +
    `and that is ${whyExact(part, of)}`;
  if (n < m) return "no ordinary pool: more cells come out than go in";
  const ofBlock = `, and ${part} mod ${of} = ${part % of}, of one of ${blocks} blocks, is none of 0, 1 and ${of - 1}`;
  return `no ordinary pool: ${n} mod ${m} = ${r} is none of 0, 1 and ${m - 1}${blocks > 1 ? ofBlock : ""}; ` +
    "the windows do not start at equal distances";
}

const sizesOf = (n, m) => [...new Set(windows(n, m).map(([a, b]) => b - a))].sort((a, b) => a - b);

function adaptiveFormula(n, m) {
  const start = `${n} → ${m}: windows of ${or(sizesOf(n, m))}`, [blocks, K, S, P] = blocked(n, m) ?? [];
  if (!blocks) return `${start}, no ordinary pool`;
  return `${start}, exactly a pool K = ${K}, S = ${S}${P ? `, P = ${P}` : ""}${blocks > 1 ? ` in ${blocks} blocks` : ""}`;
}

const exactness = (n, m) => fixed(n, m) ? ["good", "exact"] : blocked(n, m) ? ["fair", "exact after a reshape"]
  : ["poor", "no ordinary pool"];

function adaptive({ input_size: n, output_size: m }) {
  bounded({ input_size: n, output_size: m });
  const spans = windows(n, m), taps = spans.map(([a, b]) => range(a, b)), tooLarge = large(n, m);
  const beside = (size, sizes) => [sizes.filter(s => s < size).at(-1), sizes.find(s => s > size)].filter(Boolean);
  const inputs = beside(n, range(1, n + m + 2).filter(k => fixed(k, m)));
  const outputs = beside(m, range(1, n + 2).filter(k => fixed(n, k))), none = "no other number of";
  const shared = spans.map(([, b], i) => i + 1 < m ? b - spans[i + 1][0] : "");
  const near = `The nearest exact sizes, by one pool without a reshape: ${or(inputs, none)} input cells for ${m} outputs, ` +
    `${or(outputs, none)} outputs for ${n} input cells.`;
  return {
    formula: lines(`window i = [⌊i·n/m⌋, ⌈(i + 1)·n/m⌉) = [⌊i·${n}/${m}⌋, ⌈(i + 1)·${n}/${m}⌉)`, adaptiveFormula(n, m)),
    message: lines(`${up(whyExact(n, m))}.`, near, tooLarge),
    alt: `${counted(n, "input cell")} with ${counted(m, "window")} as bars below, and two rulers of ${n} and ${m} cells ` +
      `that are equally long. ${readsInWords(taps)}`,
    table: tooLarge ? [] : [["output i", ...range(0, m)], ["cells", ...spans.map(([a, b]) => `[${a}, ${b})`)],
      ["size", ...taps.map(row => row.length)], ["shared with the next", ...shared]],
    mark: exactness(n, m)[0],
    nearTitle: "Nearest exact, one pool without a reshape: ", near: [...inputs.map(v => [`n = ${v}`, { input_size: v }]),
      ...outputs.map(v => [`m = ${v}`, { output_size: v }])],
    list: tooLarge ? [] : spans.map(([a, b], i) => `${i}: [${a}, ${b})`),
    legend: { input: "input", shared: "read by several windows", window: "window", output: "output" },
    scene: !tooLarge && {
      left: 0, wide: n, taps, unit: "bottom", guides: range(0, m + 1).map(i => i * n / m),
      top: range(0, n).map(x => ({ x, w: 1, label: x, kinds: ["unread", "input", "shared"] })),
      bottom: range(0, m).map(i => ({ x: i * n / m, w: n / m, label: i, kind: "output", rows: [i] })),
      ofRow: i => `Window ${i} = [⌊${i * n}/${m}⌋, ⌈${(i + 1) * n}/${m}⌉) = [${spans[i].join(", ")}): ` +
        `${counted(taps[i].length)}${shared[i] ? `, of which window ${i + 1} reads the last one too` : ""}.`,
      ofCell: (cell, rows) => `Input cell ${cell.label} is read by output${rows.length > 1 ? "s" : ""} ${listed(rows)}.`,
    },
  };
}

// ---- Convolutions, pools, transposed convolutions ----
const outputs = (n, K, S, P, D, ceil_mode) => {
  if (!ceil_mode) return floor(n + 2 * P - D * (K - 1) - 1, S) + 1;
  const out = ceil(n + 2 * P - D * (K - 1) - 1, S) + 1;
  return (out - 1) * S >= n + P ? out - 1 : out;
};

function refusedLayer(n, K, S, P, D, ceil_mode, transposed) { // why torch has no such layer, in Python's words
  const span = D * (K - 1) + 1, out = transposed ? (n - 1) * S - 2 * P + span : outputs(n, K, S, P, D, ceil_mode);
  if (transposed && ceil_mode) refuse("ceil_mode belongs to pooling layers: a transposed convolution has nothing to round");
  if (transposed && out < 1) refuse(`padding ${P} removes everything: the formula would give ${out} cells`);
  if (ceil_mode && 2 * P > K) refuse(`padding must be at most half of kernel_size, got padding ${P} for kernel_size ${K}`);
  if (out < 1) refuse(`kernel_size must not be larger than the padded input: kernel_size ${K} spans ${span} cells, got ` +
    `input_size ${n} with padding ${P}, only ${n + 2 * P} cells; the formula would give ${out}, and torch refuses it too`);
  return out;
}

const tapsOf = (rows, K, S, P, D) => range(0, rows).map(j => range(0, K).map(t => j * S - P + t * D));

function layerFormula(n, out, K, S, P, D, ceil_mode, transposed) {
  if (transposed) return `(n − 1)·S − 2·P + D·(K − 1) + 1\n= (${n} − 1)·${S} − 2·${P} + ${D}·(${K} − 1) + 1 = ${out}`;
  const steps = D === 1 ? `${n} + 2·${P} − ${K}` : `${n} + 2·${P} − ${D}·(${K} − 1) − 1`, [a, b] = ceil_mode ? "⌈⌉" : "⌊⌋";
  const dropped = ceil_mode && (out - 1) * S < n + 2 * P - D * (K - 1) - 1 ? " − 1" : "";
  return `${a}(n + 2·P − D·(K − 1) − 1)/S${b} + 1\n= ` +
    (S === 1 ? `${steps} + 1 = ${out}` : `${a}(${steps})/${S}${b} + 1${dropped} = ${out}`);
}

function ofUnread(n, taps, ceil_mode) {
  const read = new Set(taps.flat()), cells = range(0, n).filter(i => !read.has(i)), unread = cells.length;
  if (!unread) return "Every input cell is read.";
  const dropped = ceil_mode ? 0 : n - 1 - Math.max(-1, ...range(0, n).filter(i => read.has(i)));
  const them = dropped === 1 && unread === 1 ? "it" : dropped > 1 ? `the last ${dropped}` : "the last one";
  const rest = unread === 1 ? "it" : dropped ? "the others" : "these";
  return `${counted(unread, "input cell")} of ${n} ${unread === 1 ? "is" : "are"} read by no window: ${listed(cells)}.` +
    (dropped ? ` The floor drops ${them}.` : "") + (unread > dropped ? ` The steps of the window leave out ${rest}.` : "");
}

function samePair(n, K, S, D) {
  const total = Math.max((ceil(n, S) - 1) * S + D * (K - 1) + 1 - n, 0);
  return [floor(total, 2), total - floor(total, 2)];
}

function ofSame(n, K, S, P, D) {
  const [before, after] = samePair(n, K, S, D), words = `SAME (⌈n/S⌉ = ${ceil(n, S)} cells)`;
  if (before === after) return `${words} needs P = ${before}${before === P ? ", as it is here" : ""}.`;
  return `${words} needs ${before} padded before the input and ${after} after it, which no P gives: ` +
    `torch.nn.functional.pad(x, (${before}, ${after})) does, with P = 0.`;
}

function ofPool(n, out, K, S, P, D, ceil_mode) {
  if (!ceil_mode) return 2 * P > K && `A pooling layer refuses P = ${P}, more than half its kernel; a convolution takes it.`;
  const over = (out - 1) * S + D * (K - 1) + 1 - n - 2 * P;
  if (over > 0) return `ceil_mode adds a window, which hangs over the padded end by ${counted(over)}.`;
  if (over < 0) return "ceil_mode adds nothing: one more window would start beyond the input and the padding before it, " +
    "and such a window is dropped (the − 1).";
  return "ceil_mode adds nothing: the last window ends where the padded input does.";
}

function ofTransposed(n, out, K, S, P, D, taps) {
  const times = Array(out).fill(0);
  for (const o of taps.flat()) if (o in times) times[o] += 1;
  const several = times.filter(t => t > 1).length, none = times.filter(t => !t).length, span = D * (K - 1) + 1;
  const idle = taps.filter(row => !row.some(o => o >= 0 && o < out)).length;
  const half = span > S ? ceil(span - S, 2) : 0, odd = span > S ? (span - S) % 2 : S - span;
  const same = `need P = ${half}${odd ? ` and output_padding = ${odd}` : ""}`;
  return lines(
    `Of ${counted(out, "output cell")} ${several || "none"} ${several < 2 ? "gets" : "get"} more than one input cell, and ` +
      `${none || "none"} ${none < 2 ? "is" : "are"} left without.`,
    idle && `${counted(idle, "input cell")} ${idle === 1 ? "writes" : "write"} only to cells that the padding takes away.`,
    `A convolution with the same K, S, P, D takes ${out} cells back to ${outputs(out, K, S, P, D)}.`,
    `n·S = ${n * S} cells (SAME) ${odd < Math.max(S, D) ? same : "come with no P, as the kernel is even"}.`);
}

function layer({ input_size: n, kernel_size: K, stride: S, padding: P, dilation: D, ceil_mode, transposed }) {
  bounded({ input_size: n, kernel_size: K, stride: S, padding: P, dilation: D });
  const out = refusedLayer(n, K, S, P, D, ceil_mode, transposed), rows = transposed ? n : out, span = D * (K - 1) + 1;
  if (rows * K > 40000) tooMany(`lists up to 40000 cells of windows, got ${rows * K}`);
  const taps = tapsOf(rows, K, S, P, D), end = taps.at(-1).at(-1) + 1;
  const last = transposed ? Math.max(out, end) : n + Math.max(P, end - n), size = transposed ? out : n;
  const tooLarge = large(transposed ? 2 * P + out : P + last, rows), inside = row => row.filter(i => i >= 0 && i < size);
  const words = transposed ? ofTransposed(n, out, K, S, P, D, taps) : lines(ofUnread(n, taps, ceil_mode),
    ofSame(n, K, S, P, D), ofPool(n, out, K, S, P, D, ceil_mode), P > span - 1 && "Some output cells read nothing but padding.");
  const good = transposed ? !words.includes("more than one") || / none (is|are) left/.test(words) : words.startsWith("Every");
  const cells = range(-P, last).map(x => x >= 0 && x < size ? { x, w: 1, label: x, kinds: transposed
    ? ["unread", "output", "shared"] : ["unread", "input", "input"] } : { x, w: 1, kind: "padding" });
  const beside = taps.map(([a], i) => ({ x: a + (span - 1) / 2, w: 1, label: i, kind: transposed ? "input" : "output", rows: [i] }));
  return {
    formula: layerFormula(n, out, K, S, P, D, ceil_mode, transposed), message: lines(words, tooLarge), table: [],
    alt: transposed ? `${counted(out, "output cell")} over ${counted(n, "row")}, one for each input cell, with the cells ` +
      "that it writes to." : `${counted(n, "input cell")} over ${counted(out, "row")}, one for each output cell, with the ` +
      `cells that its window reads: ${readsInWords(taps)}`,
    mark: good ? "good" : "poor", near: [], words: `${out} out${good ? "" : transposed ? ", some without input" : ", some unread"}`,
    list: tooLarge ? [] : taps.map(([a], j) => `${j}: [${a}, ${a + span})`),
    legend: transposed ? { input: "input", window: "it writes here", output: "output", shared: "written by several",
      unread: "written by none", padding: "taken off by P" }
      : { input: "input", unread: "read by nobody", padding: "padding", window: "window", output: "output" },
    scene: !tooLarge && {
      left: -P, wide: P + last, taps, unit: transposed ? "top" : "bottom",
      top: transposed ? beside : cells, bottom: transposed ? cells : beside,
      ofRow: i => `${transposed ? "Input" : "Output"} ${i} ${transposed ? "writes to output" : "reads input"} cells ` +
        `${listed(inside(taps[i]), 14) || "none at all"}${inside(taps[i]).length < K ? transposed ? ", the rest is taken off"
          : ", and padding" : ""}.`,
      ofCell: (cell, js) => `${cell.label === undefined ? "A cell outside" : `${transposed ? "Output" : "Input"} cell ${cell.label}`} ` +
        `is ${transposed ? "written" : "read"} by ${js.length ? `${transposed ? "input" : "output"} ${listed(js)}` : "nobody"}.`,
    },
  };
}

// ---- Films: in two dimensions, one output cell after the other, or one input cell where they write ----
const FILMED = 24; // cells along an axis of a film

function filmAxis({ input_size: n, output_size: m, kernel_size: K, stride: S, padding: P, dilation: D, ceil_mode, transposed }) {
  if (m !== undefined) {
    bounded({ input_size: n, output_size: m }, FILMED);
    return { n, out: m, taps: windows(n, m).map(([a, b]) => range(a, b)), size: n, before: 0, beyond: 0 };
  }
  bounded({ input_size: n, kernel_size: K, stride: S, padding: P, dilation: D }, FILMED);
  const out = refusedLayer(n, K, S, P, D, ceil_mode, transposed), taps = tapsOf(transposed ? n : out, K, S, P, D);
  const end = taps.at(-1).at(-1) + 1, size = transposed ? out : n;
  return { n, out, taps, size, before: P, beyond: transposed ? Math.max(0, end - out) : Math.max(P, end - n) };
}

const times = ({ taps, size }, i) => taps.filter(row => row.includes(i)).length; // how many windows hold cell i
const cellsWith = (axis, test) => range(0, axis.size).filter(i => test(times(axis, i))).length;
const by = pair => pair[0] === pair[1] ? `${pair[0]}` : pair.join(" × ");

function film(values) {
  const pick = a => Object.fromEntries(Object.entries(values).map(([k, v]) => [k, Array.isArray(v) ? v[a] : v]));
  const axes = [filmAxis(pick(0)), filmAxis(pick(1))], [rows, columns] = axes, { transposed, ceil_mode } = values;
  const out = `${rows.out} × ${columns.out}`, inn = `${rows.n} × ${columns.n}`, pooled = values.output_size !== undefined;
  const both = test => cellsWith(rows, test) * cellsWith(columns, test), all = rows.size * columns.size, read = both(t => t > 0);
  const kinds = ["window", "input", "output", ...axes.some(x => x.before + x.beyond) ? ["padding"] : [],
    ...transposed ? read > both(t => t === 1) ? ["shared"] : [] : read < all ? ["unread"] : []];
  const given = { n: values.input_size, K: values.kernel_size, S: values.stride, P: values.padding, D: values.dilation };
  const letters = pooled ? inn : Object.entries(given).map(([k, v]) => [k, by(v)])
    .filter(([k, v]) => v !== { P: "0", D: "1" }[k]).map(([k, v]) => `${k} = ${v}`).join(", ");
  const said = pooled ? `Each of the ${out} output cells reads a window of ${axes.map(x => or(sizesOf(x.n, x.out))).join(" × ")} cells.`
    : transposed ? `Each of the ${inn} input cells writes to ${rows.taps[0].length} × ${columns.taps[0].length} cells: ` +
      `${read - both(t => t === 1)} of ${all} output cells get more than one, ${all - read} none.`
    : `Each of the ${out} output cells reads ${rows.taps[0].length} × ${columns.taps[0].length} cells` +
      `${read < all ? `; ${all - read} of ${all} input cells are read by none` : ""}.`;
  return {
    formula: `${letters}${ceil_mode ? ", ceil_mode" : ""}${transposed ? ", transposed" : ""} → ${out}`, message: said, table: [],
    alt: transposed ? `A board of ${inn} input cells, one of them lit, and a board of ${out} output cells with those lit that it ` +
      "writes to." : `A board of ${inn} input cells with a window lit, and a board of ${out} output cells with the one lit that ` +
      "reads it.",
    mark: "film", near: [], list: [], words: `${out} out`, scene: { rows, columns, transposed, kinds, film: true },
    legend: transposed ? { input: "input", window: "it writes here", output: "output", shared: "written several times", padding:
      "taken off by P" } : { input: "input", unread: "read by nobody", ...pooled ? {} : { padding: "padding" }, window: "window",
      output: "output" },
  };
}

// ---- The calculator of sizes ----
const WIDE = 8192; // cells along an axis, at most

function unread(n, K, S, P, D, out) { // how many cells none of `out` windows reads: each tap reads every S-th cell
  const counted = new Map();
  let read = 0;
  for (const tap of range(0, K)) {
    const first = floor(tap * D - P, S), rest = tap * D - P - first * S;
    const start = Math.max(first, counted.get(rest) ?? 0), stop = Math.min(first + out, -floor(rest - n, S));
    read += Math.max(stop - start, 0);
    counted.set(rest, Math.max(stop, start));
  }
  return n - read;
}

function findConv(n, m) { // [K, S, P] of convolutions that make m cells of n, those that leave the fewest unread first
  const found = range(1, 12).flatMap(K => range(0, floor(K - 1, 2) + 1).flatMap(P => {
    const T = n + 2 * P - K, high = m > 1 ? floor(T, m - 1) : 64;
    return T < 0 ? [] : range(floor(T, m) + 1, Math.min(high, 64) + 1).map(S => [unread(n, K, S, P, 1, m), K, P, S]);
  }));
  return found.sort((a, b) => a.find((v, i) => v !== b[i]) - b.find((v, i) => v !== a[i])).map(([, K, P, S]) => [K, S, P]);
}

const tuple = ([a, b]) => a === b ? `${a}` : `(${a}, ${b})`, alike = ([a, b]) => String(a) === String(b);

function call(name, first, more) { // as it is typed, without what has its default
  const defaults = { stride: "1", strides: "1", padding: "0", dilation: "1", dilation_rate: "1" };
  return `${name}(${[...first, ...Object.entries(more).filter(([k, v]) => v !== defaults[k]).map(([k, v]) => `${k}=${v}`)].join(", ")})`;
}

function torchLine([, K, S, P, D], ceil_mode, transposed) {
  const more = { stride: tuple(S), padding: tuple(P), dilation: tuple(D) }, ceil = ceil_mode ? { ceil_mode: "True" } : {};
  if (!ceil_mode) return call(`nn.Conv${transposed ? "Transpose" : ""}2d`, ["c_in", "c_out", tuple(K)], more);
  return call("nn.MaxPool2d", [tuple(K), ...more.stride === "1" ? ["1"] : []], { ...more, ...ceil });
}

function kerasLine([n, K, S, P, D], ceil_mode, transposed) {
  if (ceil_mode) return "none: Keras has no ceil_mode";
  if (Math.max(...S) > 1 && Math.max(...D) > 1) return "none: Keras takes a stride or a dilation, not both";
  const more = { strides: tuple(S), dilation_rate: tuple(D) }, name = `Conv2D${transposed ? "Transpose" : ""}`;
  const made = call(name, ["c_out", tuple(K)], more), both = f => [f(0), f(1)];
  const cut = both(a => [P[a], P[a] + Math.max(S[a] - D[a] * (K[a] - 1) - 1, 0)]);
  if (transposed) return !cut.flat().some(Boolean) ? made : `Sequential([${made}, Cropping2D(${cut.every(alike) ? tuple(P)
    : `(${cut.map(c => `(${c.join(", ")})`).join(", ")})`})])`;
  if (!P.some(Boolean)) return made;
  const same = both(a => samePair(n[a], K[a], S[a], D[a]).every(v => v === P[a]));
  return same.every(Boolean) ? call(name, ["c_out", tuple(K)], { ...more, padding: '"same"' })
    : `Sequential([ZeroPadding2D(${tuple(P)}), ${made}])`;
}

function ofAxis([n, K, S, P, D], out, m, ceil_mode, transposed) {
  if (transposed) return [`SAME in Keras and JAX: n·S = ${n * S} cells.`, m === out ? "" : m > out && m - out < Math.max(S, D)
    ? `output_padding=${m - out} makes it ${counted(m)}.` : `No output_padding makes it ${counted(m)}: ` +
    `with these K, S, P, D there are ${or([...new Set([out, out + Math.max(S, D) - 1])], "")}${Math.max(S, D) > 2 ? " and what lies between" : ""}.`].filter(Boolean);
  const left = unread(n, K, S, P, D, out), half = floor(D * (K - 1), 2), [before, after] = samePair(n, K, S, D);
  return [left ? `${left} of ${n} input cells ${left === 1 ? "is" : "are"} read by no window.` : "Every input cell is read.",
    `SAME in PyTorch: P = ⌊D·(K − 1)/2⌋ = ${half} on both sides, ${counted(Math.max(outputs(n, K, S, half, D), 0))}` +
      `${S > 1 ? '; with a stride, padding="same" is refused' : ""}.`,
    `SAME in TensorFlow and Keras: ⌈n/S⌉ = ${counted(ceil(n, S))}, with ${before} padded before the input and ${after} after it.`];
}

function sizes({ ceil_mode, transposed, output_size: wanted, ...given }) {
  const names = ["input_size", "kernel_size", "stride", "padding", "dilation"], pairs = names.map(k => [given[k]].flat());
  const pick = (v, a) => v.length > 1 ? v[a] : v[0], axes = [0, 1].map(a => {
    bounded(Object.fromEntries(names.map((k, i) => [k, pick(pairs[i], a)])), WIDE);
    const axis = pairs.map(v => pick(v, a));
    return [axis, refusedLayer(...axis, ceil_mode, transposed)];
  });
  for (const m of [wanted].flat()) bounded({ output_size: m }, WIDE);
  const back = transposed ? [] : axes.map(([[n]], a) => [n, wanted[a], findConv(n, wanted[a]).slice(0, 5)]);
  const told = back.map(([n, m, all]) => `${counted(m)} of ${n}: ` + (all.length ? `${all.map(([K, S, P]) =>
    `K = ${K}, S = ${S}${P ? `, P = ${P}` : ""}`).join("; ")}.` : "no convolution; a transposed one, more padding than SAME, " +
    "or a stride above 64."));
  const said = axes.map(([axis, out], a) => ofAxis(axis, out, wanted[a], ceil_mode, transposed)), once = list => [...new Set(list)];
  const result = alike(said) ? said[0] : ["Rows", "Columns"].flatMap((name, a) => said[a].map(line => `${name}: ${line}`));
  const table = [["PyTorch", torchLine(pairs, ceil_mode, transposed)], ["Keras", kerasLine(pairs, ceil_mode, transposed)]];
  const [n, out] = [pairs[0], axes.map(([, o]) => o)].map(by);
  const pads = axes.map(([[n, K, S, , D]]) => samePair(n, K, S, D));
  if (!ceil_mode && !transposed && pads.flat().some(Boolean) && pairs[2].some(s => s > 1)) table.push(["SAME",
    `functional.pad(x, (${[...pads[1], ...pads[0]].join(", ")}))`]);
  return {
    formula: once(axes.map(([axis, o]) => layerFormula(axis[0], o, ...axis.slice(1), ceil_mode, transposed).split("\n= ")[1])).join("\n"),
    message: lines(`${n} → ${out}`, ...result, ...once(told)), alt: "", table, mark: "sizes", list: [], legend: {}, code: table,
    near: back.slice(0, alike(told) ? 1 : 2).flatMap(([, , all], a) => all.slice(0, alike(told) ? 5 : 3).map(([K, S, P]) => [`${alike(told) ? "" : ["rows: ",
      "columns: "][a]}K = ${K}, S = ${S}${P ? `, P = ${P}` : ""}`, Object.fromEntries(Object.entries({ kernel_size: K, stride: S,
      padding: P, dilation: 1 }).map(([k, v]) => [k, alike(told) ? [v, v] : given[k].map((old, i) => i === a ? v : old)]))])),
    nearTitle: `${by(wanted)} cell${alike(wanted) && wanted[0] === 1 ? "" : "s"} of ${n}: `,
  };
}

// ---- A photograph under an adaptive pool ----
const PHOTO = [300, 256], GRID = 16; // its pixels, down and across; windows that can be told apart

function photograph({ rows, columns, reduction }) {
  bounded({ rows, columns }, GRID);
  const axes = [["rows", PHOTO[0], rows], ["columns", PHOTO[1], columns]];
  const pixels = axes.map(([, n, m]) => or(sizesOf(n, m))).join(" × ");
  const scene = { rows: windows(PHOTO[0], rows), columns: windows(PHOTO[1], columns) };
  return {
    formula: axes.map(([name, n, m]) => `${`${name}:`.padEnd(9)}${adaptiveFormula(n, m)}`).join("\n"),
    message: lines(`Each of the ${rows} × ${columns} blocks is the ${reduction} of a window of ${pixels} pixels, for each colour by ` +
      "itself.", ...axes.map(([name, n, m]) => `${up(name)}: ${whyExact(n, m)}.`)),
    alt: `A portrait under a grid of ${rows} rows and ${columns} columns of windows, and beside it the ${rows} × ${columns} ` +
      `coloured blocks that their ${reduction} gives.`,
    table: [], list: [], near: [], legend: {}, mark: "film", scene: { ...scene, reduction },
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

function portrait({ rows, columns, reduction }, width, address, pixels) { // the photograph with its windows, and the blocks
  const w = Math.min((width - 16) / 2, 330), unit = w / PHOTO[1], scale = PHOTO[0] / rows.length * unit, wide = w / columns.length;
  const rect = (x, y, a, b, k, more) =>
    `<rect data-side="block" data-at="${k}" x="${px(x)}" y="${px(y)}" width="${px(a)}" height="${px(b)}" ${more}/>`;
  const each = f => rows.flatMap((r, i) => columns.map((c, j) => f(r, c, i, j, i * columns.length + j))).join("");
  return `<image href="${address}" width="${px(w)}" height="${px(PHOTO[0] * unit)}"/>` +
    each((r, c, i, j, k) => rect(c[0] * unit, r[0] * unit, (c[1] - c[0]) * unit, (r[1] - r[0]) * unit, k, 'class="pane"')) +
    each((r, c, i, j, k) => rect(w + 16 + j * wide, i * scale, wide + 0.4, scale + 0.4, k,
      `class="block" style="fill: rgb(${colour(pixels, r, c, reduction)})"`));
}

// ---- Pictures: cells above, windows as bars that fall from left to right, cells below ----
const ROW = 34, FALL = 236, TALL = 2 * ROW + FALL + 4, FILM = 236; // pixels: a row, the windows, all; a film

const px = v => v.toFixed(2);

function box(x, y, w, h, label, size = 13) { // a cell, with its label where there is room for it
  const gap = w > 8 ? 1 : 0.4, fits = label !== undefined && String(label).length * size * 0.62 < w - 1 && h > size - 2;
  return `<rect x="${px(x + gap)}" y="${px(y)}" width="${px(w - 2 * gap)}" height="${px(h)}" rx="${px(Math.min(3, w / 4))}"/>` +
    (fits ? `<text x="${px(x + w / 2)}" y="${px(y + h / 2)}" font-size="${size}">${label}</text>` : "");
}

function stairs(scene, width) {
  const unit = width / scene.wide, at = x => (x - scene.left) * unit, pitch = FALL / scene.taps.length, size = unit < 20 ? 10 : 13;
  const group = (kind, side, i, inside) => `<g class="${kind}" data-side="${side}" data-at="${i}">${inside}</g>`;
  const cells = (side, y) => scene[side].map((c, i) => group(c.kind, side, i, box(at(c.x), y, c.w * unit, ROW, c.label, size)));
  const bars = scene.taps.map((taps, j) => {
    const high = Math.min(0.76 * pitch, 24), y = ROW + 2 + (j + 0.5) * pitch - high / 2, a = at(taps[0]), b = at(taps.at(-1) + 1);
    const apart = taps[1] - taps[0] > 1, all = taps.map(t => box(at(t), y, unit, high)).join("");
    return group("window", "row", j, (apart ? `<path d="M${px(a)} ${px(y + high / 2)}H${px(b)}"/>${all}`
      : box(a, y, b - a, high, `[${taps[0]}, ${taps.at(-1) + 1})`, 12)) +
      `<rect class="hit" x="${px(a)}" y="${px(ROW + 2 + j * pitch)}" width="${px(b - a)}" height="${px(pitch)}"/>`);
  });
  const guides = (scene.guides ?? []).map(x => `<path class="guide" d="M${px(at(x))} ${ROW}V${ROW + FALL + 4}"/>`);
  return [...guides, ...cells("top", 0), ...cells("bottom", ROW + FALL + 4), ...bars].join("");
}

function settle(scene) { // which windows each cell belongs to, and its colour by how many they are
  const rows = new Map();
  scene.taps.forEach((taps, j) => taps.forEach(t => rows.set(t, [...rows.get(t) ?? [], j])));
  for (const cell of [...scene.top, ...scene.bottom]) {
    cell.rows ??= rows.get(cell.x) ?? [];
    cell.kind ??= cell.kinds[Math.min(cell.rows.length, 2)];
  }
  return scene;
}

function boards({ rows, columns, transposed }, width, at) { // the board with the windows, and the one with a cell for each
  const [high, wide] = [rows, columns].map(x => x.before + x.size + x.beyond), [h, w] = [rows.taps.length, columns.taps.length];
  const unit = Math.min(width / (wide + 1.5 + w), (FILM - 26) / Math.max(high, h), 40), r = floor(at, w), c = at % w;
  const left = (width - (wide + 1.5 + w) * unit) / 2, [big, small] = transposed ? [w + 1.5, 0] : [0, wide + 1.5];
  const tap = (axis, i, j) => axis.taps[i].includes(j), inside = (axis, i) => i >= 0 && i < axis.size;
  const place = (x, y, tall, kind, more = "") => `<g class="${kind}" ${more}>` + box(left + x * unit,
    24 + ((FILM - 26) / unit - tall) / 2 * unit + y * unit + 0.6, unit, unit - 1.2) + "</g>";
  const written = (y, x) => range(0, at + 1).filter(k => tap(rows, floor(k, w), y) && tap(columns, k % w, x)).length;
  const kind = (y, x) => {
    const lit = tap(rows, r, y) && tap(columns, c, x) ? " here" : "";
    if (!inside(rows, y) || !inside(columns, x)) return lit ? "window padding" : "padding";
    if (transposed) return ["blank", "output", "shared"][Math.min(written(y, x), 2)] + lit;
    return lit ? "window" : times(rows, y) && times(columns, x) ? "input" : "unread";
  };
  const title = (x, cells, text) => `<text class="title" x="${px(left + (x + cells / 2) * unit)}" y="10" font-size="13">${text}</text>`;
  const many = range(0, high).flatMap(y => range(0, wide).map(x => place(big + x, y, high, kind(y - rows.before, x - columns.before))));
  const each = range(0, h * w).map(k => place(small + k % w, floor(k, w), h, `${transposed ? k === at ? "window" : "input"
    : k > at ? "blank" : "output"}${k === at ? " here" : ""}`, `data-side="unit" data-at="${k}"`));
  return title(big, wide, transposed ? "output" : "input") + title(small, w, transposed ? "input" : "output") + [...many, ...each].join("");
}

// ---- Receptive fields through a chain of equal layers ----
function field({ input_size: n, layers, kernel_size: K, stride: S, padding: P, dilation: D }) {
  bounded({ input_size: n, kernel_size: K, stride: S, padding: P, dilation: D });
  bounded({ layers }, 6);
  const sizes = [n], fields = [1], jumps = [1], steps = [];
  for (const i of range(0, layers)) {
    sizes.push(refusedLayer(sizes[i], K, S, P, D));
    steps.push(D * (K - 1) * jumps[i]);
    fields.push(fields[i] + steps[i]);
    jumps.push(jumps[i] * S);
  }
  const sees = fields[layers], step = jumps[layers], tooLarge = large(n, layers);
  const ends = P && sees > step ? "At the ends it reaches into the padding." : "";
  return {
    formula: `1 + D·(K − 1)·(1 + S + S² + …)\n= 1 + ${steps.join(" + ")} = ${sees}`,
    message: lines(`After ${counted(layers, "layer")} an output cell sees ${counted(sees, "input cell")}; its neighbour sees as many, ` +
      `${counted(step)} further on.`, sees >= n ? `That is ${sees === n ? "all" : "more than all"} of the input.` : ends, tooLarge),
    alt: `${counted(layers + 1, "row")} of cells, one below the other: ${sizes.join(", ")} cells.`,
    table: [["layer", ...range(0, layers + 1)], ["cells", ...sizes], ["sees", ...fields], ["step", ...jumps]],
    mark: "film", near: [], legend: { input: "input", output: "output" }, words: `sees ${counted(sees)}`,
    list: sizes.slice(1).map((m, i) => `${i + 1}: sees ${fields[i + 1]}`),
    scene: !tooLarge && { chain: { sizes, jumps, K, S, P, D }, wide: n },
  };
}

function below({ sizes, K, S, P, D }, level, at) { // the cells of the layers below, and of the input, that a cell sees
  const seen = { [level]: new Set([at]) };
  for (let l = level; l > 0; l--) seen[l - 1] = new Set([...seen[l]].flatMap(j => range(0, K).map(t => j * S - P + t * D))
    .filter(i => i >= 0 && i < sizes[l - 1]));
  return seen;
}

function chain({ chain: { sizes, jumps, K, P, D } }, width) { // a row for each layer, each cell amid what it sees
  const unit = width / sizes[0], pitch = TALL / sizes.length, high = Math.min(pitch * 0.55, ROW);
  let middle = 0.5;
  return sizes.map((m, l) => {
    if (l) middle += ((K - 1) * D / 2 - P) * jumps[l - 1];
    const kind = l === 0 ? "input" : "output", w = Math.min(jumps[l], sizes[0]) * unit, y = l * pitch + (pitch - high) / 2;
    return range(0, m).map(j => `<g class="${kind}" data-side="level" data-level="${l}" data-at="${j}">` +
      box((middle + j * jumps[l]) * unit - w / 2, y, w, high, j, unit < 20 ? 10 : 13) + "</g>").join("");
  }).join("");
}

// ---- A panel: controls, picture, words ----
const KINDS = {
  adaptive: { explain: adaptive, strip: { good: "one ordinary pool", fair: "one after a reshape", poor: "none" },
    mark: v => exactness(v.input_size, v.output_size) },
  layer: { explain: layer, strip: { good: "no cell is left out", poor: "cells are left out", refused: "no such layer" } },
  film: { explain: film, tall: FILM },
  sizes: { explain: sizes, tall: 0 },
  field: { explain: field },
  photograph: { explain: photograph, strip: { good: "one ordinary pool", fair: "one after a reshape", poor: "none" },
    mark: (v, name) => exactness(PHOTO[+(name === "columns")], v[name]),
    height: width => Math.min((width - 16) / 2, 330) * PHOTO[0] / PHOTO[1] },
};

function html(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [k, v] of Object.entries(attributes)) k.startsWith("on") ? made.addEventListener(k.slice(2), v) : made.setAttribute(k, v);
  made.append(...children.flat());
  return made;
}

const legend = (names, mark = "") => Object.entries(names).map(([k, v]) => html("span", {}, html("i", { class: `${mark} ${k}` }), v));
const button = (words, act, name = words) =>
  html("button", { type: "button", "data-lm-suppress-shortcuts": "true", "aria-label": name, onclick: act }, words);
const parsed = text => { // "5", or "5 × 7" for rows and columns; what is no such thing stays as it was typed
  const found = /^\s*(\d+)\s*(?:[×x*, ]\s*(\d+)\s*)?$/.exec(text);
  return found ? [+found[1], +(found[2] ?? found[1])] : text;
};

class Live {
  constructor(root) {
    const { kind, controls, photograph: address } = JSON.parse(root.dataset.panel);
    Object.assign(this, { root, address, kind: KINDS[kind], controls, inputs: {}, strips: {}, width: 0 });
    root.dataset.ready = "yes";
    root.setAttribute("role", "group");
    root.setAttribute("aria-label", `Panel: ${kind}`);
    this.build();
    new ResizeObserver(() => this.resize()).observe(root);
    this.resize();
    if (address) this.expose();
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

  get tall() { return this.kind.height?.(this.width) ?? this.kind.tall ?? TALL; }

  get values() { return Object.fromEntries(this.controls.map(c => [c.name, c.value])); }

  set(values) { // what was given, sense or not: the panel says what comes of it
    for (const c of this.controls) if (c.name in values) c.value = values[c.name];
    this.note = undefined;
    this.update();
    this.root.dispatchEvent(new CustomEvent("adapool", { detail: this.values }));
  }

  build() {
    const part = (name, tag = "div", more = {}) => this[name] = html(tag, { class: name, ...more });
    this.picture = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    this.picture.setAttribute("role", "img");
    const share = button("copy link", () => this.share(share)), lab = this.root.closest(".jp-OutputArea, .jp-OutputArea-output");
    const marks = this.kind.strip ? html("p", { class: "marks" }, legend(this.kind.strip, "mark")) : [];
    this.root.replaceChildren(...[html("div", { class: "controls" }, this.controls.map(c => this.control(c))), marks,
      part("stage"), this.kind === KINDS.film ? this.transport() : [], part("legend", "p"), part("about", "p"),
      part("verdict", "p", { role: "status" }), part("more"),
      part("code"), part("near", "p"), part("formula"), part("list", "div", { role: "listbox", "aria-label": "windows" }),
      html("p", { class: "actions" }, button("start again", () => this.set(this.opening)), lab ? [] : share)].flat());
    if (this.kind.tall !== 0) this.stage.append(this.picture);
    this.opening = this.values;
    for (const e of this.root.querySelectorAll("input")) e.dataset.lmSuppressShortcuts = "true"; // JupyterLab leaves it its keys
    for (const where of [this.picture, this.list]) {
      for (const [event, lights] of [["pointerover", 1], ["focusin", 1], ["pointerleave", 0], ["focusout", 0]])
        where.addEventListener(event, e => this.light(lights ? e.target.closest("[data-at]") : null));
    }
    this.list.addEventListener("keydown", e => this.walk(e));
  }

  transport() { // what plays a film while it is in sight, unless its reader asks for less motion
    this.at = 0;
    this.wanted = !matchMedia("(prefers-reduced-motion: reduce)").matches;
    const seek = to => { this.run(this.wanted = false); this.seek(to); };
    this.player = button("play", () => { this.wanted = !this.timer; this.run(this.wanted); });
    this.place = html("input", { type: "range", min: 0, "aria-label": "position", oninput: () => seek(+this.place.value) });
    new IntersectionObserver(([seen]) => this.run(this.wanted && seen.isIntersecting), { threshold: 0.6 }).observe(this.stage);
    return html("div", { class: "transport" }, button("‹", () => seek(this.at - 1), "one back"), this.player,
      button("›", () => seek(this.at + 1), "one on"), this.place);
  }

  run(on) {
    clearInterval(this.timer);
    this.timer = on ? setInterval(() => this.seek(this.at + 1), 650) : 0;
    this.player.textContent = this.player.ariaLabel = on ? "pause" : "play";
  }

  seek(to) {
    const { rows, columns } = this.shown.scene ?? {}, many = rows ? rows.taps.length * columns.taps.length : 1;
    this.at = (to + many) % many;
    this.draw();
  }

  control(c) {
    const label = html("span", {}, c.letter ? [html("b", {}, c.letter), " "] : [], c.name), set = v => this.set({ [c.name]: v });
    if (typeof c.value === "boolean") {
      const tick = html("input", { type: "checkbox", onchange: () => set(tick.checked) });
      this.inputs[c.name] = [tick];
      return html("label", { class: "flag" }, tick, label);
    }
    if (c.words.length) {
      const name = `${c.name}-${Math.random()}`; // of this panel alone
      const one = this.inputs[c.name] = c.words.map(word => html("input", { type: "radio", name, onchange: () => set(word) }));
      const labels = c.words.map((word, i) => html("label", {}, one[i], word));
      return html("fieldset", { class: "choice" }, html("legend", {}, c.name), labels);
    }
    if (Array.isArray(c.value)) {
      const text = html("input", { type: "text", inputmode: "numeric", "aria-label": c.name, oninput: () => set(parsed(text.value)) });
      const step = d => () => Array.isArray(c.value) && set(c.value.map(v => Math.min(Math.max(v + d, c.least), c.most)));
      text.addEventListener("keydown", e => ({ ArrowUp: step(1), ArrowDown: step(-1) })[e.key]?.());
      this.inputs[c.name] = [null, text];
      const less = button("−", step(-1), `less ${c.name}`), more = button("+", step(1), `more ${c.name}`);
      return html("div", { class: "pair" }, label, html("div", {}, less, text, more));
    }
    const slide = html("input", { type: "range", min: c.least, max: c.most, "aria-label": c.name, oninput: () => set(+slide.value) });
    const typed = html("input", { type: "number", min: c.least, max: MOST, "aria-label": `${c.name}, typed`,
      oninput: () => set(/^-?\d+$/.test(typed.value) ? +typed.value : typed.value) });
    const strip = html("div", { class: "strip", "aria-hidden": "true", style: `--steps: ${c.most - c.least || 1}`,
      onclick: e => e.target.dataset.v && set(+e.target.dataset.v) }, range(c.least, c.most + 1).map(v => html("i", { "data-v": v, title: v })));
    this.inputs[c.name] = [slide, typed];
    this.strips[c.name] = this.kind.strip ? [...strip.children] : [];
    return html("div", { class: "control" }, label, html("div", {}, slide, this.kind.strip ? strip : []), typed);
  }

  answer(values) {
    try { return this.kind.explain(values); }
    catch (error) {
      if (!(error instanceof RangeError)) throw error;
      return { formula: "", message: refused(error), alt: "", table: [], mark: "refused", near: [], list: [], legend: {},
        words: error instanceof TooMany ? "not shown" : "no such layer" };
    }
  }

  marked(values, name) {
    if (this.kind.mark && !Object.values(values).some(v => v < 1)) return this.kind.mark(values, name);
    const { mark, words } = this.answer(values);
    return [mark, words];
  }

  update() {
    const values = this.values;
    this.shown = this.answer(values);
    for (const c of this.controls) {
      if (c.words.length) {
        c.words.forEach((word, i) => { this.inputs[c.name][i].checked = word === c.value; });
        continue;
      }
      const [input, typed] = this.inputs[c.name], both = Array.isArray(c.value) ? c.value : [c.value];
      if (!typed) { input.checked = c.value; continue; }
      const whole = both.every(Number.isInteger), text = whole ? by([both[0], both.at(-1)]) : String(c.value);
      if (whole && input) input.value = c.value;
      if (document.activeElement !== typed || whole && String(parsed(typed.value)) !== String(parsed(text))) typed.value = text;
      typed.setAttribute("aria-invalid", !whole || both.some(v => v < c.least || v > Math.max(MOST, c.most)));
      if (!input) continue;
      for (const tick of this.strips[c.name]) {
        const v = +tick.dataset.v, [mark, words] = this.marked({ ...values, [c.name]: v }, c.name);
        tick.className = `mark ${mark}${v === c.value ? " here" : ""}`;
        if (v === c.value) input.setAttribute("aria-valuetext", `${v}: ${words}`);
      }
    }
    this.say(this.shown);
    this.draw();
  }

  say({ message, near, nearTitle, formula, list, mark, legend: names, code = [] }) {
    const [first, ...rest] = message.split("\n").filter(line => !/^The nearest exact|^\d+ cells? of [^:]*: K/.test(line));
    this.verdict.className = `verdict ${mark}`;
    this.verdict.textContent = first;
    this.more.replaceChildren(...rest.map(line => html("p", {}, line)));
    this.near.replaceChildren(...near.length ? [nearTitle] : [], ...near.map(([words, values], i) => button(words,
      () => { this.set(values); this.near.querySelectorAll("button")[i]?.focus(); })));
    this.code.replaceChildren(...code.map(([name, line]) => {
      const take = button("copy", () => copy(line, take), `copy the line for ${name}`);
      return html("p", {}, html("b", {}, name), html("code", {}, line), line.startsWith("none") ? [] : take);
    }));
    this.formula.replaceChildren(...formula.split("\n").map(line => html("code", { class: "line" }, line)));
    this.legend.replaceChildren(...legend(names));
    this.list.replaceChildren(...list.map((line, i) => html("span", { role: "option", tabindex: i ? -1 : 0, "data-at": i,
      "data-side": "row", "data-lm-suppress-shortcuts": "true" }, line)));
  }

  draw() {
    const { scene } = this.shown, { tall } = this, width = Math.max(this.width, 10 * (scene?.wide ?? 0));
    if (!tall) return;
    this.stage.classList.toggle("empty", !scene);
    this.picture.setAttribute("aria-label", this.shown.alt || this.verdict.textContent);
    if (!scene) this.picture.replaceChildren();
    else {
      for (const [k, v] of [["viewBox", `0 0 ${width} ${tall}`], ["width", width], ["height", tall]]) this.picture.setAttribute(k, v);
      if (scene.film) this.at = Math.min(this.at, scene.rows.taps.length * scene.columns.taps.length - 1);
      this.picture.innerHTML = scene.film ? boards(scene, width, this.at) : scene.chain ? chain(scene, width) : scene.taps ? stairs(settle(scene), width)
        : this.pixels ? portrait(scene, width, this.address, this.pixels) : "";
    }
    const occurs = kind => scene && (scene.kinds ? scene.kinds.includes(kind) : this.picture.querySelector(`.${kind}`));
    this.legend.replaceChildren(...legend(Object.fromEntries(Object.entries(this.shown.legend).filter(([k]) => occurs(k)))));
    scene?.film ? this.caption(scene) : this.light(null);
  }

  caption({ rows, columns, transposed }) { // what the lit window of a film reads or writes
    const w = columns.taps.length, at = [floor(this.at, w), this.at % w], taps = [rows, columns].map((x, a) => x.taps[at[a]]);
    const cells = [rows, columns].map((x, a) => taps[a].filter(i => i >= 0 && i < x.size));
    const [many, left] = [taps, cells].map(x => x[0].length * x[1].length);
    const named = (what, all) => `${what}${all.length > 1 ? "s" : ""} ${listed(all)}`;
    const where = left ? `${named("row", cells[0])} and ${named("column", cells[1])}` : "none of the cells";
    this.about.textContent = this.note ?? `${transposed ? "Input" : "Output"} (${at.join(", ")}) ${transposed ? "writes to" : "reads"} ` +
      `${where}${left < many ? transposed ? "; the rest is taken off" : ", and padding" : ""}.`;
    Object.assign(this.place, { max: rows.taps.length * w - 1, value: this.at, ariaValueText: `(${at.join(", ")})` });
  }

  light(part) { // what belongs together: a window, its cells above and below, its line in the list
    const { scene } = this.shown, { side, at } = part?.dataset ?? {}, cell = scene?.[side]?.[at];
    if (scene?.film) return part && !this.timer && +at !== this.at ? this.seek(+at) : undefined;
    this.root.classList.toggle("lit", Boolean(scene && side));
    if (!scene || !side) {
      this.about.textContent = this.note ?? (!scene ? "" : scene.chain ? "Point at a cell to see what it sees." : scene.reduction ? "Point at a block or a window." :
        "Point at a cell or a window, or go through the list with the arrow keys.");
      return;
    }
    if (scene.chain) {
      const level = side === "level" ? +part.dataset.level : +at + 1, { sizes } = scene.chain;
      const j = side === "level" ? +at : sizes[level] >> 1, seen = below(scene.chain, level, j), first = [...seen[0]];
      for (const e of this.picture.querySelectorAll("[data-at]"))
        e.classList.toggle("on", Boolean(seen[e.dataset.level]?.has(+e.dataset.at)));
      for (const e of this.list.children) e.classList.toggle("on", +e.dataset.at + 1 === level);
      this.about.textContent = level ? `Cell ${j} of layer ${level} sees ${counted(first.length, "input cell")}` +
        `${first.length ? `, from ${Math.min(...first)} to ${Math.max(...first)}` : ""}.` : `Input cell ${j}.`;
      return;
    }
    if (side === "block") {
      const w = scene.columns.length, i = floor(at, w), j = at % w;
      for (const e of this.picture.querySelectorAll("[data-at]")) e.classList.toggle("on", e.dataset.at === at);
      this.about.textContent = `Block (${i}, ${j}) is the ${scene.reduction} of rows [${scene.rows[i].join(", ")}) and columns ` +
        `[${scene.columns[j].join(", ")}).`;
      return;
    }
    const rows = cell ? cell.rows : [+at];
    for (const e of this.root.querySelectorAll("[data-at]")) {
      const { side: s, at: i } = e.dataset;
      e.classList.toggle("on", s === "row" ? rows.includes(+i) : s === side ? i === at : scene[s][i].rows.some(r => rows.includes(r)));
    }
    this.about.textContent = side === "row" || side === scene.unit ? scene.ofRow(rows[0]) : scene.ofCell(cell, rows);
  }

  walk(e) {
    const all = [...this.list.children];
    let here = all.indexOf(document.activeElement);
    const to = { ArrowRight: here + 1, ArrowDown: here + 1, ArrowLeft: here - 1, ArrowUp: here - 1, Home: 0, End: all.length - 1 }[e.key];
    if (here < 0 || to === undefined) return;
    e.preventDefault();
    all[here].tabIndex = -1;
    all[here = Math.min(Math.max(to, 0), all.length - 1)].tabIndex = 0;
    all[here].focus();
  }

  resize() { // as wide as there is room for, and as tall as the longest answer, so that nothing moves
    const width = Math.floor(Math.min(this.root.clientWidth - 34, 760));
    const parts = ["verdict", "more", "near", "formula", "list", "legend", "code"];
    if (width === this.width || width < 60) return;
    this.width = width;
    for (const part of parts) Object.assign(this[part], { hidden: false }).style.minHeight = "";
    this.stage.style.height = `${this.tall && this.tall + 6}px`;
    const tall = (this.longest ??= this.wordy()).map(answer => { this.say(answer); return parts.map(part => Math.ceil(this[part].getBoundingClientRect().height)); });
    parts.forEach((part, i) => {
      const most = Math.max(...tall.map(t => t[i]));
      Object.assign(this[part], { hidden: !most && part !== "more" }).style.minHeight = `${most}px`;
    });
    this.stage.hidden = this.about.hidden = !this.tall;
    this.update();
  }

  wordy() { // the answers that take the most room: of all settings, or of the ends and middles of many sliders
    const all = this.controls.map(({ value, least, most, words }) => typeof value === "boolean" ? [false, true]
      : words.length ? [value] : Array.isArray(value) ? this.kind.tall ? [[least, least], value, [most, most - 1]]
      : [value, [value[0] + 1, value[1]]] : range(least, most + 1)), few = all.reduce((n, values) => n * values.length, 1) < 1000;
    const tried = all.map(values => few ? values : values.filter((v, i) => [0, values.length >> 1, values.length - 1].includes(i)))
      .reduce((found, values) => found.flatMap(f => values.map(v => [...f, v])), [[]]);
    const answers = tried.map(t => this.answer(Object.fromEntries(this.controls.map((c, i) => [c.name, t[i]]))));
    for (const c of this.controls.filter(c => c.most)) for (const v of ["", 64, 100, 1000, MOST, 1e9])
      answers.push(this.answer({ ...this.values, [c.name]: Array.isArray(c.value) && v ? [v, v] : v }));
    answers.push(this.answer(Object.fromEntries(this.controls.map(c => [c.name, c.most > 1 ? DRAWN : c.value]))));
    const first = a => a.message.split("\n")[0].length, room = [first, a => a.message.length - first(a), a => a.near.length,
      a => a.formula.length, a => a.list.join().length, a => Object.values(a.legend).join().length,
      a => (a.code ?? []).join().length];
    const refusals = answers.filter(a => a.mark === "refused");
    return [answers, refusals].flatMap(all => room.flatMap(f => all.sort((a, b) => f(b) - f(a)).slice(0, 3)));
  }

  // ---- Links that carry settings: #n=10&m=7, and #panel=2&n=10 where it is not the first that has them ----
  share(pressed) {
    const query = this.controls.map(c => `${c.letter || c.name}=${Array.isArray(c.value) ? c.value.join("x") : c.value}`).join("&");
    const all = panels(), place = all.indexOf(this), first = all.findIndex(p => p.knows(query)) === place;
    const hash = `#${first ? "" : `panel=${place + 1}&`}${query}`;
    history.replaceState(null, "", hash);
    copy(location.href.split("#")[0] + hash, pressed);
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
      const text = asked.get(c.letter || c.name), numbers = parsed(text ?? "");
      const sense = Array.isArray(numbers) && numbers.every(v => v >= c.least && v <= Math.max(MOST, c.most)) ? numbers : undefined;
      const value = c.words.length ? c.words.find(word => word === text) : typeof c.value !== "boolean"
        ? Array.isArray(c.value) ? sense : sense?.[0] : { true: true, false: false }[text];
      if (text !== null) value === undefined ? wrong.push(`${c.letter || c.name} = ${text.slice(0, 20)}`) : c.value = value;
    }
    this.set({});
    this.note = wrong.length ? `The link asks for ${wrong.join(", ")}, which makes no sense here and is left out.` : undefined;
    this.light(null);
    this.root.scrollIntoView({ block: "nearest", behavior: "instant" });
    return true;
  }
}

async function copy(text, pressed) {
  const words = pressed.textContent, area = html("textarea", { style: "position: fixed; opacity: 0" }, text);
  try { await navigator.clipboard.writeText(text); } catch { // where a page may not use the clipboard
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
    pressed.focus();
  }
  pressed.textContent = "copied";
  setTimeout(() => { pressed.textContent = words; }, 1500);
}

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

export { KINDS, refused };
