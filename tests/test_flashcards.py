"The deck of flashcards, opened as Anki opens it: a zip file with a database and pictures."

import json
import re
import sqlite3
import sys
import time
import zipfile
from html import unescape
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from adapool import flashcards

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))
from notebooks import NBS, notebooks


class Deck(NamedTuple):
    notes: dict   # guid -> (note type, tags, [question, answer, page])
    cards: list   # (guid, deck, place)
    ids: tuple    # the decks and the note types that the file names
    media: dict   # name -> bytes
    written: int  # when, as the notes say


def opened(path, folder):
    with zipfile.ZipFile(path) as file:
        file.extract("collection.anki2", folder)
        media = {name: file.read(number) for number, name in json.loads(file.read("media")).items()}
    db = sqlite3.connect(folder / "collection.anki2")
    rows = db.execute("select guid, mid, tags, flds, mod from notes").fetchall()
    cards = db.execute("select guid, did, due from cards join notes on notes.id = nid order by due").fetchall()
    decks, kinds = (json.loads(text) for text in db.execute("select decks, models from col").fetchone())
    db.close()
    assert len({guid for guid, *_ in rows}) == len(rows), "two notes with one guid: Anki would keep one of them"
    notes = {guid: (kind, tags.split(), fields.split("\x1f")) for guid, kind, tags, fields, _ in rows}
    return Deck(notes, cards, (sorted(decks), sorted(kinds)), media, max(row[-1] for row in rows))


@pytest.fixture(scope="module")
def deck(tmp_path_factory):
    folder = tmp_path_factory.mktemp("deck")
    return opened(flashcards.write_deck(folder / "adapool.apkg"), folder)


@pytest.fixture(scope="module")
def said(): return {card.key: card.answer for card in flashcards.cards()}


def test_forty_cards_or_more_and_nothing_empty(deck):
    assert len(deck.notes) >= 40
    assert len(deck.notes) == len(flashcards.cards()) == len(deck.cards)
    for _, _, fields in deck.notes.values():
        assert len(fields) == 3 and all(re.sub("<.*?>", "", field).strip() for field in fields)
    assert len({fields[0] for _, _, fields in deck.notes.values()}) == len(deck.notes)


def test_every_card_names_a_page_and_every_teaching_page_has_cards(deck):
    for _, tags, fields in deck.notes.values():
        assert tags == [f"adapool::{fields[2]}"] and (NBS / f"{fields[2]}.ipynb").is_file()
    pages = {fields[2] for _, _, fields in deck.notes.values()}
    assert pages == {path.relative_to(NBS).with_suffix("").as_posix() for path in notebooks()
                     if "## Exercises" in path.read_text(encoding="utf-8")}


def test_new_cards_come_in_reading_order(deck):
    assert [place for *_, place in deck.cards] == list(range(len(deck.cards)))
    pages = [deck.notes[guid][2][2] for guid, *_ in deck.cards]
    assert [page for page, _ in groupby(pages)] == list(dict.fromkeys(pages)), "the cards of a page come together"


def test_fields_are_html(deck):
    for _, _, fields in deck.notes.values():
        for field in fields:
            bare = re.sub(r'</?code>|<br>|<img src="[\w.-]+" alt="[^"<>]+">', "", field)
            assert not re.search(r"[<>$`]", bare), field
            assert not re.search(r"&(?!\w+;|#)", bare), field
            assert field.count(r"\(") == field.count(r"\)")


def test_markup():
    assert flashcards.card.as_html("$a < b$ & `$x$ > 1`\nso") == r"\(a &lt; b\) &amp; <code>$x$ &gt; 1</code><br>so"


def test_pictures_are_inside_and_all_of_them_are_used(deck):
    fields = " ".join(field for *_, fields in deck.notes.values() for field in fields)
    shown = set(re.findall(r'<img src="(.+?)"', fields))
    assert shown == set(deck.media) and len(shown) >= 4
    assert all(png.startswith(b"\x89PNG\r\n") and len(png) > 2000 for png in deck.media.values())


def test_a_second_deck_is_the_same_to_anki(deck, tmp_path, monkeypatch):
    "Same guids, deck, note type and pictures on another day, whatever has become of the wording; only newer."
    now, old = time.time(), flashcards.cards()
    monkeypatch.setattr(time, "time", lambda: now + 86400)
    monkeypatch.setattr(flashcards.deck, "cards", lambda: [card._replace(answer="another wording") for card in old])
    second = opened(flashcards.write_deck(tmp_path / "second.apkg"), tmp_path)
    assert [card[:2] for card in second.cards] == [card[:2] for card in deck.cards]
    assert second.ids == deck.ids == (["1", "1730482917"], ["1298437756"])
    assert second.media == deck.media
    assert second.written > deck.written
    assert all("another wording" in fields[1] for _, _, fields in second.notes.values())


