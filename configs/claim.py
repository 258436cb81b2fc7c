"""The paper's claim on real photographs: does self-supervision by 2D photographs help, and by what?

The paper's Table 3 with what can be had here. A fifth of AFLW's training faces are annotated (with
coefficients of fits), the others are in the wild: of them nothing is known but the visible ones of
18 landmarks. All arms start from the same backbone, a published network's, with a fresh head (the
paper's start from ImageNet), see the same number of photographs, and end in the vertex stage.

Command:   python run.py --config=configs/claim.py:cyc_sc --workdir=runs/claim/cyc_sc_0
Variants:  base, cyc, sc, cyc_sc, each also with _nomask behind it (v = 1 in L_2d_con and L_cyc);
           annotated: L_3d alone, no photograph in the wild;
           map: base with the landmark map that only the cycle's arms have in the paper;
           cyc_sc_25, cyc_sc_50: with a quarter and half of the photographs in the wild;
           sgd: cyc_sc by the paper's optimiser, from all of the published network's weights.
Data:      runs/mb05, runs/aflw_prior and runs/validation_prior as in photos.py.
Measured:  nothing yet.
"""

from ml_collections import ConfigDict

from configs import ablations, aflw, base, photos

ANNOTATED, STAGE1_STEPS, STAGE2_STEPS = 0.2, 1400, 350
"""Of the faces, that have coefficients; steps of 32 + 32 photographs, and of 32."""

WEIGHTS = {name: ablations.WEIGHTS[name] for name in ("base", "cyc", "sc", "cyc_sc")} | {
    "annotated": {"coefficient": 1.0},
    "map": ablations.WEIGHTS["base"],
    "cyc_sc_25": ablations.WEIGHTS["cyc_sc"],
    "cyc_sc_50": ablations.WEIGHTS["cyc_sc"],
    "sgd": ablations.WEIGHTS["cyc_sc"],
}
"""Variant -> the losses of stage 1 with the paper's weights, but for the cycle's."""

CYCLE = 0.005
"""λ3: the paper's 1 on a sum of 18 distances in pixels is all but a hundredth of the objective."""

SHARES = {"cyc_sc_25": 0.25, "cyc_sc_50": 0.5}
"""Of the photographs in the wild; the others have all of them."""


def faces(first: float, last: float) -> ConfigDict:
    """AFLW's training faces from one share of them to another."""
    source = photos.fits("runs/aflw_prior")
    source.part = (first, last)
    source.yaw_weights = (1.0, 1.0, 1.0)
    return source


def get_config(variant: str = "cyc_sc") -> ConfigDict:
    """Both stages of one arm.

    Args:
      variant: a key of `WEIGHTS`, with ``_nomask`` behind it for v = 1.
    """
    arm = variant.removesuffix(ablations.NO_MASK)
    if arm not in WEIGHTS:
        raise ValueError(
            f"no arm is called '{variant}'; choose one of {', '.join(WEIGHTS)}, or one of them "
            f"with {ablations.NO_MASK} behind it"
        )
    weights = dict(WEIGHTS[arm])
    if "cycle" in weights:
        weights["cycle"] = CYCLE
    config = base.get_config()
    config.init_from, config.init_part = "runs/mb05", "all" if arm == "sgd" else "backbone"
    config.face_model.path = f"{photos.SHARED}/bfm/bfm2009_53215.npz"
    config.models.backbone = "mobilenet_v1_half"
    config.models.encoder_width_divisor = 4
    # base and sc read RGB alone, as in the paper: without the cycle no map is ever redrawn.
    config.models.landmark_map = arm == "map" or "cycle" in weights
    config.losses.landmark_importance = not variant.endswith(ablations.NO_MASK)
    config.data.annotated = (faces(0.0, ANNOTATED),)
    if arm != "annotated":
        last = ANNOTATED + (1 - ANNOTATED) * SHARES.get(arm, 1.0)
        config.data.in_the_wild = (faces(ANNOTATED, last),)
    config.data.augment = {"rotation_degrees": 20.0, "shift_px": 3.0, "scale": 0.08}
    config.data.keep_decoded = True
    config.evaluation.sets = (photos.validation("runs/validation_prior"),)
    config.evaluation.batch_size = 128
    config.stages = _stages(weights, sgd=arm == "sgd")
    if arm == "annotated":
        # As many photographs as the others see: theirs are 32 of each half.
        config.stages[0].num_steps *= 2
    config.training.log_every = 50
    config.training.checkpoint_every = 350
    config.training.evaluate_every = 350
    config.training.best.metric = "aflw_validation/fits/mean_of_bins"
    return config


def _stages(weights: dict, *, sgd: bool) -> tuple[ConfigDict, ConfigDict]:
    """Self-supervision, then the vertex distance cost."""
    ramps = {name: 300 for name in ("cycle", "landmark_3d", "self_critic") if name in weights}
    networks = ("regressor", "encoder", "critic") if "self_critic" in weights else ("regressor",)
    paper = base.paper_optimizers(decay_steps=STAGE1_STEPS // 2)
    first = {**paper, "regressor": paper["regressor"] if sgd else aflw.regressor(5e-4)}
    second = paper["regressor"] if sgd else aflw.regressor(2e-4)
    return (
        base.stage(
            "stage1",
            num_steps=STAGE1_STEPS,
            loss_weights=weights,
            ramp_steps=ramps,
            optimizers={name: first[name] for name in networks},
        ),
        base.stage(
            "stage2",
            num_steps=STAGE2_STEPS,
            loss_weights={"vertex": 1.0},
            optimizers={"regressor": second},
        ),
    )
