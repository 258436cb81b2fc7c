"""A page for one's own machine: a photograph goes in, its faces come out to turn and download.

Nothing is written to disk: uploads are read into memory, the last few stay there with their
faces until newer ones or an hour push them out, and all are gone with the process.
"""

import asyncio
import contextlib
import dataclasses
import io
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from PIL import Image
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from twodasl_jax.face_model.model import FaceModel
from twodasl_jax.methods.method import CodeStatistics
from twodasl_jax.predict.faces.fit_confidence import unsure_warning
from twodasl_jax.predict.faces.photo import read_image
from twodasl_jax.predict.faces.photo_bounds import PhotoTooLargeError
from twodasl_jax.predict.faces.reconstruct import Reconstruction
from twodasl_jax.predict.meshes.mesh import colours_from_photo, mesh_vertices
from twodasl_jax.predict.meshes.mesh_files import MESH_SUFFIXES, mesh_bytes
from twodasl_jax.predict.page.server_guard import Guard, ReadsToTheEnd
from twodasl_jax.predict.page.server_limits import (
    KeptUploads,
    Limits,
    RefusedError,
    Upload,
    read_body,
)
from twodasl_jax.predict.page.viewer import file_name, viewer_page
from twodasl_jax.predict.pictures.drawing import reconstruction_strip

Reconstruct = Callable[[np.ndarray], list[Reconstruction]]
"""``(height, width, 3)`` uint8 RGB to its faces, the largest first."""

PARTS = {
    "strip.png": "image/png",
    "view.html": "text/html",
    "face.glb": "model/gltf-binary",
    "face.obj": "model/obj",
    "face.ply": "application/ply",
}
"""What there is of every kept face, with its media type."""

_FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "GIF", "WEBP", "AVIF")
"""Pillow's names of what is decoded. Others run programs (EPS), hold pictures in pictures whose
size their header does not tell (ICO, ICNS), or take far more memory (JPEG 2000)."""

_LONGEST_NAME = 100
"""Characters of an upload's name that are kept."""

_PAGE = Path(__file__).parent / "server_page" / "index.html"
_STYLE = Path(__file__).parent / "viewer_page" / "viewer.css"

_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "connect-src 'self'; img-src 'self' data:; frame-src 'self'; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'none'"
)
_VIEWER_POLICY = "frame-ancestors 'self'; base-uri 'none'; form-action 'none'"
"""Beside the one that the page carries itself, which cannot say who may frame it."""


