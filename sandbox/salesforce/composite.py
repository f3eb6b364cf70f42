"""Several requests in one call, which may refer to earlier responses."""

from typing import Any

from sandbox.salesforce import request_schemas
from sandbox.salesforce.composite_refs import resolve_references
from sandbox.salesforce.errors import ApiError
from sandbox.salesforce.request import ApiRequest, ApiResponse

_MOST = 25
_HALTED = ApiError(
    "PROCESSING_HALTED",
    "The transaction was rolled back since another operation in the same transaction failed.",
)


def composite(request: ApiRequest) -> ApiResponse:
    """Execute up to 25 requests, in one transaction if the client says so."""
    body = request.json(request_schemas.COMPOSITE)
    requests = _checked(body.get("compositeRequest", []))
    answers = _all(request, requests, all_or_none=body.get("allOrNone") is True)
    return ApiResponse({"compositeResponse": _subresponse(requests, answers)})


def graph(request: ApiRequest) -> ApiResponse:
    """Execute graphs of requests, each in one transaction."""
    results = []
    for one in request.json(request_schemas.GRAPHS)["graphs"]:
        requests = one["compositeRequest"]
        answers = _all(request, requests, all_or_none=True)
        results.append(
            {
                "graphId": one["graphId"],
                "graphResponse": {"compositeResponse": _subresponse(requests, answers)},
                "isSuccessful": not any(_failed(response) for response in answers),
            }
        )
    return ApiResponse({"graphs": results})


def _all(
    request: ApiRequest, requests: list[dict[str, Any]], *, all_or_none: bool
) -> list[ApiResponse]:
    answers: dict[str, ApiResponse] = {}
    try:
        with request.store.transaction():
            for one in requests:
                answers[one["referenceId"]] = _one(request, one, answers)
            if all_or_none and any(_failed(one) for one in answers.values()):
                raise _HALTED
    except ApiError:
        halted = ApiResponse([_HALTED.as_rest()], status=400)
        return [one if _failed(one) else halted for one in answers.values()]
    return list(answers.values())


def _one(
    request: ApiRequest, subrequest: dict[str, Any], before: dict[str, ApiResponse]
) -> ApiResponse:
    bodies = {name: one.body for name, one in before.items() if not _failed(one)}
    try:
        url, body = (
            resolve_references(subrequest["url"], bodies),
            resolve_references(subrequest.get("body"), bodies),
        )
    except ApiError as error:
        return ApiResponse([error.as_rest()], status=error.status)
    return request.send(subrequest["method"], url, body)


def batch(request: ApiRequest) -> ApiResponse:
    """Execute up to 25 independent requests."""
    requests = _checked(request.json(request_schemas.BATCH).get("batchRequests", []))
    answers = [
        request.send(one["method"], _absolute(one["url"]), one.get("richInput")) for one in requests
    ]
    results = [{"statusCode": one.status, "result": one.body} for one in answers]
    return ApiResponse({"hasErrors": any(_failed(one) for one in answers), "results": results})


def _checked(requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if not requests:
        raise ApiError("REQUIRED_FIELD_MISSING", "At least 1 request is required")
    if len(requests) > _MOST:
        message = f"The limit of requests per composite operation is {_MOST}"
        raise ApiError("LIMIT_EXCEEDED", message)
    return requests


def _absolute(url: str) -> str:
    return url if url.startswith("/") else f"/services/data/{url}"


def _failed(response: ApiResponse) -> bool:
    return response.status >= 400


def _subresponse(
    requests: list[dict[str, Any]], answers: list[ApiResponse]
) -> list[dict[str, Any]]:
    return [
        {
            "body": response.body,
            "httpHeaders": dict(response.headers),
            "httpStatusCode": response.status,
            "referenceId": request["referenceId"],
        }
        for request, response in zip(requests, answers, strict=True)
    ]
