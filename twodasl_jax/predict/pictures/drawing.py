"""Pictures of a reconstruction: landmarks, pose axes, strips, contact sheets.

Every function takes and gives ``(height, width, 3)`` uint8 RGB arrays and changes none in place.
Points are of the image frame: the pixel in column c and row r spans ``(c, r)`` to
``(c + 1, r + 1)`` and has its centre at ``(c + 1/2, r + 1/2)``.
"""

from collections.abc import Sequence

import cv2
import numpy as np

from twodasl_jax.crop_frame import image_to_raster
from twodasl_jax.face_model.model import FaceModel
from twodasl_jax.predict.faces.reconstruct import Reconstruction
from twodasl_jax.predict.pictures.overlay import overlay_mesh
from twodasl_jax.predict.pictures.strokes import Colour, draw_arrow, draw_dot, draw_line, rgb_copy
from twodasl_jax.predict.pictures.surface import region_of

LANDMARK_GROUPS: dict[str, tuple[range, bool, Colour]] = {
    "jaw": (range(0, 17), False, (120, 205, 255)),
    "right brow": (range(17, 22), False, (255, 196, 92)),
    "left brow": (range(22, 27), False, (255, 196, 92)),
    "nose bridge": (range(27, 31), False, (164, 240, 150)),
    "nose base": (range(31, 36), False, (164, 240, 150)),
    "right eye": (range(36, 42), True, (255, 255, 255)),
    "left eye": (range(42, 48), True, (255, 255, 255)),
    "outer lips": (range(48, 60), True, (255, 128, 148)),
    "inner lips": (range(60, 68), True, (255, 128, 148)),
}
"""iBUG-68 by facial part: indices, whether the line closes, and its colour."""

_AXIS_COLOURS: tuple[Colour, Colour, Colour] = ((255, 92, 92), (112, 224, 112), (92, 148, 255))


def draw_landmarks(
    image: np.ndarray, landmarks_px: np.ndarray, *, thickness: int | None = None
) -> np.ndarray:
    """Draws 68 landmarks as outlined polylines and dots; points that are not finite are left out.

    Args:
      image: ``(height, width, 3)`` uint8 RGB.
      landmarks_px: ``(68, 2)`` or ``(68, 3)`` image pixels.
      thickness: of the lines, pixels; by default it follows the size of the image.
    """
    drawn = rgb_copy(image)
    points = np.asarray(landmarks_px, np.float64)
    if points.ndim != 2 or points.shape[0] != 68 or points.shape[1] < 2:
        raise ValueError(f"the landmarks are {points.shape}; expected (68, 2) or (68, 3)")
    points = points[:, :2]
    line = thickness or max(1, round(min(image.shape[:2]) / 250))
    finite = [bool(row.all()) for row in np.isfinite(points)]
    # The outlines of all parts first: no part's outline then crosses another part's line.
    for outline in (True, False):
        for indices, closed, colour in LANDMARK_GROUPS.values():
            pairs = zip(indices, [*indices[1:], indices[0]], strict=True)
            for first, second in list(pairs)[: None if closed else -1]:
                if finite[first] and finite[second]:
                    draw_line(drawn, points[first], points[second], colour, line, outline=outline)
            for index in indices:
                if finite[index]:
                    draw_dot(drawn, points[index], colour, 1.6 * line, outline=outline)
    return drawn


def draw_pose_axes(
    image: np.ndarray,
    origin_px: np.ndarray,
    rotation: np.ndarray,
    *,
    length_px: float,
    thickness: int | None = None,
) -> np.ndarray:
    """Draws the head's axes: x (red) to its left, y (green) up, z (blue) where the nose points.

    Args:
      image: ``(height, width, 3)`` uint8 RGB.
      origin_px: ``(2,)`` where the axes start, image pixels.
      rotation: ``(3, 3)`` from the model's frame to the view frame (y up).
      length_px: of an axis seen from the side.
      thickness: of the arrows, pixels; by default it follows the size of the image.
    """
    drawn = rgb_copy(image)
    origin = np.asarray(origin_px, np.float64)[:2]
    line = thickness or max(2, round(min(image.shape[:2]) / 120))
    axes = np.asarray(rotation, np.float64).T
    for index in np.argsort(axes[:, 2]):  # the axis nearest to the viewer is drawn last
        tip = origin + length_px * axes[index, :2] * (1.0, -1.0)
        for outline in (True, False):
            draw_arrow(drawn, origin, tip, _AXIS_COLOURS[index], line, outline=outline)
    return drawn


