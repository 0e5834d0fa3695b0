"""What the search of the site looks through: every section of every page, as docs/_static/search.js reads it."""

import json
import re
import tomllib
from html.parser import HTMLParser
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_SIGNS = {"lfloor": "⌊", "rfloor": "⌋", "lceil": "⌈", "rceil": "⌉", "cdot": "·", "times": "×", "to": "→", "le": "≤",
          "ge": "≥", "bmod": " mod ", "dots": "…", "in": "∈", "sum": "Σ", "infty": "∞", "gcd": "gcd", "max": "max"}
_SPHINXS = "searchindex.js", *(f"_static/{name}.js" for name in (
    "searchtools", "language_data", "base-stemmer", "english-stemmer"))
_LINES = "p", "li", "tr", "pre", "h1", "h2", "h3", "summary", "blockquote"  # what begins a line
HEAD = "¦"  # ends a line that names the columns of a table
_UNREAD, _UNREAD_KINDS = ("script", "style", "svg", "button", "title"), {"headerlink", "run-line", "on-this-page"}


def plain(formula):
    "A formula as a line of text."
    formula = re.sub(r"\\d?frac\{([^{}]*)\}\{([^{}]*)\}", r"(\1)/\2", re.sub(r"\\[()\[\]]", "", formula))
    formula = re.sub(r"\\(?:text|operatorname|mathrm|left|right|bigl|bigr)\b", "", formula)
    return re.sub(r"[{}$]", "", re.sub(r"\\(?:([a-zA-Z]+)|.) ?", lambda m: _SIGNS.get(m[1], " "), formula))


class _Sections(HTMLParser):
    "The sections of a page, `[anchor, heading, lines]`."
    def __init__(self, code):
        super().__init__()
        self.found, self.code = [["", "", [""]]], code
        self.anchor, self.unread, self.open, self.math = "", [], [], None

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        kinds = (attrs.get("class") or "").split()
        if tag in ("img", "br", "input", "hr", "meta", "link", "path"): return
        self.open.append(tag)
        skipped = tag in _UNREAD or _UNREAD_KINDS & set(kinds) or "data-exercise" in attrs
        if skipped or (not self.code and "cell_input" in kinds): self.unread.append(len(self.open))
        if tag == "section": self.anchor = attrs.get("id", "")
        if tag in ("h1", "h2", "h3"): self.found.append([self.anchor if tag != "h1" else "", "", [""]])
        if "math" in kinds: self.math = len(self.open)
        in_cell = {"td", "th"} & set(self.open[:-1])  # a row of a table is one line
        if tag in _LINES and not in_cell: self.found[-1][2].append("")
        if tag in ("td", "th") and self.found[-1][2][-1].strip(): self.found[-1][2][-1] += " | "

    def handle_endtag(self, tag):
        if tag not in self.open: return
        if tag == "tr" and "thead" in self.open: self.found[-1][2][-1] += HEAD
        while self.open:
            if self.unread and self.unread[-1] == len(self.open): self.unread.pop()
            if self.math == len(self.open): self.math = None
            if self.open.pop() == tag: break

    def handle_data(self, data):
        if self.unread: return
        if self.math: data = plain(data)
        if {"h1", "h2", "h3"} & set(self.open): self.found[-1][1] += data
        else: self.found[-1][2][-1] += data


def sections(site):
    "`[page, its title, anchor, heading, words, lines]` of every section; the words are those of docs/searched.toml."
    asked = tomllib.loads((ROOT / "docs/searched.toml").read_text(encoding="utf-8"))
    all_found = []
    for file in sorted(site.rglob("*.html")):
        page = file.relative_to(site).with_suffix("").as_posix()
        article = re.search(r"<article.*?</article>", file.read_text(encoding="utf-8"), re.DOTALL)
        if page in ("search", "genindex", "license") or article is None: continue
        reader = _Sections(code=not page.startswith("inside/"))
        reader.feed(article[0])
        title = next(heading for _, heading, _ in reader.found if heading)
        words = {heading.replace("`", ""): given for heading, given in asked.pop(page, {}).items()}
        for anchor, heading, lines in reader.found:
            lines = [" ".join(line.split()) for line in lines]
            lines = [line.strip(" |") for line in lines if line.strip(f" |{HEAD}")]
            if heading: all_found.append([page, title, anchor, heading, words.pop(heading, []), lines])
        if words: raise SystemExit(f"docs/searched.toml: {page} has no heading {', '.join(words)}")
    if asked: raise SystemExit(f"docs/searched.toml: there is no page {', '.join(asked)}")
    return all_found


def write(site):
    "Write what the search reads, in place of what Sphinx has written for its own."
    found = json.dumps(sections(site), ensure_ascii=False, separators=(",", ":"))
    (site / "_static/sections.js").write_text(f"const SECTIONS = {found};\n", encoding="utf-8")
    for name in _SPHINXS: (site / name).unlink()
