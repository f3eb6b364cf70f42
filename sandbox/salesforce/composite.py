"""Several requests in one call. References between them (`@{...}`) are not imitated."""

from typing import Any

from sandbox.salesforce import shapes
from sandbox.salesforce.calls import Answer, Call
from sandbox.salesforce.errors import Refused

_MOST = 25
_HALTED = Refused(
    "PROCESSING_HALTED",
    "The transaction was rolled back since another operation in the same transaction failed.",
)


def composite(call: Call) -> Answer:
    """Carry out up to 25 requests, all or none of them where the client says so."""
    body = call.json(shapes.COMPOSITE)
    requests = _checked(body.get("compositeRequest", []))
    answers: list[Answer] = []
    try:
        with call.store.transaction():
            answers += [call.send(one["method"], one["url"], one.get("body")) for one in requests]
            if body.get("allOrNone") is True and any(_failed(one) for one in answers):
                raise _HALTED
    except Refused:
        halted = Answer([_HALTED.rest()], status=400)
        answers = [one if _failed(one) else halted for one in answers]
    told = [_told(one, answer) for one, answer in zip(requests, answers, strict=True)]
    return Answer({"compositeResponse": told})


def batch(call: Call) -> Answer:
    """Carry out up to 25 requests that know nothing of each other."""
    requests = _checked(call.json(shapes.BATCH).get("batchRequests", []))
    answers = [
        call.send(one["method"], _absolute(one["url"]), one.get("richInput")) for one in requests
    ]
    results = [{"statusCode": one.status, "result": one.body} for one in answers]
    return Answer({"hasErrors": any(_failed(one) for one in answers), "results": results})


def _checked(requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if not requests:
        raise Refused("REQUIRED_FIELD_MISSING", "At least 1 request is required")
    if len(requests) > _MOST:
        said = f"The limit of requests per composite operation is {_MOST}"
        raise Refused("LIMIT_EXCEEDED", said)
    return requests


def _absolute(url: str) -> str:
    return url if url.startswith("/") else f"/services/data/{url}"


def _failed(answer: Answer) -> bool:
    return answer.status >= 400


def _told(request: dict[str, Any], answer: Answer) -> dict[str, Any]:
    return {
        "body": answer.body,
        "httpHeaders": dict(answer.headers),
        "httpStatusCode": answer.status,
        "referenceId": request.get("referenceId"),
    }
