"""The paper's ablation (its Table 3): which self-supervision helps, with and without the mask.

Command:   python run.py --config=configs/ablations.py:cyc_sc --workdir=runs/cyc_sc
           trains stage 1, then stage 2 from its networks. Variants: base, cyc, sc, cyc_sc, each
           also as base_nomask, ...; and released: the loss of the authors' early public code.
           Table 3 scores both stages:
           python run.py --mode=evaluate --config=configs/evaluation.py --checkpoint=runs/cyc_sc
               --config.stage=stage1 --config.data_dir=AFLW2000-3D --workdir=runs/cyc_sc_stage1
Hardware:  not run here: see stage1.py.
Expected (paper, AFLW2000-3D mean of bins, stage 1 -> stage 2, with mask / without):
           base 4.13 -> 3.77 / 4.32 -> 4.00, cyc 3.85 -> 3.67 / 4.03 -> 3.79,
           sc 3.88 -> 3.73 / 4.09 -> 3.82, cyc_sc 3.79 -> 3.53 / 3.96 -> 3.71.
           Measured: nothing yet.
"""

from ml_collections import ConfigDict

from configs import stage1, stage2
from twodasl_jax.methods.twodasl_losses import PAPER_WEIGHTS, RELEASED_WEIGHTS


def _paper(*terms: str) -> dict:
    return {name: PAPER_WEIGHTS[name] for name in terms}


WEIGHTS = {
    "base": _paper("coefficient", "landmark_2d"),
    "sc": _paper("coefficient", "landmark_2d", "self_critic"),
    "cyc": _paper("coefficient", "landmark_2d", "landmark_3d", "cycle"),
    "cyc_sc": dict(PAPER_WEIGHTS),
    "released": dict(RELEASED_WEIGHTS),
}
"""Variant -> the losses that are on in stage 1, and their weights."""

NO_MASK = "_nomask"


def get_config(variant: str = "cyc_sc") -> ConfigDict:
    """Both stages, stage 1 with a subset of the losses or with the released ones.

    Args:
      variant: a key of `WEIGHTS`, with ``_nomask`` behind it for v = 1 in L_2d_con and L_cyc.
    """
    terms = variant.removesuffix(NO_MASK)
    if terms not in WEIGHTS:
        raise ValueError(
            f"no ablation is called '{variant}'; choose one of {', '.join(WEIGHTS)}, "
            f"or one of them with {NO_MASK} behind it"
        )
    config = stage1.get_config()
    config.losses.landmark_importance = not variant.endswith(NO_MASK)
    # base and sc read RGB alone, as in the paper: without the cycle no map is ever redrawn.
    config.models.landmark_map = "cycle" in WEIGHTS[terms]
    stage = config.stages[0]
    stage.loss_weights = ConfigDict(WEIGHTS[terms])
    stage.loss_formula = "released" if terms == "released" else "paper"
    stage.ramp_steps = ConfigDict(
        {name: steps for name, steps in stage.ramp_steps.items() if name in WEIGHTS[terms]}
    )
    # In one run: stage 2 is then of the same networks, three or four channels.
    config.stages = (stage, stage2.vertex_stage())
    return config
