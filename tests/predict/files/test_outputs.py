"""What a photograph's outputs leave in a folder: names, sizes, one or many faces, errors."""

import dataclasses
import io
import json
from pathlib import Path

import chex
import numpy as np
import pytest
import trimesh
from PIL import Image
from rich.console import Console

from tests.predict.linear_faces import reconstruction_from_coefficients
from twodasl_jax.evaluation.benchmark_faces import open_aflw2000_3d
from twodasl_jax.face_model.import_bfm import face_model_from_file
from twodasl_jax.predict.faces.photo import load_image
from twodasl_jax.predict.files import outputs
from twodasl_jax.predict.files.output_writers import OUTPUTS, OutputFile
from twodasl_jax.predict.files.outputs import check_outputs, known_outputs, write_outputs
from twodasl_jax.predict.meshes.mesh import colours_from_photo
from twodasl_jax.predict.pictures.maps import depth_map, depth_scale, normal_map, pncc_map
from twodasl_jax.predict.pictures.surface import face_surface, raster_vertices, rasterize_complete
from twodasl_jax.predict.pictures.uv_texture import uv_texture
from twodasl_jax.predict.pictures.visibility import FaceNotShownError
from twodasl_jax.whole_file import write_whole

STEM = "mé, 1"
PICTURES = {
    "_overlay.jpg", "_dense.jpg", "_depth.png", "_pncc.png", "_normals.png", "_pose.jpg",
    "_landmarks.jpg",
}  # fmt: skip
EACH = {
    "_strip.jpg", ".html", ".glb", ".obj", ".mtl", ".ply", "_uv_texture.png", "_uv_mask.png"
}  # fmt: skip


@pytest.fixture(scope="module")
def two_faces(frontal, frontal_coefficients, reconstruct, turned_by):
    """The second one, small, is cut by the picture's right border."""
    box = np.array([150.0, 5.0, 210.0, 65.0], np.float32)
    return [frontal, reconstruct(turned_by(-30.0, frontal_coefficients), box)]


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).integers(0, 255, (160, 200, 3), np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, two_faces, dome_face, image):
    made = tmp_path_factory.mktemp("out") / "with spaces" / "ünïcode"
    formats = ("glb", "obj", "ply")
    written = write_outputs(
        list(OUTPUTS), image, two_faces, dome_face, made, STEM, mesh_formats=formats
    )
    assert sorted(written) == sorted(made.iterdir())
    assert written[-1].name == f"{STEM}.json"
    return made


def read(path):
    return np.asarray(Image.open(path))


def test_every_output_has_its_files(folder):
    each = {f"_{face}{ending}" for face in range(2) for ending in EACH}
    names = {path.name for path in folder.iterdir()}
    assert names == {STEM + ending for ending in PICTURES | each | {".json"}}


def test_one_face_needs_no_number(tmp_path, frontal, dome_face, image):
    write_outputs(["mesh", "uv_texture"], image, [frontal], dome_face, tmp_path, "me")
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"me.glb", "me_uv_texture.png", "me_uv_mask.png"}


def test_pictures_have_the_photographs_size(folder, image):
    for ending in PICTURES:
        assert read(folder / f"{STEM}{ending}").shape[:2] == image.shape[:2], ending


def test_pictures_show_both_faces(folder, two_faces, dome_face, image):
    surfaces = [
        face_surface(face.vertices, dome_face.triangles, height=160, width=200)
        for face in two_faces
    ]
    size = {"height": 160, "width": 200}
    depth = read(folder / f"{STEM}_depth.png")
    assert depth.dtype == np.uint16
    chex.assert_trees_all_equal(depth, depth_map(surfaces, depth_scale(surfaces), **size))
    chex.assert_trees_all_equal(
        read(folder / f"{STEM}_pncc.png"), pncc_map(surfaces, dome_face, **size)
    )
    chex.assert_trees_all_equal(read(folder / f"{STEM}_normals.png"), normal_map(surfaces, **size))
    for surface in surfaces:
        assert (depth[surface.region.slices] > 0).mean() > 0.3
    for ending in ("_overlay", "_dense", "_pose", "_landmarks"):
        # JPEG changes every pixel a little: by more than 40 levels where something was drawn.
        off = np.abs(read(folder / f"{STEM}{ending}.jpg").astype(int) - image).max(-1) > 40
        assert off[40:120, 60:140].mean() > 0.03, ending  # the first face
        assert off[20:50, 170:199].mean() > 0.03, ending  # the second
        assert off[140:, :40].mean() < 0.01, ending  # neither


