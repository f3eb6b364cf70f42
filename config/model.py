"""The base of all models of YAML files, and how their cross-field checks are collected."""

from collections.abc import Iterator
from collections.abc import Mapping as Map
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationInfo, model_validator

from config.validation_errors import Violation

SKIP_CROSS_CHECKS = "skip_cross_checks"
"""The validation context under which a model is built although its fields do not fit together."""


class ConfigModel(BaseModel):
    """A section of a YAML file."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        populate_by_name=True,
        # the text below a field becomes its description in the JSON Schema
        use_attribute_docstrings=True,
    )

    def cross_field_violations(self) -> Iterator[Violation]:
        """Compare the fields of this section; paths are relative to the section."""
        yield from ()

    @model_validator(mode="after")
    def _check_fields_together(self, info: ValidationInfo) -> Self:
        # pydantic skips this validator where a field of the section or of a section above it is
        # wrong. A file is therefore built without it, and checked by `all_cross_field_violations`
        if not (info.context or {}).get(SKIP_CROSS_CHECKS):
            texts = [violation.text for violation in self.cross_field_violations()]
            if texts:
                raise ValueError("; ".join(texts))
        return self


def all_cross_field_violations(value: Any) -> Iterator[Violation]:
    """Check a model and every section below it; paths are relative to the model."""
    match value:
        case ConfigModel():
            yield from value.cross_field_violations()
            fields = type(value).model_fields
            parts: Iterator[tuple[str | int, Any]] = (
                (field.alias or name, getattr(value, name)) for name, field in fields.items()
            )
        case Map():
            parts = iter(value.items())
        case tuple():
            parts = iter(enumerate(value))
        case _:
            return
    for step, part in parts:
        for violation in all_cross_field_violations(part):
            yield violation.below(step)
