"""A server process that is sent many large pictures at once takes the memory of one."""

import contextlib
import http.client
import io
import subprocess
import sys
import threading

import pytest
from PIL import Image

SERVER = """
import socket, sys
import numpy as np
from twodasl_jax.predict.page.server import make_app
from twodasl_jax.predict.page.server_connections import make_server
app = make_app(lambda image: [], None)
with socket.create_server(("127.0.0.1", 0)) as listening:
    print(listening.getsockname()[1], flush=True)
    make_server(app).run(sockets=[listening])
"""

needs_proc = pytest.mark.skipif(
    sys.platform != "linux", reason="left out: needs /proc, where Linux tells peaks of memory"
)


@contextlib.contextmanager
def server():
    """A server process that finds no face, and its port."""
    command = [sys.executable, "-c", SERVER]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.pid, int(process.stdout.readline())
        finally:
            process.kill()


def peak_megabytes(pid):
    with open(f"/proc/{pid}/status") as status:
        (line,) = [line for line in status if line.startswith("VmHWM:")]
    return int(line.split()[1]) / 1000


def post(port, data):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    with contextlib.closing(connection):
        connection.request("POST", "/faces", data)
        return connection.getresponse().status


@needs_proc
def test_fourteen_large_pictures_at_once_take_the_memory_of_one():
    """5,000 x 5,000 pixels: 100 MB as Pillow decodes them, and 75 MB as an array."""
    file = io.BytesIO()
    Image.new("RGB", (5000, 5000), (9, 99, 200)).save(file, "PNG")
    data = file.getvalue()
    assert len(data) < 100_000
    with server() as (pid, port):
        assert post(port, data[:1000]) == 422
        idle = peak_megabytes(pid)
        assert post(port, data) == 422
        one = peak_megabytes(pid) - idle
        statuses = []
        threads = [
            threading.Thread(target=lambda: statuses.append(post(port, data))) for _ in range(14)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        many = peak_megabytes(pid) - idle
    assert 150 < one < 400
    assert sorted(statuses) == [422] * 8 + [503] * 6
    # Two at once would take twice as much.
    assert many < 1.5 * one
