"""Whether a host can be reached, and what an admin does where it cannot."""

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from account_setup.network import connection, name_lookup


@pytest.fixture
def self_signed(tmp_path: Path) -> Iterator[str]:
    """Serve HTTPS with a certificate that no authority signed."""
    key = generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, SHA256())
    )
    pem = tmp_path / "server.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    pem.write_bytes(private + certificate.public_bytes(Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    server = HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"https://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_certificate_that_is_not_accepted_is_named(self_signed: str) -> None:
    """The advice names the variable for a company's own certificates."""
    [finding] = connection(self_signed)

    assert finding.status == "fault"
    assert "certificate of 127.0.0.1 is not accepted: self" in finding.text
    assert "REQUESTS_CA_BUNDLE" in finding.advice


def test_behind_a_proxy_the_proxy_looks_the_name_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server without a DNS of its own is no fault."""
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")

    [looked_up] = name_lookup("https://crm.example.com")
    [connected] = connection("https://crm.example.com")

    assert looked_up.status == "skipped"
    assert (connected.status, "proxy" in connected.text) == ("fault", True)


@pytest.mark.parametrize("url", ["", "no-url", "https://[broken"])
def test_an_address_without_a_host_is_left_to_the_login(url: str) -> None:
    """Its error names the setting."""
    assert [one.status for one in (*name_lookup(url), *connection(url))] == ["skipped"] * 2
