"""The viewer's page as text and numbers; what it does in a browser is in test_viewer_page.py."""

import base64
import dataclasses
import gzip
import io
import json
import re
import zipfile

import chex
import jax.numpy as jnp
import numpy as np
import pytest
import trimesh.resources
from PIL import Image

from tests.predict.linear_faces import UNIT, reconstruction_from_coefficients
from twodasl_jax.coefficient_layout import CODE_LAYOUT
from twodasl_jax.face_model.import_bfm import face_model_from_file
from twodasl_jax.face_model.linear import vertices_from_coefficients
from twodasl_jax.methods.method import CodeStatistics
from twodasl_jax.predict.meshes.mesh import colours_from_photo, mesh_vertices
from twodasl_jax.predict.meshes.mesh_files import mesh_bytes
from twodasl_jax.predict.page import viewer
from twodasl_jax.predict.page.viewer import file_name, three_js, viewer_page
from twodasl_jax.predict.page.viewer_data import (
    BASE_BITS,
    COMPONENT_BITS,
    NUM_SHAPE_SLIDERS,
    pack_arrays,
    photo_in_frame,
    quantise,
    slider_components,
)


def unpacked(headers, payload):
    """The page's script, in numpy."""
    data, arrays = gzip.decompress(base64.b64decode(payload)), {}
    for header in headers:
        rows, columns = header["rows"], header["columns"]
        width = np.dtype(header["type"]).itemsize
        planes, data = data[: rows * columns * width], data[rows * columns * width :]
        planes = np.frombuffer(planes, np.uint8).reshape(width, rows, columns).astype(np.uint64)
        differences = sum(planes[plane] << np.uint64(8 * plane) for plane in range(width))
        values = np.cumsum(differences, axis=1).astype(f"u{width}").view(header["type"])
        arrays[header["name"]] = values
    assert not data
    return arrays


def data_of(page):
    """The numbers and arrays of a page."""
    face = json.loads(re.search(r'<script[^>]* id="face">(.*?)</script>', page, re.S)[1])
    payload = re.search(r'<script[^>]* id="payload">(.*?)</script>', page, re.S)[1]
    return face, unpacked(face["arrays"], payload)


@pytest.fixture(scope="module")
def turned(reconstruct, roi_box):
    """A turned, shifted dome with a shape and an expression, in a box of unequal sides."""
    coefficients = np.random.default_rng(1).normal(size=62).astype(np.float32)
    cosine, sine = np.cos(0.5), np.sin(0.5)
    coefficients[:12] = [cosine, 0, -sine, 66, 0, 1, 0, 55, sine, 0, cosine, 3]
    return reconstruct(coefficients, roi_box + np.array([0, 0, 12, 0], np.float32))


@pytest.mark.parametrize("dtype", [np.int16, np.uint8, np.uint32])
def test_arrays_come_back_from_the_page_unchanged(dtype):
    limits = np.iinfo(dtype)
    array = np.random.default_rng(0).integers(limits.min, limits.max, (3, 4, 50), dtype)
    array[0, 0, :2] = limits.min, limits.max  # the greatest difference wraps around
    headers, payload = pack_arrays({"first": array, "second": array[0, 0]})
    back = unpacked(headers, payload)
    chex.assert_trees_all_equal(back["first"], array.reshape(12, 50))
    chex.assert_trees_all_equal(back["second"], array[0, :1])


@pytest.mark.parametrize("bits", [BASE_BITS, COMPONENT_BITS])
def test_rounding_errs_by_half_a_step_of_each_arrays_own_scale(bits):
    array = np.random.default_rng(0).normal(size=(3, 3, 100)) * [[[1e3]], [[1.0]], [[0.0]]]
    values, scales = quantise(array, bits)
    assert np.abs(values).max() == 2 ** (bits - 1) - 1
    error = np.abs(values * scales[:, None, None] - array).max(axis=(1, 2))
    largest = np.abs(array).max(axis=(1, 2))
    assert (error <= largest / (2**bits - 2) * (1 + 1e-9)).all()


