"""Python imports this before an extractor: requests to the vendors go to the sandbox."""

import os
import re
from typing import Any

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter

VENDOR = re.compile(r"https://(api\.hubapi\.com|[\w.-]+\.salesforce\.com)")
_send = HTTPAdapter.send


def _to_the_sandbox(
    adapter: HTTPAdapter, request: PreparedRequest, *more: Any, **options: Any
) -> Response:
    """Send a request to the sandbox, with the vendor's host in its header."""
    if match := VENDOR.match(str(request.url)):
        request.headers.update({"Host": match[1], "X-Forwarded-Proto": "https"})
        request.url = os.environ["ONEFUNNEL_SANDBOX"] + request.path_url
    return _send(adapter, request, *more, **options)


HTTPAdapter.send = _to_the_sandbox  # type: ignore[method-assign]
