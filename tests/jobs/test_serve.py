"""The serve mode: what it hands to the web application, and what it refuses before it starts."""

import http.client
import json
import socket
import sys
import threading
import time

import numpy as np
import pytest

from twodasl_jax.jobs import serve as job
from twodasl_jax.predict import server_connections

OPTIONS = {
    "workdir": "run", "host": "127.0.0.1", "port": 0, "max_upload_megabytes": 0.001,
    "detector": None, "num_passes": 2,
}  # fmt: skip


@pytest.fixture
def made_up_run(monkeypatch, small_face_model):
    """A run whose network finds no face; the servers that the job makes are noted."""

    class Blind:
        face_model, whitening = small_face_model, None

        def __call__(self, image):
            return []

        def prepare_detector(self):
            pass

        @classmethod
        def from_checkpoint(cls, path, **_):
            return cls()

    servers, made = [], server_connections.make_server

    def make_server(app):
        servers.append(made(app))
        return servers[-1]

    monkeypatch.setattr(job, "FaceReconstructor", Blind)
    monkeypatch.setattr(job, "enable_compilation_cache", lambda: None)
    monkeypatch.setattr(server_connections, "make_server", make_server)
    return servers


def answer(port, method, path, body=None, host="localhost"):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request(method, path, body, {"Host": host})
    response = connection.getresponse()
    status, content = response.status, response.read()
    connection.close()
    return status, content


@pytest.mark.parametrize(("host", "others_may_call"), [("127.0.0.1", False), ("0.0.0.0", True)])
def test_it_serves_until_it_is_stopped(made_up_run, capsys, host, others_may_call):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    thread = threading.Thread(
        target=job.serve, args=[None], kwargs=OPTIONS | {"host": host, "port": port}
    )
    thread.start()
    try:
        while not (made_up_run and made_up_run[0].started):
            assert thread.is_alive()
            time.sleep(0.01)
        assert answer(port, "GET", "/")[0] == 200
        status, content = answer(port, "POST", "/faces", bytes(1001))
        assert (status, "larger than 0.001 MB" in json.loads(content)["error"]) == (413, True)
        assert answer(port, "GET", "/", host="elsewhere.example")[0] == (
            200 if others_may_call else 400
        )
    finally:
        made_up_run[0].should_exit = True
        thread.join()
    assert f"http://{host}:{port}" in capsys.readouterr().out


@pytest.mark.parametrize("changed", [{"port": 70000}, {"max_upload_megabytes": np.nan}])
def test_numbers_that_make_no_sense_are_refused(changed):
    with pytest.raises(ValueError, match="expected a port of 0 to 65535 and a positive size"):
        job.serve(None, **OPTIONS | changed)


def test_a_port_in_use_stops_it(made_up_run):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=r"[Aa]ddress already in use"):
            job.serve(None, **OPTIONS | {"port": port})


def test_missing_packages_are_named_with_their_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "starlette", None)
    with pytest.raises(ValueError, match=r"pip install -e '.\[serve\]'"):
        job.serve(None, **OPTIONS)
