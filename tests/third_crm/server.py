"""The API of an invented CRM, on loopback: contacts and activities, 50 rows a page."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "minicrm-token"
PAGE = 50
STAGES = ["Suspect", "Lead", "MQL", "SQL", "Customer"]
FIELDS = {
    "contacts": [
        {"key": "id", "type": "string", "read_only": True},
        {"key": "created", "type": "datetime", "read_only": True},
        {"key": "updated", "type": "datetime", "read_only": True},
        {"key": "deleted", "type": "bool", "read_only": True},
        {"key": "email", "type": "string"},
        {"key": "title", "type": "string"},
        {"key": "stage", "type": "string", "options": STAGES},
        {"key": "score", "type": "number"},
    ],
    "activities": [
        {"key": "id", "type": "string", "read_only": True},
        {"key": "created", "type": "datetime", "read_only": True},
        {"key": "updated", "type": "datetime", "read_only": True},
        {"key": "deleted", "type": "bool", "read_only": True},
        {"key": "contact_id", "type": "string"},
        {"key": "type", "type": "string"},
    ],
}


@dataclass
class MiniCrm:
    """The rows of the CRM, and the calls it received."""

    rows: dict[str, dict[str, dict[str, Any]]]
    url: str = ""
    calls: list[str] = field(default_factory=list)

    @property
    def writes(self) -> int:
        """Count the calls that wrote."""
        return sum(call.startswith("PATCH") for call in self.calls)

    def edit(self, object: str, record_id: str, **values: Any) -> None:
        """Change a row as a user would: its `updated` time moves."""
        self.rows[object][record_id] |= {"updated": datetime.now(UTC).isoformat(), **values}


def example_rows(people: int) -> dict[str, dict[str, dict[str, Any]]]:
    """Make contacts of which every second one asked for a demo a week ago."""
    at = (datetime.now(UTC) - timedelta(days=7)).isoformat()
    system = {"created": at, "updated": at, "deleted": False}
    contacts = {
        str(n): {
            "id": str(n),
            "email": f"person{n}@example.com",
            "title": "Buyer",
            "stage": "Suspect",
            "score": 0,
            **system,
        }
        for n in range(1, people + 1)
    }
    activities = {
        str(n): {"id": str(n), "contact_id": str(n), "type": "demo", **system}
        for n in range(2, people + 1, 2)
    }
    return {"contacts": contacts, "activities": activities}


@contextmanager
def minicrm_server(people: int = 120) -> Iterator[MiniCrm]:
    """Serve the CRM on a free port of 127.0.0.1."""
    crm = MiniCrm(example_rows(people))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
            self._respond(lambda: read(crm, path, {key: words[0] for key, words in query.items()}))

        def do_PATCH(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self._respond(lambda: update(crm, self.path.rpartition("/")[2], body["rows"]))

        def _respond(self, answer: Any) -> None:
            crm.calls.append(f"{self.command} {self.path}")
            is_known = self.headers["Authorization"] == f"Bearer {TOKEN}"
            status, body = answer() if is_known else (401, {"code": "bad_token"})
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    crm.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield crm
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def read(crm: MiniCrm, path: str, query: dict[str, str]) -> tuple[int, Any]:
    """Answer GET /me, /fields/OBJECT and /OBJECT?ids=|updated_since=&after=."""
    first, *rest = path.strip("/").split("/")
    object = rest[0] if rest else first
    if first == "me":
        return 200, {"account": "Example Ltd"}
    if object not in FIELDS:
        return 404, {"code": "unknown_object"}
    if rest:
        return 200, {"fields": FIELDS[object]}
    rows = sorted(crm.rows[object].values(), key=lambda row: int(row["id"]))
    if "ids" in query:
        return 200, {"rows": [row for row in rows if row["id"] in query["ids"].split(",")]}
    since = query.get("updated_since")
    rows = [
        row
        for row in rows
        if since is None or datetime.fromisoformat(row["updated"]) >= datetime.fromisoformat(since)
    ]
    page = [row for row in rows if int(row["id"]) > int(query.get("after", 0))][:PAGE]
    is_last = not page or page[-1]["id"] == rows[-1]["id"]
    next_page = None if is_last else page[-1]["id"]
    return 200, {"rows": page, "next": next_page, "total": len(rows)}


def update(crm: MiniCrm, object: str, rows: list[dict[str, Any]]) -> tuple[int, Any]:
    """Answer PATCH /OBJECT: write each row on its own and report each on its own."""
    results = []
    for row in rows:
        options = {one["key"]: one.get("options") for one in FIELDS[object]}
        refused = [key for key, value in row.items() if value not in (options[key] or [value])]
        if row["id"] not in crm.rows[object]:
            results.append({"id": row["id"], "code": "not_found"})
        elif refused:
            results.append({"id": row["id"], "code": "invalid_option", "field": refused[0]})
        else:
            crm.edit(object, row["id"], **row)
            results.append({"id": row["id"]})
    return 200, {"results": results}
