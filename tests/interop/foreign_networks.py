"""State dicts of published networks with made-up numbers: names and shapes as PyTorch has them.

The numbers come from numpy's generator, so that the goldens beside (`goldens.npz`), which real
PyTorch computed from them, can be compared without it.
"""

import numpy as np

MOBILENET_BLOCKS = {
    "dw2_1": (32, 64, 1), "dw2_2": (64, 128, 2), "dw3_1": (128, 128, 1), "dw3_2": (128, 256, 2),
    "dw4_1": (256, 256, 1), "dw4_2": (256, 512, 2), "dw5_1": (512, 512, 1),
    "dw5_2": (512, 512, 1), "dw5_3": (512, 512, 1), "dw5_4": (512, 512, 1),
    "dw5_5": (512, 512, 1), "dw5_6": (512, 1024, 2), "dw6": (1024, 1024, 1),
}  # fmt: skip
"""Name -> channels in and out at width 1, stride."""

RESNET_STAGES = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))
"""Width, blocks, stride of ResNet-50's stages."""


class _Numbers:
    def __init__(self, seed):
        self._generator, self.arrays = np.random.default_rng(seed), {}

    def conv(self, name, shape):
        scale = np.sqrt(2 / np.prod(shape[1:]))
        self.arrays[f"{name}.weight"] = scale * self._generator.normal(size=shape)

    def norm(self, name, channels, *, scale=1.0):
        uniform, normal = self._generator.uniform, self._generator.normal
        self.arrays[f"{name}.weight"] = scale * uniform(0.5, 1.5, channels)
        self.arrays[f"{name}.bias"] = 0.1 * normal(size=channels)
        self.arrays[f"{name}.running_mean"] = 0.1 * normal(size=channels)
        self.arrays[f"{name}.running_var"] = uniform(0.5, 1.5, channels)
        self.arrays[f"{name}.num_batches_tracked"] = np.array(7)

    def dense(self, name, inputs, outputs):
        self.arrays[f"{name}.weight"] = self._generator.normal(size=(outputs, inputs)) / inputs**0.5
        self.arrays[f"{name}.bias"] = self._generator.normal(size=outputs)

    def state(self):
        return {
            name: array.astype(np.int64 if array.dtype.kind == "i" else np.float32)
            for name, array in self.arrays.items()
        }


def mobilenet_state(width=0.5, *, seed=0):
    """3DDFA_V2's MobileNet-V1, with the second head that is left out."""
    numbers, stem = _Numbers(seed), int(32 * width)
    numbers.conv("conv1", (stem, 3, 3, 3))
    numbers.norm("bn1", stem)
    for name, (inputs, outputs, _) in MOBILENET_BLOCKS.items():
        inputs, outputs = int(inputs * width), int(outputs * width)
        numbers.conv(f"{name}.conv_dw", (inputs, 1, 3, 3))
        numbers.norm(f"{name}.bn_dw", inputs)
        numbers.conv(f"{name}.conv_sep", (outputs, inputs, 1, 1))
        numbers.norm(f"{name}.bn_sep", outputs)
    numbers.dense("fc_param", outputs, 62)
    numbers.dense("fc_lm", outputs, 136)
    return numbers.state()


def resnet50_state(channels, outputs, *, seed=0):
    """torchvision's names: 4 channels and 62 outputs are 2DASL's, 3 and 1000 ImageNet's."""
    numbers = _Numbers(seed)
    numbers.conv("conv1", (64, channels, 7, 7))
    numbers.norm("bn1", 64)
    inputs = 64
    for stage, (width, blocks, _) in enumerate(RESNET_STAGES, start=1):
        for block in range(blocks):
            name = f"layer{stage}.{block}"
            numbers.conv(f"{name}.conv1", (width, inputs, 1, 1))
            numbers.norm(f"{name}.bn1", width)
            numbers.conv(f"{name}.conv2", (width, width, 3, 3))
            numbers.norm(f"{name}.bn2", width)
            numbers.conv(f"{name}.conv3", (4 * width, width, 1, 1))
            # As trained networks have it, a block adds little.
            numbers.norm(f"{name}.bn3", 4 * width, scale=0.3)
            if block == 0:
                numbers.conv(f"{name}.downsample.0", (4 * width, inputs, 1, 1))
                numbers.norm(f"{name}.downsample.1", 4 * width)
            inputs = 4 * width
    numbers.dense("fc", inputs, outputs)
    return numbers.state()


def images(*, seed=1):
    """Two RGB crops, uint8, blotchy as photographs are, and a landmark map for each."""
    generator = np.random.default_rng(seed)
    blotches = np.kron(generator.integers(0, 256, (2, 12, 12, 3)), np.ones((1, 10, 10, 1)))
    noise = generator.integers(-20, 21, blotches.shape)
    rgb = np.clip(blotches + noise, 0, 255).astype(np.uint8)
    maps = np.where(generator.uniform(size=(2, 120, 120, 1)) < 0.002, 1.0, -1.0)
    return rgb, maps.astype(np.float32)
