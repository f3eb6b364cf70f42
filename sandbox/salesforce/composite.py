"""Several requests in one call, which may refer to each other's answers."""

from typing import Any

from sandbox.salesforce import request_schemas
from sandbox.salesforce.composite_refs import resolved
from sandbox.salesforce.errors import Refused
from sandbox.salesforce.request import Answer, Call

_MOST = 25
_HALTED = Refused(
    "PROCESSING_HALTED",
    "The transaction was rolled back since another operation in the same transaction failed.",
)


def composite(call: Call) -> Answer:
    """Carry out up to 25 requests, all or none of them where the client says so."""
    body = call.json(request_schemas.COMPOSITE)
    requests = _checked(body.get("compositeRequest", []))
    answers = _all(call, requests, all_or_none=body.get("allOrNone") is True)
    return Answer({"compositeResponse": _told(requests, answers)})


def graph(call: Call) -> Answer:
    """Carry out graphs of requests; of each graph all or none."""
    told = []
    for one in call.json(request_schemas.GRAPHS)["graphs"]:
        requests = one["compositeRequest"]
        answers = _all(call, requests, all_or_none=True)
        told.append(
            {
                "graphId": one["graphId"],
                "graphResponse": {"compositeResponse": _told(requests, answers)},
                "isSuccessful": not any(_failed(answer) for answer in answers),
            }
        )
    return Answer({"graphs": told})


def _all(call: Call, requests: list[dict[str, Any]], *, all_or_none: bool) -> list[Answer]:
    answers: dict[str, Answer] = {}
    try:
        with call.store.transaction():
            for one in requests:
                answers[one["referenceId"]] = _one(call, one, answers)
            if all_or_none and any(_failed(one) for one in answers.values()):
                raise _HALTED
    except Refused:
        halted = Answer([_HALTED.rest()], status=400)
        return [one if _failed(one) else halted for one in answers.values()]
    return list(answers.values())


def _one(call: Call, request: dict[str, Any], before: dict[str, Answer]) -> Answer:
    bodies = {name: one.body for name, one in before.items() if not _failed(one)}
    try:
        url, body = resolved(request["url"], bodies), resolved(request.get("body"), bodies)
    except Refused as error:
        return Answer([error.rest()], status=error.status)
    return call.send(request["method"], url, body)


def batch(call: Call) -> Answer:
    """Carry out up to 25 requests that know nothing of each other."""
    requests = _checked(call.json(request_schemas.BATCH).get("batchRequests", []))
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


def _told(requests: list[dict[str, Any]], answers: list[Answer]) -> list[dict[str, Any]]:
    return [
        {
            "body": answer.body,
            "httpHeaders": dict(answer.headers),
            "httpStatusCode": answer.status,
            "referenceId": request["referenceId"],
        }
        for request, answer in zip(requests, answers, strict=True)
    ]
