"""The page of --mode=serve, asked over HTTP: what it gives, what it refuses, what it keeps."""

import contextlib
import http.client
import io
import json
import os
import sys
from pathlib import Path

import chex
import numpy as np
import pytest
import trimesh
from PIL import Image
from skimage.data import astronaut

from twodasl_jax.predict.page.server import make_app
from twodasl_jax.predict.page.server_limits import Limits

LIMIT = 3_000_000
NOISE = np.random.default_rng(0).integers(0, 256, (99, 99, 3), np.uint8)


@pytest.fixture(scope="module")
def crop():
    """Her face, from the photograph that comes with scikit-image."""
    return astronaut()[:200, 120:320]


class MadeUpFaces:
    """Finds two faces; none in a white picture, and fails on a nearly black one."""

    def __init__(self, face):
        self.face, self.images = face, []

    def __call__(self, image):
        self.images.append(image)
        if image.min() == 255:
            return []
        if (image == 1).all():
            raise RuntimeError("a fault in the network")
        return [self.face, self.face]


@pytest.fixture(scope="module")
def faces(frontal):
    return MadeUpFaces(frontal)


@pytest.fixture(scope="module")
def port(serving, faces, dome_face):
    with serving(
        make_app(faces, dome_face, limits=Limits(max_upload_bytes=LIMIT, max_kept=2))
    ) as port:
        yield port


def ask(port, method, path, body=None, **headers):
    """Status, content type and content."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    with contextlib.closing(connection):
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.getheader("content-type"), answer.read()


def file_of(image, kind="PNG"):
    file = io.BytesIO()
    Image.fromarray(image).save(file, kind)
    return file.getvalue()


def upload(port, data, name="me.png"):
    status, _, content = ask(port, "POST", f"/faces?name={name}", data)
    return status, json.loads(content)


def test_the_page_says_how_large_a_picture_may_be(port):
    status, kind, content = ask(port, "GET", "/")
    assert (status, kind) == (200, "text/html; charset=utf-8")
    assert b"at most 3 MB" in content
    assert b"{{" not in content
    assert b"://" not in content, "the page names no other place"


def test_an_upload_gives_picture_page_and_meshes(port, faces, crop, dome_face):
    status, answer = upload(port, file_of(crop), "Eileen%20Collins%20%C3%A9.png")
    assert status == 200
    chex.assert_trees_all_equal(faces.images[-1], crop)
    first, second = answer["faces"]
    assert first["address"] != second["address"]
    assert set(first["pose"]) == {"yaw", "pitch", "roll"}
    assert {"confidence", "warning"} <= set(first)
    status, kind, content = ask(port, "GET", f"/{first['address']}/strip.png")
    assert (status, kind) == (200, "image/png")
    assert Image.open(io.BytesIO(content)).size[0] > 1500
    status, kind, content = ask(port, "GET", f"/{first['address']}/view.html")
    assert (status, kind) == (200, "text/html; charset=utf-8")
    assert "<h1>Eileen Collins é 1</h1>".encode() in content
    assert first["meshes"] == ["face.glb", "face.obj", "face.ply"]
    for name in first["meshes"]:
        status, _, content = ask(port, "GET", f"/{first['address']}/{name}")
        assert status == 200
        scene = trimesh.load_scene(io.BytesIO(content), file_type=Path(name).suffix[1:])
        (mesh,) = scene.geometry.values()
        assert len(mesh.faces) == len(dome_face.triangles)


def test_a_download_has_the_pictures_name(port, crop):
    _, answer = upload(port, file_of(crop), "a%22b%0d%0a%C3%A9.png")
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    with contextlib.closing(connection):
        connection.request("GET", f"/{answer['faces'][0]['address']}/face.ply")
        header = connection.getresponse().getheader("content-disposition")
    assert header == "attachment; filename*=UTF-8''a_b_%C3%A9_1.ply"


@pytest.mark.parametrize("chunked", [False, True], ids=["announced", "unannounced"])
def test_too_large_an_upload_is_refused(port, faces, chunked):
    seen = len(faces.images)
    data = bytes(LIMIT + 1)
    status, _, content = ask(port, "POST", "/faces", iter([data]) if chunked else data)
    assert status == 413
    assert json.loads(content)["error"] == (
        "The file is larger than 3 MB; make the picture smaller."
    )
    assert len(faces.images) == seen


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "me.png is no image"),
        (b"<html>not an image</html>", "me.png is no image"),
        (file_of(NOISE)[:9000], "me.png cannot be read to its end"),
        (file_of(np.full((30, 30, 3), 255, np.uint8)), "No face was found in me.png"),
    ],
    ids=["nothing", "text", "truncated", "no face"],
)  # fmt: skip
def test_what_is_no_face_is_refused_with_a_sentence(port, data, message):
    status, answer = upload(port, data)
    assert status == 422
    assert message in answer["error"]


def test_a_fault_of_the_server_is_told_apart(port):
    status, answer = upload(port, file_of(np.ones((30, 30, 3), np.uint8)))
    assert status == 500
    assert answer["error"] == "The server failed on this picture; its terminal says why."


def test_only_the_last_results_are_kept(port, crop):
    addresses = [upload(port, file_of(crop))[1]["faces"][0]["address"] for _ in range(3)]
    assert ask(port, "GET", f"/{addresses[-1]}/face.ply")[0] == 200
    status, _, content = ask(port, "GET", f"/{addresses[0]}/face.ply")
    assert status == 404
    assert json.loads(content)["error"].startswith("This result is no longer kept")
    status, _, content = ask(port, "GET", f"/{addresses[-1]}/secrets.txt")
    assert status == 404
    assert "A face has no secrets.txt" in json.loads(content)["error"]
    status, _, content = ask(port, "GET", f"/{addresses[-1][:-1]}3/face.ply")
    assert status == 404
    assert "has no face 3 of 2" in json.loads(content)["error"]


def test_a_page_of_another_name_cannot_reach_the_server(port):
    assert ask(port, "GET", "/", Host="elsewhere.example")[0] == 400
    assert ask(port, "GET", "/", Host=f"localhost:{port}")[0] == 200


@pytest.fixture
def opened_for_writing():
    """Every file that Python opens for writing during the test, in whatever thread."""
    files, watching = [], [True]

    def note(event, arguments):
        if watching and event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            files.append(arguments[0])

    sys.addaudithook(note)  # for the rest of the process: it can only be told to do nothing
    yield files
    watching.clear()


def test_nothing_is_written_to_disk(port, crop, opened_for_writing):
    with open(os.devnull, "w"):
        assert opened_for_writing == [os.devnull]
    # Larger than what web frameworks keep of an upload in memory.
    data = file_of(crop) + bytes(LIMIT - len(file_of(crop)))
    _, answer = upload(port, data)
    address = answer["faces"][0]["address"]
    for part in ("strip.png", "view.html", *answer["faces"][0]["meshes"]):
        assert ask(port, "GET", f"/{address}/{part}")[0] == 200
    assert opened_for_writing == [os.devnull]
