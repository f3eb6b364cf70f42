"""The files that people type: YAML read into a model, with the line of every word kept."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML, MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.reader import ReaderError

from config.validation_errors import Violation, YamlPath, violations

M = TypeVar("M", bound=BaseModel)

MAX_CORRECTION_ROUNDS = 5
"""So often misspelt words are mended; each round can bring others to light."""

_YAML_MESSAGES = {
    "found character '\\t'": "a tab stands here: indent with spaces",
    "that cannot start any token": "text that begins like this needs quotes",
    "mapping values are not allowed": "no `:` can stand here: indent the line, or quote the text",
    "could not find expected ':'": "a `:` is missing here or in the line above",
    "expected <block end>": "this line is not indented like those it belongs to",
    "expected ',' or '}'": "a `{` before this is never closed, or a comma is missing",
    "expected ',' or ']'": "a `[` before this is never closed, or a comma is missing",
    "but found '<stream end>'": "a bracket is never closed",
    "unexpected end of stream": "a quotation mark is never closed",
    "found duplicate key": "this word stands here a second time: drop one of the two",
    "found undefined alias": "this `*name` is nowhere defined with `&name`",
    "could not determine a constructor": "tags with `!` are not read: put the text in quotes",
    "but found another document": "`---` begins a second document: a file holds one",
    "found unhashable key": "only text can stand before a `:`",
    "recursion": "sections are nested too deep",
    "must be in ": "there is no such date",
}
"""What ruamel says, and what we say."""


Edit = tuple[YamlPath, str]
"""A place, and what is to stand there."""


@dataclass(frozen=True)
class Problem:
    """A mistake in a file; `line` 0 is the whole file. With a warning runs go on.

    `about` is the object and the field of an account that do not fit it, where such do not.
    """

    file: str
    line: int
    text: str
    is_warning: bool = False
    object_and_field: tuple[str, str] = ("", "")

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {self.text}"


@dataclass(frozen=True)
class Document(Generic[M]):
    """A file as its model, and where in it everything stands."""

    file: str
    model: M
    root: Node = field(repr=False, compare=False)

    def line(self, path: YamlPath) -> int:
        """Find the line of a place, or of the nearest one above it that exists."""
        return _line(self.root, path)

    def apply_edits(self, text: str, edits: Iterable[Edit]) -> str:
        """Write some values anew in the text this was read from; all else stays to the letter.

        A value whose place does not exist yet is added before the first word of its section.
        """
        spans: dict[tuple[int, int], str] = {}
        for place, value in edits:
            above, here = (
                _nearest_nodes(self.root, place[:-1])[1],
                _nearest_nodes(self.root, place)[1],
            )
            if here is above and isinstance(above, MappingNode):
                spans.update([_insertion(above, f"{place[-1]}: {value}")])
            else:
                spans[here.start_mark.index, here.end_mark.index] = value
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
        """Say what is wrong at a place."""
        return Problem(self.file, self.line(path), text, is_warning, object_and_field)


def parse(text: str, model: type[M], *, file: str) -> tuple[Document[M] | None, list[Problem]]:
    """Read a file as YAML 1.2 (only true and false are booleans), and say all that is wrong.

    A misspelt word is a problem, and is read as what was probably meant, so that one mistake does
    not hide the next: the file is sound only where there is no problem. None: nothing can be made
    of it. Whatever the text holds, this raises nothing.
    """
    problems: list[Problem] = []
    try:
        root = YAML(typ="safe", pure=True).compose(text)
        if root is None:
            return None, [Problem(file, 1, "the file is empty")]
        for _ in range(MAX_CORRECTION_ROUNDS):
            data = YAML(typ="safe", pure=True).constructor.construct_document(root)
            try:
                return Document(file, model.model_validate(data), root), problems
            except ValidationError as error:
                found = violations(error, model)
            problems += _new_problems(found, root, file, {problem.line for problem in problems})
            mended = [_correct(root, fault) for fault in found]
            if not all(mended):
                break
    except (YAMLError, ValueError, RecursionError) as error:
        problems = problems or [_syntax_problem(error, text, file)]
    return None, problems


def _insertion(section: MappingNode, entry: str) -> tuple[tuple[int, int], str]:
    """Where a new entry of a section goes, and how it is written there."""
    if not section.value:
        start = section.start_mark.index + 1
        return (start, start), entry
    start = section.value[0][0].start_mark
    gap = ", " if section.flow_style else "\n" + " " * start.column
    return (start.index, start.index), entry + gap


def _new_problems(found: list[Violation], root: Node, file: str, lines: set[int]) -> list[Problem]:
    """The problems in lines of which nothing was said yet: there, the guess may be to blame."""
    told = [Problem(file, _line(root, fault.path), fault.text) for fault in found]
    return [problem for problem in told if problem.line not in lines]


def _correct(root: Node, fault: Violation) -> bool:
    """Write what was probably meant, if anybody can tell."""
    word, value = _nearest_nodes(root, fault.path)
    wrong = word if fault.is_key else value
    if fault.suggestion is None or not isinstance(wrong, ScalarNode):
        return False
    wrong.value = fault.suggestion
    return True


def _syntax_problem(error: Exception, text: str, file: str) -> Problem:
    said = str(getattr(error, "problem", None) or getattr(error, "reason", None) or error)
    plain = next((ours for theirs, ours in _YAML_MESSAGES.items() if theirs in said), None)
    return Problem(file, _line_of(error, text), plain or f"this is not YAML: {said}")


def _line_of(error: Exception, text: str) -> int:
    match error:
        case MarkedYAMLError(problem_mark=mark) if mark is not None:
            return int(mark.line) + 1
        case ReaderError(position=at):
            return text.count("\n", 0, at) + 1
    return 0


def _line(root: Node, place: YamlPath) -> int:
    return int(_nearest_nodes(root, place)[0].start_mark.line) + 1


def _nearest_nodes(root: Node, place: YamlPath) -> tuple[Node, Node]:
    """The word, and what stands behind it, of a place or of the nearest one above that exists."""
    word = node = root
    for step in place:
        found = next((below for name, *below in _children(node) if name == step), None)
        if found is None:
            break
        word, node = found
    return word, node


def _children(node: Node) -> list[tuple[str | int, Node, Node]]:
    """What stands directly below; an item of a list is its own word."""
    if isinstance(node, MappingNode):
        return [(key.value, key, below) for key, below in node.value]
    if isinstance(node, SequenceNode):
        return [(i, below, below) for i, below in enumerate(node.value)]
    return []
