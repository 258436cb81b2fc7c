"""The BFM importers on small generated files of each layout, and on the file at hand."""

import pickle

import numpy as np
import pytest
import scipy.io

from twodasl_jax.face_model.import_bfm import arrays_from_source, face_model_from_file, main
from twodasl_jax.face_model.model import load_face_model
from twodasl_jax.landmark_tables import MIRROR_68

COLUMNS, ROWS = 11, 12


def make_grid_face() -> dict[str, np.ndarray]:
    """A bulging sheet of vertices, symmetric in x: planar mean, clockwise triangles, landmarks."""
    random = np.random.default_rng(0)
    x, y = np.meshgrid(np.linspace(-5e4, 5e4, COLUMNS), np.linspace(6e4, -6e4, ROWS))
    mean = np.stack([x, y, 8e4 - (x**2 + 0.3 * y**2) / 1e5]).reshape(3, -1)
    index = np.arange(COLUMNS * ROWS).reshape(ROWS, COLUMNS)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:]
    clockwise = np.concatenate([np.stack(t, -1).reshape(-1, 3) for t in ((a, b, c), (b, d, c))])
    count = mean.shape[1]
    # Every column but the middle one twice: a set of landmarks symmetric in x.
    left = index[:7, :5].ravel()[:34]
    right = index[:, ::-1].ravel()[np.searchsorted(index.ravel(), left)]
    return {
        "mean": mean.astype(np.float32),
        "shape_basis": random.normal(size=(40, 3, count)).astype(np.float32),
        "expression_basis": random.normal(size=(10, 3, count)).astype(np.float32),
        "clockwise": clockwise,
        "landmark_vertices": np.concatenate([left, right]),
        "mirror_vertices": index[:, ::-1].ravel(),
    }


FACE = make_grid_face()
NUM_VERTICES = FACE["mean"].shape[1]


def interleaved_rows(planar: np.ndarray) -> np.ndarray:
    """``(k, 3, n)`` as ``(3n, k)`` rows x0 y0 z0 x1 …"""
    return planar.transpose(2, 1, 0).reshape(-1, len(planar))


def write_interleaved(path, **changes):
    arrays = {
        "mean": FACE["mean"].T,
        "shape_basis": FACE["shape_basis"].transpose(2, 1, 0),
        "expression_basis": FACE["expression_basis"].transpose(2, 1, 0),
        "triangles": FACE["clockwise"].astype(np.int32),
        "landmark_vertices": FACE["landmark_vertices"].astype(np.int32),
        "coefficient_mean": np.arange(62, dtype=np.float32),
        "coefficient_std": np.ones(62, np.float32),
    }
    np.savez(path, **{key: value for key, value in (arrays | changes).items() if value is not None})
    return path


def write_3ddfa_folder(folder):
    folder.mkdir()
    mean = FACE["mean"].T.reshape(-1, 1)
    np.save(folder / "u_shp.npy", 0.75 * mean)
    np.save(folder / "u_exp.npy", 0.25 * mean)
    np.save(folder / "w_shp_sim.npy", interleaved_rows(FACE["shape_basis"]))
    np.save(folder / "w_exp_sim.npy", interleaved_rows(FACE["expression_basis"]))
    rows = 3 * FACE["landmark_vertices"][:, None] + np.arange(3)
    np.save(folder / "keypoints_sim.npy", rows.ravel())
    statistics = {"param_mean": np.arange(62.0), "param_std": np.ones(62)}
    (folder / "param_whitening.pkl").write_bytes(pickle.dumps(statistics, protocol=2))
    scipy.io.savemat(folder / "tri.mat", {"tri": FACE["clockwise"].T + 1})
    return folder


