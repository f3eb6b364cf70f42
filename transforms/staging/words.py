"""Whole words in a text, with accents and case folded: the same on every engine."""

import re
from collections.abc import Iterable

import ibis
import ibis.expr.types as ir

_ACCENTED = "àáâãäåāăąçćčďđèéêëēėęěìíîïīįłñńňòóôõöøōőŕřśšşșťțùúûüūůűýÿžźż"
_PLAIN = "aaaaaaaaacccddeeeeeeeeiiiiiilnnnoooooooorrsssstt" + "uuuuuuuyyzzz"
_FROM = _ACCENTED + _ACCENTED.upper()
_TO = _PLAIN + _PLAIN
_LIGATURES = {"ß": "ss", "œ": "oe", "Œ": "oe", "æ": "ae", "Æ": "ae"}
_COMBINING_MARKS = "[\u0300-\u036f]"
# after lower() no capital letter is left, so that the range from : to ` holds signs alone
_SIGNS = "[\x01-/:-`{-\u00bf\u00d7\u00f7\u2000-\u206f\u3000-\u303f\ufeff]+"
WILDCARD = "*"
"""At either end of a word: any letters may stand here."""


def folded(text: ir.StringValue) -> ir.StringValue:
    """A text in small letters without accents, its words between single blanks.

    Accents are taken off before lower(), which knows ASCII alone in a PostgreSQL database of
    locale C. Other scripts stay as they are; there their capitals differ from small letters.

    >>> folded(ibis.literal("Démo : ESSAI-gratuit")).to_pyarrow().as_py()
    ' demo essai gratuit '
    """
    plain = text.cast("string").translate(_FROM, _TO)
    for letters, ours in _LIGATURES.items():
        plain = plain.replace(letters, ours)
    plain = plain.re_replace(_COMBINING_MARKS, "").lower()
    return (ibis.literal(" ") + plain + " ").re_replace(_SIGNS, " ")


def fold(text: str) -> str:
    """The same of a word that the mapping names.

    >>> fold("Démo : ESSAI-gratuit")
    ' demo essai gratuit '
    """
    plain = text.translate(str.maketrans(_FROM, _TO))
    for letters, ours in _LIGATURES.items():
        plain = plain.replace(letters, ours)
    plain = re.sub(_COMBINING_MARKS, "", plain).lower()
    return re.sub(_SIGNS, " ", f" {plain} ")


def has_word(text: ir.StringValue, words: Iterable[str]) -> ir.BooleanValue:
    """Whether one of some words or phrases stands in a text; NULL has none."""
    # no sign is left in a folded word: it cannot change the meaning of the pattern
    patterns = dict.fromkeys(_pattern(word) for word in words)
    return folded(text).re_search(f" ({'|'.join(patterns)}) ").fill_null(False)


def _pattern(word: str) -> str:
    """A word as a pattern.

    >>> _pattern("*angebot"), _pattern("Démo*")
    ('[^ ]*angebot', 'demo[^ ]*')
    """
    before = "[^ ]*" if word.startswith(WILDCARD) else ""
    after = "[^ ]*" if word.endswith(WILDCARD) else ""
    return before + fold(word.strip(WILDCARD)).strip() + after
