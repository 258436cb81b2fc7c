"""Mesh files read back by trimesh: shapes, colours, textures right way up, names of all kinds."""

import io
import json
import struct

import chex
import numpy as np
import pytest
import trimesh
from PIL import Image
from scipy.ndimage import map_coordinates

from twodasl_jax.predict.meshes.mesh import mesh_vertices
from twodasl_jax.predict.meshes.mesh_files import (
    MESH_SUFFIXES,
    MeshTexture,
    material_bytes,
    mesh_bytes,
)
from twodasl_jax.predict.pictures.maps import code_colours

SIZE = 256
NAMES = ["face", "a b", " leading", "-s 1", "#1", "100%", "'q\"u", "ünï 顔", "a.b.", "a#b", "..x"]


@pytest.fixture(scope="module")
def vertices(dome_face, frontal):
    return mesh_vertices(frontal, dome_face)


@pytest.fixture(scope="module")
def triangles(dome_face):
    return np.asarray(dome_face.triangles)


@pytest.fixture(scope="module")
def picture():
    """Red grows to the right, green to the bottom: every place has its own colour."""
    rows, columns = np.indices((SIZE, SIZE))
    return np.stack([columns, rows, np.full_like(rows, 60)], axis=-1).astype(np.uint8)


def write_textured(folder, name, suffix, vertices, triangles, uv, picture):
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    texture = MeshTexture(uv, file.getvalue(), f"{name}_uv_texture.png", f"{name}.mtl")
    grey = np.full(vertices.shape, 40, np.uint8)
    path = folder / f"{name}{suffix}"
    path.write_bytes(mesh_bytes(suffix, vertices, triangles, grey, texture=texture))
    if suffix != ".glb":
        (folder / texture.picture_name).write_bytes(texture.png)
    if suffix == ".obj":
        (folder / texture.material_name).write_bytes(material_bytes(texture))
    return path


def parts_of(data):
    """The tree and the buffer of a binary glTF file."""
    length = struct.unpack("<I", data[12:16])[0]
    return json.loads(data[20 : 20 + length]), data[28 + length :]


def accessed(tree, buffer, number):
    accessor = tree["accessors"][number]
    view = tree["bufferViews"][accessor["bufferView"]]
    width = {"SCALAR": 1, "VEC2": 2, "VEC3": 3}[accessor["type"]]
    kind = {5126: "<f4", 5125: "<u4"}[accessor["componentType"]]
    part = buffer[view["byteOffset"] : view["byteOffset"] + view["byteLength"]]
    return np.frombuffer(part, kind).reshape(accessor["count"], width)


def srgb_of(linear):
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055) * 255


@pytest.mark.parametrize("suffix", MESH_SUFFIXES)
def test_vertex_colours_survive_trimesh(tmp_path, dome_face, vertices, triangles, suffix):
    path, colours = tmp_path / f"face{suffix}", code_colours(dome_face)
    path.write_bytes(mesh_bytes(suffix, vertices, triangles, colours))
    for mesh in (
        trimesh.load(path, force="mesh", process=False),
        *trimesh.load_scene(path, process=False).geometry.values(),
    ):
        assert mesh.visual.kind == "vertex"
        unit = 1000.0 if suffix == ".glb" else 1.0
        # obj prints 7 digits, glb and ply keep float32: 1e-3 mm is far above either.
        chex.assert_trees_all_close(np.asarray(mesh.vertices) * unit, 1.0 * vertices, atol=1e-3)
        chex.assert_trees_all_equal(np.asarray(mesh.faces), triangles.astype(np.int64))
        shades = np.asarray(mesh.visual.vertex_colors)[:, :3]
        if suffix == ".glb":
            # trimesh rounds linear light to 8 bits: up to 13 of 255 levels in deepest shadow.
            chex.assert_trees_all_close(srgb_of(shades / 255.0), 1.0 * colours, atol=13.0)
        else:
            # obj prints colours as decimals of 255ths.
            assert np.abs(shades.astype(int) - colours.astype(int)).max() <= 1


def test_a_glb_holds_linear_light_exactly(dome_face, vertices, triangles):
    colours = code_colours(dome_face)
    tree, buffer = parts_of(mesh_bytes(".glb", vertices, triangles, colours))
    attributes = tree["meshes"][0]["primitives"][0]["attributes"]
    linear = accessed(tree, buffer, attributes["COLOR_0"])
    # float32 of numbers up to 1, carried back to 255 levels.
    chex.assert_trees_all_close(srgb_of(linear.astype(np.float64)), 1.0 * colours, atol=1e-3)


