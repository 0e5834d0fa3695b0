// The words of the panels: what adapool.explore says in Python, letter for letter. Each kind of panel has a function
// that explains its values: `formula` and `message` (lines), `scene` (a picture of live.pictures.js) or why it is too
// `large`, `alt` (the picture in words), `code` (lines to copy), `near` (lines with buttons that set values), `lists`
// (of windows), `mark` and `words` (for the strip below a slider).

// ---- Numbers and words ----
const MOST = 1024, DRAWN = 64, FILMED = 24, WIDE = 8192; // the most cells: of a panel, drawn, filmed, calculated with
const floor = (a, b) => Math.floor(a / b), ceil = (a, b) => Math.ceil(a / b), gcd = (a, b) => b ? gcd(b, a % b) : a;
const range = (start, stop) => Array.from({ length: Math.max(stop - start, 0) }, (_, i) => start + i);
const count = (all, test) => all.filter(test).length, once = all => [...new Set(all)];
const lines = (...parts) => parts.filter(Boolean).join("\n"), up = text => text[0].toUpperCase() + text.slice(1);
const named = (what, all) => `${what}${all.length === 1 ? "" : "s"} ${listed(all)}`;
const counted = (n, what = "cell") => `${n || "no"} ${what}${n === 1 ? "" : "s"}`;
const listed = (all, most = 12) => (all.length > most ? [...all.slice(0, most - 1), "…"] : all).join(", ");
const or = values => values.join(" or "), interval = ([start, stop]) => `[${start}, ${stop})`;
const alike = ([a, b]) => String(a) === String(b); // rows and columns
const by = pair => alike(pair) ? `${pair[0]}` : pair.join(" × ");
const tuple = pair => alike(pair) ? `${pair[0]}` : `(${pair.join(", ")})`;

const refuse = why => { throw new RangeError(`There is no such layer: ${why}.`); };
const tooMany = what => {
  throw new RangeError(`This panel ${what}. Such a layer may well exist, but it is not shown here.`);
};
const tooLarge = (columns, rows) => Math.max(columns, rows) > DRAWN && `Too large to draw: ${columns} × ${rows} cells.`;

function bounded(params, most = MOST) { // whole numbers from 1 on, padding from 0 on, or words like Python's
  const all = Object.entries(params), least = name => name.endsWith("padding") ? 0 : 1;
  for (const [name, v] of all) {
    if (!Number.isInteger(v)) refuse(`${name} must be an integer, got ${v === "" ? "nothing" : `'${v}'`}`);
    if (v > most) tooMany(`takes ${name} up to ${most}, got ${v}`);
  }
  for (const [name, v] of all) if (v < least(name)) refuse(`${name} must be >= ${least(name)}, got ${v}`);
}

const readsInWords = taps => `${taps.slice(0, 8).map((row, j) => `output ${j}: ${listed(row, 8)}`).join("; ")}` +
  `${taps.length > 8 ? "; and so on" : ""}.`;

// ---- Adaptive pools ----
const windows = (n, m) => range(0, m).map(i => [floor(i * n, m), ceil((i + 1) * n, m)]);
const sizesOf = (n, m) => or(once(windows(n, m).map(([a, b]) => b - a)).sort((a, b) => a - b));

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

const exactness = (n, m) => fixed(n, m) ? { mark: "good", words: "exact" }
  : blocked(n, m) ? { mark: "fair", words: "exact after a reshape" } : { mark: "poor", words: "no ordinary pool" };

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

const inLetters = (K, S, P) => `K = ${K}, S = ${S}${P ? `, P = ${P}` : ""}`;

function adaptiveFormula(n, m) {
  const start = `${n} → ${m}: windows of ${sizesOf(n, m)}`, [blocks, K, S, P] = blocked(n, m) ?? [];
  if (!blocks) return `${start}, no ordinary pool`;
  return `${start}, exactly a pool ${inLetters(K, S, P)}${blocks > 1 ? ` in ${blocks} blocks` : ""}`;
}

