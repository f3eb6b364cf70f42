"""The words of docs/glossary.md: what people read does not use the words it replaces."""

import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
GLOSSARY = ROOT / "docs" / "glossary.md"
# decisions are superseded and never rewritten; the glossary names the words itself
EXEMPT = {GLOSSARY, Path(__file__)}
WORDS = [
    word.strip()
    for line in GLOSSARY.read_text(encoding="utf-8")
    .partition("| Do not write |")[2]
    .splitlines()[2:]
    for word in line.split("|")[1].split(",")
    if line.startswith("|")
]
# since Python 3.12 the text of an f-string is a token of its own
READ_BY_PEOPLE = {tokenize.STRING, tokenize.COMMENT, getattr(tokenize, "FSTRING_MIDDLE", -1)}
PATTERN = re.compile(rf"\b(?:{'|'.join(map(re.escape, WORDS))})\b", re.IGNORECASE)


def project_files() -> Iterator[Path]:
    """Return the Python files, the documents and the YAML files of the project."""
    for folder in sorted(ROOT.iterdir()):
        if folder.name.startswith(".venv") or folder.name == ".demo":
            continue
        found = folder.rglob("*") if folder.is_dir() else [folder]
        for path in found:
            skip = {"node_modules", "decisions", ".venv"} & set(path.parts)
            if path.suffix in {".py", ".md", ".yaml", ".html"} and not skip and path not in EXEMPT:
                yield path


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """Return line number and text of what a person reads in a file."""
    if path.suffix != ".py":
        yield from enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        return
    with path.open("rb") as file:
        for token in tokenize.tokenize(file.readline):
            if token.type in READ_BY_PEOPLE:
                yield token.start[0], token.string


@pytest.mark.parametrize(
    "path", sorted(project_files()), ids=lambda path: path.relative_to(ROOT).as_posix()
)
def test_a_file_uses_the_words_of_the_glossary(path):
    """Strings, docstrings and comments of code, and all lines of documents."""
    words = [
        f"line {number}: {match.group(0)}"
        for number, text in texts(path)
        for match in PATTERN.finditer(text)
    ]

    assert words == []


def test_the_glossary_lists_the_words():
    """A glossary that cannot be read would allow every word."""
    assert {"told", "anew", "nobody", "road"} <= set(WORDS)
