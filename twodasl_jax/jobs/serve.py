"""Serves a trained run as a page: upload a photograph, turn its faces, download meshes."""

import socket
from typing import Any

from rich.console import Console

from twodasl_jax.face_reconstructor import FaceReconstructor
from twodasl_jax.predict.optional_package import require_package
from twodasl_jax.training.parallel import enable_compilation_cache


def serve(
    config: Any,
    *,
    workdir: str,
    host: str,
    port: int,
    max_upload_megabytes: float,
    detector: str | None,
    num_passes: int,
    face_model: str | None = None,
) -> None:
    """Answers at ``http://HOST:PORT`` until it is interrupted.

    Nothing is asked of the network and no picture is written to disk.

    Args:
      config: as for `predict.predict`.
      workdir: a trained run.
      host: address to listen on. 127.0.0.1 answers to this machine alone; on any other, whoever
        reaches the address can upload pictures, and there is no password.
      port: to listen on; 0 takes a free one.
      max_upload_megabytes: larger uploads are refused.
      detector: what finds faces or their landmarks; None is MTCNN.
      num_passes: of the network, 1 or 2.
      face_model: where the run's face model lies now; None looks for it.

    Raises:
      ValueError: where the packages of the extra are missing, or a number makes no sense.
      FileNotFoundError: where the folder holds no run.
      OSError: where the address cannot be listened on.
    """
    for package in ("starlette", "uvicorn"):
        require_package(package, extra="serve", load=False)
    if not 0 <= port <= 65535 or not max_upload_megabytes > 0:
        raise ValueError(
            f"port {port} and uploads of at most {max_upload_megabytes} MB; expected a port of "
            "0 to 65535 and a positive size"
        )
    # Not at the head: without the extra the other modes must still start.
    from twodasl_jax.predict.server import LOCAL_HOSTS, make_app

    enable_compilation_cache()
    reconstructor = FaceReconstructor.from_checkpoint(
        workdir,
        detector=detector or "mtcnn",
        num_passes=num_passes,
        config=config,
        face_model=face_model,
    )
    app = make_app(
        reconstructor,
        reconstructor.face_model,
        whitening=reconstructor.whitening,
        allowed_hosts=LOCAL_HOSTS if host in LOCAL_HOSTS else ("*",),
        max_upload_bytes=round(max_upload_megabytes * 1e6),
    )
    with socket.create_server((host, port)) as listening:
        port = listening.getsockname()[1]
        Console(markup=False, emoji=False).print(
            f"open http://{host}:{port} in a browser; Ctrl-C stops"
        )
        make_server(app).run(sockets=[listening])


def make_server(app: Any) -> Any:
    """The web server of an application: a `uvicorn.Server`, silent but for warnings and errors."""
    uvicorn = require_package("uvicorn", extra="serve")
    # Without a logging configuration of its own its messages go where the package's go.
    return uvicorn.Server(
        uvicorn.Config(
            app, log_config=None, log_level="warning", lifespan="off", server_header=False
        )
    )