function poolLine(n, m) { // in PyTorch
  const [K, S, P] = fixed(n, m) ?? [];
  if (!K) return `nn.AdaptiveAvgPool1d(${m})`;
  return `nn.AvgPool1d(kernel_size=${K}, stride=${S}${P ? `, padding=${P}, count_include_pad=False` : ""})`;
}

function nearExact(n, m) { // buttons for the next sizes on both sides that one pool has without a reshape
  const beside = (size, sizes) => [sizes.filter(v => v < size).at(-1), sizes.find(v => v > size)].filter(Boolean);
  const inputs = beside(n, range(1, n + m + 2).filter(k => fixed(k, m)));
  const outputs = beside(m, range(1, n + 2).filter(k => fixed(n, k)));
  return [...inputs.map(v => [`n = ${v}`, { input_size: v }]), ...outputs.map(v => [`m = ${v}`, { output_size: v }])];
}

function adaptive({ input_size: n, output_size: m }) {
  bounded({ input_size: n, output_size: m });
  const spans = windows(n, m), readers = windows(m, n), large = tooLarge(n, m);
  const taps = spans.map(([a, b]) => range(a, b));
  const entries = (side, all) => all.map((w, i) => [side, i, `${i}: ${interval(w)}`]);
  return {
    formula: lines(`window i = [⌊i·n/m⌋, ⌈(i + 1)·n/m⌉) = [⌊i·${n}/${m}⌋, ⌈(i + 1)·${n}/${m}⌉)`, adaptiveFormula(n, m),
      `cell j is read by the outputs [⌊j·m/n⌋, ⌈(j + 1)·m/n⌉) = [⌊j·${m}/${n}⌋, ⌈(j + 1)·${m}/${n}⌉)`),
    message: `${up(whyExact(n, m))}.`, large, code: [["PyTorch", poolLine(n, m)]],
    near: [["Nearest exact, by one pool without a reshape", nearExact(n, m)]], ...exactness(n, m),
    alt: `${counted(n, "input cell")} with ${counted(m, "window")} as bars below, and two rulers of ${n} and ${m} ` +
      `cells that are equally long. ${readsInWords(taps)}`,
    lists: large ? [] : [["windows: output i reads", entries("row", spans)],
      ["gradient: input cell j is read by", entries("cell", readers)]],
    scene: !large && stairs({
      taps, left: 0, wide: n, guides: range(0, m + 1).map(i => i * n / m),
      cells: readers.map(([a, b], x) => ({ x, label: x, kind: b - a > 1 ? "shared" : "input" })),
      units: range(0, m).map(i => ({ x: i * n / m, w: n / m, label: i, kind: "output" })),
      ofRow: i => `Window ${i} = [⌊${i * n}/${m}⌋, ⌈${(i + 1) * n}/${m}⌉) = ${interval(spans[i])}: ` +
        `${counted(taps[i].length)}.`,
    }),
  };
}

// ---- Convolutions, pools and transposed convolutions along one axis ----
function outputs({ n, K, S, P, D, ceil_mode }) {
  const steps = n + 2 * P - D * (K - 1) - 1, out = (ceil_mode ? ceil : floor)(steps, S) + 1;
  return ceil_mode && (out - 1) * S >= n + P ? out - 1 : out;
}

function sized(values, most = MOST) { // a layer in letters, with its output; or why there is none, as Python says it
  const { input_size: n, kernel_size: K, stride: S, padding: P, dilation: D, ceil_mode, transposed } = values;
  const { output_padding: more = 0 } = values, span = D * (K - 1) + 1, axis = { n, K, S, P, D, ceil_mode };
  bounded({ input_size: n, kernel_size: K, stride: S, padding: P, dilation: D, output_padding: more }, most);
  const out = transposed ? (n - 1) * S - 2 * P + span + more : outputs(axis);
  if (transposed && ceil_mode)
    refuse("ceil_mode belongs to pooling layers: a transposed convolution has nothing to round");
  if (!transposed && more) refuse(`output_padding belongs to transposed convolutions, got ${more}`);
  if (transposed && more >= Math.max(S, D)) refuse("output_padding must be smaller than stride or dilation, " +
    `got ${more} for stride ${S} and dilation ${D}`);
  if (transposed && out < 1) refuse(`padding ${P} removes everything: the formula would give ${out} cells`);
  if (ceil_mode && 2 * P > K)
    refuse(`padding must be at most half of kernel_size, got padding ${P} for kernel_size ${K}`);
  if (out < 1) refuse(`kernel_size must not be larger than the padded input: kernel_size ${K} spans ${span} cells, ` +
    `got input_size ${n} with padding ${P}, only ${n + 2 * P} cells; the formula would give ${out}, and torch ` +
    "refuses it too");
  return { ...axis, more, transposed, out, span };
}

