"""The order of the 62 coefficients, without JAX: the host-side data code and the compiled step.

``q = [camera 12 | shape 40 | expression 10]`` where ``camera.reshape(3, 4) = [f·R | t]``
row-major, the scale ``f`` absorbed in the rotation.
"""

import types

NUM_CAMERA = 12
NUM_SHAPE = 40
NUM_EXPRESSION = 10
NUM_WEIGHTS = NUM_SHAPE + NUM_EXPRESSION
"""What a face model decodes: shape and expression together."""
NUM_COEFFICIENTS = NUM_CAMERA + NUM_WEIGHTS

CAMERA = slice(0, NUM_CAMERA)
SHAPE = slice(NUM_CAMERA, NUM_CAMERA + NUM_SHAPE)
EXPRESSION = slice(NUM_CAMERA + NUM_SHAPE, NUM_COEFFICIENTS)
WEIGHTS = slice(NUM_CAMERA, NUM_COEFFICIENTS)
CODE_LAYOUT = types.MappingProxyType(
    {"shape": slice(0, NUM_SHAPE), "expression": slice(NUM_SHAPE, NUM_WEIGHTS)}
)
"""Parts of the coefficients without the camera: a code that the face model's bases decode."""
TRANSLATION_X = 3
TRANSLATION_Y = 7
"""Of the view frame, whose y points up."""
TRANSLATION_Z = 11
"""Index of t_z, the depth of the translation: unobservable, weight 0 in every loss."""
