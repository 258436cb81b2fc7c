"""What ``--mode=predict --outputs=…`` can write of a photograph: a function each, and one table.

A writer takes a `PhotoFaces` and yields files as bytes; `outputs.write_outputs` names and writes
them. A new output is a function and a line in `OUTPUTS`.
"""

import dataclasses
import functools
import io
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from PIL import Image, PngImagePlugin

from twodasl_jax.face_model.model import FaceModel
from twodasl_jax.methods.method import CodeStatistics
from twodasl_jax.predict.faces.reconstruct import Reconstruction
from twodasl_jax.predict.files.prediction_json import prediction_json, prediction_record
from twodasl_jax.predict.meshes.mesh import colours_from_photo, mesh_vertices
from twodasl_jax.predict.meshes.mesh_files import (
    MATERIAL_ENDING,
    MeshTexture,
    material_bytes,
    mesh_bytes,
)
from twodasl_jax.predict.page.viewer import viewer_page
from twodasl_jax.predict.pictures.drawing import draw_landmarks, reconstruction_strip
from twodasl_jax.predict.pictures.maps import (
    DepthScale,
    code_colours,
    depth_map,
    depth_scale,
    normal_map,
    pncc_map,
)
from twodasl_jax.predict.pictures.overlay import draw_dense_alignment, overlay_mesh
from twodasl_jax.predict.pictures.pose_picture import draw_head_pose
from twodasl_jax.predict.pictures.surface import FaceSurface, face_surface
from twodasl_jax.predict.pictures.uv_texture import Origin, UvTexture, uv_texture
from twodasl_jax.predict.pictures.visibility import FaceNotShownError
from twodasl_jax.whole_file import fitting_name

_JPEG_QUALITY = 92

_TEXTURE_ENDING = "_uv_texture.png"


@dataclasses.dataclass(frozen=True)
class PhotoFaces:
    """A photograph with its faces, and how to write them: what every writer gets.

    Attributes:
      image: ``(height, width, 3)`` uint8 RGB.
      faces: at least one.
      face_model: they belong to.
      stem: of the files' names: the photograph's name.
      outputs: that were asked for; some look better beside another.
      code_statistics: of the network's code, the unit of the page's sliders; None: see `viewer`.
      mesh_formats: of the meshes, without the dot.
      files: output -> names of its files that show all faces, as written so far.
      face_files: for each face, the same of the files of its own.
      not_shown: face -> why an output that needs to see it left it out.
      textures: face -> its texture, as soon as an output needs it.
    """

    image: np.ndarray
    faces: Sequence[Reconstruction]
    face_model: FaceModel
    stem: str
    outputs: Sequence[str]
    code_statistics: CodeStatistics | None
    mesh_formats: Sequence[str]
    files: dict[str, list[str]]
    face_files: tuple[dict[str, list[str]], ...]
    not_shown: dict[int, str]
    textures: dict[int, UvTexture]

    def file_name(self, ending: str, face: int | None) -> str:
        """Of a file that shows one face, or all where `face` is None."""
        number = f"_{face}" if face is not None and len(self.faces) > 1 else ""
        return fitting_name(self.stem, number + ending)

    def texture(self, face: int) -> UvTexture:
        """Of a face; computed once for all outputs.

        Raises:
          FaceNotShownError: where the photograph shows none of it.
        """
        if face not in self.textures:
            self.textures[face] = uv_texture(self.image, self.faces[face], self.face_model)
        return self.textures[face]

    @functools.cached_property
    def surfaces(self) -> tuple[FaceSurface, ...]:
        """What the photograph's pixels see of each face; rasterised once for all outputs."""
        height, width = self.image.shape[:2]
        triangles = self.face_model.triangles
        return tuple(
            face_surface(face.vertices, triangles, height=height, width=width)
            for face in self.faces
        )


@dataclasses.dataclass(frozen=True)
class OutputFile:
    """A file to write.

    Attributes:
      ending: of its name, behind the photograph's (and, among several faces, the face's number).
      data: its bytes.
      face: which face it shows; None where it shows all.
    """

    ending: str
    data: bytes
    face: int | None = None


Writer = Callable[[PhotoFaces], Iterator[OutputFile]]


def _of_shown_faces(
    photo: PhotoFaces, make: Callable[[int], dict[str, bytes]]
) -> Iterator[OutputFile]:
    """The files, by the endings of their names, of each face that the photograph shows."""
    for number in range(len(photo.faces)):
        try:
            files = make(number)
        except FaceNotShownError as error:
            # One face beside the picture costs the others nothing; `write_outputs` tells it.
            photo.not_shown[number] = str(error)
            continue
        for ending, data in files.items():
            yield OutputFile(ending, data, face=number)


def _strip(photo: PhotoFaces) -> Iterator[OutputFile]:
    for number, face in enumerate(photo.faces):
        strip = reconstruction_strip(photo.image, face, photo.face_model)
        yield OutputFile("_strip.jpg", _jpeg(strip), face=number)


def _overlay(photo: PhotoFaces) -> Iterator[OutputFile]:
    lit, dots = photo.image, photo.image
    colours = code_colours(photo.face_model)
    for face in reversed(photo.faces):
        lit = overlay_mesh(lit, face.vertices, photo.face_model.triangles)
        dots = draw_dense_alignment(dots, face, photo.face_model, colours)
    yield OutputFile("_overlay.jpg", _jpeg(lit))
    yield OutputFile("_dense.jpg", _jpeg(dots))