function withTaps(axis, taps, size, before = 0, after = 0) { // and what its windows touch, how many each cell
  const times = Array(size).fill(0);
  for (const i of taps.flat()) if (i in times) times[i] += 1;
  return { ...axis, taps, times, before, beyond: Math.max(after, taps.at(-1).at(-1) + 1 - size) };
}

function sliding(values, most) { // the windows of a layer
  const axis = sized(values, most), { n, K, S, P, D, out, transposed } = axis, rows = transposed ? n : out;
  if (rows * K > 40000) tooMany(`lists up to 40000 cells of windows, got ${rows * K}`);
  const taps = range(0, rows).map(j => range(0, K).map(t => j * S - P + t * D));
  return transposed ? withTaps(axis, taps, out, P) : withTaps(axis, taps, n, P, P);
}

function layerFormula({ n, K, S, P, D, more, out, span, ceil_mode, transposed }) {
  if (transposed) return "(n − 1)·S − 2·P + D·(K − 1) + 1\n" +
    `= (${n} − 1)·${S} − 2·${P} + ${D}·(${K} − 1) + 1${more ? ` + ${more}` : ""} = ${out}`;
  const steps = D === 1 ? `${n} + 2·${P} − ${K}` : `${n} + 2·${P} − ${D}·(${K} − 1) − 1`;
  const [a, b] = ceil_mode ? "⌈⌉" : "⌊⌋", dropped = ceil_mode && (out - 1) * S < n + 2 * P - span ? " − 1" : "";
  return `${a}(n + 2·P − D·(K − 1) − 1)/S${b} + 1\n= ` +
    (S === 1 ? `${steps} + 1 = ${out}` : `${a}(${steps})/${S}${b} + 1${dropped} = ${out}`);
}

function theCells(cells, n, what) { // of n cells, in words
  if (!cells.length || cells[0] < n - cells.length) return cells.length ? named(what, cells) : "";
  return cells.length === 1 ? `the last ${what}` : `the last ${counted(cells.length, what)}`;
}

const unreadInWords = words => words ? `No window reads ${words}.` : "Every input cell is read.";

function samePair({ n, K, S, D }) { // what SAME pads before and after
  const total = Math.max((ceil(n, S) - 1) * S + D * (K - 1) + 1 - n, 0);
  return [floor(total, 2), total - floor(total, 2)];
}

function ofSame(axis) {
  const [before, after] = samePair(axis), words = `SAME (⌈n/S⌉ = ${ceil(axis.n, axis.S)} cells)`;
  if (before === after) return `${words} needs P = ${before}${before === axis.P ? ", as it is here" : ""}.`;
  return `${words} needs ${before} padded before the input and ${after} after it, which no P gives: ` +
    `torch.nn.functional.pad(x, (${before}, ${after})) does, with P = 0.`;
}

function ofPool({ n, K, S, P, out, span, ceil_mode }) {
  if (!ceil_mode)
    return 2 * P > K && `A pooling layer refuses P = ${P}, more than half its kernel; a convolution takes it.`;
  const over = (out - 1) * S + span - n - 2 * P;
  if (over > 0) return `ceil_mode adds a window, which hangs over the padded end by ${counted(over)}.`;
  if (over < 0) return "ceil_mode adds nothing: one more window would start beyond the input and the padding before " +
    "it, and such a window is dropped (the − 1).";
  return "ceil_mode adds nothing: the last window ends where the padded input does.";
}