def test_the_depth_pictures_scale_is_in_the_file_and_in_the_json(folder):
    record = json.loads((folder / f"{STEM}.json").read_text(encoding="utf-8"))
    with Image.open(folder / f"{STEM}_depth.png") as picture:
        assert float(picture.info["step_px"]) == record["depth"]["step_px"] > 0
    assert all(np.isfinite(face["depth_far_px"]) for face in record["faces"])


def test_the_json_lists_every_other_file(folder):
    record = json.loads((folder / f"{STEM}.json").read_text(encoding="utf-8"))
    listed = [name for names in record["files"].values() for name in names]
    for number, face in enumerate(record["faces"]):
        own = [name for names in face["files"].values() for name in names]
        assert {name.removeprefix(f"{STEM}_{number}") for name in own} == EACH
        listed += own
    assert set(listed) | {f"{STEM}.json"} == {path.name for path in folder.iterdir()}
    assert len(listed) == len(set(listed))
    assert record["image"] == {"width": 200, "height": 160}


@pytest.mark.parametrize("ending", ["glb", "obj", "ply"])
def test_meshes_open_elsewhere_with_their_texture(folder, two_faces, dome_face, image, ending):
    for number, face in enumerate(two_faces):
        mesh = trimesh.load(folder / f"{STEM}_{number}.{ending}", force="mesh", process=False)
        assert len(mesh.vertices) == dome_face.num_vertices
        assert len(mesh.faces) == len(dome_face.triangles)
        millimetres = 1000.0 if ending == "glb" else 1.0
        # 100 mm wide and high, 50 deep and a little less without the rim; see the dome's bases.
        size = np.ptp(mesh.bounds, axis=0) * millimetres
        chex.assert_trees_all_close(size, np.array([100.0, 100.0, 50.0]), atol=0.1)
        material = mesh.visual.material
        shown = material.baseColorTexture if ending == "glb" else material.image
        expected = uv_texture(image, face, dome_face).colours
        chex.assert_trees_all_equal(np.asarray(shown.convert("RGB")), expected)
        # float32, or 7 printed digits.
        chex.assert_trees_all_close(mesh.visual.uv, np.asarray(dome_face.uv, float), atol=1e-6)


def test_without_textures_meshes_have_the_photographs_colours(
    tmp_path, two_faces, dome_face, image
):
    formats = ("glb", "obj", "ply")
    write_outputs(["mesh"], image, two_faces, dome_face, tmp_path, "us", mesh_formats=formats)
    assert not list(tmp_path.glob("*.mtl"))
    for number, face in enumerate(two_faces):
        expected = colours_from_photo(image, face, dome_face) / 255.0
        steep = ((expected + 0.055) / 1.055) ** 2.4  # linear light, by the definition of sRGB
        linear = np.where(expected <= 0.04045, expected / 12.92, steep)
        for ending in formats:
            mesh = trimesh.load(tmp_path / f"us_{number}.{ending}", force="mesh", process=False)
            assert mesh.visual.kind == "vertex"
            # Half a level of 8 bits; obj's decimals are cut to levels again.
            chex.assert_trees_all_close(
                np.asarray(mesh.visual.vertex_colors)[:, :3].astype(float),
                255.0 * (linear if ending == "glb" else expected),
                atol=1.01,
            )


def test_textures_come_with_their_mask(folder, two_faces, dome_face, image):
    for number, face in enumerate(two_faces):
        expected = uv_texture(image, face, dome_face)
        texture = read(folder / f"{STEM}_{number}_uv_texture.png")
        chex.assert_trees_all_equal(texture, expected.colours)
        with Image.open(folder / f"{STEM}_{number}_uv_mask.png") as mask:
            assert mask.info["values"] == "0 none, 85 neighbours, 170 mirrored, 255 seen"
            chex.assert_trees_all_equal(np.asarray(mask), expected.origin)