def test_the_stored_face_deforms_as_the_model_does(dome_face, turned, photo):
    face, arrays = data_of(viewer_page(photo, turned, dome_face, title="t", code_statistics=UNIT))
    headers = {header["name"]: header for header in face["arrays"]}
    base = arrays["base"] * np.array(headers["base"]["scales"])[:, None]
    components = arrays["components"].reshape(-1, 3, dome_face.num_vertices)
    components = components * np.array(headers["components"]["scales"])[:, None, None]
    assert [c["kind"] for c in face["components"]] == ["expression"] * 10 + ["shape"] * 12
    wanted = np.random.default_rng(2).uniform(-3, 3, len(components))
    changes = wanted - [component["value"] for component in face["components"]]
    decoded = base + np.tensordot(changes, components, axes=1)

    coefficients = turned.coefficients.copy()  # the model's statistics are mean 0, variance 1
    coefficients[52:], coefficients[12:24] = wanted[:10], wanted[10:]
    expected = np.asarray(
        vertices_from_coefficients(
            dome_face.linear, jnp.asarray(coefficients[12:52]), jnp.asarray(coefficients[52:])
        )
    )
    before = np.asarray(
        vertices_from_coefficients(
            dome_face.linear,
            jnp.asarray(turned.coefficients[12:52]),
            jnp.asarray(turned.coefficients[52:]),
        )
    )
    expected = expected - before.mean(axis=1, keepdims=True)
    # Half a step of the face (50 mm / 65,534) and of each of 22 components (1.5 mm / 4,094) times
    # its change of at most 6 σ: 0.0008 + 22 · 6 · 0.0004 = 0.05 mm if all erred the same way.
    assert np.abs(decoded - expected).max() < 0.05


def test_the_mesh_lies_on_the_photograph(dome_face, turned, photo):
    face, _ = data_of(viewer_page(photo, turned, dome_face, title="t", code_statistics=UNIT))
    matrix = np.array(face["matrix_columns"]).T
    points = mesh_vertices(turned, dome_face).T.astype(np.float64)
    frame = matrix @ points + np.array(face["centre"])[:, None]
    # From the frame (-1 to 1, y up) to the photograph by where its picture lies in the frame.
    picture = photo_in_frame(photo, turned)
    x, y = (frame[0] + 1) / 2, (1 - frame[1]) / 2
    pixels = picture_pixels(picture)
    left = max(0, int(np.floor(turned.roi_box[0] - 0.15 * 132)))
    column = (x - picture["x"]) / picture["width"] * pixels[0] + left
    # float32 coordinates of some hundred pixels.
    chex.assert_trees_all_close(column, turned.vertices[0].astype(np.float64), atol=1e-3)
    landmarks = np.array(face["landmarks_2d"])
    vertices = np.asarray(dome_face.landmark_vertices)
    # Landmarks are stored to a ten-thousandth of the frame.
    chex.assert_trees_all_close(1000 * np.stack([x, y], 1)[vertices], landmarks, atol=0.06)


def picture_pixels(picture):
    data = base64.b64decode(picture["href"].removeprefix("data:image/jpeg;base64,"))
    return Image.open(io.BytesIO(data)).size


def test_sliders_count_in_the_statistics_that_are_given(dome_face, turned):
    statistics = CodeStatistics(np.arange(50.0), np.full(50, 2.0), CODE_LAYOUT)
    components, described = slider_components(turned, dome_face, statistics)
    assert len(components) == len(described) == 10 + NUM_SHAPE_SLIDERS
    basis = np.asarray(dome_face.linear.shape_basis, np.float64)
    chex.assert_trees_all_close(components[10], 2.0 * basis[0], rtol=1e-12)
    assert described[0]["value"] == pytest.approx((turned.code[40] - 40) / 2, abs=1e-4)


def test_a_code_without_statistics_has_no_sliders(dome_face, turned, photo):
    components, described = slider_components(turned, dome_face, None)
    assert (len(components), described) == (0, [])
    assert viewer_page(photo, turned, dome_face, title="t")


def test_the_download_is_the_exported_file(dome_face, turned, photo):
    _, arrays = data_of(viewer_page(photo, turned, dome_face, title="t", code_statistics=UNIT))
    glb = mesh_bytes(
        ".glb",
        mesh_vertices(turned, dome_face),
        np.asarray(dome_face.triangles),
        colours_from_photo(photo, turned, dome_face),
    )
    assert arrays["glb"].tobytes() == glb