function ofTransposed(axis) {
  const { n, S, D, out, span, taps, times } = axis, idle = count(taps, row => row.every(i => !(i in times)));
  const half = Math.max(ceil(span - S, 2), 0), odd = 2 * half + S - span; // what SAME needs
  return lines(`More than one input cell reaches ${count(times, t => t > 1)} of ${counted(out, "output cell")}, ` +
      `none reaches ${count(times, t => !t)}.`,
    idle && `${counted(idle, "input cell")} ${idle === 1 ? "writes" : "write"} only to cells that the padding takes ` +
      "away.",
    `A convolution with the same K, S, P, D takes ${out} cells back to ${outputs({ ...axis, n: out })}.`,
    `n·S = ${n * S} cells (SAME) ${odd >= Math.max(S, D) ? "come with no P, as the kernel is even"
      : `need P = ${half}${odd ? ` and output_padding = ${odd}` : ""}`}.`);
}

// What a window does, along one axis or two.
const doing = (transposed, unit, cells, some, whole) => `${transposed ? "Input" : "Output"} ${unit} ` +
  `${transposed ? "writes to" : "reads"} ${some ? cells : "none of the cells"}` +
  `${whole ? "" : transposed ? "; the rest is taken off" : ", and padding"}.`;

function layer(values) {
  const axis = sliding(values), { n, K, P, out, span, taps, times, before, beyond, transposed } = axis;
  const wide = before + times.length + beyond, large = tooLarge(transposed ? 2 * P + out : wide, taps.length);
  const unread = range(0, n).filter(i => !times[i]), good = times.every(Boolean);
  const kinds = transposed ? ["unread", "output", "shared"] : ["unread", "input", "input"];
  return {
    formula: layerFormula(axis),
    message: transposed ? ofTransposed(axis)
      : lines(unreadInWords(theCells(unread, n, "cell")), ofSame(axis), ofPool(axis),
        P > span - 1 && "Some output cells read nothing but padding."), large,
    alt: transposed
      ? `${counted(out, "output cell")} over ${counted(n, "row")}, one for each input cell, with the cells that it ` +
        "writes to."
      : `${counted(n, "input cell")} over ${counted(out, "row")}, one for each output cell, with the cells that its ` +
        `window reads: ${readsInWords(taps)}`,
    mark: good ? "good" : "poor",
    words: `${out} out${good ? "" : transposed ? ", some without input" : ", some unread"}`,
    lists: large ? [] : [[`windows: ${transposed ? "input i writes to" : "output i reads"}`,
      taps.map(([a], i) => ["row", i, `${i}: ${interval([a, a + span])}`])]],
    scene: !large && stairs({
      taps, transposed, wide, left: -before,
      cells: range(-before, wide - before).map(x => x in times
        ? { x, label: x, kind: kinds[Math.min(times[x], 2)] } : { x, kind: "padding" }),
      units: taps.map(([a], i) => ({ x: a + (span - 1) / 2, label: i, kind: transposed ? "input" : "output" })),
      ofRow: i => {
        const inside = taps[i].filter(x => x in times), what = transposed ? "output cell" : "input cell";
        return doing(transposed, i, named(what, inside), inside.length, inside.length === K);
      },
    }),
  };
}

// ---- Films: in two dimensions, one output cell after the other, or one input cell where they write ----
const along = (values, a) => // the values of one axis
  Object.fromEntries(Object.entries(values).map(([name, v]) => [name, Array.isArray(v) ? v[a] : v]));
const aWindow = (high, wide, what) => `a window ${high} ${what}${high === "1" ? "" : "s"} high and ${wide} wide`;

function filmAxis(values) {
  const { input_size: n, output_size: out } = values;
  if (out === undefined) return sliding(values, FILMED);
  bounded({ input_size: n, output_size: out }, FILMED);
  return withTaps({ n, out }, windows(n, out).map(([a, b]) => range(a, b)), n);
}