# Worked out by hand from the definitions.
BY_HAND = {
    "conv-8": r"= 4$",  # 8 + 2 cells, windows at 0, 2, 4, 6
    "conv-resnet": "= 112$",  # (224 + 6 - 7) // 2 = 111
    "conv-shape": "(8, 64, 112, 112)",
    "conv-weights": "9408",  # 64 * 3 * 49
    "same-odd": "= 2$",
    "same-even": "99. ",
    "same-strided": "For 224, 0 before and 1 after; for 225, 1 and 1. So 112 and 113",
    "unused-10": "1:",
    "unused-padded": "2:",  # windows start at -1, 3, 7 and read 1, 5, 9: cells 10 and 11 are left
    "ceil-mode": "56, and 57",
    "transposed-double": "= 112$",
    "window-10-7-2": "[2, 5)",  # 20/7 = 2.86 and 30/7 = 4.29
    "windows-8-5": "[0, 2) [1, 4) [3, 5) [4, 7) [6, 8)",  # borders 1.6, 3.2, 4.8, 6.4
    "overlap-pairs": "= 6$",  # 12/9 = 4/3: every third border is whole, 2 of 8
    "cells-in-all": "= 120$",
    "exact-7": "7, 8, 13, 14, 15, 20, 21, 22, 27, 28, 29",
    "exact-8-3": "$K = 4$, $S = 3$, $P = 1$",
    "exact-10-7": "None: ",
    "always": "1, 2, 3, 4, 6:",
    "not-avgpool-7": "4 cells.",
    "not-array-split": "1.5, 4.5, 8.5, 11.5; and 1.5, 5.5, 9, 12.",
    "not-true-area": "1.5, 7.5; and 1, 9.",
    "not-floats": "16984 instead of 16983",  # 999 * 17001 = 16 983 999
    "array-nan": "2, 3:",  # windows 2 and 3 of 7 -> 5 are [2, 5) and [4, 6)
    "gradient-max": "0, 2, 1, 0:",
    "head-size": "560,",
    "cells-read": "= 73984$, of 50176",  # 224 + 50 - 2 = 272
    "frozen-pool": "8 cells",  # (17 - 2) // 2 + 1
    "field-two": "5:",
    "field-adaptive": "From 7 to 9",  # 3, then 3 + 2; windows of 2 or 3 of these, 2 apart: 5 + 2, 5 + 4
}


@pytest.mark.parametrize("key", BY_HAND)
def test_answer_by_hand(said, key): assert BY_HAND[key] in said[key]


def numbers(text): return [float(v) for v in re.findall(r"-?\d+\.?\d*", text)]


def test_answers_by_torch(said):
    x = torch.zeros(1, 5, dtype=torch.float64, requires_grad=True)
    torch.nn.functional.adaptive_avg_pool1d(x, 3).sum().backward()
    assert numbers(said["gradient-average"].split(":")[0]) == pytest.approx(x.grad[0].tolist(), abs=1e-4)
    mean = torch.nn.functional.adaptive_avg_pool1d(torch.arange(6.)[None], 4)
    assert numbers(said["array-mean"]) == mean[0].tolist()
    best, places = torch.nn.functional.adaptive_max_pool1d(torch.tensor([[3., 1, 4, 1, 5]]), 3, return_indices=True)
    assert numbers(said["array-max"]) == best[0].tolist() + places[0].tolist()
    up = torch.nn.functional.adaptive_avg_pool1d(torch.tensor([[0., 10, 20]]), 5)
    assert numbers(said["up-sampling"].split(":")[0]) == up[0].tolist()
    transposed = torch.nn.ConvTranspose1d(1, 1, 3, 2, 1, output_padding=1)(torch.zeros(1, 1, 56))
    assert numbers(said["output-padding"])[-1] == transposed.shape[-1]


def test_the_list_folds_its_answers_and_says_them():
    some = flashcards.cards("learn/01_sizes")
    shown = some._repr_html_()
    assert shown.count("<li>") == len(some) == shown.count("<details>")
    assert all(card.question.split("$")[0].split("`")[0] in unescape(shown) for card in some)


def test_without_genanki(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "genanki", None)
    with pytest.raises(ImportError, match=r"pip install 'adapool\[flashcards\]'"):
        flashcards.write_deck(tmp_path / "deck.apkg")


@pytest.mark.parametrize("path, error, words", [
    (None, TypeError, "path must be a str or a Path, got None"),
    ("deck.zip", ValueError, "path must end in .apkg"),
    ("nowhere/deck.apkg", FileNotFoundError, "path must be in a folder that exists"),
    ("folder.apkg", IsADirectoryError, "path must name a file")])
def test_a_path_that_cannot_be_written_is_refused_before_any_work(monkeypatch, tmp_path, path, error, words):
    (tmp_path / "folder.apkg").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(flashcards.deck, "cards", lambda: pytest.fail("work was done first"))
    with pytest.raises(error, match=re.escape(words)): flashcards.write_deck(path)


def test_the_page_shows_all_cards():
    text = (NBS / "use/07_flashcards.ipynb").read_text(encoding="utf-8")
    shown = re.findall(r'"cards\(\\"([\w/]+)\\"\)"', text)
    assert sorted(shown) == sorted({card.page for card in flashcards.cards()})