def test_a_large_photograph_is_reduced(dome_face, reconstruct, frontal_coefficients, photo):
    large = np.repeat(np.repeat(photo, 20, 0), 20, 1)
    found = reconstruct(frontal_coefficients, np.array([800, 400, 3200, 2800], np.float32))
    picture = photo_in_frame(large, found)
    assert max(picture_pixels(picture)) == 1024
    with pytest.raises(ValueError, match="the face lies beside the 200 x 160 picture"):
        photo_in_frame(photo, found)


def test_a_title_is_text_and_never_code(dome_face, frontal, photo):
    title = (
        "</title><script>alert('{{payload}}')</script> & 2/3 \N{LATIN SMALL LETTER E WITH ACUTE}"
    )
    page = viewer_page(photo, frontal, dome_face, title=title, code_statistics=UNIT)
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(&#x27;{{payload}}&#x27;)" in page
    assert data_of(page)[0]["file_name"].endswith("2_3_é.glb")
    assert file_name("../..", ".ply") == "face.ply"


def test_three_js_comes_with_its_licence(dome_face, frontal, photo):
    assert "Three.js Authors" in three_js()
    page = viewer_page(photo, frontal, dome_face, title="t", code_statistics=UNIT)
    assert page.count(three_js()) == 1
    assert "Permission is hereby granted, free of charge" in page


def test_the_same_face_gives_the_same_page(dome_face, frontal, photo):
    first, second = (
        viewer_page(photo, frontal, dome_face, title="t", code_statistics=UNIT) for _ in range(2)
    )
    assert first == second


def test_another_trimesh_is_named(monkeypatch):
    monkeypatch.setattr(viewer, "three_js", viewer.three_js.__wrapped__)
    other = io.BytesIO()
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("viewer.html.template", "<script type=module></script>")
    monkeypatch.setattr(trimesh.resources, "get_bytes", lambda _: other.getvalue())
    with pytest.raises(ValueError, match=r"ships no three.js of the known form; pip install"):
        viewer.three_js()


@pytest.mark.shared_data
def test_bfm_is_rounded_by_hundredths_of_a_millimetre(shared_data):
    face_model = face_model_from_file(shared_data / "bfm" / "bfm2009_53215.npz")
    assert face_model.whitening is not None
    mean, std = (np.asarray(part)[12:] for part in face_model.whitening)
    statistics = CodeStatistics(mean, std, CODE_LAYOUT)
    coefficients = np.zeros(62, np.float32)
    coefficients[[0, 5, 10]] = 1e-3
    coefficients[[3, 7]] = 60
    box = np.array([0, 0, 120, 120], np.float32)
    face = reconstruction_from_coefficients(
        face_model, coefficients, box, crop=np.zeros((120, 120, 3), np.uint8), box=box
    )
    components, described = slider_components(face, face_model, statistics)
    values, scales = quantise(components, COMPONENT_BITS)
    offsets = np.random.default_rng(0).choice([-3.0, 3.0], len(described))
    exact = np.tensordot(offsets, components, axes=1)
    rounded = np.tensordot(offsets * scales, values.astype(np.float64), axes=1)
    # Half a step of each of 22 components, times 3 σ, if all err the same way in one coordinate:
    # hundredths of a millimetre, where neighbouring vertices are a millimetre apart.
    bound = 3.0 * 0.5 * scales.sum()
    assert bound < 0.04
    assert np.abs(rounded - exact).max() < bound


def test_the_page_shows_the_confidence_and_warns_of_an_unsure_fit(dome_face, frontal, photo):
    sure = dataclasses.replace(frontal, fit_confidence=0.91)
    unsure = dataclasses.replace(frontal, fit_confidence=0.12)
    pages = [
        viewer_page(photo, face, dome_face, title="t", code_statistics=UNIT)
        for face in (frontal, sure, unsure)
    ]
    assert "not estimated" in pages[0]
    assert "<dd>0.91</dd>" in pages[1]
    assert ['id="unsure"' in page for page in pages] == [False, False, True]
    assert "the fit is unsure (0.12): the head may be turned" in pages[2]