function film(values) {
  const axes = [0, 1].map(a => filmAxis(along(values, a))), { transposed, ceil_mode, output_size: pooled } = values;
  const of = pick => axes.map(pick).join(" × "), out = of(x => x.out), inn = of(x => x.n);
  const cells = of(x => x.taps[0].length), total = axes[0].times.length * axes[1].times.length;
  const both = test => axes.reduce((product, x) => product * count(x.times, test), 1);
  const read = both(t => t > 0), several = read - both(t => t === 1);
  const letters = { n: "input_size", K: "kernel_size", S: "stride", P: "padding", D: "dilation",
    ceil_mode: "ceil_mode", output_padding: "output_padding" };
  const shown = Object.entries(letters).map(([k, name]) => [k, by([values[name] ?? 0].flat())])
    .filter(([k, v]) => v !== { P: "0", D: "1", ceil_mode: "false", output_padding: "0" }[k]);
  return {
    formula: `${pooled ? inn : shown.map(([k, v]) => v === "true" ? k : `${k} = ${v}`).join(", ")}` +
      `${transposed ? ", transposed" : ""} → ${out}`,
    message: pooled ? `Each of the ${out} output cells reads ${aWindow(...axes.map(x => sizesOf(x.n, x.out)), "cell")}.`
      : transposed ? `Each of the ${inn} input cells writes to ${cells} cells. More than one reaches ${several} of ` +
        `${total} output cells, none reaches ${total - read}.`
      : `Each of the ${out} output cells reads ${cells} cells` +
        `${read < total ? `; ${total - read} of ${total} input cells are read by none` : ""}.`,
    alt: `A board of ${inn} input cells${transposed ? ", one of them lit," : " with a window lit,"} and a board of ` +
      `${out} output cells with ${transposed ? "those lit that it writes to" : "the one lit that reads it"}.`,
    mark: "plain", words: `${out} out`,
    scene: boards(axes, transposed, ["window", "input", "output", axes.some(x => x.before + x.beyond) && "padding",
      transposed ? several && "shared" : read < total && "unread"]),
  };
}

// ---- The calculator of sizes ----
function unread({ n, K, S, P, D, out }) { // the cells that none of the windows reads
  const read = new Uint8Array(n);
  let left = n;
  for (let t = 0; t < K && left; t++) {
    const start = t * D - P, skipped = Math.max(-floor(start, S), 0);
    for (let x = start + skipped * S; x < Math.min(n, start + out * S); x += S) {
      left -= 1 - read[x];
      read[x] = 1;
    }
  }
  return range(0, n).filter(i => !read[i]);
}

function findConv(n, m) { // [K, S, P] of the convolutions that make m cells of n, the fewest unread cells first
  const left = (K, S, P) => n - (m - 1) * Math.min(S, K) - K + P + Math.max((m - 1) * S + K - P - n, 0);
  const found = range(1, 12).flatMap(K => range(0, floor(K - 1, 2) + 1).flatMap(P => {
    const T = n + 2 * P - K, high = m > 1 ? floor(T, m - 1) : 64;
    return T < 0 ? [] : range(floor(T, m) + 1, Math.min(high, 64) + 1).map(S => [left(K, S, P), K, P, S]);
  }));
  const order = (a, b) => a.map((v, i) => v - b[i]).find(Boolean);
  return found.sort(order).map(([, K, P, S]) => [K, S, P]);
}

function call(name, first, more) { // as it is typed, without what has its default
  const defaults = { stride: "1", strides: "1", padding: "0", dilation: "1", dilation_rate: "1", output_padding: "0" };
  const given = Object.entries(more).filter(([k, v]) => v !== defaults[k]).map(([k, v]) => `${k}=${v}`);
  return `${name}(${[...first, ...given].join(", ")})`;
}

function torchLine({ K, S, P, D, more }, { ceil_mode, transposed }) {
  if (transposed) return call("nn.ConvTranspose2d", ["c_in", "c_out", K],
    { stride: S, padding: P, output_padding: more, dilation: D });
  if (!ceil_mode) return call("nn.Conv2d", ["c_in", "c_out", K], { stride: S, padding: P, dilation: D });
  return call("nn.MaxPool2d", S === "1" ? [K, S] : [K], { stride: S, padding: P, dilation: D, ceil_mode: "True" });
}

