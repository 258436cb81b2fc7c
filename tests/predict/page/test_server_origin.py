"""Who may ask: the names that a server answers to, and where a browser's request comes from."""

import socket

import pytest
from starlette.datastructures import Headers

from twodasl_jax.predict.page.server_origin import (
    answers_to,
    comes_from_elsewhere,
    is_local,
    opens_a_page,
)

OWN = socket.gethostname().lower()


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("localhost", True),
        ("::ffff:127.0.0.1", True), ("LocalHost", True), ("0.0.0.0", False), ("::", False),
        ("192.168.1.5", False), ("fe80::1%eth0", False), ("example.org", False),
    ],
)  # fmt: skip
def test_which_hosts_are_this_machines_alone(host, local):
    assert is_local(host) is local


@pytest.mark.parametrize("listening", ["127.0.0.1", "::1", "localhost"])
@pytest.mark.parametrize(
    ("header", "answered"),
    [
        ("localhost", True), ("localhost:8000", True), ("LOCALHOST:9", True), ("localhost.", True),
        ("127.0.0.1:8000", True), ("[::1]:8000", True), ("[::1]", True), ("127.0.0.2", True),
        ("evil.example", False), ("evil.example:8000", False), ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False), ("evil-localhost", False), ("192.168.1.5:8000", False),
        ("[2001:db8::1]", False), ("0.0.0.0:8000", False), ("", False), (":8000", False),
        ("localhost@evil.example", False), ("evil.example@localhost", False), ("[::1", False),
        ("localhost/evil", False), ("localhost:port", False), ("localhost:99999", False),
        ("localhost,evil.example", False), ("a b", False), ("[evil]", False),
    ],
)  # fmt: skip
def test_a_local_server_answers_to_local_names(listening, header, answered):
    assert answers_to(header, listening) is answered


@pytest.mark.parametrize(
    ("header", "answered"),
    [
        ("192.168.1.5:8000", True), ("10.0.0.9", True), ("[fe80::1]:8000", True),
        ("localhost:8000", True), ("127.0.0.1", True), (f"{OWN}:8000", True),
        (f"{OWN}.local", True), ("evil.example", False), (f"{OWN}.evil.example", False),
    ],
)  # fmt: skip
@pytest.mark.parametrize("listening", ["0.0.0.0", "::", "192.168.1.5", "fe80::1%eth0"])
def test_an_open_server_answers_to_addresses_and_its_own_name(listening, header, answered):
    assert answers_to(header, listening) is answered


def test_a_server_answers_to_the_name_that_it_listens_on():
    assert answers_to("Faces.Example:80", "faces.example")
    assert not answers_to("faces.example", "0.0.0.0")


@pytest.mark.parametrize(
    ("headers", "elsewhere"),
    [
        ({}, False),
        ({"origin": "http://localhost:8000"}, False),
        ({"origin": "http://LOCALHOST:8000"}, False),
        ({"origin": "http://localhost:8001"}, True),
        ({"origin": "http://localhost"}, True),
        ({"origin": "http://127.0.0.1:8000"}, True),
        ({"origin": "https://evil.example"}, True),
        ({"origin": "https://evil.example:8000"}, True),
        ({"origin": "null"}, True),
        ({"origin": ""}, True),
        ({"origin": "http://[::1"}, True),
        ({"origin": "file://localhost:8000"}, True),
        ({"origin": "http://localhost:8000@evil.example"}, True),
        ({"sec-fetch-site": "same-origin"}, False),
        ({"sec-fetch-site": "none"}, False),
        ({"sec-fetch-site": "same-site"}, True),
        ({"sec-fetch-site": "cross-site"}, True),
        ({"sec-fetch-site": "anything"}, True),
        ({"sec-fetch-site": "cross-site", "origin": "http://localhost:8000"}, True),
        ({"sec-fetch-site": "same-origin", "origin": "http://evil.example"}, True),
        ({"referer": "http://localhost:8000/"}, False),
        ({"referer": "http://evil.example/localhost:8000"}, True),
    ],
)
def test_requests_of_other_pages_are_told(headers, elsewhere):
    assert comes_from_elsewhere(Headers({"host": "localhost:8000"} | headers)) is elsewhere


@pytest.mark.parametrize(
    ("origin", "host", "elsewhere"),
    [
        ("https://faces.example", "faces.example", False),  # a proxy adds TLS
        ("https://faces.example", "faces.example:443", False),
        ("http://faces.example", "faces.example", False),
        ("http://[::1]:8000", "[::1]:8000", False),
        ("http://[::1]:8000", "[::1]:8001", True),
    ],
)
def test_usual_ports_need_no_number(origin, host, elsewhere):
    assert comes_from_elsewhere(Headers({"host": host, "origin": origin})) is elsewhere


def test_one_of_two_origins_that_is_foreign_counts():
    raw = [(b"host", b"a:1"), (b"origin", b"http://a:1"), (b"origin", b"http://b")]
    assert comes_from_elsewhere(Headers(raw=raw))


def test_a_followed_link_is_told_from_a_page_of_another_in_a_frame():
    assert opens_a_page(Headers({"sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}))
    assert not opens_a_page(Headers({"sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"}))
    assert not opens_a_page(Headers({"sec-fetch-mode": "no-cors", "sec-fetch-dest": "script"}))
