"""2DASL stage 1, the paper's recipe: ResNet-50 on 300W-LP and UMDFaces.

Command:   python run.py --config=configs/stage1.py --workdir=runs/stage1
Data:      python run.py --mode=prepare --dataset=w300_lp --manual_dir=FOLDER, likewise umdfaces
           (tfds_builders/*/README.md).
Hardware:  not run here: 300W-LP and UMDFaces ask for registration with their owners.
Expected:  the paper's Table 3 gives 3.79 (AFLW2000-3D, 68 points, original labels, mean of the
           bins) after stage 1 with all losses and the weight mask. Measured: nothing yet.
"""

from ml_collections import ConfigDict

from configs import base
from twodasl_jax.methods.twodasl_losses import PAPER_WEIGHTS

STEPS_PER_EPOCH = 122_450 // 32
"""300W-LP with its flipped images, at 32 annotated images per step."""


def get_config() -> ConfigDict:
    """Two epochs of L = L_3d + λ1·L_2d_con + λ2·L_3d_con + λ3·L_cyc + λ4·L_sc."""
    config = base.get_config()
    config.face_model.path = "data/bfm.npz"
    # 300W-LP holds the mirror image of every face already.
    config.data.annotated = (base.prepared("w300_lp", split="train", flip=False),)
    config.data.in_the_wild = (base.prepared("umdfaces", split="batch1+batch2+batch3"),)
    config.stages = (
        base.stage(
            "stage1",
            num_steps=2 * STEPS_PER_EPOCH,
            loss_weights=dict(PAPER_WEIGHTS),
            # From a random start the cycle explodes (measured); it is faded in over 1,000 steps.
            ramp_steps={"cycle": 1000, "landmark_3d": 1000, "self_critic": 1000},
            optimizers=base.paper_optimizers(decay_steps=STEPS_PER_EPOCH),
        ),
    )
    return config
