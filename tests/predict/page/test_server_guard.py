"""Other sites' pages get nothing, every answer keeps browsers careful, refusals arrive."""

import contextlib
import http.client
import io
import json
import socket

import numpy as np
import pytest
from PIL import Image

from twodasl_jax.predict.page.server import make_app
from twodasl_jax.predict.page.server_limits import Limits

LIMIT = 100_000


@pytest.fixture(scope="module")
def picture():
    file = io.BytesIO()
    Image.fromarray(np.full((160, 200, 3), 90, np.uint8)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def seen():
    return []


@pytest.fixture(scope="module")
def port(serving, dome_face, frontal, seen):
    def reconstruct(image):
        seen.append(image.shape)
        return [frontal]

    app = make_app(reconstruct, dome_face, limits=Limits(max_upload_bytes=LIMIT))
    with serving(app) as port:
        yield port


def ask(port, method, path, body=None, **headers):
    """Status, headers and content."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    with contextlib.closing(connection):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()


ELSEWHERE = [
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:1"},
    {"Sec_Fetch_Site": "cross-site"},
    {"Sec_Fetch_Site": "same-site"},
    {"Referer": "https://evil.example/page"},
]


@pytest.mark.parametrize("headers", ELSEWHERE, ids=str)
def test_another_page_may_neither_post_nor_read(port, picture, seen, headers):
    _, _, content = ask(port, "POST", "/faces", picture)
    address = json.loads(content)["faces"][0]["address"]
    seen.clear()
    for method, path, body in [
        ("POST", "/faces", picture),
        ("GET", f"/{address}/face.obj", None),
        ("GET", f"/{address}/strip.png", None),
        ("HEAD", f"/{address}/strip.png", None),
        ("OPTIONS", "/faces", None),
        ("POST", "/", picture),
    ]:
        status, answered, content = ask(port, method, path, body, **headers)
        assert status == 403
        assert method == "HEAD" or json.loads(content) == {
            "error": "This server answers to its own page alone."
        }
        assert not any(name.lower().startswith("access-control") for name in answered)
    assert seen == []


def test_the_page_may_be_linked_to_but_not_framed_or_fetched(port):
    link = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate"}
    status, headers, _ = ask(port, "GET", "/", Sec_Fetch_Dest="document", **link)
    assert status == 200
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert ask(port, "GET", "/", Sec_Fetch_Dest="iframe", **link)[0] == 403
    assert ask(port, "GET", "/", Origin="https://evil.example", Sec_Fetch_Mode="cors")[0] == 403


def test_its_own_page_may_do_everything(port, picture):
    own = {
        "Host": f"localhost:{port}",
        "Origin": f"http://localhost:{port}",
        "Referer": f"http://localhost:{port}/",
        "Sec_Fetch_Site": "same-origin",
    }
    status, _, content = ask(port, "POST", "/faces", picture, **own)
    assert status == 200
    address = json.loads(content)["faces"][0]["address"]
    for part in ("strip.png", "view.html", "face.glb"):
        assert ask(port, "GET", f"/{address}/{part}", **own)[0] == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "192.168.0.9:{port}", ""])
def test_another_name_is_refused_with_a_sentence(port, picture, host):
    status, _, content = ask(port, "POST", "/faces", picture, Host=host.format(port=port))
    assert status == 400
    assert json.loads(content)["error"].endswith("open it by the address that it printed.")


@pytest.mark.parametrize("path", ["/", "/nowhere", "/faces"])
def test_every_answer_keeps_browsers_careful(port, path):
    _, headers, _ = ask(port, "GET", path)
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "default-src 'none'" in headers["content-security-policy"]


def test_a_viewer_may_be_framed_by_the_page_alone(port, picture):
    address = json.loads(ask(port, "POST", "/faces", picture)[2])["faces"][0]["address"]
    _, headers, _ = ask(port, "GET", f"/{address}/view.html")
    assert "frame-ancestors 'self'" in headers["content-security-policy"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404), ("GET", "/faces/", 404), ("GET", "/faces/a/1/face.obj", 404),
        ("GET", "/faces/a/" + "9" * 5000 + "/face.obj", 404), ("GET", "/faces/a/-1/face.obj", 404),
        ("GET", "/faces/../../etc/passwd", 404), ("GET", "/faces/%2e%2e/1/x", 404),
        ("GET", "/faces", 405), ("PUT", "/faces", 405), ("DELETE", "/", 405), ("POST", "/", 405),
        ("BREW", "/", 405), ("OPTIONS", "/faces", 405), ("HEAD", "/", 200), ("HEAD", "/no", 404),
    ],
    ids=lambda value: str(value)[:20],
)  # fmt: skip
def test_other_addresses_and_methods_have_clean_answers(port, method, path, status):
    answered, headers, content = ask(port, method, path)
    assert answered == status
    if method == "HEAD":
        assert content == b""
    else:
        assert json.loads(content)["error"].endswith(".")
    assert status != 405 or headers["allow"]


def test_a_person_gets_the_sentence_itself(port):
    _, headers, content = ask(port, "GET", "/faces/a/1/face.obj", Accept="text/html,*/*;q=0.8")
    assert headers["content-type"].startswith("text/plain")
    assert content == b"This result is no longer kept; upload the picture again."


def test_a_form_is_told_from_a_picture(port, picture):
    kind = "multipart/form-data; boundary=x"
    status, _, content = ask(port, "POST", "/faces", picture, Content_Type=kind)
    assert (status, "not a form" in json.loads(content)["error"]) == (415, True)


@pytest.mark.parametrize("path", ["/faces", "/nowhere", "/"])
def test_an_early_refusal_arrives_though_the_body_is_still_sent(port, path):
    """As much again as is taken, and over the kernel's buffers: an answer at once is torn down."""
    body = bytes(3 * LIMIT)
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(
            f"POST {path} HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil.example\r\n"
            f"Content-Length: {len(body)}\r\n\r\n".encode()
        )
        for start in range(0, len(body), 10_000):
            client.sendall(body[start : start + 10_000])
        assert client.recv(100).startswith(b"HTTP/1.1 403 ")


def test_a_client_that_asks_first_is_answered_before_it_sends(port):
    with socket.create_connection(("127.0.0.1", port), timeout=20) as client:
        client.sendall(
            f"POST /faces HTTP/1.1\r\nHost: localhost\r\nContent-Length: {LIMIT + 1}\r\n"
            "Expect: 100-continue\r\n\r\n".encode()
        )
        assert client.recv(100).startswith(b"HTTP/1.1 413 ")


def test_a_file_name_is_one_short_line(port):
    data = b"no picture"
    name = "%1b%5b31m" + "x" * 3000 + "%0a%00%e2%80%ae.png"
    status, _, content = ask(port, "POST", f"/faces?name=C:%5cfolder%5c{name}", data)
    sentence = json.loads(content)["error"]
    assert status == 422
    assert sentence.isprintable()
    assert len(sentence) < 200
    assert "folder" not in sentence