def face_panel(
    image: np.ndarray, reconstruction: Reconstruction, *, side: int, margin: float = 0.1
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cuts a square around the face and brings it to one size.

    Args:
      image: ``(height, width, 3)`` uint8 RGB, the photograph.
      reconstruction: of the face in it.
      side: of the panel, pixels.
      margin: kept around the network's crop, as a share of its side.

    Returns:
      The panel ``(side, side, 3)`` (black outside the photograph), and landmarks ``(68, 3)``
      and vertices ``(3, n)`` carried into it (depth scaled likewise).
    """
    start, end = reconstruction.roi_box[:2], reconstruction.roi_box[2:]
    half = (0.5 + margin) * float((end - start).max())
    corner = 0.5 * (start + end) - half
    scale = side / (2.0 * half)
    offset = np.array([*(-scale * corner), 0.0], np.float32)
    landmarks = reconstruction.landmarks * scale + offset
    vertices = reconstruction.vertices * scale + offset[:, None]
    return _square(image, corner, side=side, scale=scale), landmarks, vertices


def _square(image: np.ndarray, corner: np.ndarray, *, side: int, scale: float) -> np.ndarray:
    """The square of ``side / scale`` image pixels from a corner on, as ``side`` pixels."""
    # Wider by what cubic interpolation looks at.
    border = 2.0 * max(1.0, 1.0 / scale)
    far = corner + side / scale + border
    region = region_of(
        np.stack([corner - border, far], axis=1), height=image.shape[0], width=image.shape[1]
    )
    if region.width == 0 or region.height == 0:
        return np.zeros((side, side, 3), np.uint8)
    part = image[region.slices]
    size = np.array([region.width, region.height])
    if scale < 1.0:
        # The mean of the pixels that become one: warpAffine would pick single ones.
        size = np.ceil(size * scale).astype(int)
        part = cv2.resize(part, size.tolist(), interpolation=cv2.INTER_AREA)
    gain = scale * np.array([region.width, region.height]) / size
    start = scale * (np.array([region.left, region.top]) - corner)
    # The centre of the part's first pixel is at 1/2; warpAffine works on the raster frame.
    first = image_to_raster(gain * 0.5 + start)
    return cv2.warpAffine(
        part,
        np.array([[gain[0], 0.0, first[0]], [0.0, gain[1], first[1]]]),
        (side, side),
        flags=cv2.INTER_CUBIC,
    )


def reconstruction_strip(
    image: np.ndarray,
    reconstruction: Reconstruction,
    face_model: FaceModel,
    *,
    side: int = 384,
    gap: int = 8,
) -> np.ndarray:
    """Four panels side by side: photograph, landmarks, mesh overlay, pose axes.

    Args:
      image: ``(height, width, 3)`` uint8 RGB, the photograph.
      reconstruction: of the face in it.
      face_model: whose triangles to draw.
      side: of a panel, pixels.
      gap: white pixels between and around the panels.

    Returns:
      ``(side + 2·gap, 4·side + 5·gap, 3)`` uint8.
    """
    panel, landmarks, vertices = face_panel(image, reconstruction, side=side)
    panels = [
        panel,
        draw_landmarks(panel, landmarks),
        overlay_mesh(panel, vertices, face_model.triangles),
        draw_pose_axes(
            panel,
            landmarks[30],  # the tip of the nose
            np.asarray(reconstruction.camera.rotation),
            length_px=0.3 * side,
        ),
    ]
    return contact_sheet(panels, columns=len(panels), gap=gap)


def contact_sheet(tiles: Sequence[np.ndarray], *, columns: int, gap: int = 6) -> np.ndarray:
    """Lays pictures of one size out in rows on white.

    Args:
      tiles: at least one ``(height, width, 3)`` uint8, all of one shape.
      columns: pictures per row; the last row may be shorter.
      gap: white pixels between and around them.
    """
    shapes = sorted({tile.shape for tile in tiles})
    if len(shapes) != 1 or columns < 1:
        raise ValueError(
            f"a contact sheet of shapes {shapes} in {columns} columns; expected pictures, all of "
            "one shape, and at least one column"
        )
    height, width, _ = shapes[0]
    rows, columns = -(-len(tiles) // columns), min(columns, len(tiles))
    size = (rows * (height + gap) + gap, columns * (width + gap) + gap, 3)
    sheet = np.full(size, 255, np.uint8)
    for index, tile in enumerate(tiles):
        row, column = divmod(index, columns)
        top, left = gap + row * (height + gap), gap + column * (width + gap)
        sheet[top : top + height, left : left + width] = tile
    return sheet
