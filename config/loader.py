"""The files of `mappings/`, read and checked: the only place that opens them.

`python -m config.loader` writes their JSON Schemas, by which editors help to type them.
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
    """What the files say, and where in them it stands."""

    definition: Definition
    people: People
    mappings: Map[str, Mapping]
    documents: Documents = field(repr=False)


def load_configuration(
    folder: Path = CONFIG_FOLDER, *, definition_path: Path | None = None
) -> Configuration:
    """Read all files; `definition` is read in place of the folder's own.

    Raises: ConfigError that tells every mistake of every file, one a line.
    """
    ladder = definition_path or folder / DEFINITION_FILE
    broken = list(_ignored_files(folder, ladder))
    definition_read, problems = _read(ladder, Definition)
    people_read, more = _read(folder / PEOPLE_FILE, People)
    mappings: dict[str, Document[Mapping] | None] = {}
    for crm in crm_names():
        file = folder / f"{crm}.yaml"
        if file.exists():
            mappings[crm], found = _read(file, Mapping)
            broken += found
    if not mappings:
        broken.append(Problem(folder.as_posix(), 0, _no_mapping()))
    documents = Documents(definition_read, people_read, mappings)
    broken += problems + more
    broken += [one for one in checks.problems(documents) if not one.is_warning]
    if broken or definition_read is None or people_read is None:
        broken.sort(key=lambda problem: (problem.file, problem.line))
        raise ConfigError("\n".join(str(problem) for problem in broken))
    return Configuration(
        definition_read.model,
        people_read.model,
        {crm: document.model for crm, document in documents.readable_mappings.items()},
        documents,
    )


def configuration_warnings(configuration: Configuration) -> list[Problem]:
    """Say what is odd in the files though runs go on."""
    return [one for one in checks.problems(configuration.documents) if one.is_warning]


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
    return f"no CRM has a mapping here: write {files}. A CRM without a mapping file is left out"


def _ignored_files(folder: Path, ladder: Path) -> Iterator[Problem]:
    """Files in the folder that nobody would read."""
    known = {DEFINITION_FILE, PEOPLE_FILE, *(f"{crm}.yaml" for crm in crm_names())}
    for path in sorted(folder.glob("*.y*ml")):
        if path.name in known or path == ladder:
            continue
        text = f"there is no connector for it (no folder connectors/{path.stem}): "
        if path.suffix == ".yml":
            text = f"nobody reads this: call it {path.stem}.yaml, or "
        yield Problem(path.as_posix(), 0, f"{text}move the file out of {folder.as_posix()}/")


def _write_schemas() -> None:
    for name, text in json_schemas().items():
        (CONFIG_FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    _write_schemas()
