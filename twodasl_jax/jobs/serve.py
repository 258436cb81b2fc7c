"""Serves a trained network as a page: upload a photograph, turn its faces, download meshes."""

import os
import socket
from typing import Any

from rich.console import Console

from twodasl_jax.experiment.settings.experiment_settings import ExperimentSettings
from twodasl_jax.face_reconstructor import FaceReconstructor
from twodasl_jax.predict.faces.face_detectors import DEFAULT_DETECTOR
from twodasl_jax.predict.faces.optional_package import require_package
from twodasl_jax.pretrained.names import PRETRAINED
from twodasl_jax.training.host_memory import give_back_freed_memory
from twodasl_jax.training.parallel import enable_compilation_cache

MAX_FACES = 20
"""Of one photograph: a page of more would be no use, and a crowd takes minutes."""

_LARGEST_UPLOAD_MEGABYTES = 1000
"""Up to eight uploads are held in memory at once."""


def serve(
    config: ExperimentSettings | None,
    *,
    workdir: str | None = None,
    checkpoint: str | None = None,
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
      checkpoint: instead, any network that `open_trained` takes; without both ``pretrained``.
      host: name or address to listen on, IPv6 with or without brackets. 127.0.0.1, ::1 and
        localhost answer to this machine alone; on any other, whoever reaches the address can
        upload pictures, and there is no password.
      port: to listen on; 0 takes a free one.
      max_upload_megabytes: larger uploads are refused.
      detector: what finds faces or their landmarks; None is the default.
      num_passes: of the network, 1 or 2.
      face_model: where the run's face model lies now; None looks for it.

    Raises:
      ValueError: where the packages of the extra are missing, a number makes no sense, or two
        networks were named.
      FileNotFoundError: where the folder holds no run.
      OSError: where the address cannot be listened on.
    """
    if workdir is not None and checkpoint is not None:
        raise ValueError("--workdir and --checkpoint both name a network; leave one of them out")
    for package in ("starlette", "uvicorn"):
        require_package(package, extra="serve", load=False)
    if not 0 <= port <= 65535 or not 0 < max_upload_megabytes <= _LARGEST_UPLOAD_MEGABYTES:
        raise ValueError(
            f"port {port} and uploads of at most {max_upload_megabytes} MB; expected a port of "
            f"0 to 65535 and a positive size of at most {_LARGEST_UPLOAD_MEGABYTES} MB"
        )
    host = host.removeprefix("[").removesuffix("]")
    # Before the networks are read: a port in use is told at once.
    with listen(host, port) as listening:
        # Not at the head: without the extra the other modes must still start.
        from twodasl_jax.predict.page.server_connections import make_server

        give_back_freed_memory()
        enable_compilation_cache()
        reconstructor = FaceReconstructor.from_checkpoint(
            checkpoint or workdir or PRETRAINED,
            detector=detector or DEFAULT_DETECTOR,
            num_passes=num_passes,
            max_faces=MAX_FACES,
            wanted=None if config is None else config.run_choice,
            face_model=face_model,
        )
        reconstructor.prepare_detector()
        app = _app(reconstructor, host, max_upload_megabytes)
        console = Console(markup=False, emoji=False, highlight=False)
        if reconstructor.about:
            console.print(reconstructor.about, soft_wrap=True)
        address = address_to_open(host, listening.getsockname()[1])
        console.print(f"open {address} in a browser; Ctrl-C stops", soft_wrap=True)
        try:
            make_server(app).run(sockets=[listening])
        except KeyboardInterrupt:  # which uvicorn raises again when it has ended
            console.print("stopped")


def _app(reconstructor: FaceReconstructor, host: str, max_upload_megabytes: float) -> Any:
    from twodasl_jax.predict.page.server import make_app
    from twodasl_jax.predict.page.server_limits import Limits

    return make_app(
        reconstructor,
        reconstructor.face_model,
        code_statistics=reconstructor.code_statistics,
        host=host,
        limits=Limits(max_upload_bytes=round(max_upload_megabytes * 1e6)),
    )


def listen(host: str, port: int) -> socket.socket:
    """A socket that waits for connections.

    Args:
      host: name or address, IPv6 without brackets; ``::`` is every address, IPv4 too.
      port: 0 takes a free one.

    Raises:
      OSError: where the address is none of this machine's, or the port is taken or reserved.
    """
    try:
        if not host:
            raise OSError("the host is empty")
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        both = host == "::" and socket.has_dualstack_ipv6()
        return socket.create_server(
            address, family=socket.AddressFamily(family), dualstack_ipv6=both
        )
    except (OSError, UnicodeError) as error:
        number = getattr(error, "errno", None) or 0  # of a name that nobody knows below 0
        reason = os.strerror(number) if number > 0 else getattr(error, "strerror", None) or error
        raise OSError(
            f"cannot listen on host '{host}', port {port}: {reason}; expected an address of this "
            "machine and a port that is free (--port=0 takes any)"
        ) from error


def address_to_open(host: str, port: int) -> str:
    """What to type in a browser for a host that is listened on; on all addresses, localhost."""
    if host in ("0.0.0.0", "::"):
        return f"http://localhost:{port} (or this machine's name or address, from elsewhere)"
    # Of a zone (fe80::1%eth0) the sign is escaped, as everywhere in addresses.
    return f"http://[{host.replace('%', '%25')}]:{port}" if ":" in host else f"http://{host}:{port}"
