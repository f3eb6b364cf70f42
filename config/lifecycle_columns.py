"""The columns of `lifecycle` that can be written into a CRM, with their types and values."""

from typing import NamedTuple

from config.definition import Definition
from models import FieldType

RANKED_COLUMNS = ("stage", "standing", "furthest_stage")
"""The columns whose values are ordered like the stages: a write can move them backward."""

STAGE_COLUMNS = ("stage", "furthest_stage")
"""The columns whose only values are stages."""

FADING_COLUMNS = ("score", "engagement", "touches")
"""The columns that change from day to day without an event: points fade, windows move on."""


class LifecycleColumn(NamedTuple):
    """A column of `lifecycle`: its type, and its possible values (None: any)."""

    type: FieldType
    allowed_values: tuple[str, ...] | None = None


def lifecycle_columns(definition: Definition) -> dict[str, LifecycleColumn]:
    """Name every column of `lifecycle` that `write` can take its values `from`."""
    stages = definition.stage_ids
    actions = [stage.action for stage in definition.stages if stage.action]
    grades = definition.score.grades if definition.score else ()
    instant = LifecycleColumn("datetime")
    return {
        "person_id": LifecycleColumn("text"),
        "stage": LifecycleColumn("text", stages),
        "status": LifecycleColumn("text", ("open", "recycled", "disqualified", "won")),
        "standing": LifecycleColumn("text", (*stages, "recycled", "disqualified")),
        "stage_since": instant,
        **{f"{stage}_at": instant for stage in stages[1:]},
        "recycled_at": instant,
        "disqualified_at": instant,
        "furthest_stage": LifecycleColumn("text", stages),
        "cycle": LifecycleColumn("integer"),
        "score": LifecycleColumn("number"),
        "engagement": LifecycleColumn("number"),
        "fit": LifecycleColumn("number"),
        "grade": LifecycleColumn("text", tuple(dict.fromkeys((*sorted(grades), "D")))),
        "qualified": LifecycleColumn("integer"),
        "touches": LifecycleColumn("number"),
        "pressure": LifecycleColumn("text", ("ok", "high", "stop")),
        "contactable": LifecycleColumn("boolean"),
        "next_action": LifecycleColumn(
            "text", tuple(dict.fromkeys(["none", "pause", "nurture", *actions]))
        ),
        "follow_up_due": instant,
        "reasons": LifecycleColumn("text"),
        "definition_id": LifecycleColumn("text"),
    }
