"""The grammar of SOQL and its syntax tree; `soql_compile` resolves the names."""

from dataclasses import dataclass, replace
from typing import Any

from lark import Lark, Token, Transformer, v_args
from lark.exceptions import UnexpectedCharacters, UnexpectedEOF, UnexpectedToken

from sandbox.salesforce.errors import ApiError

_GRAMMAR = r"""
query: "SELECT"i selection _FROM name where? group? having? order? limit? offset?

selection: selected ("," selected)* -> columns
?selected: name
         | name NAME                -> aliased
         | aggregate
         | aggregate NAME           -> aliased
         | "(" query ")"            -> children
         | "FIELDS"i "(" name ")"   -> all_fields
aggregate: FUNCTION "(" name? ")"

where: "WHERE"i condition
?condition: unit
          | unit ("AND"i unit)+     -> every
          | unit ("OR"i unit)+      -> some
?unit: name operator value          -> comparison
     | name "IN"i "(" values ")"    -> member
     | name "NOT"i "IN"i "(" values ")" -> no_member
     | "NOT"i unit                  -> negation
     | aggregate operator value     -> comparison
     | "(" condition ")"
values: value ("," value)*
      | query
operator: OPERATOR | LIKE
value: STRING | DATETIME | DATE | NUMBER | TRUE | FALSE | NULL | NAMED_DATE

group: "GROUP"i "BY"i name ("," name)*
having: "HAVING"i condition
order: "ORDER"i "BY"i ordering ("," ordering)*
ordering: (name | aggregate) direction? nulls?
direction: ASC | DESC
nulls: "NULLS"i (FIRST | LAST)
limit: "LIMIT"i INTEGER
offset: "OFFSET"i INTEGER

name: NAME
_FROM.2: /FROM\b/i
FUNCTION.2: /(COUNT_DISTINCT|COUNT|SUM|AVG|MIN|MAX)(?=\s*\()/i
NAME: /[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)*/i
NAMED_DATE: /[a-z_][a-z0-9_]*(:[0-9]+)?/i
OPERATOR: "=" | "!=" | "<>" | "<=" | "<" | ">=" | ">"
LIKE: "LIKE"i
TRUE: "TRUE"i
FALSE: "FALSE"i
NULL: "NULL"i
ASC: "ASC"i
DESC: "DESC"i
FIRST: "FIRST"i
LAST: "LAST"i
STRING: /'(\\.|[^'\\])*'/s
DATETIME.3: /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)/i
DATE.2: /\d{4}-\d\d-\d\d/
NUMBER: /[+-]?\d+(\.\d+)?/
INTEGER: /\d+/
%ignore /\s+/
"""

_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", "%": "\\%", "_": "\\_"}


@dataclass(frozen=True)
class Name:
    """A field, a path to a field, or an object; and its position in the text."""

    text: str
    line: int
    column: int


@dataclass(frozen=True)
class Aggregate:
    """An aggregate; without a field it counts rows. `function` is in lower case."""

    function: str
    name: Name | None
    alias: str | None = None


@dataclass(frozen=True)
class Aliased:
    """A grouped field with an alias."""

    name: Name
    alias: str


@dataclass(frozen=True)
class Children:
    """A child query, by the name of the relationship."""

    query: "Query"


@dataclass(frozen=True)
class Literal:
    """A literal. `kind` is its name in the grammar, in lower case."""

    kind: str
    text: str


@dataclass(frozen=True)
class Comparison:
    """A comparison of a field (in HAVING also an aggregate) with a value."""

    name: Name | Aggregate
    operator: str
    value: Literal


@dataclass(frozen=True)
class Member:
    """IN: a field, and a list of values or a subquery with one column."""

    name: Name
    values: "tuple[Literal, ...] | Query"


@dataclass(frozen=True)
class Negation:
    """NOT."""

    part: "Condition"


@dataclass(frozen=True)
class AllOf:
    """Conditions joined by AND."""

    parts: "tuple[Condition, ...]"


@dataclass(frozen=True)
class AnyOf:
    """Conditions joined by OR."""

    parts: "tuple[Condition, ...]"


Condition = Comparison | Member | Negation | AllOf | AnyOf


@dataclass(frozen=True)
class AllFields:
    """The function FIELDS() with its argument."""

    which: Name


@dataclass(frozen=True)
class Ordering:
    """One key of ORDER BY; nulls come first by default."""

    name: Name | Aggregate
    descending: bool = False
    nulls_last: bool = False


Selected = Name | Aliased | Aggregate | Children | AllFields


