"""The grammar of SOSL; its conditions are those of SOQL."""

import re
from dataclasses import dataclass
from typing import Any

from lark import Lark, Token, Transformer, v_args
from lark.exceptions import UnexpectedInput

from sandbox.salesforce.errors import ApiError

_GRAMMAR = r"""
search: "FIND"i TERM scope? returning? limit?
scope: "IN"i SCOPE "FIELDS"i
returning: "RETURNING"i kind ("," kind)*
kind: NAME ("(" fields tail? ")")?
fields: NAME ("," NAME)*
tail: CLAUSE rest
rest: (STRING | WORD | COMMA | NAME | CLAUSE | "(" rest ")")*
limit: "LIMIT"i INTEGER

TERM: /\{(\\.|[^}\\])*\}/s
SCOPE.2: /(ALL|NAME|EMAIL|PHONE|SIDEBAR)\b/i
CLAUSE.2: /(WHERE|ORDER|LIMIT|OFFSET)\b/i
NAME: /[a-z_][a-z0-9_.]*/i
STRING: /'(\\.|[^'\\])*'/s
WORD: /[^\s'(),a-zA-Z_][^\s'(),]*/
COMMA: ","
INTEGER: /\d+/
%ignore /\s+/
"""
_SHORTEST = 2


@dataclass(frozen=True)
class Kind:
    """One object of RETURNING: its fields, and the rest of its query."""

    name: str
    fields: tuple[str, ...] = ()
    tail: str = ""


@dataclass(frozen=True)
class Search:
    """A search: text, fields, objects (none: all objects), and limit."""

    words: str
    scope: str = "ALL"
    kinds: tuple[Kind, ...] = ()
    limit: int | None = None


def parse(text: str) -> Search:
    """Parse a search. Raises: ApiError (MALFORMED_SEARCH)."""
    if "{" not in text:
        message = "No search term found. The search term must be enclosed in braces."
        raise ApiError("MALFORMED_SEARCH", message)
    try:
        tree = _PARSER.parse(text)
    except UnexpectedInput as error:
        message = f"unexpected token at line {error.line}, column {error.column}"
        raise ApiError("MALFORMED_SEARCH", message) from error
    search: Search = _Builder(text).transform(tree)
    check(search.words)
    return search


def check(words: str) -> None:
    """Raise if the search text is too short."""
    if len(words.strip(" *?")) < _SHORTEST:
        message = f"search term must be longer than one character: {words}"
        raise ApiError("MALFORMED_SEARCH", message)


def pattern(words: str) -> list[re.Pattern[str]]:
    """Compile the words and quoted phrases of a search; * and ? are wildcards."""
    phrases = re.findall(r'"([^"]+)"|(\S+)', words)
    plain = [quoted or word for quoted, word in phrases if word.upper() != "AND"]
    return [re.compile(rf"(?<!\w){_wild(one)}(?!\w)", re.IGNORECASE) for one in plain]


def _wild(word: str) -> str:
    return re.escape(word).replace(r"\*", r"\w*").replace(r"\?", r"\w")


@v_args(inline=True)
class _Builder(Transformer[Token, Any]):
    """Turns the parsed text into a `Search`."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text

    def search(self, term: Token, *parts: Any) -> Search:
        clauses = dict(parts)
        return Search(words=term[1:-1].replace("\\", ""), **clauses)

    def scope(self, scope: Token) -> tuple[str, str]:
        return "scope", scope.upper()

    def returning(self, *kinds: Kind) -> tuple[str, tuple[Kind, ...]]:
        return "kinds", kinds

    def limit(self, number: Token) -> tuple[str, int]:
        return "limit", int(number)

    def kind(self, name: Token, fields: tuple[str, ...] = (), tail: str = "") -> Kind:
        return Kind(str(name), fields, tail)

    def fields(self, *names: Token) -> tuple[str, ...]:
        return tuple(map(str, names))

    @v_args(meta=True, inline=True)
    def tail(self, meta: Any, *_: Any) -> str:
        return self.text[meta.start_pos : meta.end_pos]


_PARSER = Lark(_GRAMMAR, parser="lalr", start="search", propagate_positions=True)
