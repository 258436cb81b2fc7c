"""The same networks in plain PyTorch, written for comparison: the peer of the benchmarks.

Eager mode, contiguous NCHW (PyTorch's default), one SGD step with Nesterov momentum. The only
file that imports torch; nothing in the package does.
"""

from collections.abc import Callable, Sequence

import torch
from torch import nn

NUM_COEFFICIENTS = 62
CROP_SIZE = 120


class _Block(nn.Module):
    """A residual block from (channels, kernel size, stride) triples."""

    def __init__(self, channels: int, layers: Sequence[tuple[int, int, int]]):
        super().__init__()
        body: list[nn.Module] = []
        previous, total_stride = channels, 1
        for i, (features, size, stride) in enumerate(layers):
            body += [
                nn.Conv2d(previous, features, size, stride, size // 2, bias=False),
                nn.BatchNorm2d(features),
            ]
            if i < len(layers) - 1:
                body.append(nn.ReLU(inplace=True))
            previous, total_stride = features, total_stride * stride
        self.body = nn.Sequential(*body)
        self.shortcut: nn.Module = nn.Identity()
        if total_stride != 1 or previous != channels:
            self.shortcut = nn.Sequential(
                nn.Conv2d(channels, previous, 1, total_stride, bias=False),
                nn.BatchNorm2d(previous),
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.body(x) + self.shortcut(x))


def _stem(channels: int, features: int, stride: int) -> list[nn.Module]:
    return [
        nn.Conv2d(channels, features, 7, stride, 3, bias=False),
        nn.BatchNorm2d(features),
        nn.ReLU(inplace=True),
    ]


def make_torch_resnet(
    level_sizes: Sequence[int], *, bottleneck: bool, channels: int = 4
) -> nn.Module:
    """`twodasl_jax.models.resnet.ResNet` in PyTorch."""
    layers = [*_stem(channels, 64, 2), nn.MaxPool2d(3, 2, 1)]
    previous = 64
    for level, size in enumerate(level_sizes):
        width = 64 * 2**level
        for i in range(size):
            stride = 2 if level > 0 and i == 0 else 1
            block = (
                [(width, 1, 1), (width, 3, stride), (4 * width, 1, 1)]
                if bottleneck
                else [(width, 3, stride), (width, 3, 1)]
            )
            layers.append(_Block(previous, block))
            previous = block[-1][0]
    head = nn.Linear(previous, NUM_COEFFICIENTS)
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), head)


def make_torch_narrow_resnet(
    widths: Sequence[int], level_sizes: Sequence[int], *, stem_width: int, channels: int = 4
) -> nn.Module:
    """`twodasl_jax.models.resnet.NarrowResNet` in PyTorch: a flatten head."""
    layers = _stem(channels, stem_width, 4)
    previous = stem_width
    for level, (width, size) in enumerate(zip(widths, level_sizes, strict=True)):
        for i in range(size):
            stride = 2 if level > 0 and i == 0 else 1
            layers.append(_Block(previous, [(width, 3, stride), (width, 3, 1)]))
            previous = width
    body = nn.Sequential(*layers, nn.Flatten())
    features = body(torch.zeros(2, channels, CROP_SIZE, CROP_SIZE)).shape[-1]
    return nn.Sequential(body, nn.Linear(features, NUM_COEFFICIENTS))


TORCH_BACKBONES: dict[str, Callable[[], nn.Module]] = {
    "resnet50": lambda: make_torch_resnet((3, 4, 6, 3), bottleneck=True),
    "resnet18": lambda: make_torch_resnet((2, 2, 2, 2), bottleneck=False),
    "resnet_narrow": lambda: make_torch_narrow_resnet(
        (32, 64, 128, 256), (0, 1, 1, 1), stem_width=32
    ),
}
"""The backbones that have a peer, under the names of `BACKBONES`."""


def _make(backbone: str) -> nn.Module:
    if backbone not in TORCH_BACKBONES:
        raise ValueError(
            f"no torch peer of '{backbone}': expected one of {', '.join(TORCH_BACKBONES)}"
        )
    torch.manual_seed(0)
    return TORCH_BACKBONES[backbone]()


def make_torch_step(
    backbone: str, batch_size: int, *, threads: int = 2, channels_last: bool = False
) -> Callable[[], float]:
    """Makes a callable that runs one training step on fixed random data.

    Args:
      backbone: a key of `TORCH_BACKBONES`.
      batch_size: images per step.
      threads: PyTorch's intra-operation threads (process-wide).
      channels_last: PyTorch's faster memory format on most CPUs.

    Returns:
      A function that does forward, backward and the SGD update, and returns the loss.
    """
    torch.set_num_threads(threads)
    memory_format = torch.channels_last if channels_last else torch.contiguous_format
    network = _make(backbone).to(memory_format=memory_format).train()
    image = torch.randn(batch_size, 4, CROP_SIZE, CROP_SIZE).to(memory_format=memory_format)
    target = torch.randn(batch_size, NUM_COEFFICIENTS)
    optimizer = torch.optim.SGD(
        network.parameters(), lr=5e-5, momentum=0.9, nesterov=True, weight_decay=5e-4
    )

    def step() -> float:
        optimizer.zero_grad(set_to_none=True)
        loss = torch.mean((network(image) - target) ** 2)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def make_torch_forward(
    backbone: str, batch_size: int, *, threads: int = 2
) -> Callable[[], torch.Tensor]:
    """Makes a callable that runs inference (stored statistics, no gradient) on fixed data."""
    torch.set_num_threads(threads)
    network = _make(backbone).eval()
    image = torch.randn(batch_size, 4, CROP_SIZE, CROP_SIZE)

    def forward() -> torch.Tensor:
        with torch.inference_mode():
            return network(image)

    return forward