def test_unknown_names_list_the_choices(tmp_path, image, frontal, dome_face):
    message = f"no output is called 'dept'; choose one or more of {', '.join(OUTPUTS)}"
    with pytest.raises(ValueError, match=message):
        write_outputs(["json", "dept"], image, [frontal], dome_face, tmp_path / "new", "me")
    with pytest.raises(ValueError, match="no output was named"):
        known_outputs([])
    with pytest.raises(ValueError, match=r"'stl'.*choose one or more of glb, obj, ply"):
        write_outputs(
            ["mesh"], image, [frontal], dome_face, tmp_path / "new", "me", mesh_formats=["stl"]
        )
    with pytest.raises(ValueError, match=message):
        check_outputs(["dept"], dome_face, tmp_path / "new")
    with pytest.raises(ValueError, match=r"'stl'.*choose one or more of glb, obj, ply"):
        check_outputs(["mesh"], dome_face, tmp_path / "new", mesh_formats=["stl"])
    assert not (tmp_path / "new").exists()


def test_what_would_fail_for_any_photograph_is_found_before(tmp_path, dome_face):
    assert check_outputs(["json", "uv_texture"], dome_face, tmp_path / "new") == [
        "uv_texture",
        "json",
    ]
    assert not list((tmp_path / "new").iterdir())
    without = dataclasses.replace(dome_face, uv=0.0 * dome_face.uv)
    assert check_outputs(["mesh"], without, tmp_path) == ["mesh"]
    with pytest.raises(ValueError, match="'dome' has no usable uv layout"):
        check_outputs(["uv_texture"], without, tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"cannot write into .*file: .*; choose another folder"):
        check_outputs(["mesh"], dome_face, tmp_path / "file")


def test_a_face_beside_the_photograph_costs_the_others_nothing(
    tmp_path, image, frontal, frontal_coefficients, reconstruct, dome_face
):
    away = reconstruct(frontal_coefficients, np.array([500.0, 0, 620, 120], np.float32))
    message = r"of us all but this was written \(2 faces, counted from 0\): face 0: .* 200 x 160"
    with pytest.raises(FaceNotShownError, match=message):
        write_outputs(list(OUTPUTS), image, [away, frontal], dome_face, tmp_path, "us")
    record = json.loads((tmp_path / "us.json").read_text())
    assert set(record["faces"][0]["files"]) == {"strip"}
    assert set(record["faces"][1]["files"]) == {"strip", "mesh", "uv_texture", "html"}
    listed = [name for names in record["files"].values() for name in names]
    listed += [name for face in record["faces"] for own in face["files"].values() for name in own]
    assert {*listed, "us.json"} == {path.name for path in tmp_path.iterdir()}


def test_a_mesh_needs_no_texture(tmp_path, image, frontal, dome_face, monkeypatch):
    def nothing_seen(*_):
        raise FaceNotShownError("too oblique")

    monkeypatch.setattr("twodasl_jax.predict.files.output_writers.uv_texture", nothing_seen)
    with pytest.raises(FaceNotShownError, match="face 0: too oblique"):
        write_outputs(["mesh", "uv_texture"], image, [frontal], dome_face, tmp_path, "me")
    assert [path.name for path in tmp_path.iterdir()] == ["me.glb"]
    assert trimesh.load(tmp_path / "me.glb", force="mesh").visual.kind == "vertex"


@pytest.mark.parametrize("stem", ["caf\udce9", "x" * 243, "a\nb"])
def test_odd_stems_fail_nothing(tmp_path, image, frontal, dome_face, stem):
    wanted = ["mesh", "uv_texture", "html", "json"]
    written = write_outputs(
        wanted, image, [frontal], dome_face, tmp_path, stem, mesh_formats=("obj", "ply")
    )
    assert all(path.is_file() for path in written)
    record = json.loads((tmp_path / f"{stem}.json").read_text(encoding="utf-8"))
    names = [name for own in record["faces"][0]["files"].values() for name in own]
    assert {*names, f"{stem}.json"} == {path.name for path in tmp_path.iterdir()}


