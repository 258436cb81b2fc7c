r"""2DASL stage 2: fine-tunes a stage-1 run with the vertex distance cost.

Command:   python run.py --config=configs/stage2.py --workdir=runs/stage2 \
               --config.init_from=runs/stage1
Hardware:  not run here: see stage1.py.
Expected:  3.53 in the paper (AFLW2000-3D, 68 points, original labels, mean of the bins).
           Measured: nothing yet.
"""

from ml_collections import ConfigDict

from configs import base, stage1


def get_config() -> ConfigDict:
    """Two epochs of L_vdc on the annotated images."""
    config = stage1.get_config()
    config.init_from = "runs/stage1"
    optimizers = base.paper_optimizers(decay_steps=stage1.STEPS_PER_EPOCH)
    config.stages = (
        base.stage(
            "stage2",
            num_steps=2 * stage1.STEPS_PER_EPOCH,
            loss_weights={"vertex": 1.0},
            optimizers={"regressor": optimizers["regressor"]},
        ),
    )
    return config
