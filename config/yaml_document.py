"""A YAML file read into its model, with the line of every word kept."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML, MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.reader import ReaderError

from config.model import SKIP_CROSS_CHECKS, all_cross_field_violations
from config.validation_errors import Violation, YamlPath, is_at_or_below, overlaps, violations

M = TypeVar("M", bound=BaseModel)

MAX_REPAIR_ROUNDS = 20
"""How often a file is repaired and read again; each round can bring errors below to light."""

_YAML_MESSAGES = {
    "found character '\\t'": "a tab is not allowed here: indent with spaces",
    "that cannot start any token": "text that begins like this needs quotes",
    "mapping values are not allowed": "`:` is not allowed here: indent the line, or quote the text",
    "could not find expected ':'": "a `:` is missing here or in the line above",
    "expected <block end>": "this line is not indented like those it belongs to",
    "expected ',' or '}'": "a `{` before this is not closed, or a comma is missing",
    "expected ',' or ']'": "a `[` before this is not closed, or a comma is missing",
    "but found '<stream end>'": "a bracket is not closed",
    "unexpected end of stream": "a quotation mark is not closed",
    "found duplicate key": "this word occurs twice here: drop one of the two",
    "found undefined alias": "no `&name` defines this `*name`",
    "could not determine a constructor": "tags with `!` are not read: put the text in quotes",
    "but found another document": "`---` begins a second document: a file has one",
    "found unhashable key": "the word before a `:` must be text",
    "recursion": "sections are nested too deep",
    "must be in ": "there is no such date",
}
"""Part of the text of ruamel -> our message."""


Edit = tuple[YamlPath, str]
"""A place, and the text to write there."""


@dataclass(frozen=True)
class Problem:
    """An error or a warning in a file; `line` 0 means the whole file.

    `object_and_field` name what the CRM account lacks, where that is the error.
    """

    file: str
    line: int
    text: str
    is_warning: bool = False
    object_and_field: tuple[str, str] = ("", "")
    path: YamlPath = field(default=(), compare=False, repr=False)

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {self.text}"


@dataclass(frozen=True)
class Document(Generic[M]):
    """A file as its model, and the YAML nodes with their lines.

    `wrong` are the places whose value is an error: `parse` has put a valid value there.
    """

    file: str
    model: M
    root: Node = field(repr=False, compare=False)
    wrong: tuple[YamlPath, ...] = ()

    def line(self, path: YamlPath) -> int:
        """Find the line of a place, or of the nearest one above it that exists."""
        return _line(self.root, path)

    def knows(self, *path: str | int) -> bool:
        """Whether the value of a place was read, and not replaced because of an error."""
        return not any(is_at_or_below(path, place) for place in self.wrong)

    def is_sound(self, *path: str | int) -> bool:
        """Whether neither a place nor anything below it was replaced because of an error."""
        return not any(overlaps(path, place) for place in self.wrong)

    def apply_edits(self, text: str, edits: Iterable[Edit]) -> str:
        """Change some values in the text this was read from; all other text stays the same.

        A value whose place does not exist yet is added before the first word of its section.
        """
        spans: dict[tuple[int, int], str] = {}
        for path, value in edits:
            section = _nearest_nodes(self.root, path[:-1])[1]
            node = _nearest_nodes(self.root, path)[1]
            if node is section and isinstance(section, MappingNode):
                spans.update([_insertion(section, f"{path[-1]}: {value}")])
            else:
                spans[node.start_mark.index, node.end_mark.index] = value
        for (start, end), value in sorted(spans.items(), reverse=True):
            text = text[:start] + value + text[end:]
        return text

    def problem(
        self,
        path: YamlPath,
        text: str,
        *,
        is_warning: bool = False,
        object_and_field: tuple[str, str] = ("", ""),
    ) -> Problem:
        """Describe an error at a place."""
        return Problem(self.file, self.line(path), text, is_warning, object_and_field, path)


def parse(text: str, model: type[M], *, file: str) -> tuple[Document[M] | None, list[Problem]]:
    """Read a file as YAML 1.2 (only true and false are booleans), and report all its errors.

    A wrong word or value is reported, and replaced by the word that was probably meant or by any
    valid value, so that one error does not hide the next: the document is usable only where there
    is no problem. None: the file is not YAML, or no section. Raises nothing.
    """
    try:
        return _Reader(text, model, file).read()
    except (YAMLError, ValueError, RecursionError) as error:
        return None, [_syntax_problem(error, text, file)]


class _Reader(Generic[M]):
    """One file that is repaired until it fits its model; each repair is a problem."""

    def __init__(self, text: str, model: type[M], file: str) -> None:
        self.model, self.file = model, file
        self.root: Any = YAML(typ="safe", pure=True).compose(text)
        self.problems: list[Problem] = []
        self.wrong: list[YamlPath] = []
        self.renamed: list[YamlPath] = []

    def read(self) -> tuple[Document[M] | None, list[Problem]]:
        if self.root is None:
            return None, [Problem(self.file, 1, "the file is empty")]
        self._remove_bad_nodes()
        document = self._fit_model()
        if document is not None:
            self._check_fields_together(document.model)
            # read again: references were replaced by the names that were probably meant
            document = self._fit_model()
        problems = sorted(dict.fromkeys(self.problems), key=lambda problem: problem.line)
        return document, problems

    def _remove_bad_nodes(self) -> None:
        """Take out what YAML allows and no model can read, such as a key that occurs twice."""
        for path, section, key, value, text in list(_bad_entries(self.root, (), set())):
            self.problems.append(Problem(self.file, (key or value).start_mark.line + 1, text))
            if path is None:
                section.value = [pair for pair in section.value if pair[0] is not key]
            else:
                self.wrong.append(path)
                _exchange(section, value, _as_node(None, value))

    def _fit_model(self) -> Document[M] | None:
        context = {SKIP_CROSS_CHECKS: True}
        for _ in range(MAX_REPAIR_ROUNDS):
            data = YAML(typ="safe", pure=True).constructor.construct_document(self.root)
            try:
                model = self.model.model_validate(data, context=context)
                return Document(self.file, model, self.root, tuple(self.wrong))
            except ValidationError as error:
                if not self._repair(violations(error, self.model)):
                    break
        return None

    def _repair(self, errors: list[Violation]) -> bool:
        """Report what is new, and replace it by something valid; False where nothing changes."""
        self._report(errors)
        repaired = [self._replace(violation) for violation in errors]
        return any(repaired)

    def _check_fields_together(self, model: BaseModel) -> None:
        errors = list(all_cross_field_violations(model))
        self._report(errors)
        for violation in errors:
            if violation.suggestion is not None:
                self._replace(violation)

    def _report(self, errors: list[Violation]) -> None:
        known = (*self.wrong, *self.renamed)
        for violation in errors:
            path = violation.path
            is_known = path in known or any(is_at_or_below(path, place) for place in self.wrong)
            is_known |= any(is_at_or_below(r, p) for r in violation.reads for p in self.wrong)
            if not is_known:
                line = _line(self.root, path)
                self.problems.append(Problem(self.file, line, violation.text, path=path))
        for violation in errors:
            if violation.is_key and violation.suggestion is not None:
                self.renamed.append((*violation.path[:-1], violation.suggestion))
            elif not violation.is_key:
                self.wrong.append(violation.path)

    def _replace(self, violation: Violation) -> bool:
        """Put the word that was probably meant, or any valid value, in place of the error."""
        section, key, value = _entry(self.root, violation.path)
        if violation.is_key:
            return _rename(section, key, violation.suggestion)
        if violation.suggestion is not None and isinstance(value, ScalarNode):
            value.value, value.tag = violation.suggestion, "tag:yaml.org,2002:str"
            return True
        if value is None and isinstance(section, MappingNode):
            if violation.replacement is not None:
                mark = section.start_mark
                name = ScalarNode("tag:yaml.org,2002:str", str(violation.path[-1]), mark, mark)
                section.value.append((name, _as_node(violation.replacement, section)))
                return True
            return False
        shortened = _entry(self.root, violation.path[:-1])[2] if violation.path else None
        if violation.suggestion is not None and isinstance(shortened, ScalarNode):
            # one word in place of a list or of a section with one value
            shortened.value = violation.suggestion
            return True
        if value is None:
            # the short form of a section is a word or a list: its parts have no entry
            above = violation.path[:-1]
            return bool(above) and self._replace(Violation(above, "", replacement={}))
        if violation.replacement is None and isinstance(section, MappingNode):
            section.value = [pair for pair in section.value if pair[1] is not value]
        elif section is not None:
            _exchange(section, value, _as_node(violation.replacement, value))
        return section is not None


def _bad_entries(
    node: Any, path: YamlPath, visited: set[int]
) -> Iterator[tuple[YamlPath | None, Any, Any, Any, str]]:
    """Entries that cannot be read: path (None: the key is wrong), section, key, value, message."""
    if id(node) in visited:
        return
    visited.add(id(node))
    words: set[str] = set()
    pairs = node.value if isinstance(node, MappingNode | SequenceNode) else ()
    for i, pair in enumerate(pairs):
        key, value = pair if isinstance(node, MappingNode) else (None, pair)
        if key is not None and not isinstance(key, ScalarNode):
            yield None, node, key, value, _YAML_MESSAGES["found unhashable key"]
            continue
        if key is not None and key.value in words:
            yield None, node, key, value, _YAML_MESSAGES["found duplicate key"]
            continue
        words |= {key.value} if key is not None else set()
        below = (*path, key.value if key is not None else i)
        if not str(value.tag).startswith("tag:yaml.org,2002:"):
            yield below, node, key, value, _YAML_MESSAGES["could not determine a constructor"]
        elif not _is_date(value):
            yield below, node, key, value, _YAML_MESSAGES["must be in "]
        else:
            yield from _bad_entries(value, below, visited)


def _is_date(node: Any) -> bool:
    """Whether a value that looks like a date is one."""
    if str(node.tag).endswith(":timestamp"):
        try:
            YAML(typ="safe", pure=True).load(node.value)
        except ValueError:
            return False
    return True


def _entry(root: Any, path: YamlPath) -> tuple[Any, Any, Any]:
    """Find the section or list of a place, its key and its value; None where there is none."""
    section, key, value = None, None, root
    for step in path:
        section = value
        children = {str(name): (word, below) for name, word, below in _children(value)}
        key, value = children.get(str(step), (None, None))
    return section, key, value


def _rename(section: Any, key: Any, word: str | None) -> bool:
    """Correct the word before a `:`; drop the entry where the right word cannot be guessed."""
    if not isinstance(section, MappingNode) or key is None:
        return False
    if word is None or any(name.value == word and name is not key for name, _ in section.value):
        section.value = [pair for pair in section.value if pair[0] is not key]
    else:
        key.value, key.tag = word, "tag:yaml.org,2002:str"
    return True


def _exchange(section: Any, old: Node, new: Node) -> None:
    if isinstance(section, MappingNode):
        section.value = [(key, new if node is old else node) for key, node in section.value]
    else:
        section.value = [new if node is old else node for node in section.value]


def _as_node(value: object, place: Node) -> Node:
    """Make a node of a value, with the line of the place it is put into."""
    node: Node = YAML(typ="safe", pure=True).compose(json.dumps(value))
    node.start_mark, node.end_mark = place.start_mark, place.end_mark
    return node


def _insertion(section: MappingNode, entry: str) -> tuple[tuple[int, int], str]:
    """The position of a new entry of a section, and its text."""
    if not section.value:
        start = section.start_mark.index + 1
        return (start, start), entry
    start = section.value[0][0].start_mark
    gap = ", " if section.flow_style else "\n" + " " * start.column
    return (start.index, start.index), entry + gap


def _syntax_problem(error: Exception, text: str, file: str) -> Problem:
    reason = str(getattr(error, "problem", None) or getattr(error, "reason", None) or error)
    plain = next((text for part, text in _YAML_MESSAGES.items() if part in reason), None)
    return Problem(file, _line_of(error, text), plain or f"this is not YAML: {reason}")


def _line_of(error: Exception, text: str) -> int:
    match error:
        case MarkedYAMLError(problem_mark=mark) if mark is not None:
            return int(mark.line) + 1
        case ReaderError(position=position):
            return text.count("\n", 0, position) + 1
    return 0


def _line(root: Any, path: YamlPath) -> int:
    return int(_nearest_nodes(root, path)[0].start_mark.line) + 1


def _nearest_nodes(root: Node, path: YamlPath) -> tuple[Node, Node]:
    """The word and the value of a place, or of the nearest one above it that exists."""
    word = node = root
    for step in path:
        child = next((c for c in _children(node) if str(c[0]) == str(step)), None)
        if child is None:
            break
        _, word, node = child
    return word, node


def _children(node: Node) -> list[tuple[str | int, Node, Node]]:
    """The entries of a section or list: name, word and value; a list item is its own word."""
    if isinstance(node, MappingNode):
        return [(key.value, key, below) for key, below in node.value]
    if isinstance(node, SequenceNode):
        return [(i, below, below) for i, below in enumerate(node.value)]
    return []
