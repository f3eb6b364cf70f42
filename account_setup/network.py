"""Can the host of a CRM be reached? Each function yields findings; no credential is sent."""

import errno
import re
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import requests
from requests.utils import get_environ_proxies

from connectors import causes
from connectors.http import is_loopback, open_session
from models import Finding

HTTPS_PORT = 443


def name_lookup(url: str) -> Iterator[Finding]:
    """Look the host up in the DNS. Behind a proxy, the proxy does that."""
    host = _host(url)
    if not host:
        yield Finding("skipped", "no address is set")
    elif _uses_proxy(url):
        yield Finding("skipped", "a proxy looks the name up")
    else:
        try:
            socket.getaddrinfo(host, urlsplit(url).port or HTTPS_PORT, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            yield Finding("fault", f"the name {host} is not known")
        else:
            yield Finding("ok", host)


def connection(url: str) -> Iterator[Finding]:
    """Open a connection with TLS and check the certificate; any HTTP status is right."""
    host = _host(url)
    if not host:
        yield Finding("skipped", "no address is set")
        return
    try:
        with open_session(url) as session:
            session.get(url, allow_redirects=False, stream=True).close()
    except requests.exceptions.RequestException as error:
        # the text of the library is not repeated: it holds the URL
        yield _failure(error, host)
    else:
        is_plain = urlsplit(url).scheme == "http"
        yield Finding("ok", "without TLS, on this machine" if is_plain else "")


def _failure(error: requests.exceptions.RequestException, host: str) -> Finding:
    match error:
        case requests.exceptions.SSLError():
            reason = _CERTIFICATE.search(str(error))
            text = f"the certificate of {host} is not accepted"
            return Finding(
                "fault",
                f"{text}: {reason[1]}" if reason else text,
                "Correct the address. Where a company proxy replaces certificates, name its"
                " certificate file in REQUESTS_CA_BUNDLE.",
            )
        case requests.exceptions.ProxyError():
            return Finding("fault", "the proxy refuses the connection", "Correct HTTPS_PROXY.")
        case requests.exceptions.Timeout():
            return Finding("fault", f"{host} does not answer in time")
    numbers = {cause.errno for cause in causes(error) if isinstance(cause, OSError)}
    if errno.ECONNREFUSED in numbers or "refused" in str(error):
        return Finding("fault", f"{host} refuses the connection")
    return Finding("fault", f"the connection to {host} was cut")


_CERTIFICATE = re.compile(r"certificate verify failed: ([A-Za-z -]+)")


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:  # brackets that are no IPv6 address
        return ""


def _uses_proxy(url: str) -> bool:
    return not is_loopback(url) and urlsplit(url).scheme in get_environ_proxies(url)
