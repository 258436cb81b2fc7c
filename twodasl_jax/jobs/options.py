"""The flags of run.py beside mode and config; modes.py says which mode takes which."""

from typing import Any

from absl import flags

OPTIONS = (
    flags.DEFINE_string("workdir", None, "Folder of the run: checkpoints, tables, pictures."),
    flags.DEFINE_string("checkpoint", None, "evaluate: a trained run to score on a benchmark."),
    flags.DEFINE_string("predictions", None, "evaluate: or predictions, .npz, of any system."),
    flags.DEFINE_multi_string(
        "image", None,
        "predict: a photograph, a folder of them or a pattern like 'photos/*.jpg'; repeat it for "
        "more; else scikit-image's astronaut. train: the photograph to reconstruct at the end.",
    ),
    flags.DEFINE_string(
        "video", None,
        "predict: or a video; gives NAME_faces.mp4, original beside overlay, and NAME_faces.jsonl.",
    ),
    flags.DEFINE_integer(
        "camera", None,
        "predict: or the number of a camera, 0 is the first; shown, or recorded without windows.",
    ),
    flags.DEFINE_integer("max_frames", None, "predict: of a video or camera; else all."),
    flags.DEFINE_bool("smooth", None, "predict: smooths faces over frames; else yes."),
    flags.DEFINE_list("box", None, "predict, train: the face, x1,y1,x2,y2 in pixels."),
    flags.DEFINE_list(
        "outputs", None,
        "predict: what to write, of strip, overlay, mesh, depth, pncc, normals, uv_texture, pose, "
        "landmarks, html, json (docs/predict.md); else strip,mesh,json.",
    ),
    flags.DEFINE_list("mesh_formats", None, "predict: of the meshes: glb, obj, ply; else glb."),
    flags.DEFINE_integer(
        "num_passes", 2,
        "predict, serve: with 2, the network sees a face again with its own first landmarks.",
        lower_bound=1, upper_bound=2,
    ),
    flags.DEFINE_string(
        "host", "127.0.0.1",
        "serve: name or address to listen on; unless this machine's alone, others can upload.",
    ),
    flags.DEFINE_integer("port", 8000, "serve: port; 0 takes a free one."),
    flags.DEFINE_float("max_upload_megabytes", 20.0, "serve: larger pictures are refused."),
    flags.DEFINE_string("dataset", None, "prepare: w300_lp, umdfaces, aflw2000_3d or aflw_lfpa."),
    flags.DEFINE_string("manual_dir", None, "prepare: folder of the data set's original files."),
    flags.DEFINE_string("data_dir", None, "prepare: where to, else ~/tensorflow_datasets."),
    flags.DEFINE_string("images", None, "annotate: folder of photographs, or a crops folder."),
    flags.DEFINE_string("landmarks", None, "annotate: their 2D landmarks, .npz (docs/data.md)."),
    flags.DEFINE_string(
        "detector", None,
        "predict, serve: finds the faces: mtcnn (the default), mtcnn_small (small ones too), "
        "whole_image; or their landmarks: dlib, fan. annotate: dlib or fan.",
    ),
    flags.DEFINE_string("face_model", None, "annotate, evaluate: its file; else the open one."),
    flags.DEFINE_string("output", None, "annotate, compare, predict: folder to write."),
    flags.DEFINE_multi_string("results", None, "compare: results.json of a system; repeat it."),
    flags.DEFINE_bool("published", False, "compare: show papers' numbers too, marked as such."),
    flags.DEFINE_enum(
        "contour", "marching", ["marching", "fixed"],
        "annotate: jaw labels lie on the silhouette, or are projections of 3D points.",
    ),
    flags.DEFINE_float("max_residual", 4.0, "annotate: leave out faces that fit worse, in %."),
)  # fmt: skip


def given() -> dict[str, Any]:
    """Every flag's value, None where it was not given and has no default."""
    return {option.name: option.value for option in OPTIONS}