@dataclasses.dataclass(frozen=True)
class FaceServer:
    """What the routes share.

    Attributes:
      reconstruct: the network, with a face detector.
      face_model: the one it predicts coefficients of.
      code_statistics: for the sliders of the pages, as for `viewer.viewer_page`.
      limits: on memory and time.
      kept: the last photographs with their faces.
      turn: whose turn it is to use the cores and the memory for decoded pictures.
      waiting: the uploads that are held as they came.
    """

    reconstruct: Reconstruct
    face_model: FaceModel
    code_statistics: CodeStatistics | None
    limits: Limits
    kept: KeptUploads
    turn: asyncio.Lock = dataclasses.field(default_factory=asyncio.Lock)
    waiting: set[Request] = dataclasses.field(default_factory=set)

    async def index(self, _request: Request) -> Response:
        """The page."""
        megabytes = f"{self.limits.max_upload_bytes / 1e6:g}"
        text = _PAGE.read_text(encoding="utf-8").replace("{{megabytes}}", megabytes)
        text = text.replace("{{style}}", _STYLE.read_text(encoding="utf-8"))
        return HTMLResponse(text, headers={"Content-Security-Policy": _POLICY})

    async def upload(self, request: Request) -> Response:
        """``POST`` of an image file as the body, its name in ``?name=``: JSON of its faces."""
        if request.headers.get("content-type", "").lower().startswith("multipart/"):
            raise RefusedError(415, "Send the picture's bytes alone as the body, not a form.")
        if len(self.waiting) >= self.limits.max_waiting:
            raise RefusedError(
                503,
                "The server is busy with other pictures; try again in a minute.",
                **{"Retry-After": "60"},
            )
        self.waiting.add(request)
        try:
            body = await read_body(request, self.limits)
            name = _plain_name(request.query_params.get("name", ""))
            async with self._turn(request):
                upload = await run_in_threadpool(self._reconstruct, body, name)
                key = self.kept.add(upload)
        finally:
            self.waiting.discard(request)
        faces = [
            _describe(face, f"faces/{key}/{number}") for number, face in enumerate(upload.faces, 1)
        ]
        return JSONResponse({"faces": faces})

    async def part(self, request: Request) -> Response:
        """``GET`` of one thing about a face: ``strip.png``, ``view.html``, ``face.glb``, …."""
        number, part = request.path_params["number"], request.path_params["part"]
        async with self._turn(request):
            # Not before: who waits would hold a picture that newer ones have pushed out.
            upload = self._kept_face(request.path_params["key"], number)
            if part not in PARTS:
                raise RefusedError(404, f"A face has no {part[:99]}; it has {', '.join(PARTS)}.")
            title = _title(upload, int(number))
            try:
                content = await run_in_threadpool(self._make_part, upload, int(number), part)
            except ValueError as error:
                raise RefusedError(422, str(error)) from error
            del upload
        headers = {}
        suffix = Path(part).suffix
        if suffix in MESH_SUFFIXES:
            name = file_name(title, suffix)
            headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(name)}"
        if suffix == ".html":
            headers["Content-Security-Policy"] = _VIEWER_POLICY
        return Response(content, media_type=PARTS[part], headers=headers)

    @contextlib.asynccontextmanager
    async def _turn(self, request: Request) -> AsyncIterator[None]:
        async with self.turn:
            if await request.is_disconnected():  # while it waited: nobody wants the result
                raise ClientDisconnect
            yield

    def _kept_face(self, key: str, number: str) -> Upload:
        upload = self.kept.get(key)
        if upload is None:
            raise RefusedError(404, "This result is no longer kept; upload the picture again.")
        if number not in map(str, range(1, len(upload.faces) + 1)):
            raise RefusedError(
                404, f"{upload.name} has no face {number[:9]} of {len(upload.faces)}."
            )
        return upload

    def _reconstruct(self, body: io.BytesIO, name: str) -> Upload:
        try:
            image = read_image(body, name, formats=_formats())
            faces = self.reconstruct(image)
        except PhotoTooLargeError as error:
            raise RefusedError(413, str(error)) from error
        except ValueError as error:
            raise RefusedError(422, str(error)) from error
        if not faces:
            raise RefusedError(
                422,
                f"No face was found in {name}, neither as it is nor turned by every "
                "45 degrees; try a picture that shows one larger.",
            )
        return Upload(Path(name).stem, image, faces)

    def _make_part(self, upload: Upload, number: int, part: str) -> bytes:
        image, face = upload.image, upload.faces[number - 1]
        if part == "strip.png":
            file = io.BytesIO()
            Image.fromarray(reconstruction_strip(image, face, self.face_model)).save(file, "PNG")
            return file.getvalue()
        if part == "view.html":
            told = {"title": _title(upload, number), "code_statistics": self.code_statistics}
            return viewer_page(image, face, self.face_model, **told).encode()
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
    code_statistics: CodeStatistics | None = None,
    host: str = "127.0.0.1",
    limits: Limits | None = None,
) -> Starlette:
    """The web application, to be run by `server_connections.make_server`.

    Args:
      reconstruct: finds and reconstructs the faces of a photograph.
      face_model: the model of their coefficients.
      code_statistics: as for `viewer.viewer_page`.
      host: what it listens on, which decides the names that it answers to
        (`server_origin.answers_to`).
      limits: on memory and time; None is `Limits()`.
    """
    limits = limits or Limits()
    server = FaceServer(reconstruct, face_model, code_statistics, limits, KeptUploads(limits))
    app = Starlette(
        routes=[
            Route("/", server.index),
            Route("/faces", server.upload, methods=["POST"]),
            Route("/faces/{key}/{number}/{part}", server.part),
        ],
        middleware=[
            Middleware(ReadsToTheEnd, most_bytes=4 * limits.max_upload_bytes, seconds=10.0),
            Middleware(Guard, listening=host),
        ],
        exception_handlers={
            RefusedError: _tell_refusal,
            HTTPException: _tell_status,
            ClientDisconnect: _tell_nobody,
            500: _report_failure,
        },
    )
    app.router.redirect_slashes = False
    return app


def _describe(face: Reconstruction, address: str) -> dict[str, Any]:
    angles = ("yaw", "pitch", "roll")
    return {
        "address": address,
        "pose": {name: round(getattr(face.head_pose, name), 1) for name in angles},
        "confidence": face.fit_confidence and round(face.fit_confidence, 2),
        "warning": unsure_warning(face),
        "meshes": [f"face{suffix}" for suffix in MESH_SUFFIXES],
    }


def _title(upload: Upload, number: int) -> str:
    return upload.name if len(upload.faces) == 1 else f"{upload.name} {number}"


def _plain_name(name: str) -> str:
    """A file's name without its folder, fit for one line of a terminal."""
    name = name.replace("\\", "/").rpartition("/")[2]
    ending = Path(name).suffix[:10]
    name = Path(name).stem[: _LONGEST_NAME - len(ending)] + ending
    return "".join(c if c.isprintable() else " " for c in name) or "picture"


def _formats() -> list[str]:
    Image.init()
    return [kind for kind in _FORMATS if kind in Image.OPEN]


def _tell(request: Request, status: int, sentence: str, headers: Any = None) -> Response:
    """A program gets JSON, a person who followed a link the sentence."""
    if request.headers.get("accept", "").startswith("text/html"):
        return PlainTextResponse(sentence, status, headers)
    return JSONResponse({"error": sentence}, status, headers)


async def _tell_refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, RefusedError), "the only kind that this is registered for"
    return _tell(request, error.status, str(error), error.headers)


async def _tell_status(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException), "the only kind that this is registered for"
    sentence = {
        404: "There is nothing at this address; the page is at /.",
        405: f"This address does not take {request.method[:20]}.",
    }.get(error.status_code, str(error.detail))
    return _tell(request, error.status_code, sentence, error.headers)


async def _tell_nobody(_request: Request, _error: Exception) -> Response:
    return Response(status_code=400)  # the client has left


async def _report_failure(request: Request, _error: Exception) -> Response:
    # Starlette raises the error again after this answer: uvicorn prints it.
    return _tell(request, 500, "The server failed on this picture; its terminal says why.")
