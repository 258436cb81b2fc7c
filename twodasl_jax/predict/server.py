"""A page for one's own machine: a photograph goes in, its faces come out to turn and download.

Nothing is written to disk: uploads are read into memory, the last few stay there with their
faces until newer ones push them out, and all are gone with the process.
"""

import collections
import dataclasses
import io
import secrets
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import numpy as np
from PIL import Image
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from twodasl_jax.coefficients import Whitening
from twodasl_jax.face_model.model import FaceModel
from twodasl_jax.predict.drawing import reconstruction_strip
from twodasl_jax.predict.export import colours_from_photo, mesh_vertices
from twodasl_jax.predict.fit_confidence import unsure_warning
from twodasl_jax.predict.mesh_files import MESH_SUFFIXES, mesh_bytes
from twodasl_jax.predict.photo import read_image
from twodasl_jax.predict.reconstruct import Reconstruction
from twodasl_jax.predict.viewer import file_name, viewer_page

Reconstruct = Callable[[np.ndarray], list[Reconstruction]]
"""``(height, width, 3)`` uint8 RGB to its faces, the largest first."""

LOCAL_HOSTS = ("127.0.0.1", "localhost")

PARTS = {
    "strip.png": "image/png",
    "view.html": "text/html",
    "face.glb": "model/gltf-binary",
    "face.obj": "model/obj",
    "face.ply": "application/ply",
}
"""What there is of every kept face, with its media type."""

_PAGE = Path(__file__).parent / "server_page" / "index.html"
_STYLE = Path(__file__).parent / "viewer_page" / "viewer.css"

_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "connect-src 'self'; img-src 'self' data:; frame-src 'self'; frame-ancestors 'self'; "
    "base-uri 'none'"
)


class Upload(NamedTuple):
    """A photograph and its faces, kept to be looked at and downloaded.

    Attributes:
      name: of the uploaded file, without its ending.
      image: ``(height, width, 3)`` uint8 RGB.
      faces: at least one.
    """

    name: str
    image: np.ndarray
    faces: list[Reconstruction]