@dataclass(frozen=True)
class Query:
    """A whole query; `columns` is None for COUNT()."""

    text: str
    columns: tuple[Selected, ...] | None
    source: Name
    where: Condition | None
    group: tuple[Name, ...]
    having: Condition | None
    order: tuple[Ordering, ...]
    limit: int | None
    offset: int | None


def parse(text: str) -> Query:
    """Parse a query. Raises: ApiError (MALFORMED_QUERY)."""
    try:
        tree = _PARSER.parse(text)
    except UnexpectedToken as error:
        token = "<EOF>" if error.token.type == "$END" else str(error.token)
        raise ApiError("MALFORMED_QUERY", f"unexpected token: {token}") from error
    except UnexpectedCharacters as error:
        message = f"line {error.line}:{error.column} no viable alternative at character"
        raise ApiError("MALFORMED_QUERY", f"{message} '{error.char}'") from error
    except UnexpectedEOF as error:
        raise ApiError("MALFORMED_QUERY", "unexpected token: <EOF>") from error
    query: Query = _Builder(text).transform(tree)
    return query


def unquoted(literal: str) -> str:
    """Unescape a string literal; escaped wildcards of LIKE keep their backslash."""
    characters = iter(literal[1:-1])
    return "".join(
        _ESCAPES.get(after := next(characters), after) if one == "\\" else one for one in characters
    )


@v_args(inline=True)
class _Builder(Transformer[Token, Any]):
    """Builds the syntax tree, from the leaves up."""

    def __init__(self, text: str) -> None:
        """Build the tree of this query."""
        super().__init__()
        self._text = text

    def name(self, token: Token) -> Name:
        return Name(str(token), token.line or 1, token.column or 1)

    def value(self, token: Token) -> Literal:
        return Literal(token.type.lower(), str(token))

    def operator(self, token: Token) -> str:
        return {"<>": "!="}.get(str(token), token.lower())

    def comparison(self, name: Name | Aggregate, operator: str, value: Literal) -> Comparison:
        return Comparison(name, operator, value)

    def values(self, *values: Any) -> Any:
        return values[0] if isinstance(values[0], Query) else values

    def member(self, name: Name, values: tuple[Literal, ...] | Query) -> Member:
        return Member(name, values)

    def no_member(self, name: Name, values: tuple[Literal, ...] | Query) -> Negation:
        return Negation(Member(name, values))

    def negation(self, part: Condition) -> Negation:
        return Negation(part)

    def every(self, *parts: Condition) -> AllOf:
        return AllOf(parts)

    def some(self, *parts: Condition) -> AnyOf:
        return AnyOf(parts)

    def aggregate(self, function: Token, name: Name | None = None) -> Aggregate:
        return Aggregate(function.lower(), name)

    def aliased(self, what: Name | Aggregate, alias: Token) -> Aliased | Aggregate:
        if isinstance(what, Aggregate):
            return replace(what, alias=str(alias))
        return Aliased(what, str(alias))

    def children(self, query: "Query") -> Children:
        return Children(query)

    def group(self, *names: Name) -> dict[str, Any]:
        return {"group": names}

    def having(self, condition: Condition) -> dict[str, Any]:
        return {"having": condition}

    def where(self, condition: Condition) -> dict[str, Any]:
        return {"where": condition}

    def direction(self, token: Token) -> dict[str, bool]:
        return {"descending": token.type == "DESC"}

    def nulls(self, token: Token) -> dict[str, bool]:
        return {"nulls_last": token.type == "LAST"}

    def ordering(self, name: Name | Aggregate, *options: dict[str, bool]) -> Ordering:
        parts_ = {key: value for option in options for key, value in option.items()}
        return Ordering(name, **parts_)

    def order(self, *orderings: Ordering) -> dict[str, Any]:
        return {"order": orderings}

    def limit(self, number: Token) -> dict[str, Any]:
        return {"limit": int(number)}

    def offset(self, number: Token) -> dict[str, Any]:
        return {"offset": int(number)}

    def all_fields(self, which: Name) -> AllFields:
        return AllFields(which)

    def columns(self, *columns: Selected) -> tuple[Selected, ...] | None:
        return None if columns == (Aggregate("count", None),) else columns

    def query(
        self, columns: tuple[Selected, ...] | None, source: Name, *clauses: dict[str, Any]
    ) -> Query:
        by_clause = dict.fromkeys(("where", "having", "limit", "offset")) | {
            "group": (),
            "order": (),
        }
        for clause in clauses:
            by_clause |= clause
        return Query(self._text, columns, source, **by_clause)  # type: ignore[arg-type]  # by clause


_PARSER = Lark(_GRAMMAR, start="query", parser="lalr")