def write_basel_folder(folder, *, left_out: int = 0):
    """`left_out` further vertices stand before the face's own, and only in the shape file."""
    folder.mkdir()
    random = np.random.default_rng(1)

    def extended(planar):
        extra = random.normal(size=(*planar.shape[:-1], left_out)).astype(np.float32)
        return np.concatenate([extra, planar], axis=-1)

    colours = random.uniform(0, 255, (1, 3, NUM_VERTICES)).astype(np.float32)
    texture = random.normal(size=(199, 3, NUM_VERTICES)).astype(np.float32)
    shape = np.concatenate([FACE["shape_basis"], np.zeros((159, 3, NUM_VERTICES))])
    scipy.io.savemat(
        folder / "01_MorphableModel.mat",
        {
            "shapeMU": interleaved_rows(extended(0.75 * FACE["mean"][None])),
            "shapePC": interleaved_rows(extended(shape)),
            "shapeEV": np.ones((199, 1)),
            "texMU": interleaved_rows(extended(colours)),
            "texPC": interleaved_rows(extended(texture)),
            "texEV": np.full((199, 1), 51.0),
            "tl": FACE["clockwise"] + 1 + left_out,
        },
    )
    directions = np.concatenate([FACE["expression_basis"], np.ones((3, 3, NUM_VERTICES))])
    numbers = np.concatenate([0.25 * FACE["mean"][None], directions]).transpose(0, 2, 1)
    (folder / "Exp_Pca.bin").write_bytes(
        np.int32(len(directions)).tobytes() + numbers.astype(np.float32).tobytes()
    )
    if left_out:
        trim = np.arange(left_out, left_out + NUM_VERTICES)[:, None] + 1
        scipy.io.savemat(folder / "BFM_exp_idx.mat", {"trimIndex": trim})
    landmarks = folder.parent / "landmarks.txt"
    np.savetxt(landmarks, FACE["landmark_vertices"], fmt="%d")
    return landmarks, colours[0], texture


def check_face(model):
    """What every layout must come to."""
    # Means of some 1e5, summed of two float32 parts.
    np.testing.assert_allclose(model.linear.mean, FACE["mean"], rtol=1e-6, atol=0.02)
    np.testing.assert_array_equal(model.linear.shape_basis, FACE["shape_basis"])
    np.testing.assert_array_equal(model.linear.expression_basis, FACE["expression_basis"])
    np.testing.assert_array_equal(model.triangles, FACE["clockwise"][:, [0, 2, 1]])
    np.testing.assert_array_equal(model.landmark_vertices, FACE["landmark_vertices"])
    np.testing.assert_array_equal(model.mirror_vertices, FACE["mirror_vertices"])
    assert model.uv.shape == (NUM_VERTICES, 2)
    assert model.units_per_millimetre == 1000.0


def test_the_interleaved_file_loads_directly(tmp_path):
    model = face_model_from_file(write_interleaved(tmp_path / "face.npz"))
    check_face(model)
    np.testing.assert_array_equal(model.whitening.mean, np.arange(62))
    assert model.albedo_mean is None


def test_given_uv_and_mirror_pairs_are_kept(tmp_path):
    uv = np.random.default_rng(2).uniform(size=(NUM_VERTICES, 2)).astype(np.float32)
    pairs = np.stack([np.arange(NUM_VERTICES), FACE["mirror_vertices"]], axis=1)
    pairs = pairs[pairs[:, 0] <= pairs[:, 1]]
    model = face_model_from_file(
        write_interleaved(tmp_path / "face.npz", uv=uv, mirror_pairs=pairs)
    )
    check_face(model)
    np.testing.assert_array_equal(model.uv, uv)


def test_an_interleaved_file_that_lacks_an_array_says_so(tmp_path):
    path = write_interleaved(tmp_path / "face.npz", triangles=None)
    with pytest.raises(ValueError, match="lacks triangles"):
        face_model_from_file(path)


def test_the_3ddfa_folder_becomes_the_same_model(tmp_path):
    model = face_model_from_file(write_3ddfa_folder(tmp_path / "files"))
    check_face(model)
    np.testing.assert_array_equal(model.whitening.std, np.ones(62))


def test_a_missing_3ddfa_file_is_named(tmp_path):
    folder = write_3ddfa_folder(tmp_path / "files")
    (folder / "tri.mat").unlink()
    with pytest.raises(FileNotFoundError, match=r"lacks tri\.mat"):
        face_model_from_file(folder)


def test_keypoints_that_are_not_rows_of_whole_vertices_are_refused(tmp_path):
    folder = write_3ddfa_folder(tmp_path / "files")
    np.save(folder / "keypoints_sim.npy", np.arange(1, 205))
    with pytest.raises(ValueError, match="expected 204 rows"):
        face_model_from_file(folder)


