"""Bodies, waiting pictures and kept results are bounded, in number, bytes and time."""

import contextlib
import http.client
import io
import json
import socket
import threading
import time

import numpy as np
import pytest
from PIL import Image

from twodasl_jax.predict.page.server import make_app
from twodasl_jax.predict.page.server_limits import KeptUploads, Limits, Upload

HEAD = "POST /faces HTTP/1.1\r\nHost: localhost\r\n"


def upload_of(side):
    return Upload("me", np.zeros((side, side, 3), np.uint8), [])


def picture():
    file = io.BytesIO()
    Image.fromarray(np.full((160, 200, 3), 90, np.uint8)).save(file, "PNG")
    return file.getvalue()


def post(port, data):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    with contextlib.closing(connection):
        connection.request("POST", "/faces", data)
        answer = connection.getresponse()
        return answer.status, answer.headers, json.loads(answer.read())


def test_the_newest_results_are_kept_by_number():
    kept = KeptUploads(Limits(max_kept=3))
    keys = [kept.add(upload_of(2)) for _ in range(5)]
    assert len(set(keys)) == 5
    assert [kept.get(key) is not None for key in keys] == [False, False, True, True, True]


def test_the_newest_results_are_kept_by_bytes_and_always_one():
    kept = KeptUploads(Limits(max_kept=9, max_kept_bytes=700))
    keys = [kept.add(upload_of(10)) for _ in range(3)]  # 300 bytes each
    assert [kept.get(key) is not None for key in keys] == [False, True, True]
    large = kept.add(upload_of(100))
    assert kept.get(large) is not None
    assert kept.get(keys[2]) is None


def test_results_are_kept_for_a_time(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    kept = KeptUploads(Limits(kept_seconds=60))
    first = kept.add(upload_of(2))
    now[0] += 59
    second = kept.add(upload_of(2))
    assert kept.get(first) is not None
    now[0] += 2
    assert kept.get(first) is None
    assert kept.get(second) is not None


class Slow:
    """Takes a photograph only when told to; notes how many it works on at once."""

    def __init__(self, face):
        self.face, self.go = face, threading.Event()
        self.inside = self.most = self.calls = 0

    def __call__(self, image):
        self.calls += 1
        self.inside += 1
        self.most = max(self.most, self.inside)
        assert self.go.wait(30)
        self.inside -= 1
        return [self.face]


def wait_until(condition):
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_one_picture_at_a_time_some_wait_and_more_are_refused(serving, dome_face, frontal):
    slow = Slow(frontal)
    with serving(make_app(slow, dome_face, limits=Limits(max_waiting=3))) as port:
        answers = []
        threads = [
            threading.Thread(target=lambda: answers.append(post(port, picture()))) for _ in range(9)
        ]
        for thread in threads:
            thread.start()
        wait_until(lambda: len(answers) == 6)
        assert [status for status, _, _ in answers] == [503] * 6
        assert all(headers["retry-after"] == "60" for _, headers, _ in answers)
        assert "busy with other pictures" in answers[0][2]["error"]
        slow.go.set()
        for thread in threads:
            thread.join()
        assert sorted(status for status, _, _ in answers) == [200] * 3 + [503] * 6
        assert slow.most == 1
        assert post(port, picture())[0] == 200, "there is room again"


def test_nobody_works_for_a_client_that_left(serving, dome_face, frontal, caplog):
    slow = Slow(frontal)
    body = picture()
    with serving(make_app(slow, dome_face)) as port:
        first = threading.Thread(target=post, args=(port, body))
        first.start()
        wait_until(lambda: slow.inside == 1)
        for _ in range(3):
            with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
                client.sendall(f"{HEAD}Content-Length: {len(body)}\r\n\r\n".encode() + body)
                time.sleep(0.05)
        slow.go.set()
        first.join()
        assert post(port, body)[0] == 200
    assert slow.calls == 2
    assert caplog.records == []


@pytest.fixture(scope="module")
def hasty(serving, dome_face, frontal):
    limits = Limits(max_upload_bytes=1000, max_waiting=2, pause_seconds=0.2, body_seconds=0.5)
    with serving(make_app(lambda _: [frontal], dome_face, limits=limits)) as port:
        yield port


@pytest.mark.parametrize(
    "body",
    [
        "Content-Length: 500\r\n\r\nhalf", "Content-Length: 500\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        "Transfer-Encoding: chunked\r\n\r\n4\r\nha",
        "Content-Length: 500\r\nExpect: 100-continue\r\n\r\n",
    ],
    ids=["announced", "nothing", "chunks", "half a chunk", "asked first"],
)  # fmt: skip
def test_a_half_sent_body_times_out(hasty, body):
    with socket.create_connection(("127.0.0.1", hasty), timeout=20) as client:
        client.sendall((HEAD + body).encode())
        answer = b"".join(iter(lambda: client.recv(9999), b""))
    assert b"HTTP/1.1 408 " in answer
    assert b"The upload stopped on its way or was too slow; send it again." in answer


def test_a_body_that_trickles_times_out(hasty):
    with socket.create_connection(("127.0.0.1", hasty), timeout=20) as client:
        client.sendall(f"{HEAD}Content-Length: 500\r\n\r\n".encode())
        start = time.monotonic()
        client.settimeout(0.05)
        answer = b""
        while not answer:
            assert time.monotonic() < start + 10
            with contextlib.suppress(TimeoutError):
                answer = client.recv(9999)
            with contextlib.suppress(OSError):
                client.sendall(b"x")
    assert answer.startswith(b"HTTP/1.1 408 ")


def test_half_sent_bodies_make_room_again(hasty):
    with contextlib.ExitStack() as stack:
        for _ in range(2):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", hasty)))
            client.sendall(f"{HEAD}Content-Length: 500\r\n\r\nhalf".encode())
        wait_until(lambda: post(hasty, b"x")[0] == 503)
        wait_until(lambda: post(hasty, b"x")[0] == 422)


@pytest.mark.parametrize(
    ("head", "body", "status"),
    [
        ("Content-Length: 1001", b"x" * 1001, 413),
        ("Content-Length: 99999999999999999999", b"", 413),
        ("Content-Length: -1", b"", 400),
        ("Content-Length: 1e3", b"", 400),
        ("Content-Length: 10\r\nContent-Length: 9", b"x" * 10, 400),
        ("Transfer-Encoding: chunked", b"3e9\r\n" + b"x" * 1001 + b"\r\n0\r\n\r\n", 413),
        ("Transfer-Encoding: chunked", b"ffffffffffffffff\r\n" + b"x" * 1001, 413),
    ],
)
def test_bodies_that_lie_about_their_length(hasty, head, body, status):
    with socket.create_connection(("127.0.0.1", hasty), timeout=20) as client:
        client.sendall(f"{HEAD}{head}\r\n\r\n".encode() + body)
        assert client.recv(100).startswith(f"HTTP/1.1 {status} ".encode())


@pytest.mark.parametrize("sent", [b"", b"half"])
def test_a_client_that_leaves_in_the_middle_leaves_no_line(hasty, sent, caplog, capfd):
    for _ in range(4):
        with socket.create_connection(("127.0.0.1", hasty), timeout=20) as client:
            client.sendall(f"{HEAD}Content-Length: 500\r\n\r\n".encode() + sent)
            # Torn down, not closed.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    wait_until(lambda: post(hasty, b"x")[0] == 422)
    assert caplog.records == []
    assert capfd.readouterr() == ("", "")
