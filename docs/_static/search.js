// The search: which section answers a question, an error message pasted whole, or the name of a layer or a network.
// SECTIONS, from tools/sections.py: `[page, its title, anchor, heading, words of docs/searched.toml, lines of text]`.
(() => {
  "use strict";
  const MOST = 20;            // results that are shown
  const LINE = 240;           // characters of what is said of one
  const PLACES = [[/^(learn|index)/, 1.3], [/^use/, 1.2], [/^api/, 0.9], [/^inside/, 0.5], [/./, 0.3]];
  const STOP = new Set(`a about all also an and any are as at be but by can cannot could did do does doing for from get
    gets give gives got had has have how i if in into is it its like make me must my no not of on
    one or please should so some than that the their then there these they this to use using want
    was we what when where which why will with without would you your`.split(/\s+/));

  // "windows", "window" and "windowed" are one word; so are "dilated" and "dilation".
  function stem(word) {
    if (/\d/.test(word) || word.length < 4) return word;
    const one = word.replace(/([^s])s$/, "$1");
    return one.replace(/(?<=...)(?:ing|ion|ed|e)$/, "").replace(/(.)\1$/, "$1");
  }
  // The words of a text; of `adaptive_avg_pool2d` and `AvgPool2d` the parts too, of ResNet-50 and U-Net the whole.
  const WORD = /[\p{L}\p{N}_]+(?:-[\p{L}\p{N}]+)*/gu;
  function* words(text) {
    for (const [found] of text.replace(/(\d)[,\u202f](?=\d{3}\b)/g, "$1").matchAll(WORD)) {
      const parts = found.split("-");
      if (parts.length > 1) yield parts.join("").toLowerCase();
      for (const part of parts) {
        yield stem(part.toLowerCase());
        const pieces = part.match(/\p{Lu}?[\p{Ll}]+\d?d?|\p{Lu}+(?!\p{Ll})|\d+/gu) || [];
        if (pieces.length > 1) for (const piece of pieces) if (piece.length > 2) yield stem(piece.toLowerCase());
      }
    }
  }
  const told = (text) => [...words(text)].filter((word) => !STOP.has(word));

  const places = SECTIONS.map(([page, title, anchor, heading, asked, lines]) => {
    const counts = new Map(), text = told(lines.join("\n"));
    const add = (found, worth) => {
      for (const word of new Set(found)) counts.set(word, (counts.get(word) || 0) + worth);
    };
    const times = new Map();
    for (const word of text) times.set(word, (times.get(word) || 0) + 1);
    const long = 1 / (1 + text.length / 1500);
    const often = (n) => 0.7 + 0.3 * Math.min(4, Math.log2(n + 1));
    for (const [word, n] of times) counts.set(word, often(n) * (0.6 + 0.4 * long));
    add(told(title), 0.5), add(told(heading), 1.5), add(asked.flatMap(told), 1.5);
    const prior = PLACES.find(([where]) => where.test(page))[1];
    return {page, title, anchor, heading, lines, counts, prior, asked: asked.map(told), run: ` ${text.join(" ")} `};
  });
  const known = new Map();
  for (const {counts} of places) for (const word of counts.keys()) known.set(word, (known.get(word) || 0) + 1);
  const rare = (word) => Math.log(1 + places.length / known.get(word)) * (/^\d+$/.test(word) ? 0.4 : 1);

  // What is asked for: each word as it is known here, or all known words that begin with it; and what nobody knows.
  function read(query) {
    const asked = new Map(), unknown = [];
    for (const [found] of query.matchAll(WORD)) {
      if (STOP.has(found.toLowerCase()) || /^\d$/.test(found)) continue;
      let parts = told(found).filter((word) => known.has(word));
      if (!parts.length && found.length > 3) {
        const start = stem(found.toLowerCase());
        parts = [...known.keys()].filter((word) => word.startsWith(start)).slice(0, 8);
      }
      if (!parts.length) parts = told((found.match(/\p{L}{3,}/gu) || []).join(" ")).filter((word) => known.has(word));
      if (!parts.length) unknown.push(found);
      for (const part of parts) asked.set(part, Math.max(asked.get(part) || 0, rare(part) / Math.sqrt(parts.length)));
    }
    return [asked, unknown];
  }

  // How much of what is asked for stands side by side in a text, in that order.
  function together(run, asked, order) {
    let sum = 0;
    for (let i = 1; i < order.length; i++)
      if (run.includes(` ${order[i - 1]} ${order[i]} `)) sum += asked.get(order[i - 1]) + asked.get(order[i]);
    return sum;
  }
  function score(place, asked, order) {
    let sum = 0, met = 0, all = 0;
    for (const [word, worth] of asked) {
      all += worth;
      if (place.counts.has(word)) { sum += worth * place.counts.get(word); met += worth; }
    }
    if (met < 0.3 * all) return 0;
    for (const phrase of place.asked) if (phrase.every((word) => asked.has(word))) {
      const weight = phrase.reduce((total, word) => total + asked.get(word), 0);
      sum += 1.5 * weight * (weight / all + 0.5);
    }
    return (sum + 0.25 * together(place.run, asked, order)) * (met / all) * place.prior;
  }

  // The line of a section that has most of what is asked for; no line that names the columns of a table.
  function best(place, asked, order) {
    let most = 0, line = place.lines[0] || "";
    for (const text of place.lines.filter((line) => !line.endsWith("¦"))) {
      const found = told(text), met = [...new Set(found)].reduce((sum, word) => sum + (asked.get(word) || 0), 0);
      const code = /^(from|import) /.test(text) ? 0.5 : 1;
      const worth = code * (met + together(` ${found.join(" ")} `, asked, order)) / (1 + found.length / 100);
      if (worth > most) [most, line] = [worth, text];
    }
    return line;
  }
  function marked(line, asked) {
    const found = [...line.matchAll(WORD)].filter((m) => told(m[0]).some((word) => asked.has(word)));
    const cut = line.length > LINE && found.length;
    const from = cut ? Math.max(0, Math.min(found[0].index - 60, line.length - LINE)) : 0;
    const said = document.createElement("p");
    let at = from;
    if (from) said.append("… ");
    for (const m of found.filter((m) => m.index >= from && m.index + m[0].length <= from + LINE)) {
      const mark = document.createElement("mark");
      mark.textContent = m[0];
      said.append(line.slice(at, m.index), mark);
      at = m.index + m[0].length;
    }
    said.append(line.slice(at, from + LINE), line.length > from + LINE ? " …" : "");
    return said;
  }

  function find(query) {
    const [asked, unknown] = read(query), order = told(query).filter((word) => asked.has(word));
    const found = places.map((place) => [score(place, asked, order), place]).filter(([worth]) => worth > 0);
    found.sort(([a], [b]) => b - a);
    const good = found.slice(0, MOST).filter(([worth]) => worth > 0.2 * found[0][0]);
    return {found: good.map(([, place]) => place), unknown, asked, order};
  }

  function show(query) {
    const {found, unknown, asked, order} = find(query), out = document.getElementById("search-results");
    const status = document.createElement("p"), list = document.createElement("ul");
    list.className = "search";
    status.setAttribute("role", "status");
    const none = unknown.length && found.length ? ` Nowhere here: ${unknown.join(", ")}.` : "";
    const many = found.length === 1 ? "One section" : `${found.length} sections`;
    status.textContent = found.length ? `${many}, the best first.${none}`
      : "Your search did not match any section.";
    for (const place of found) {
      const item = document.createElement("li"), link = document.createElement("a"), line = best(place, asked, order);
      const first = line.includes(" | ") ? line.split(" | ")[0] : "";  // a row of a table is shown by its first cell
      const row = /^[\w'=,. ()-]{12,}$/.test(first) ? `:~:text=${encodeURIComponent(first).replace(/-/g, "%2D")}` : "";
      link.href = `${place.page}.html${place.anchor || row ? "#" : ""}${place.anchor}${row}`;
      link.textContent = place.heading;
      item.append(link);
      const where = document.createElement("span");
      where.textContent = place.title === place.heading ? "" : ` in ${place.title}`;
      item.append(where);
      item.append(marked(line, asked));
      list.append(item);
    }
    out.replaceChildren(status, list);
  }

  const query = new URLSearchParams(location.search).get("q") || "";
  for (const box of document.querySelectorAll("input[name=q]")) box.value = query;
  if (query.trim()) show(query);
})();