def _landmarks(photo: PhotoFaces) -> Iterator[OutputFile]:
    drawn = photo.image
    for face in reversed(photo.faces):
        size = float(np.ptp(face.landmarks_px, axis=0).max())
        drawn = draw_landmarks(drawn, face.landmarks, thickness=max(1, round(size / 150)))
    yield OutputFile("_landmarks.jpg", _jpeg(drawn))


def _pose(photo: PhotoFaces) -> Iterator[OutputFile]:
    drawn = photo.image
    for face in reversed(photo.faces):
        drawn = draw_head_pose(drawn, face)
    yield OutputFile("_pose.jpg", _jpeg(drawn))


def _depth(photo: PhotoFaces) -> Iterator[OutputFile]:
    scale = depth_scale(photo.surfaces)
    height, width = photo.image.shape[:2]
    picture = depth_map(photo.surfaces, scale, height=height, width=width)
    yield OutputFile("_depth.png", _png(picture, step_px=repr(scale.step_px)))


def _pncc(photo: PhotoFaces) -> Iterator[OutputFile]:
    height, width = photo.image.shape[:2]
    picture = pncc_map(photo.surfaces, photo.face_model, height=height, width=width)
    yield OutputFile("_pncc.png", _png(picture))


def _normals(photo: PhotoFaces) -> Iterator[OutputFile]:
    height, width = photo.image.shape[:2]
    yield OutputFile("_normals.png", _png(normal_map(photo.surfaces, height=height, width=width)))


def _mesh(photo: PhotoFaces) -> Iterator[OutputFile]:
    triangles = np.asarray(photo.face_model.triangles)

    def meshes(number: int) -> dict[str, bytes]:
        face = photo.faces[number]
        vertices = mesh_vertices(face, photo.face_model)
        colours = colours_from_photo(photo.image, face, photo.face_model)
        texture = _mesh_texture(photo, number)
        files = {}
        for suffix in (f".{name}" for name in photo.mesh_formats):
            files[suffix] = mesh_bytes(suffix, vertices, triangles, colours, texture=texture)
            if suffix == ".obj" and texture is not None:
                files[MATERIAL_ENDING] = material_bytes(texture)
        return files

    yield from _of_shown_faces(photo, meshes)


def _mesh_texture(photo: PhotoFaces, number: int) -> MeshTexture | None:
    """The texture for a face's meshes, where the output of textures was asked for too."""
    if "uv_texture" not in photo.outputs:
        return None
    try:
        colours = photo.texture(number).colours
    except FaceNotShownError as error:
        photo.not_shown[number] = str(error)  # the mesh is written without it
        return None
    return MeshTexture(
        np.asarray(photo.face_model.uv),
        _png(colours),
        photo.file_name(_TEXTURE_ENDING, number),
        photo.file_name(MATERIAL_ENDING, number),
    )


def _uv_texture(photo: PhotoFaces) -> Iterator[OutputFile]:
    meaning = ", ".join(f"{origin.value} {origin.name.lower()}" for origin in Origin)

    def textures(number: int) -> dict[str, bytes]:
        texture = photo.texture(number)
        return {
            _TEXTURE_ENDING: _png(texture.colours),
            "_uv_mask.png": _png(texture.origin, values=meaning),
        }

    yield from _of_shown_faces(photo, textures)


def _html(photo: PhotoFaces) -> Iterator[OutputFile]:
    def page(number: int) -> dict[str, bytes]:
        face = photo.faces[number]
        text = viewer_page(
            photo.image,
            face,
            photo.face_model,
            title=photo.stem,
            code_statistics=photo.code_statistics,
        )
        return {".html": text.encode(errors="backslashreplace")}

    yield from _of_shown_faces(photo, page)


def _json(photo: PhotoFaces) -> Iterator[OutputFile]:
    scale: DepthScale | None = depth_scale(photo.surfaces) if "depth" in photo.files else None
    height, width = photo.image.shape[:2]
    record = prediction_record(
        photo.faces,
        photo.face_model,
        width=width,
        height=height,
        files=photo.files,
        face_files=photo.face_files,
        depth=scale,
    )
    yield OutputFile(".json", prediction_json(record))


OUTPUTS: dict[str, Writer] = {
    "strip": _strip,
    "overlay": _overlay,
    "mesh": _mesh,
    "depth": _depth,
    "pncc": _pncc,
    "normals": _normals,
    "uv_texture": _uv_texture,
    "pose": _pose,
    "landmarks": _landmarks,
    "html": _html,
    "json": _json,
}
"""``--outputs`` -> what writes it."""


def _png(picture: np.ndarray, **notes: str) -> bytes:
    """A picture of 8 or 16 bits, losslessly; notes go into the file's text chunks."""
    text = PngImagePlugin.PngInfo()
    for key, value in notes.items():
        text.add_text(key, value)
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG", pnginfo=text)
    return file.getvalue()


def _jpeg(picture: np.ndarray) -> bytes:
    """A picture to look at; without colour subsampling, which would blur thin lines."""
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=_JPEG_QUALITY, subsampling=0)
    return file.getvalue()