@dataclasses.dataclass(frozen=True)
class FaceServer:
    """What the routes share.

    Attributes:
      reconstruct: the network, with a face detector.
      face_model: the one it predicts coefficients of.
      whitening: for the sliders of the pages, as for `viewer.viewer_page`.
      max_upload_bytes: larger uploads are refused.
      max_uploads: how many photographs are kept with their faces.
      uploads: these by their addresses, the oldest first.
      lock: one photograph at a time: a second would only slow the first down.
    """

    reconstruct: Reconstruct
    face_model: FaceModel
    whitening: Whitening | None
    max_upload_bytes: int
    max_uploads: int
    uploads: collections.OrderedDict[str, Upload] = dataclasses.field(
        default_factory=collections.OrderedDict
    )
    lock: threading.Lock = dataclasses.field(default_factory=threading.Lock)

    async def index(self, _request: Request) -> Response:
        """The page."""
        megabytes = f"{self.max_upload_bytes / 1e6:g}"
        text = _PAGE.read_text(encoding="utf-8").replace("{{megabytes}}", megabytes)
        text = text.replace("{{style}}", _STYLE.read_text(encoding="utf-8"))
        return HTMLResponse(text, headers={"Content-Security-Policy": _POLICY})

    async def upload(self, request: Request) -> Response:
        """``POST`` of an image file as the body, its name in ``?name=``: JSON of its faces."""
        data = await self._read_body(request)
        if data is None:
            return _refuse(
                413,
                f"The file is larger than {self.max_upload_bytes / 1e6:g} MB; "
                "make the picture smaller.",
            )
        name = Path(request.query_params.get("name", "")).name or "picture"
        try:
            faces = await run_in_threadpool(self._reconstruct, data, name)
        except ValueError as error:
            return _refuse(422, str(error))
        if not faces:
            return _refuse(
                422,
                f"No face was found in {name}, neither as it is nor turned by every "
                "45 degrees; try a picture that shows one larger.",
            )
        return JSONResponse({"faces": faces})

    async def part(self, request: Request) -> Response:
        """``GET`` of one thing about a face: ``strip.png``, ``view.html``, ``face.glb``, …."""
        upload = self.uploads.get(request.path_params["key"])
        if upload is None:
            return _refuse(404, "This result is no longer kept; upload the picture again.")
        number = request.path_params["number"]
        if not 1 <= number <= len(upload.faces):
            return _refuse(404, f"{upload.name} has no face {number} of {len(upload.faces)}.")
        part = request.path_params["part"]
        suffix = Path(part).suffix
        if part not in PARTS:
            return _refuse(404, f"A face has no {part}; it has {', '.join(PARTS)}.")
        try:
            content = await run_in_threadpool(self._make_part, upload, number, part)
        except ValueError as error:
            return _refuse(422, str(error))
        headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
        if suffix in MESH_SUFFIXES:
            name = file_name(self._title(upload, number), suffix)
            headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(name)}"
        return Response(content, media_type=PARTS[part], headers=headers)

    async def _read_body(self, request: Request) -> bytes | None:
        """The body, or None as soon as it is known to be too large."""
        announced = request.headers.get("content-length", "")
        if announced.isdigit() and int(announced) > self.max_upload_bytes:
            return None
        data = bytearray()
        async for piece in request.stream():
            data += piece
            if len(data) > self.max_upload_bytes:
                return None
        return bytes(data)

    def _reconstruct(self, data: bytes, name: str) -> list[dict[str, Any]]:
        image = read_image(io.BytesIO(data), name)
        with self.lock:
            faces = self.reconstruct(image)
            if not faces:
                return []
            key = secrets.token_urlsafe(12)
            self.uploads[key] = Upload(Path(name).stem, image, faces)
            while len(self.uploads) > self.max_uploads:
                self.uploads.popitem(last=False)
        return [
            {
                "address": f"faces/{key}/{number}",
                "pose": {
                    name: round(getattr(face.head_pose, name), 1)
                    for name in ("yaw", "pitch", "roll")
                },
                "confidence": face.fit_confidence and round(face.fit_confidence, 2),
                "warning": unsure_warning(face),
                "meshes": [f"face{suffix}" for suffix in MESH_SUFFIXES],
            }
            for number, face in enumerate(faces, 1)
        ]

    def _title(self, upload: Upload, number: int) -> str:
        return upload.name if len(upload.faces) == 1 else f"{upload.name} {number}"

    def _make_part(self, upload: Upload, number: int, part: str) -> bytes:
        image, face = upload.image, upload.faces[number - 1]
        if part == "strip.png":
            file = io.BytesIO()
            Image.fromarray(reconstruction_strip(image, face, self.face_model)).save(file, "PNG")
            return file.getvalue()
        if part == "view.html":
            title = self._title(upload, number)
            page = viewer_page(image, face, self.face_model, title=title, whitening=self.whitening)
            return page.encode()
        return mesh_bytes(
            Path(part).suffix,
            mesh_vertices(face, self.face_model),
            np.asarray(self.face_model.triangles),
            colours_from_photo(image, face, self.face_model),
        )


def make_app(
    reconstruct: Reconstruct,
    face_model: FaceModel,
    *,
    whitening: Whitening | None = None,
    allowed_hosts: tuple[str, ...] = LOCAL_HOSTS,
    max_upload_bytes: int = 20_000_000,
    max_uploads: int = 4,
) -> Starlette:
    """The web application, to be run by uvicorn.

    Args:
      reconstruct: finds and reconstructs the faces of a photograph.
      face_model: the model of their coefficients.
      whitening: statistics for the sliders, as for `viewer.viewer_page`.
      allowed_hosts: names that the server answers to, ``*`` for any. Another page in the browser
        could otherwise reach a local server under a name of its own.
      max_upload_bytes: larger uploads are refused, unread where they announce their size.
      max_uploads: how many photographs are kept in memory, for viewing and download.
    """
    server = FaceServer(reconstruct, face_model, whitening, max_upload_bytes, max_uploads)
    return Starlette(
        routes=[
            Route("/", server.index),
            Route("/faces", server.upload, methods=["POST"]),
            Route("/faces/{key}/{number:int}/{part}", server.part),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=list(allowed_hosts))],
        exception_handlers={500: _report_failure},
    )


def _refuse(status: int, sentence: str) -> Response:
    return JSONResponse({"error": sentence}, status_code=status)


async def _report_failure(_request: Request, _error: Exception) -> Response:
    # Starlette raises the error again after this answer: uvicorn prints it.
    return _refuse(500, "The server failed on this picture; its terminal says why.")
