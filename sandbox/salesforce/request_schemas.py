"""The shapes of request bodies; what has another one is no body Salesforce can read."""

from typing import Any, Final, Literal, NotRequired

from pydantic import ConfigDict, TypeAdapter, with_config
from typing_extensions import TypedDict  # pydantic needs this one below Python 3.12


class Attributes(TypedDict):
    """What a record says of itself."""

    type: str


@with_config(ConfigDict(extra="allow"))
class Record(TypedDict):
    """A record of a collection, with any fields."""

    attributes: Attributes
    id: NotRequired[str | None]
    Id: NotRequired[str | None]


class Collection(TypedDict):
    """Records to write; that there must be some is said in words of their own."""

    records: NotRequired[list[Record]]
    allOrNone: NotRequired[bool]


class Retrieval(TypedDict):
    """Records to read, and what of them."""

    ids: list[str]
    fields: list[str]


class SubRequest(TypedDict):
    """One request of a composite one."""

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
    """Graphs that know nothing of each other."""

    graphs: list[Graph]


class BatchRequest(TypedDict):
    """One request of a batch."""

    method: str
    url: str
    richInput: NotRequired[Any]


class Batch(TypedDict):
    """Requests that know nothing of each other."""

    batchRequests: NotRequired[list[BatchRequest]]
    haltOnError: NotRequired[bool]


class QueryJob(TypedDict, total=False):
    """A query to be carried out in bulk."""

    operation: str
    query: str
    contentType: Literal["CSV"]
    columnDelimiter: str
    lineEnding: str


class IngestJob(TypedDict, total=False):
    """Rows to be written in bulk."""

    object: str
    operation: str
    externalIdFieldName: str | None
    contentType: Literal["CSV"]
    columnDelimiter: str
    lineEnding: str


class JobState(TypedDict):
    """What a job is to become."""

    state: str


class TreeNode(TypedDict):
    """What a record of a tree is, and what the client calls it."""

    type: str
    referenceId: str


class TreeRecord(TypedDict):
    """A record of a tree, with fields and records below it."""

    attributes: TreeNode


class Tree(TypedDict):
    """Records with others below them."""

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