function sameLine({ K, S, D }, pads) { // a convolution with the padding of SAME
  const conv = (padding, first = []) =>
    call("nn.Conv2d", ["c_in", "c_out", K, ...first], { stride: S, padding, dilation: D });
  if (S === "1" || pads.every(alike)) return conv(S === "1" ? '"same"' : tuple(pads.map(([p]) => p)));
  return `nn.Sequential(nn.ZeroPad2d((${[...pads[1], ...pads[0]].join(", ")})), ${conv("0", ["padding=0"])})`;
}

function kerasLine({ K, S, P, D, more }, axes, isSame, { ceil_mode, transposed }) {
  if (ceil_mode) return "none: Keras has no ceil_mode";
  if (axes.some(x => x.S > 1) && axes.some(x => x.D > 1)) return "none: Keras takes a stride or a dilation, not both";
  const conv = more =>
    call(`Conv2D${transposed ? "Transpose" : ""}`, ["c_out", K], { strides: S, dilation_rate: D, ...more });
  if (!transposed) return isSame && P !== "0" ? conv({ padding: '"same"' }) : P === "0" ? conv()
    : `Sequential([ZeroPadding2D(${P}), ${conv()}])`;
  const cut = axes.map(x => [x.P, x.P + Math.max(x.S - x.span, 0) - x.more]), longer = cut.flat().some(v => v < 0);
  if (longer && axes.some(x => x.more >= x.S)) return "none: Keras takes an output_padding below its stride only";
  const made = conv(longer ? { output_padding: more } : {}), off = longer ? axes.map(x => [x.P, x.P]) : cut;
  const sides = off.every(alike) ? P : `(${off.map(cut => `(${cut.join(", ")})`).join(", ")})`;
  return off.flat().some(Boolean) ? `Sequential([${made}, Cropping2D(${sides})])` : made;
}

function ofAxis({ n, K, S, D, out, more, transposed }, m) { // SAME of both kinds, and output_padding for m cells
  if (!transposed) {
    const half = floor(D * (K - 1), 2), [before, after] = samePair({ n, K, S, D });
    const made = Math.max(outputs({ n, K, S, P: half, D }), 0);
    const torchs = S === 1 && made < n
      ? `padding="same" pads ${half} before the input and ${half + 1} after it; P = ${half} makes ${made}`
      : `P = ⌊D·(K − 1)/2⌋ = ${half} on both sides, ${counted(made)}` +
        (S > 1 ? '; with a stride, padding="same" is refused' : "");
    return [`SAME in PyTorch: ${torchs}.`,
    `SAME in TensorFlow and Keras: ⌈n/S⌉ = ${counted(ceil(n, S))}, with ${before} padded before the input and ` +
      `${after} after it.`];
  }
  const same = `SAME in Keras and JAX: n·S = ${n * S} cells.`, least = out - more, most = least + Math.max(S, D) - 1;
  if (m === out) return [same];
  if (m >= least && m <= most) return [same, `output_padding=${m - least} makes it ${counted(m)}.`];
  return [same, `No output_padding makes it ${counted(m)}: with these K, S, P, D there are ` +
    `${or(once([Math.max(least, 1), most]))}${most > least + 1 ? " and what lies between" : ""}.`];
}

function wayBack(axes, wanted, values) { // lines that end with buttons: convolutions that make the wanted size
  const both = alike(wanted) && axes[0].n === axes[1].n, none = "no convolution; a transposed one, more padding than " +
    "SAME, or a stride above 64";
  const filled = (way, a) => Object.fromEntries(["kernel_size", "stride", "padding", "dilation"].map((name, i) =>
    [name, both ? [way[i], way[i]] : values[name].with(a, way[i])]));
  return axes.slice(0, both ? 1 : 2).map(({ n }, a) => [`${counted(wanted[a])} of ${n}`, findConv(n, wanted[a])
    .slice(0, both ? 5 : 3).map(way => [inLetters(...way), filled([...way, 1], a)]), none]);
}

