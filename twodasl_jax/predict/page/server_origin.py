"""Who may ask the server: people, programs and its own pages, but no other page in a browser.

A page of any site can make its visitor's browser send requests to addresses of the visitor's own
machine and network. Browsers say where a request comes from (``Origin``, ``Sec-Fetch-Site``), and
under which name the server is asked (``Host``): a site whose name was made to stand for this
machine (DNS rebinding) gives itself away there. Programs other than browsers send no origin.
"""

import ipaddress
import socket
from urllib.parse import SplitResult, urlsplit

from starlette.datastructures import Headers

LOCAL_NAMES = frozenset({"localhost"})
"""Names that stand for this machine everywhere."""


def is_local(host: str) -> bool:
    """Whether an address or name to listen on is reached from this machine alone."""
    address = _literal(host)
    return host.lower() in LOCAL_NAMES if address is None else address.is_loopback


def answers_to(host_header: str, listening: str) -> bool:
    """Whether a request may name the server so.

    Args:
      host_header: ``Host`` of the request: a name or address, with or without a port.
      listening: what the server listens on: a name or address.

    Returns:
      True for localhost and loopback addresses; where others may reach the server, also for every
      literal address, which no site can claim, for the name that it listens on, and this
      machine's own.
    """
    parts = _split(f"//{host_header}")
    if parts is None or parts.hostname is None or "@" in host_header or "/" in host_header:
        return False
    name = parts.hostname.removesuffix(".")
    address = _literal(name)
    if is_local(listening):
        return name in LOCAL_NAMES if address is None else address.is_loopback
    own = socket.gethostname().lower()
    return address is not None or name in {*LOCAL_NAMES, listening.lower(), own, f"{own}.local"}


def comes_from_elsewhere(headers: Headers) -> bool:
    """Whether a browser sent a request for a page of another origin.

    Args:
      headers: of the request. Where it says nothing of its origin, no browser of these years sent
        it for another page.
    """
    if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        return True
    named = headers.getlist("origin") or headers.getlist("referer")
    return not all(_is_origin(origin, headers.get("host", "")) for origin in named)


def opens_a_page(headers: Headers) -> bool:
    """Whether a request is a person's following of a link, not a page's own request."""
    wanted = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    return all(headers.get(name, value) == value for name, value in wanted.items())


def _is_origin(origin: str, host_header: str) -> bool:
    """Behind a proxy that adds TLS the scheme is another, so host and port alone are compared."""
    theirs, ours = _split(origin), _split(f"//{host_header}")
    if theirs is None or ours is None or theirs.scheme not in ("http", "https"):
        return False
    usual = 443 if theirs.scheme == "https" else 80
    return (theirs.hostname, theirs.port or usual) == (ours.hostname, ours.port or usual)


def _split(address: str) -> SplitResult | None:
    try:
        parts = urlsplit(address)
        _ = parts.port  # which is read, and refused, only now
    except ValueError:
        return None
    return parts


def _literal(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address