@pytest.mark.parametrize("suffix", MESH_SUFFIXES)
@pytest.mark.parametrize("name", NAMES)
def test_a_texture_lies_right_way_up(
    tmp_path, dome_face, vertices, triangles, picture, suffix, name
):
    uv = np.asarray(dome_face.uv)
    path = write_textured(tmp_path, name, suffix, vertices, triangles, uv, picture)
    mesh = trimesh.load(path, force="mesh", process=False)
    assert mesh.visual.kind == "texture"
    material = mesh.visual.material
    shown = material.baseColorTexture if suffix == ".glb" else material.image
    back = np.asarray(shown.convert("RGB"), np.float64)
    # trimesh's v runs up, whatever the file's: row 0 is v = 1.
    row, column = (1 - mesh.visual.uv[:, 1]) * SIZE - 0.5, mesh.visual.uv[:, 0] * SIZE - 0.5
    sampled = np.stack(
        [map_coordinates(back[..., i], (row, column), order=1, mode="nearest") for i in range(2)]
    )
    unit = 1000.0 if suffix == ".glb" else 1.0
    x, y = np.asarray(mesh.vertices, np.float64)[:, :2].T * unit
    # The dome is 100 mm wide and high and its uv spans the square: red rises by one level in
    # 100/256 mm to the right, green in as much downwards; the border texels' centres clamp.
    chex.assert_trees_all_close(
        sampled,
        np.stack([(x + 50) / 100 * SIZE - 0.5, (50 - y) / 100 * SIZE - 0.5]).clip(0, SIZE - 1),
        atol=0.02,  # obj prints 7 digits; bilinear sampling of a ramp is exact
    )


def test_a_textured_glb_is_valid_and_shows_no_colours(
    tmp_path, dome_face, vertices, triangles, picture
):
    path = write_textured(
        tmp_path, "a", ".glb", vertices, triangles, np.asarray(dome_face.uv), picture
    )
    data = path.read_bytes()
    assert struct.unpack("<4sII", data[:12]) == (b"glTF", 2, len(data))
    tree, buffer = parts_of(data)
    assert len(buffer) == tree["buffers"][0]["byteLength"]
    for view in tree["bufferViews"]:
        assert view["byteOffset"] % 4 == 0
        assert view["byteOffset"] + view["byteLength"] <= len(buffer)
    shown = tree["meshes"][tree["nodes"][tree["scenes"][tree["scene"]]["nodes"][0]]["mesh"]]
    primitive = shown["primitives"][0]
    assert set(primitive["attributes"]) == {"POSITION", "NORMAL", "TEXCOORD_0"}
    normals = accessed(tree, buffer, primitive["attributes"]["NORMAL"])
    # float32 unit vectors.
    chex.assert_trees_all_close(np.linalg.norm(normals, axis=1), np.ones(len(normals)), atol=1e-5)
    assert normals[:, 2].mean() > 0.5  # the dome looks along +z
    material = tree["materials"][primitive["material"]]
    assert material["pbrMetallicRoughness"]["metallicFactor"] == 0.0
    assert material["doubleSided"]
    assert accessed(tree, buffer, primitive["indices"]).max() == len(vertices) - 1


def test_vertex_colours_stay_beside_a_texture(tmp_path, dome_face, vertices, triangles, picture):
    uv = np.asarray(dome_face.uv)
    path = write_textured(tmp_path, "a", ".glb", vertices, triangles, uv, picture)
    coloured, textured = trimesh.load(path).geometry.values()
    assert (coloured.visual.kind, textured.visual.kind) == ("vertex", "texture")
    ply = write_textured(tmp_path, "a", ".ply", vertices, triangles, uv, picture)
    raw = trimesh.load(ply, process=False).metadata["_ply_raw"]["vertex"]["data"]
    assert (raw["red"] == 40).all()
    obj = write_textured(tmp_path, "a", ".obj", vertices, triangles, uv, picture)
    lines = [line.split() for line in obj.read_text().splitlines() if line.startswith("v ")]
    assert {len(line) for line in lines} == {4}  # readers would multiply the texture by colours


def test_the_mesh_stands_upright_and_looks_along_z(
    tmp_path, dome_face, frontal, vertices, triangles
):
    path = tmp_path / "face.glb"
    path.write_bytes(mesh_bytes(".glb", vertices, triangles, code_colours(dome_face)))
    mesh = trimesh.load(path, force="mesh", process=False)
    back, faces = np.asarray(mesh.vertices), np.asarray(mesh.faces)
    nose = int(dome_face.landmark_vertices[30])
    assert np.argmax(back[:, 2]) == nose
    top_of_image = int(np.argmin(frontal.vertices[1]))
    assert back[top_of_image, 1] == back[:, 1].max()
    left_of_image = int(np.argmin(frontal.vertices[0]))
    assert back[left_of_image, 0] == back[:, 0].min()
    corners = back[faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert normals[:, 2].sum() > 0


def test_bad_meshes_are_refused():
    triangles = np.array([[0, 1, 2]])
    corners, grey = np.eye(3), np.full((3, 3), 128, np.uint8)
    with pytest.raises(ValueError, match=r"suffix '.stl'; expected one of .glb, .obj, .ply"):
        mesh_bytes(".stl", corners, triangles, grey)
    with pytest.raises(ValueError, match=r"expected \(n, 3\), all finite"):
        mesh_bytes(".glb", corners * np.nan, triangles, grey)
    with pytest.raises(ValueError, match=r"expected \(3, 3\) uint8"):
        mesh_bytes(".glb", corners, triangles, grey / 255.0)
    texture = MeshTexture(np.zeros((2, 2)), b"", "a.png", "a.mtl")
    with pytest.raises(ValueError, match=r"uv are \(2, 2\); expected \(3, 2\)"):
        mesh_bytes(".glb", corners, triangles, grey, texture=texture)