def test_names_are_taken_once_and_the_json_last():
    assert known_outputs(["json", "mesh", "pose", "mesh"]) == ["mesh", "pose", "json"]


def test_an_output_is_a_function_and_a_line(tmp_path, image, two_faces, dome_face, monkeypatch):
    def count(photo):
        for number, face in enumerate(photo.faces):
            yield OutputFile(".txt", str(face.landmarks.shape).encode(), face=number)

    monkeypatch.setitem(outputs.OUTPUTS, "count", count)
    write_outputs(["json", "count"], image, two_faces, dome_face, tmp_path, "us")
    assert (tmp_path / "us_1.txt").read_text() == "(68, 3)"
    record = json.loads((tmp_path / "us.json").read_text())
    assert record["faces"][1]["files"] == {"count": ["us_1.txt"]}


def test_no_face_is_told(tmp_path, image, dome_face):
    with pytest.raises(ValueError, match="no face was found in crowd"):
        write_outputs(["pose"], image, [], dome_face, tmp_path / "new", "crowd")
    assert not (tmp_path / "new").exists()


def test_a_folder_that_cannot_be_written_is_told_at_once(
    tmp_path, image, frontal, dome_face, monkeypatch
):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(outputs, "OUTPUTS", {"pose": lambda _: pytest.fail("work was begun")})
    with pytest.raises(OSError, match=r"cannot write into .*file/x: Not a directory; choose"):
        write_outputs(["pose"], image, [frontal], dome_face, tmp_path / "file" / "x", "me")


def test_files_are_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    path.write_bytes(b"old")

    def disk_full(self, target):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(Path, "replace", disk_full)
        with pytest.raises(OSError, match=r"cannot write .*a.json: no space left on its disk"):
            write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
    write_whole(path, b"new")
    assert path.read_bytes() == b"new"


def test_a_tiny_photograph_gives_every_picture(
    tmp_path, dome_face, frontal_coefficients, reconstruct
):
    image = np.full((1, 1, 3), 77, np.uint8)
    face = reconstruct(frontal_coefficients, np.array([-60.0, -60.0, 60.0, 60.0]))
    names = [name for name in OUTPUTS if name not in ("strip", "mesh", "uv_texture", "html")]
    for path in write_outputs(names, image, [face], dome_face, tmp_path, "dot"):
        if path.suffix != ".json":
            assert Image.open(io.BytesIO(path.read_bytes())).size == (1, 1)


@pytest.mark.shared_data
def test_depth_of_a_real_face_is_its_z_buffer(shared_data, tmp_path):
    """BFM over an annotated photograph: 53,215 vertices over several tiles, at large yaw."""

    face_model = face_model_from_file(shared_data / "bfm" / "bfm2009_53215.npz")
    faces = open_aflw2000_3d(shared_data / "aflw2000_3d_sample", Console(quiet=True))
    row = int(np.argmax(faces.yaw_degrees))
    name = faces.file_names[row]
    image = load_image(shared_data / "aflw2000_3d_sample" / "AFLW2000" / name)
    face = reconstruction_from_coefficients(
        face_model,
        faces.truth["coefficients"][row],
        faces.roi_box[row],
        crop=faces.crops[row],
        box=faces.roi_box[row],
    )
    write_outputs(["depth", "json"], image, [face], face_model, tmp_path, "real")
    height, width = image.shape[:2]
    raster = rasterize_complete(
        raster_vertices(face.vertices), face_model.triangles, height=height, width=width
    )
    picture = read(tmp_path / "real_depth.png")
    covered = np.asarray(raster.triangle_ids) >= 0
    assert covered.sum() > 10_000
    chex.assert_trees_all_equal(picture > 0, covered)
    record = json.loads((tmp_path / "real.json").read_text())
    step, far = record["depth"]["step_px"], record["faces"][0]["depth_far_px"]
    depth = far + (picture[covered].astype(float) - 1) * step
    # Half a step, and float32's last places of depths of some hundred pixels.
    chex.assert_trees_all_close(
        depth, np.asarray(raster.depth, float)[covered], atol=0.5 * step + 1e-4
    )
