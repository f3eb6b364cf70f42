"""Read and check the files of `mappings/`; no other module opens them.

`python -m config.loader` writes their JSON Schemas, which editors use to complete and check words.
"""

import json
from collections.abc import Iterator
from collections.abc import Mapping as Map
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from config import checks
from config.checks import Documents
from config.definition import Definition
from config.mapping import Mapping, People
from config.yaml_document import Document, Problem, parse
from connectors import crm_names
from errors import ConfigError

CONFIG_FOLDER = Path(__file__).parents[1] / "mappings"
DEFINITION_FILE = "lifecycle.yaml"
PEOPLE_FILE = "people.yaml"

SCHEMAS: Map[str, type[BaseModel]] = {
    "lifecycle.schema.json": Definition,
    "people.schema.json": People,
    "mapping.schema.json": Mapping,
}

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class Configuration:
    """The models of all files, and the documents with their lines."""

    definition: Definition
    people: People
    mappings: Map[str, Mapping]
    documents: Documents = field(repr=False)


def load_configuration(
    folder: Path = CONFIG_FOLDER, *, definition_path: Path | None = None
) -> Configuration:
    """Read and check all files; `definition_path` replaces the definition of the folder.

    Raises: ConfigError with every mistake of every file, one a line.
    """
    definition_file = definition_path or folder / DEFINITION_FILE
    problems = list(_ignored_files(folder, definition_file))
    definition, definition_problems = _read(definition_file, Definition)
    people, people_problems = _read(folder / PEOPLE_FILE, People)
    mappings: dict[str, Document[Mapping] | None] = {}
    for crm in crm_names():
        file = folder / f"{crm}.yaml"
        if file.exists():
            mappings[crm], mapping_problems = _read(file, Mapping)
            problems += mapping_problems
    if not mappings:
        problems.append(Problem(folder.as_posix(), 0, _no_mapping()))
    documents = Documents(definition, people, mappings)
    problems += definition_problems + people_problems
    problems += [problem for problem in checks.problems(documents) if not problem.is_warning]
    if problems or definition is None or people is None:
        problems.sort(key=lambda problem: (problem.file, problem.line))
        raise ConfigError("\n".join(str(problem) for problem in problems))
    return Configuration(
        definition.model,
        people.model,
        {crm: document.model for crm, document in documents.readable_mappings.items()},
        documents,
    )


def configuration_warnings(configuration: Configuration) -> list[Problem]:
    """Report what is unusual in the files and stops no run."""
    problems = checks.problems(configuration.documents)
    return [problem for problem in problems if problem.is_warning]


def json_schemas() -> dict[str, str]:
    """The JSON Schema of each kind of file, as text."""
    draft = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return {
        name: json.dumps(draft | model.model_json_schema(), indent=2) + "\n"
        for name, model in SCHEMAS.items()
    }


def _read(path: Path, model: type[M], hint: str = "") -> tuple[Document[M] | None, list[Problem]]:
    file = path.as_posix()
    try:
        # utf-8-sig: some editors on Windows begin a file with a byte order mark
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return None, [Problem(file, 0, f"this file is missing{hint}")]
    except UnicodeDecodeError:
        return None, [Problem(file, 0, "this is not UTF-8: save the file in that encoding")]
    except OSError as error:
        return None, [Problem(file, 0, f"this file cannot be read: {error.strerror}")]
    return parse(text, model, file=file)


def _no_mapping() -> str:
    files = " or ".join(f"{crm}.yaml" for crm in crm_names())
    return f"no CRM has a mapping here: write {files}. a CRM without a mapping file is not used"


def _ignored_files(folder: Path, definition_file: Path) -> Iterator[Problem]:
    """Report files in the folder that are not read."""
    known = {DEFINITION_FILE, PEOPLE_FILE, *(f"{crm}.yaml" for crm in crm_names())}
    for path in sorted(folder.glob("*.y*ml")):
        if path.name in known or path == definition_file:
            continue
        text = f"there is no connector for it (no folder connectors/{path.stem}): "
        if path.suffix == ".yml":
            text = f"this file is ignored: call it {path.stem}.yaml, or "
        yield Problem(path.as_posix(), 0, f"{text}move the file out of {folder.as_posix()}/")


def _write_schemas() -> None:
    for name, text in json_schemas().items():
        (CONFIG_FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    _write_schemas()
