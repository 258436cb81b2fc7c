"""Connections that neither ask nor read are given up, and there are not too many of them."""

import contextlib
import socket
import time

import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from twodasl_jax.predict.page import server_connections

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
LARGE = 30_000_000


@pytest.fixture
def port(serving, monkeypatch):
    monkeypatch.setattr(server_connections, "MAX_CONNECTIONS", 4)
    monkeypatch.setattr(server_connections, "HEAD_SECONDS", 0.4)
    monkeypatch.setattr(server_connections, "UNREAD_SECONDS", 0.3)

    async def small(_request):
        return Response("small")

    async def large(_request):
        return Response(bytes(LARGE))

    with serving(Starlette(routes=[Route("/", small), Route("/large", large)])) as port:
        yield port


@contextlib.contextmanager
def connected(port, count=1):
    with contextlib.ExitStack() as stack:
        clients = [socket.create_connection(("127.0.0.1", port), timeout=20) for _ in range(count)]
        for client in clients:
            stack.enter_context(client)
        yield clients


def ask(client, request=REQUEST):
    """The answer up to the word that it ends with; head and body come in pieces."""
    client.sendall(request)
    answer = b""
    while not answer.endswith(b"small") and (piece := client.recv(9999)):
        answer += piece
    return answer


def answer_of(client):
    return b"".join(iter(lambda: client.recv(99999), b""))


@pytest.mark.parametrize("sent", [b"", b"G", b"GET / HTTP/1.1\r\nHost: local", REQUEST[:-2]])
def test_a_head_that_does_not_come_is_given_up(port, sent):
    with connected(port) as [client]:
        client.sendall(sent)
        start = time.monotonic()
        answer = answer_of(client)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert answer.endswith(b"The request did not arrive in time.")
    assert time.monotonic() - start < 5


def test_a_head_that_trickles_is_given_up(port):
    with connected(port) as [client]:
        client.sendall(REQUEST[:-2])
        client.settimeout(0.05)
        answer, end = b"", time.monotonic() + 10
        while not answer and time.monotonic() < end:
            with contextlib.suppress(TimeoutError):
                answer = client.recv(9999)
            with contextlib.suppress(OSError):
                client.sendall(b"X: y\r\n")
    assert answer.startswith(b"HTTP/1.1 408 ")


def test_a_second_head_that_does_not_come_is_given_up_too(port):
    with connected(port) as [client]:
        assert ask(client).startswith(b"HTTP/1.1 200 ")
        client.sendall(REQUEST[:20])
        assert answer_of(client).startswith(b"HTTP/1.1 408 ")


def test_requests_after_one_another_and_at_once_are_answered(port):
    with connected(port) as [client]:
        for _ in range(3):
            assert ask(client).endswith(b"small")
            time.sleep(0.2)
        client.sendall(REQUEST + REQUEST.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        assert answer_of(client).count(b"small") == 2


def test_too_many_connections_are_refused_at_once(port):
    with connected(port, 4) as clients, connected(port, 3) as others:
        for other in others:
            answer = answer_of(other)
            assert answer.startswith(b"HTTP/1.1 503 ")
            assert b"retry-after: 60" in answer
        assert ask(clients[0]).startswith(b"HTTP/1.1 200 ")
    end = time.monotonic() + 5
    answer = b""
    while not answer.startswith(b"HTTP/1.1 200 ") and time.monotonic() < end:
        with connected(port) as [client]:
            answer = ask(client)
    assert answer.startswith(b"HTTP/1.1 200 ")


def test_an_answer_that_nobody_reads_is_given_up(port):
    with connected(port) as [client]:
        client.sendall(REQUEST.replace(b"/ ", b"/large "))
        time.sleep(1.0)
        with contextlib.suppress(ConnectionResetError):
            assert len(answer_of(client)) < LARGE


def test_a_slow_reader_gets_its_whole_answer(port):
    with connected(port) as [client]:
        client.sendall(
            REQUEST.replace(b"/ ", b"/large ").replace(
                b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"
            )
        )
        read = 0
        for _ in range(20):
            read += len(client.recv(1_000_000))
            time.sleep(0.05)
        assert read + len(answer_of(client)) > LARGE


def test_a_client_that_leaves_while_it_is_answered_leaves_no_line(port, caplog, capfd):
    for _ in range(3):
        with connected(port) as [client]:
            client.sendall(REQUEST.replace(b"/ ", b"/large "))
            client.recv(1000)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    time.sleep(0.2)
    assert caplog.records == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("sent", [b"\0\1\2", b"\x16\x03\x01\x02\x00", b"GET\r\n\r\n", b"\r\n" * 99])
def test_garbage_is_answered_without_a_line(port, sent, caplog):
    with connected(port) as [client]:
        client.sendall(sent + b"\r\n\r\n")
        assert b" 40" in answer_of(client)[:14]
    assert caplog.records == []


def test_a_head_without_end_is_refused(port, caplog):
    with connected(port) as [client]:
        client.sendall(REQUEST[:-2] + b"X: " + b"y" * 70_000)
        assert client.recv(9999).startswith(b"HTTP/1.1 400 ")
    assert caplog.records == []


def test_an_upgrade_is_answered_as_a_request(port, caplog):
    upgrade = b"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n"
    with connected(port) as [client]:
        assert ask(client, REQUEST.replace(b"\r\n\r\n", upgrade)).startswith(b"HTTP/1.1 200 ")
    assert caplog.records == []