@pytest.mark.parametrize("left_out", [0, 7])
def test_the_basel_files_become_the_same_model_with_colours(tmp_path, left_out):
    landmarks, colours, texture = write_basel_folder(tmp_path / "basel", left_out=left_out)
    output = tmp_path / "out" / "bfm.npz"
    main([f"--source={tmp_path / 'basel'}", f"--output={output}", f"--landmarks={landmarks}"])
    model = load_face_model(output)
    check_face(model)
    assert model.whitening is None
    # Float32 division.
    np.testing.assert_allclose(model.albedo_mean, colours / 255, rtol=1e-6)
    np.testing.assert_allclose(model.albedo_basis, texture[:40] * 0.2, rtol=1e-5)


def test_the_basel_files_ask_for_landmarks_and_for_the_trim_index(tmp_path):
    landmarks, _, _ = write_basel_folder(tmp_path / "basel", left_out=3)
    with pytest.raises(ValueError, match="--landmarks"):
        arrays_from_source(tmp_path / "basel")
    (tmp_path / "basel" / "BFM_exp_idx.mat").unlink()
    with pytest.raises(FileNotFoundError, match="BFM_exp_idx"):
        arrays_from_source(tmp_path / "basel", landmarks=landmarks)


def test_an_own_file_is_read_as_it_is(tmp_path):
    output = tmp_path / "own.npz"
    main([f"--source={write_interleaved(tmp_path / 'face.npz')}", f"--output={output}"])
    check_face(face_model_from_file(output))
    with pytest.raises(ValueError, match="brings its own landmarks"):
        arrays_from_source(output, landmarks=output)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shape_basis": np.zeros((NUM_VERTICES, 3, 40))}, "directions of shape_basis are zero"),
        ({"shape_basis": np.ones((NUM_VERTICES, 120))}, r"shape_basis is .*expected \(132, 3, n\)"),
        ({"mean": FACE["mean"].T.astype(float) * 1e300}, "mean reaches"),
        ({"mean": np.full((NUM_VERTICES, 3), np.nan)}, "not finite"),
        ({"mean": np.full((NUM_VERTICES, 3), "x")}, "expected .* numbers"),
        ({"triangles": FACE["clockwise"] + 1}, r"triangles spans 1\.\.132, expected within"),
        ({"triangles": FACE["clockwise"].astype(float)}, "triangles is float64, expected int"),
        ({"landmark_vertices": np.arange(68) + 100}, r"landmark_vertices spans .*\.\.167"),
        ({"landmark_vertices": np.full(68, 3)}, "are no face's"),
        ({"landmark_vertices": np.arange(67)}, r"landmark_vertices is \(67,\)"),
        ({"mirror_pairs": np.array([[0, 999]])}, "mirror_pairs is int64 up to 999"),
        ({"mirror_pairs": np.array([[0.0, 1.0]])}, "mirror_pairs is float64"),
        ({"uv": np.zeros((3, 2))}, r"uv is \(3, 2\)"),
        ({"coefficient_std": np.zeros(62)}, "must be positive"),
    ],
)
def test_wrong_arrays_are_refused_by_the_file_s_name(tmp_path, changes, message, capsys):
    path = write_interleaved(tmp_path / "face.npz", **changes)
    with pytest.raises(ValueError, match=message) as refused:
        face_model_from_file(path)
    assert "face.npz" in str(refused.value)
    with pytest.raises(SystemExit) as ended:
        main([f"--source={path}", f"--output={tmp_path / 'out.npz'}"])
    assert "face.npz" in str(ended.value)
    assert "\n" not in str(ended.value)
    assert not (tmp_path / "out.npz").exists()


def put(name, content):
    return lambda folder: (folder / name).write_bytes(content)


def put_array(name, array):
    return lambda folder: np.save(folder / name, array)


def put_mat(name, **variables):
    return lambda folder: scipy.io.savemat(folder / name, variables)


