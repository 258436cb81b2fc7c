"""The paper's size study: how many in-the-wild photographs help.

Command:   python run.py --config=configs/size_study.py:batch1 --workdir=runs/size_batch1
           trains both stages. Variants are the batches of UMDFaces, whose sizes are the paper's:
           batch1 77,228, batch2 115,126, batch3 175,534, all 367,888 (their sum).
           Each stage is scored as in ablations.py.
Hardware:  not run here: see stage1.py.
Expected (paper, AFLW2000-3D mean of bins, stage 1 -> stage 2): batch1 4.13 -> 3.92, batch2
           4.01 -> 3.75, batch3 3.85 -> 3.62, all 3.79 -> 3.53. Measured: nothing yet.
"""

from ml_collections import ConfigDict

from configs import base, stage1, stage2

SPLITS = {
    "batch1": "batch1",
    "batch2": "batch2",
    "batch3": "batch3",
    "all": "batch1+batch2+batch3",
}
"""Variant -> the split of UMDFaces."""


def get_config(variant: str = "all") -> ConfigDict:
    """All of the paper's losses, then stage 2; the steps are the same whatever the size.

    Args:
      variant: a key of `SPLITS`.
    """
    if variant not in SPLITS:
        raise ValueError(f"no size is called '{variant}'; choose one of {', '.join(SPLITS)}")
    config = stage1.get_config()
    config.data.in_the_wild = (base.prepared("umdfaces", split=SPLITS[variant]),)
    config.stages = (config.stages[0], stage2.vertex_stage())
    return config
