"""The schemas of request bodies."""

from typing import Any, Final, Literal, NotRequired

from pydantic import ConfigDict, TypeAdapter, with_config
from typing_extensions import TypedDict  # pydantic needs this one below Python 3.12


class Attributes(TypedDict):
    """Type and URL of a record."""

    type: str


@with_config(ConfigDict(extra="allow"))
class Record(TypedDict):
    """A record of a collection, with any fields."""

    attributes: Attributes
    id: NotRequired[str | None]
    Id: NotRequired[str | None]


class Collection(TypedDict):
    """Records to write; an empty list has its own error message."""

    records: NotRequired[list[Record]]
    allOrNone: NotRequired[bool]


class Retrieval(TypedDict):
    """Records to read, and their fields."""

    ids: list[str]
    fields: list[str]


class SubRequest(TypedDict):
    """One subrequest."""

    method: str
    url: str
    referenceId: str
    body: NotRequired[Any]


class Composite(TypedDict):
    """Requests that may depend on each other."""

    compositeRequest: NotRequired[list[SubRequest]]
    allOrNone: NotRequired[bool]
    collateSubrequests: NotRequired[bool]


class Graph(TypedDict):
    """Requests that succeed or fail together."""

    graphId: str
    compositeRequest: list[SubRequest]


class Graphs(TypedDict):
    """Independent graphs."""

    graphs: list[Graph]


class BatchRequest(TypedDict):
    """One request of a batch."""

    method: str
    url: str
    richInput: NotRequired[Any]


class Batch(TypedDict):
    """Independent requests."""

    batchRequests: NotRequired[list[BatchRequest]]
    haltOnError: NotRequired[bool]


class QueryJob(TypedDict, total=False):
    """A query of a bulk job."""

    operation: str
    query: str
    contentType: Literal["CSV"]
    columnDelimiter: str
    lineEnding: str


class IngestJob(TypedDict, total=False):
    """Rows to write in a bulk job."""

    object: str
    operation: str
    externalIdFieldName: str | None
    contentType: Literal["CSV"]
    columnDelimiter: str
    lineEnding: str


class JobState(TypedDict):
    """The new state of a job."""

    state: str


class TreeNode(TypedDict):
    """Type and reference id of a record in a tree."""

    type: str
    referenceId: str


class TreeRecord(TypedDict):
    """A record of a tree, with fields and child records."""

    attributes: TreeNode


class Tree(TypedDict):
    """Records with child records."""

    records: list[TreeRecord]


COLLECTION: Final = TypeAdapter(Collection)
TREE: Final = TypeAdapter(Tree)
RETRIEVAL: Final = TypeAdapter(Retrieval)
COMPOSITE: Final = TypeAdapter(Composite)
GRAPHS: Final = TypeAdapter(Graphs)
BATCH: Final = TypeAdapter(Batch)
QUERY_JOB: Final = TypeAdapter(QueryJob)
INGEST_JOB: Final = TypeAdapter(IngestJob)
JOB_STATE: Final = TypeAdapter(JobState)
