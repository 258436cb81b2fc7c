"""The crop frame: the one place that knows its size, its y flip and its box.

Two frames meet here. The *view frame* is what the camera coefficients produce,
``V = f·R·S + t``, x right, **y up**. The *crop frame* is what pictures, landmark maps
and published scores use, x right, **y down**, in pixels of the crop::

    x = V_x        y = crop_size + 1 - V_y

The crop's size is that of the method's input; 2DASL's, and that of all stored crops, is 120. One
pixel is added because the released coefficients count rows from one (MATLAB). A shift of one pixel
moves the AFLW2000-3D number by about 0.1 points, so nothing else may know this.

Both, and the image frame that crops are cut from, are **continuous**: pixel c of a picture spans
c to c + 1. Whatever rasterises, samples or draws needs its centre at c instead: the *raster frame*
of `image_to_raster`.

Everything here is plain arithmetic on numpy *or* JAX arrays, and imports neither: the
host-side data code and the compiled step share it.
"""

from typing import Any

CROP_SIZE = 120
"""Side of 2DASL's input crop, in pixels, and of the crops that data sets are stored as."""

HALF_PIXEL = 0.5
"""From the centre of a picture's pixel c in the continuous frame to c."""


def flip_y(y: Any, *, crop_size: int = CROP_SIZE) -> Any:
    """Carries a y coordinate from the view frame to the crop frame, or back.

    Args:
      y: any array or number, pixels.
      crop_size: side of the crop, pixels.

    Returns:
      ``crop_size + 1 - y``, same shape; the map is its own inverse.
    """
    return crop_size + 1 - y


def crop_to_image(points: Any, roi_box: Any, *, crop_size: int = CROP_SIZE) -> Any:
    """Carries 2D points from the crop to the image it was cut from.

    ``X = x·(ex - sx)/size + sx``, ``Y = y·(ey - sy)/size + sy`` (method.md section 1).

    Args:
      points: ``(*batch, n, 2)`` crop pixels, x right, y down.
      roi_box: ``(*batch, 4)`` ``(sx, sy, ex, ey)`` in image pixels.
      crop_size: side of the crop, pixels.

    Returns:
      ``(*batch, n, 2)`` image pixels.
    """
    start, end = roi_box[..., None, :2], roi_box[..., None, 2:]
    return points * ((end - start) / crop_size) + start


def image_to_crop(points: Any, roi_box: Any, *, crop_size: int = CROP_SIZE) -> Any:
    """Inverse of `crop_to_image`.

    Args:
      points: ``(*batch, n, 2)`` image pixels, x right, y down.
      roi_box: ``(*batch, 4)`` ``(sx, sy, ex, ey)`` in image pixels.
      crop_size: side of the crop, pixels.

    Returns:
      ``(*batch, n, 2)`` crop pixels.
    """
    start, end = roi_box[..., None, :2], roi_box[..., None, 2:]
    return (points - start) * (crop_size / (end - start))


def image_to_raster(positions: Any) -> Any:
    """Carries x or y to where the centre of pixel c is c: subtracts one half.

    In the image frame, as in the crop frame, pixel c spans c to c + 1 and has its centre at
    c + 1/2: `crop_to_image` is exact with ``cv2.resize`` only so. The rasteriser, OpenCV's strokes,
    ``cv2.warpAffine``, ``cv2.remap`` and scipy's ``map_coordinates`` put the centre of pixel c at
    c: every position passes through here on its way to one of them, and nothing else knows the
    half pixel.

    Args:
      positions: x or y (not depth) of any shape, pixels of the continuous frame.

    Returns:
      The same in the *raster frame*.
    """
    return positions - HALF_PIXEL


def depth_to_image(depth: Any, roi_box: Any, *, crop_size: int = CROP_SIZE) -> Any:
    """Scales crop-frame depth by the mean of the box's two scales.

    Args:
      depth: ``(*batch, n)`` crop pixels, towards the viewer.
      roi_box: ``(*batch, 4)`` ``(sx, sy, ex, ey)`` in image pixels.
      crop_size: side of the crop, pixels.

    Returns:
      ``(*batch, n)`` image pixels.
    """
    sides = roi_box[..., 2:] - roi_box[..., :2]
    return depth * (sides.mean(-1)[..., None] / crop_size)
