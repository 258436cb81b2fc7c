r"""2DASL stage 2: fine-tunes a stage-1 run with the vertex distance cost.

Command:   python run.py --config=configs/stage2.py --workdir=runs/stage2 \
               --config.init_from=runs/stage1
           Of a run whose networks differ (RGB alone, another backbone), give its `models` too:
           --config.models.landmark_map=False. configs/ablations.py trains both stages in one run.
Data:      300W-LP alone: the vertex distance cost reads no photograph in the wild.
Hardware:  not run here: see stage1.py.
Expected:  3.53 in the paper (AFLW2000-3D, 68 points, original labels, mean of the bins).
           Measured: nothing yet.
"""

from ml_collections import ConfigDict

from configs import base, stage1


def vertex_stage() -> ConfigDict:
    """Two epochs of L_vdc on the annotated images."""
    optimizers = base.paper_optimizers(decay_steps=stage1.STEPS_PER_EPOCH)
    return base.stage(
        "stage2",
        num_steps=2 * stage1.STEPS_PER_EPOCH,
        loss_weights={"vertex": 1.0},
        optimizers={"regressor": optimizers["regressor"]},
    )


def get_config() -> ConfigDict:
    """Stage 2 alone, from the networks of another run."""
    config = stage1.get_config()
    config.init_from = "runs/stage1"
    config.data.in_the_wild = ()
    config.stages = (vertex_stage(),)
    return config
