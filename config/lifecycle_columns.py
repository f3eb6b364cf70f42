"""What of a person can be written into a CRM: the columns of `lifecycle`, their types and words."""

from typing import NamedTuple

from config.definition import Definition
from models import FieldType

RANKED = ("stage", "standing", "furthest_stage")
"""The columns that climb the ladder, so that a write of one can go backward."""

STAGES = ("stage", "furthest_stage")
"""The columns that hold a stage and nothing else."""


class Answer(NamedTuple):
    """A column of `lifecycle`: its type, and all the words it can hold (None: any)."""

    type: FieldType
    words: tuple[str, ...] | None = None


def answers(definition: Definition) -> dict[str, Answer]:
    """Name every column of `lifecycle` that `write` can take its values `from`."""
    stages = definition.stage_ids
    actions = [stage.action for stage in definition.stages if stage.action]
    grades = definition.score.grades if definition.score else ()
    instant = Answer("datetime")
    return {
        "person_id": Answer("text"),
        "stage": Answer("text", stages),
        "status": Answer("text", ("open", "recycled", "disqualified", "won")),
        "standing": Answer("text", (*stages, "recycled", "disqualified")),
        "stage_since": instant,
        **{f"{stage}_at": instant for stage in stages[1:]},
        "recycled_at": instant,
        "disqualified_at": instant,
        "furthest_stage": Answer("text", stages),
        "cycle": Answer("integer"),
        "score": Answer("number"),
        "engagement": Answer("number"),
        "fit": Answer("number"),
        "grade": Answer("text", tuple(dict.fromkeys((*sorted(grades), "D")))),
        "qualified": Answer("integer"),
        "touches": Answer("integer"),
        "pressure": Answer("text", ("ok", "high", "stop")),
        "contactable": Answer("boolean"),
        "next_action": Answer("text", tuple(dict.fromkeys(["none", "pause", "nurture", *actions]))),
        "follow_up_due": instant,
        "reasons": Answer("text"),
        "definition_id": Answer("text"),
    }
