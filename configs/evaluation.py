"""Scores a trained run, or any system's predictions, on a benchmark.

Command:   python run.py --mode=evaluate --config=configs/evaluation.py --workdir=OUT
             --config.benchmark=aflw2000_3d --config.data_dir=FOLDER
             --checkpoint=RUN            a trained run's workdir, or instead of it
             --predictions=FILE.npz      with --face_model=FILE where it holds coefficients
Data:      aflw2000_3d, aflw_lfpa: FOLDER in the owners' layout, or prepared (--mode=prepare);
           aflw: a crops folder (docs/data.md); with --config.fits=FITS also scored by fits to it;
           rendered: a set in a run's data folder.
Writes:    OUT/results.json, per_image.csv, predictions.npz, error_curve.png, faces.png.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """AFLW2000-3D by its published boxes, without given landmarks."""
    config = ConfigDict()
    # aflw2000_3d, aflw_lfpa, aflw or rendered.
    config.benchmark = "aflw2000_3d"
    config.data_dir = ""
    # () is all that can be computed; a metric that is named here must be.
    config.metrics = ()
    # Where the network's crops are cut: landmarks (the benchmark's own boxes) or detector.
    config.crop_source = "landmarks"
    # What the landmark map is drawn from: none (two passes), detector or file.
    config.landmark_map_source = "none"
    # dlib or fan, for either source.
    config.detector = "dlib"
    # For file: '' takes the detections in the benchmark's own annotations.npz.
    config.landmarks_file = ""
    # AFLW-LFPA: .npy of the face model's 34 vertex indices.
    config.landmark_vertices = ""
    # AFLW: a folder of fits to the same crops (--mode=annotate), scored by all their 68 points.
    config.fits = ""
    # AFLW2000-3D: vertices of the face model of its annotation; 0 is not looked at.
    config.annotated_vertices = 53_215
    # Score what is there where predictions, photographs or labels of some faces are absent or
    # broken; these are named as left out, and compared only with results that lack the same.
    config.allow_missing = False
    # Of the picture error_curve.png alone: so many of the largest errors are left out of it (the
    # paper's curves: 20). Tables are of all faces.
    config.error_curve_without_worst = 0
    # Of a trained run: the stage to score; '' is its newest.
    config.stage = ""
    config.num_passes = 2
    config.batch_size = 40
    return config
