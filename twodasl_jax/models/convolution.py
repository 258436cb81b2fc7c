"""`Conv`: the one place that decides how a convolution is computed.

XLA's own convolution is the right choice on an accelerator, and a poor one on the CPU: its
weight gradient is several times slower than the matrix product that computes the same
numbers. So the implementation is an option, and every implementation has the same parameters
(those of `flax.linen.Conv`): a checkpoint trained with one runs with any other.

* ``native``: `jax.lax.conv_general_dilated`. GPU and TPU.
* ``im2col``: the k x k shifted views of the input side by side, then one matrix product
  (k x k depthwise: shifted multiply-adds). Fast to train on the CPU.
* ``matmul_1x1``: 1x1 as a matrix product, depthwise as shifted multiply-adds, the rest native.
  CPU inference: no patches are stored.

Padding is explicit and symmetric, ``(k - 1) // 2`` on each side as PyTorch does, and not XLA's
``SAME`` (which pads 0 and 1 at stride 2): imported weights would be off by a pixel.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

IMPLEMENTATIONS = ("native", "im2col", "matmul_1x1")
"""What a `Conv` can be told to do; `resolve_implementation` also takes ``auto``."""


def resolve_implementation(name: str) -> str:
    """Turns ``auto`` into the training choice of the machine at hand: im2col on the CPU.

    The only look at the backend in `models`; called once, when a network is made, so that a
    module always says in its fields what it runs.

    Args:
      name: one of `IMPLEMENTATIONS`, or ``auto``.

    Raises:
      ValueError: for any other name.
    """
    if name == "auto":
        return "im2col" if jax.default_backend() == "cpu" else "native"
    if name not in IMPLEMENTATIONS:
        choices = ", ".join(("auto", *IMPLEMENTATIONS))
        raise ValueError(f"unknown convolution '{name}': expected one of {choices}")
    return name


def _pad(x: Float[Array, "b h w c"], width: int) -> Float[Array, "b i j c"]:
    return jnp.pad(x, ((0, 0), (width, width), (width, width), (0, 0)))


def _shifted_views(
    padded: Float[Array, "b h w c"], rows: int, columns: int, stride: tuple[int, int]
) -> list[Float[Array, "b i j c"]]:
    """The strided views of the padded input under a rows x columns kernel, in row-major order."""
    b, h, w, c = padded.shape
    height, width = h - rows + 1, w - columns + 1
    # `lax.slice`: what indexing would give, in less time to trace.
    return [
        jax.lax.slice(padded, (0, i, j, 0), (b, i + height, j + width, c), (1, *stride, 1))
        for i in range(rows)
        for j in range(columns)
    ]


def _native(
    x: Float[Array, "b h w c"], kernel: Float[Array, "k k g o"], stride: int
) -> Float[Array, "b i j o"]:
    pad = (kernel.shape[0] - 1) // 2
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        window_strides=(stride, stride),
        padding=((pad, pad), (pad, pad)),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=x.shape[-1] // kernel.shape[2],
    )


def _im2col(
    x: Float[Array, "b h w c"], kernel: Float[Array, "k k c o"], stride: int
) -> Float[Array, "b i j o"]:
    k = kernel.shape[0]
    patches = _pad(x, (k - 1) // 2)
    # A stem's 7x7 in two steps: 7 + 7 views instead of 49, each of which is compiled for itself.
    steps = [(1, k, (1, stride)), (k, 1, (stride, 1))] if k > 3 else [(k, k, (stride, stride))]
    for step in steps:
        patches = jnp.concatenate(_shifted_views(patches, *step), axis=-1)
    return patches @ kernel.reshape(-1, kernel.shape[-1])


def _depthwise(
    x: Float[Array, "b h w c"], kernel: Float[Array, "k k 1 c"], stride: int
) -> Float[Array, "b i j c"]:
    k = kernel.shape[0]
    views = _shifted_views(_pad(x, (k - 1) // 2), k, k, (stride, stride))
    taps = kernel.reshape(-1, kernel.shape[-1])
    total = views[0] * taps[0][None, None, None]
    for view, tap in zip(views[1:], taps[1:], strict=True):
        total = total + view * tap[None, None, None]
    return total


def convolve(
    x: Float[Array, "b h w c"],
    kernel: Float[Array, "k k g o"],
    *,
    stride: int = 1,
    implementation: str,
) -> Float[Array, "b i j o"]:
    """2D convolution (cross-correlation) with symmetric padding ``(k - 1) // 2``.

    Args:
      x: NHWC.
      kernel: HWIO; an input size of 1 under c channels means depthwise (``o = c``).
      stride: of both axes.
      implementation: one of `IMPLEMENTATIONS`; they agree to rounding.

    Returns:
      ``(b, ceil(h / stride), ceil(w / stride), o)`` for odd k.
    """
    depthwise = kernel.shape[2] == 1 and x.shape[-1] > 1
    if implementation == "native":
        return _native(x, kernel, stride)
    if depthwise:
        return _depthwise(x, kernel, stride)
    if implementation == "im2col" or kernel.shape[0] == 1:
        return _im2col(x, kernel, stride)
    return _native(x, kernel, stride)


class Conv(nn.Module):
    """A 2D convolution whose implementation is an option; parameters as `flax.linen.Conv`.

    Attributes:
      features: output channels (depthwise: must equal the input's).
      kernel_size: k, odd.
      stride: of both axes.
      depthwise: one filter per channel.
      use_bias: off where a normalisation follows.
      implementation: one of `IMPLEMENTATIONS`.
    """

    features: int
    kernel_size: int
    stride: int = 1
    depthwise: bool = False
    use_bias: bool = False
    implementation: str = "native"

    @nn.compact
    def __call__(self, x: Float[Array, "b h w c"]) -> Float[Array, "b i j o"]:
        """Convolves a batch of NHWC maps."""
        channels = x.shape[-1]
        if self.depthwise and channels != self.features:
            raise ValueError(
                f"a depthwise convolution keeps its channels: got {channels}, "
                f"asked for {self.features}"
            )
        kernel = self.param(
            "kernel",
            nn.initializers.he_normal(),
            (
                self.kernel_size,
                self.kernel_size,
                1 if self.depthwise else channels,
                self.features,
            ),
        )
        y = convolve(x, kernel, stride=self.stride, implementation=self.implementation)
        if self.use_bias:
            bias = self.param("bias", nn.initializers.zeros_init(), (self.features,))
            y = y + bias[None, None, None]
        return y