@pytest.mark.parametrize(
    ("damage", "name", "message"),
    [
        (put("u_shp.npy", b"no array"), "u_shp.npy", "cannot be read as a .npy"),
        (put_array("u_shp.npy", np.zeros(3 * NUM_VERTICES + 1)), "u_shp.npy", "expected .3n, 1"),
        (put_array("u_exp.npy", np.zeros(3)), "u_exp.npy", "expected as many"),
        (put_array("w_exp_sim.npy", np.zeros((9, 10))), "w_exp_sim.npy", "or more"),
        (put_array("keypoints_sim.npy", np.full(204, np.nan)), "keypoints_sim.npy", "whole numb"),
        (put_array("keypoints_sim.npy", np.arange(204) + 3000), "keypoints_sim.npy", "vertex 1067"),
        (put("tri.mat", b"<html>"), "tri.mat", "is no readable .mat"),
        (put_mat("tri.mat", tri="words"), "tri.mat", "expected whole numbers"),
        (put_mat("tri.mat", other=1.0), "tri.mat", "expected whole numbers"),
        (put_mat("tri.mat", tri=np.full((3, 5), 1.5)), "tri.mat", "not whole"),
        (put_mat("tri.mat", tri=np.zeros((3, 5))), "files", "triangles spans -1"),
        (put("param_whitening.pkl", b"\x80\x02"), "param_whitening.pkl", "no readable pickle"),
        (put("param_whitening.pkl", pickle.dumps([1, 2])), "param_whitening.pkl", "no param_mean"),
        (
            put("param_whitening.pkl", pickle.dumps({"param_mean": np.zeros(61)})),
            "param_whitening.pkl",
            "no param_mean of 62 numbers",
        ),
        # Under the number 2^31 nothing was ever remembered: room is made for all below.
        (
            put("param_whitening.pkl", b"\x80\x02]r\xff\xff\xff\x7f."),
            "param_whitening.pkl",
            "remembers an object",
        ),
    ],
)
def test_damaged_3ddfa_files_are_named(tmp_path, damage, name, message):
    folder = write_3ddfa_folder(tmp_path / "files")
    damage(folder)
    with pytest.raises(ValueError, match=message.replace("no readable p", "not a readable p")) as e:
        face_model_from_file(folder)
    assert name in str(e.value)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (put("01_MorphableModel.mat", b"PK"), "01_MorphableModel.mat is no readable"),
        (put_mat("01_MorphableModel.mat", shapeMU=np.zeros((396, 1))), "mat lacks shapePC"),
        (put("Exp_Pca.bin", b"\x0c\x00\x00\x00"), "Exp_Pca.bin has 4 bytes and says 12"),
        (put_mat("BFM_exp_idx.mat", trimIndex=np.full((NUM_VERTICES, 1), 999)), "up to 999"),
        (put_mat("BFM_exp_idx.mat", other=1.0), "BFM_exp_idx.mat: trimIndex"),
        (put("../landmarks.txt", b"one two"), "landmarks.txt is no list of numbers"),
        (put("../landmarks.txt", b"1.5 " * 68), "landmarks.txt: .*not whole"),
        (put("../landmarks.txt", b"-1 " * 68), "68 numbers from -1 on"),
    ],
)
def test_damaged_basel_files_are_named(tmp_path, damage, message):
    landmarks, _, _ = write_basel_folder(tmp_path / "basel", left_out=7)
    damage(tmp_path / "basel")
    with pytest.raises(ValueError, match=message):
        arrays_from_source(tmp_path / "basel", landmarks=landmarks)


def test_a_source_is_not_overwritten(tmp_path):
    source = write_interleaved(tmp_path / "face.npz")
    (tmp_path / "link.npz").symlink_to(source)
    before = source.read_bytes()
    for output in (source, tmp_path / "link.npz"):
        with pytest.raises(SystemExit, match="is an input as well; choose another file"):
            main([f"--source={source}", f"--output={output}"])
    assert source.read_bytes() == before


def test_nothing_there_says_how_to_import(tmp_path):
    with pytest.raises(FileNotFoundError, match="import_bfm"):
        face_model_from_file(tmp_path / "nothing.npz")


@pytest.mark.shared_data
def test_the_face_model_at_hand_imports(shared_data):
    model = face_model_from_file(shared_data / "bfm" / "bfm2009_53215.npz")
    assert model.num_vertices == 53215
    assert model.triangles.shape == (105840, 3)
    mirror, landmarks = np.asarray(model.mirror_vertices), np.asarray(model.landmark_vertices)
    reflected = np.asarray(model.linear.mean)[:, mirror] * [[-1.0], [1.0], [1.0]]
    distance = np.linalg.norm(reflected - model.linear.mean, axis=0)
    # The mean is asymmetric by up to 3 mm (micrometres here); one half has 8 vertices too many.
    assert (distance > 3100).sum() <= 8
    # The four mouth corners (48, 54, 60, 64) are not at mirrored vertices in the published table.
    assert (mirror[landmarks] == landmarks[MIRROR_68]).sum() >= 64
