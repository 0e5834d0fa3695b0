"""Questions to come back to: what these pages teach, as cards for Anki, with answers that the package computes.

Needs the extra `flashcards`.
"""

from adapool.flashcards.card import Card, Cards, Picture
from adapool.flashcards.deck import cards, write_deck

__all__ = ["Picture", "Card", "Cards", "cards", "write_deck"]
