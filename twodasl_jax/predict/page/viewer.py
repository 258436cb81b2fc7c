"""One face as a page of HTML that needs nothing else: it turns, and sliders deform it.

three.js is taken from the installed trimesh, which ships it for a viewer of its own, and becomes
part of the page when that is written. Nothing of it is in this package.
"""

import functools
import html
import io
import json
import re
import zipfile
from pathlib import Path

import numpy as np
import trimesh
import trimesh.resources

from twodasl_jax.face_model.model import FaceModel
from twodasl_jax.methods.method import CodeStatistics
from twodasl_jax.predict.faces.fit_confidence import unsure_warning
from twodasl_jax.predict.faces.reconstruct import HeadPose, Reconstruction
from twodasl_jax.predict.meshes.mesh import colours_from_photo, mesh_vertices
from twodasl_jax.predict.meshes.mesh_files import mesh_bytes
from twodasl_jax.predict.page import viewer_data

_PAGE = Path(__file__).parent / "viewer_page"

_MIT_LICENCE = """\
Permission is hereby granted, free of charge, to any person obtaining a copy of this software and
associated documentation files (the "Software"), to deal in the Software without restriction,
including without limitation the rights to use, copy, modify, merge, publish, distribute,
sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or
substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT
NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND
NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM,
DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT
OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE."""
"""What three.js asks every copy of it to carry, beside its line of copyright."""


_PARTS = {
    "style": "viewer.css",
    "unpack": "unpack.js",
    "viewer": "viewer.js",
    "controls": "controls.js",
}
"""Places in viewer.html -> the files that stand there."""


def viewer_page(
    image: np.ndarray,
    face: Reconstruction,
    face_model: FaceModel,
    *,
    title: str,
    code_statistics: CodeStatistics | None = None,
) -> str:
    """The page of one face: photograph, mesh in its colours, sliders, pose and the GLB file.

    Args:
      image: ``(height, width, 3)`` uint8 RGB, the photograph of the reconstruction.
      face: the reconstruction.
      face_model: the model it belongs to.
      title: plain text, shown at the head; the name of the downloaded file is made of it.
      code_statistics: statistics that the sliders' standard deviations come from; None as for
        `viewer_data.slider_components`.

    Returns:
      HTML. It asks the network for nothing, and its policy forbids the browser to.

    Raises:
      ValueError: when the face does not lie in the photograph, or the installed trimesh brings no
        three.js that is known here.
    """
    colours = colours_from_photo(image, face, face_model)
    triangles = np.asarray(face_model.triangles)
    glb = mesh_bytes(".glb", mesh_vertices(face, face_model), triangles, colours)
    components, sliders = viewer_data.slider_components(face, face_model, code_statistics)
    headers, payload = viewer_data.face_arrays(face, face_model, components, colours, glb)
    described = {
        "arrays": headers,
        "components": sliders,
        "photo": viewer_data.photo_in_frame(image, face),
        "landmark_groups": viewer_data.landmark_groups(),
        "landmark_vertices": np.asarray(face_model.landmark_vertices).tolist(),
        "file_name": file_name(title, ".glb"),
        **viewer_data.geometry_of(face, face_model),
    }
    summary = f"{face_model.num_vertices:,} vertices, face model “{face_model.name}”"
    return _fill(
        (_PAGE / "viewer.html").read_text(encoding="utf-8"),
        {
            "title": html.escape(title),
            "summary": html.escape(summary),
            **_pose_texts(face.head_pose),
            **_fit_texts(face),
            # "<" would let a text of the data end the script element that holds it.
            "face": json.dumps(described).replace("<", "\\u003c"),
            "payload": payload,
            "three": three_js(),
            "three_licence": _MIT_LICENCE,
            **{name: (_PAGE / file).read_text(encoding="utf-8") for name, file in _PARTS.items()},
        },
    )


def _pose_texts(pose: HeadPose) -> dict[str, str]:
    angles = {"yaw": pose.yaw, "pitch": pose.pitch, "roll": pose.roll}
    return {name: f"{angle:+.1f}°".replace("-", "&minus;") for name, angle in angles.items()}


def _fit_texts(face: Reconstruction) -> dict[str, str]:
    warning = unsure_warning(face)
    confidence = face.fit_confidence
    return {
        "fit": "not estimated" if confidence is None else f"{confidence:.2f}",
        "warning": f'<p id="unsure" role="note">{html.escape(warning)}</p>' if warning else "",
    }


def file_name(title: str, suffix: str) -> str:
    """A file name that any system takes, made of a title."""
    return (re.sub(r"[^\w.-]+", "_", title).strip("._") or "face") + suffix


@functools.cache
def three_js() -> str:
    """three.js with its note of copyright, from the installed trimesh.

    Raises:
      ValueError: where trimesh's own viewer has another form than the one that is known here.
    """
    with zipfile.ZipFile(io.BytesIO(trimesh.resources.get_bytes("templates/viewer.zip"))) as file:
        template = file.read("viewer.html.template").decode("utf-8")
    # A comment with the licence, and the library itself, which is minified to a single line.
    found = re.search(
        r"/\*\*\s+\* @license\s[^/]*Three\.js Authors[^/]*\*/\n[^\n]*\.THREE=[^\n]*", template
    )
    if found is None or "</script" in found[0] or "<!--" in found[0]:
        raise ValueError(
            f"trimesh {trimesh.__version__} ships no three.js of the known form; "
            "pip install trimesh==5.2.0"
        )
    return found[0]


def _fill(template: str, parts: dict[str, str]) -> str:
    """Puts the parts in the places ``{{name}}``, all at once: no part is searched for places."""
    return re.sub(r"\{\{(\w+)\}\}", lambda place: parts[place[1]], template)
