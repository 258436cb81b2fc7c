"""The serve mode: what it hands to the web application, and what it refuses before it starts."""

import contextlib
import http.client
import io
import json
import signal
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from PIL import Image

from twodasl_jax.jobs import serve as job
from twodasl_jax.predict.page import server_connections

OPTIONS = {
    "workdir": "run", "host": "127.0.0.1", "port": 0, "max_upload_megabytes": 0.001,
    "detector": None, "num_passes": 2,
}  # fmt: skip


@pytest.fixture
def made_up_run(monkeypatch, small_face_model):
    """A run whose network finds no face; the servers that the job makes are noted."""

    class Blind:
        face_model, code_statistics, about = small_face_model, None, ""

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


def answer(port, method, path, body=None, host="localhost", address="127.0.0.1"):
    connection = http.client.HTTPConnection(address, port, timeout=30)
    connection.request(method, path, body, {"Host": host})
    response = connection.getresponse()
    status, content = response.status, response.read()
    connection.close()
    return status, content


@contextlib.contextmanager
def served(servers, host, port=0, **options):
    """The job in a thread until the end of the block; gives the port."""
    thread = threading.Thread(
        target=job.serve, args=[None], kwargs=OPTIONS | {"host": host, "port": port} | options
    )
    thread.start()
    try:
        while not (servers and servers[0].started):
            assert thread.is_alive()
            time.sleep(0.01)
        yield servers[0].servers[0].sockets[0].getsockname()[1]
    finally:
        servers[0].should_exit = True
        thread.join()


@pytest.mark.parametrize(
    ("host", "others_may_call"),
    [("127.0.0.1", False), ("localhost", False), ("0.0.0.0", True)],
)
def test_it_serves_until_it_is_stopped(made_up_run, capsys, host, others_may_call):
    with served(made_up_run, host) as port:
        assert answer(port, "GET", "/")[0] == 200
        status, content = answer(port, "POST", "/faces", bytes(1001))
        assert (status, "larger than 0.001 MB" in json.loads(content)["error"]) == (413, True)
        assert answer(port, "GET", "/", host="elsewhere.example")[0] == 400
        for name in ("192.168.7.7", socket.gethostname()):
            assert answer(port, "GET", "/", host=name)[0] == (200 if others_may_call else 400)
    shown = "localhost" if others_may_call else host
    assert f"open http://{shown}:{port} " in capsys.readouterr().out


def has_ipv6():
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="left out: needs IPv6 on this machine")


@needs_ipv6
@pytest.mark.parametrize("host", ["::1", "[::1]"])
def test_an_ipv6_address_is_a_host_with_and_without_brackets(made_up_run, capsys, host):
    with served(made_up_run, host) as port:
        assert answer(port, "GET", "/", host=f"[::1]:{port}", address="::1")[0] == 200
        assert answer(port, "GET", "/", host="[2001:db8::1]", address="::1")[0] == 400
    assert f"open http://[::1]:{port} in a browser" in capsys.readouterr().out


@needs_ipv6
def test_all_addresses_are_those_of_both_kinds(made_up_run):
    with served(made_up_run, "::") as port:
        assert answer(port, "GET", "/", address="::1")[0] == 200
        assert answer(port, "GET", "/", address="127.0.0.1")[0] == 200


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("::1", "http://[::1]:80"), ("fe80::1%eth0", "http://[fe80::1%25eth0]:80"),
        ("10.0.0.7", "http://10.0.0.7:80"), ("localhost", "http://localhost:80"),
    ],
)  # fmt: skip
def test_the_address_can_be_typed_into_a_browser(host, address):
    assert job.address_to_open(host, 80) == address


@pytest.mark.parametrize("host", ["", "x" * 80, "192.0.2.1", "[]"])
def test_a_host_that_is_none_of_this_machines_is_refused(made_up_run, host):
    with pytest.raises(OSError, match=r"cannot listen on host '.*', port 0: .*; expected an addr"):
        job.serve(None, **OPTIONS | {"host": host})
    assert made_up_run == []


def test_a_name_that_nobody_knows_is_refused(made_up_run, monkeypatch):
    def unknown(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(OSError, match=r"on host 'nowhere', port 0: Name or service not known; exp"):
        job.serve(None, **OPTIONS | {"host": "nowhere"})


@pytest.mark.parametrize(
    "changed",
    [
        {"port": 70000}, {"port": -1}, {"max_upload_megabytes": np.nan},
        {"max_upload_megabytes": np.inf}, {"max_upload_megabytes": 0},
        {"max_upload_megabytes": 1001},
    ],
)  # fmt: skip
def test_numbers_that_make_no_sense_are_refused(changed):
    with pytest.raises(ValueError, match="expected a port of 0 to 65535 and a positive size"):
        job.serve(None, **OPTIONS | changed)


def test_a_port_in_use_stops_it(made_up_run):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            OSError, match=r"port \d+: [Aa]ddress already in use; expected .* a port that is free"
        ):
            job.serve(None, **OPTIONS | {"port": port})


STOPPED = """
import sys, time
from twodasl_jax.jobs import serve as job

class Slow:
    face_model = code_statistics = None
    about = ""

    def __call__(self, image):
        time.sleep(1.0)
        return []

    @classmethod
    def from_checkpoint(cls, path, **_):
        return cls()

    def prepare_detector(self):
        pass

job.FaceReconstructor = Slow
job.serve(None, workdir="run", host="127.0.0.1", port=0, max_upload_megabytes=20.0,
          detector=None, num_passes=2)
"""


def test_ctrl_c_ends_it_quietly_whatever_goes_on(tmp_path):
    """With a picture at work, one that waits, and half of another."""
    command = [sys.executable, "-u", "-c", STOPPED]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as process, contextlib.ExitStack() as stack:
        first = process.stdout.readline()
        port = int(first.split(":")[2].split()[0])
        picture = io.BytesIO()
        Image.new("RGB", (20, 20)).save(picture, "PNG")
        body = picture.getvalue()
        for sent in (body, body, body[:9]):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            head = f"POST /faces HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
            client.sendall(head.encode() + sent)
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=30)
    assert (output, errors, process.returncode) == ("stopped\n", "", 0)


def test_two_networks_are_one_too_many():
    with pytest.raises(ValueError, match="--workdir and --checkpoint both name a network; leave"):
        job.serve(None, **OPTIONS | {"checkpoint": "pretrained"})


def test_missing_packages_are_named_with_their_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "starlette", None)
    with pytest.raises(ValueError, match=r"pip install -e '.\[serve\]'"):
        job.serve(None, **OPTIONS)