function sizes(values) {
  const axes = [0, 1].map(a => sized(along(values, a), WIDE)), { ceil_mode, transposed } = values;
  const wanted = [values.output_size].flat(), of = pick => by(axes.map(pick));
  for (const m of wanted) bounded({ output_size: m }, WIDE);
  const typed = Object.fromEntries(["K", "S", "P", "D", "more"].map(k => [k, tuple(axes.map(x => x[k]))]));
  const pads = axes.map(samePair), isSame = axes.every((x, a) => pads[a].every(v => v === x.P));
  const said = axes.map((x, a) => ofAxis(x, wanted[a]));
  const each = alike(said) ? said[0]
    : ["Rows", "Columns"].flatMap((name, a) => said[a].map(line => `${name}: ${line}`));
  const left = axes.map((x, a) => theCells(unread(x), x.n, ["row", "column"][a])).filter(Boolean).join(" and ");
  return {
    formula: lines(...once(axes.map(x => layerFormula(x).split("\n= ")[1]))),
    message: lines(`${of(x => x.n)} → ${of(x => x.out)}`, !transposed && unreadInWords(left), ...each),
    code: [["PyTorch", torchLine(typed, values)], ["Keras", kerasLine(typed, axes, isSame, values)],
      ...ceil_mode || transposed || isSame ? [] : [["SAME", sameLine(typed, pads)]]],
    near: transposed ? [] : wayBack(axes, wanted, values), mark: "sizes",
  };
}

// ---- A chain of equal layers: what a cell sees ----
function field({ layers, ...values }) {
  const { input_size: n, kernel_size: K, stride: S, padding: P, dilation: D } = values;
  const sizes = [n], fields = [1], jumps = [1], steps = [];
  bounded(values);
  bounded({ layers }, 6);
  for (const i of range(0, layers)) {
    sizes.push(sized({ ...values, input_size: sizes[i] }).out);
    steps.push(D * (K - 1) * jumps[i]);
    fields.push(fields[i] + steps[i]);
    jumps.push(jumps[i] * S);
  }
  const sees = fields[layers], step = jumps[layers], large = tooLarge(n, layers);
  return {
    formula: `1 + D·(K − 1)·(1 + S + S² + …)\n= 1 + ${steps.join(" + ")} = ${sees}`,
    message: lines(`After ${counted(layers, "layer")} an output cell sees ${counted(sees, "input cell")}; its ` +
      `neighbour sees as many, ${counted(step)} further on.`,
    sees >= n ? `That is ${sees === n ? "all" : "more than all"} of the input.`
      : P && sees > step && "At the ends it reaches into the padding."), large,
    alt: `${counted(layers + 1, "row")} of cells, one below the other: ${sizes.join(", ")} cells.`,
    mark: "plain", words: `sees ${counted(sees)}`,
    lists: [["layers", fields.slice(1).map((f, i) => ["layer", i + 1, `${i + 1}: sees ${f}`])]],
    scene: !large && chain(sizes, jumps, K, S, P, D),
  };
}

// ---- A photograph under an adaptive pool ----
const PHOTO = [300, 256], GRID = 16; // its pixels, down and across; windows that can be told apart

function photograph({ rows, columns, reduction }) {
  bounded({ rows, columns }, GRID);
  const axes = [["rows", PHOTO[0], rows], ["columns", PHOTO[1], columns]], each = f => axes.map(f);
  return {
    formula: lines(...each(([name, n, m]) => `${`${name}:`.padEnd(9)}${adaptiveFormula(n, m)}`)),
    message: lines(`Each of the ${rows} × ${columns} blocks is the ${reduction} of ` +
      `${aWindow(...each(([, n, m]) => sizesOf(n, m)), "pixel")}, for each colour by itself.`,
    ...each(([name, n, m]) => `${up(name)}: ${whyExact(n, m)}.`)),
    alt: `A portrait under a grid of ${rows} rows and ${columns} columns of windows, and beside it the ` +
      `${rows} × ${columns} coloured blocks that their ${reduction} gives.`,
    mark: "plain", marks: Object.fromEntries(each(([name, n, m]) => [name, exactness(n, m)])),
    scene: portrait(windows(PHOTO[0], rows), windows(PHOTO[1], columns), reduction),
  };
}
