"""The paper's ablation (its Table 3): which self-supervision helps, with and without the mask.

Command:   python run.py --config=configs/ablations.py:cyc_sc --workdir=runs/cyc_sc
           variants: base, cyc, sc, cyc_sc, each also as base_nomask, ...
Hardware:  not run here: see stage1.py.
Expected (paper, stage 1, AFLW2000-3D mean of bins, with mask / without): base 4.13 / 4.32,
           cyc 3.85 / 4.03, sc 3.88 / 4.09, cyc_sc 3.79 / 3.96. Measured: nothing yet.
"""

from ml_collections import ConfigDict

from configs import stage1
from twodasl_jax.methods.twodasl_terms import PAPER_WEIGHTS

TERMS = {
    "base": ("coefficient", "landmark_2d"),
    "sc": ("coefficient", "landmark_2d", "self_critic"),
    "cyc": ("coefficient", "landmark_2d", "landmark_3d", "cycle"),
    "cyc_sc": tuple(PAPER_WEIGHTS),
}
"""Variant -> the losses that are on."""

NO_MASK = "_nomask"


def get_config(variant: str = "cyc_sc") -> ConfigDict:
    """Stage 1 with a subset of the losses.

    Args:
      variant: a key of `TERMS`, with ``_nomask`` behind it for v = 1 in L_2d_con.
    """
    terms = variant.removesuffix(NO_MASK)
    if terms not in TERMS:
        raise ValueError(
            f"no ablation is called '{variant}'; choose one of {', '.join(TERMS)}, "
            f"or one of them with {NO_MASK} behind it"
        )
    config = stage1.get_config()
    config.losses.landmark_importance = not variant.endswith(NO_MASK)
    # base and sc read RGB alone, as in the paper: without the cycle no map is ever redrawn.
    config.models.landmark_map = terms.startswith("cyc")
    stage = config.stages[0]
    stage.loss_weights = ConfigDict({name: PAPER_WEIGHTS[name] for name in TERMS[terms]})
    stage.ramp_steps = ConfigDict(
        {name: steps for name, steps in stage.ramp_steps.items() if name in TERMS[terms]}
    )
    return config
