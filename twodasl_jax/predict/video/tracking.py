"""Faces from frame to frame: followed by their own landmarks, found anew where they are lost.

A face is followed by cutting its next crop around the landmarks of the last frame, as
3DDFA_V2's video demo does: no detector runs, and poses that a detector misses are kept. The
demo finds one face in the first frame, and looks again only when the box becomes tiny. But the
network sees a face in any crop: on a wall it predicts a mean face in the middle, for ever. So here

- a prediction must lie where the face was, and be of about its size (`is_plausible`);
- its crop must still look like the crop before (`_SAME_CROP`);
- where either fails, the frame is searched at once: a face that is found there goes on under its
  number, one that is not is lost;
- every second the frame is searched anyway: for new faces, and to confirm those that are
  followed. One that has drifted is set right, and one that several searches did not confirm is
  given up, however well it seems to go;
- a cut to another scene ends all faces.
"""

import dataclasses
from collections.abc import Callable

import cv2
import numpy as np

from twodasl_jax.data.face_crop import roi_box_from_landmarks
from twodasl_jax.predict.faces.reconstruct import Reconstruction
from twodasl_jax.predict.faces.same_face import are_one
from twodasl_jax.predict.faces.upright import turn_of_rotation
from twodasl_jax.predict.video.frame_matching import (
    is_plausible,
    match_faces,
    overlap,
    overlap_of_faces,
)
from twodasl_jax.predict.video.scene_cuts import SceneCutDetector, correlation
from twodasl_jax.predict.video.smoothing import FaceSmoother

FindFaces = Callable[[np.ndarray], list[Reconstruction]]
"""``(h, w, 3)`` uint8 RGB to the faces that a detector finds in it; [] where there is none."""

FollowFaces = Callable[..., list[Reconstruction]]
"""The same picture and k boxes ``(4,)`` to the k faces cut exactly there, in their order; where a
head is turned in the plane, also k turns in degrees (`predict.faces.upright`)."""

_SAME_PLACE = 0.7
"""Crops that share less (9 % of the side to the right and down) are of a face in motion."""

_DRIFTED_OVERLAP = 0.7
"""A followed face that shares less of its union with what a search found there has drifted."""

_SAME_CROP = 0.4
"""Correlation of a face's successive crops, below which something else has come into it."""


@dataclasses.dataclass(frozen=True)
class TrackingOptions:
    """How often frames are searched, and how long a face is believed in.

    Attributes:
      search_seconds: between searches of frames while faces are followed.
      empty_search_seconds: the same while there is none.
      patience_seconds: a face that no search confirmed for so long is given up. Longer than a
        head stays turned away, for detectors miss profiles.
      memory_seconds: a lost face that is found where it was within this time keeps its number.
    """

    search_seconds: float = 1.0
    empty_search_seconds: float = 0.2
    patience_seconds: float = 4.0
    memory_seconds: float = 1.0


@dataclasses.dataclass(frozen=True)
class TrackedFace:
    """One face of one frame.

    Attributes:
      number: the same in all frames of a face, from 1 in the order of appearance.
      reconstruction: smoothed over the frames up to this one.
      predicted: as the network gave it.
    """

    number: int
    reconstruction: Reconstruction
    predicted: Reconstruction


@dataclasses.dataclass
class _Track:
    number: int
    last: Reconstruction
    box: np.ndarray
    seen: float
    confirmed: float
    smoother: FaceSmoother | None


class FaceTracker:
    """Follows the faces of a video; give it all frames in order."""

    def __init__(
        self,
        find_faces: FindFaces,
        follow_faces: FollowFaces,
        make_smoother: Callable[[], FaceSmoother] | None = None,
        *,
        options: TrackingOptions | None = None,
    ) -> None:
        """Prepares a tracker for one video.

        Args:
          find_faces: detects and reconstructs.
          follow_faces: reconstructs at boxes.
          make_smoother: of one person's faces; None leaves them as they are.
          options: None is the default.
        """
        self._find_faces = find_faces
        self._follow_faces = follow_faces
        self._make_smoother = make_smoother
        self._options = options or TrackingOptions()
        self._is_cut = SceneCutDetector()
        self._tracks: list[_Track] = []
        self._lost: list[_Track] = []
        self._last_search = -np.inf
        self._count = 0

    def __call__(self, image: np.ndarray, time: float) -> list[TrackedFace]:
        """The faces of the next frame, in the order of their numbers.

        Args:
          image: ``(height, width, 3)`` uint8 RGB.
          time: of the frame, seconds; later than that of the frame before.
        """
        is_cut = self._is_cut(image)
        if is_cut:
            self._tracks, self._lost = [], []
        doubted = self._follow(image, time)
        pause = self._options.search_seconds if self._tracks else self._options.empty_search_seconds
        if is_cut or doubted or time - self._last_search >= pause:
            self._last_search = time
            self._search(image, time, doubted)
        memory = self._options.memory_seconds
        self._lost = [track for track in self._lost if time - track.seen <= memory]
        self._tracks.sort(key=lambda track: track.number)
        return [self._smoothed(track, time) for track in self._tracks]

    def _follow(self, image: np.ndarray, time: float) -> list[_Track]:
        """Moves the tracks on; gives back those in doubt, which are no longer among them."""
        tracks, self._tracks = self._tracks, []
        if not tracks:
            return []
        doubted = []
        predictions = self._predicted(image, tracks)
        for track, prediction in zip(tracks, predictions, strict=True):
            alike = correlation(_grey(prediction.crop), _grey(track.last.crop)) >= _SAME_CROP
            if alike and is_plausible(prediction, track.box, image.shape):
                self._move(track, prediction, time)
                self._tracks.append(track)
            else:
                doubted.append(track)
        self._tracks = _without_doubles(self._tracks)
        return doubted

    def _predicted(self, image: np.ndarray, tracks: list[_Track]) -> list[Reconstruction]:
        """The tracks' next faces; one that moved far within its crop is cropped anew, once."""
        boxes = [track.box for track in tracks]
        faces = self._at(image, boxes, [track.last for track in tracks])
        moved = [
            index
            for index, face in enumerate(faces)
            if is_plausible(face, boxes[index], image.shape)
            and overlap(roi_box_from_landmarks(face.landmarks_px), boxes[index]) < _SAME_PLACE
        ]
        if moved:
            shown = [faces[index] for index in moved]
            again = [roi_box_from_landmarks(face.landmarks_px) for face in shown]
            for index, face in zip(moved, self._at(image, again, shown), strict=True):
                faces[index] = face
        return faces

    def _at(
        self, image: np.ndarray, boxes: list[np.ndarray], shown: list[Reconstruction]
    ) -> list[Reconstruction]:
        """The faces at crops, each cut upright by how it was shown last."""
        turns = [turn_of_rotation(np.asarray(face.camera.rotation)) for face in shown]
        if not any(turns):
            return self._follow_faces(image, boxes)
        return self._follow_faces(image, boxes, turns)

    def _search(self, image: np.ndarray, time: float, doubted: list[_Track]) -> None:
        """Confirms, recovers, gives up and begins tracks by what a detector finds."""
        found = [face for face in self._find_faces(image) if is_plausible(face, None, image.shape)]
        confirmed = match_faces([track.last for track in self._tracks], found)
        for row, column in confirmed.items():
            track, face = self._tracks[row], found[column]
            track.confirmed = time
            if overlap_of_faces(track.last, face) < _DRIFTED_OVERLAP:
                self._move(track, face, time)
        patience = self._options.patience_seconds
        self._tracks = [track for track in self._tracks if time - track.confirmed < patience]
        candidates = [*doubted, *self._lost]
        again = {
            column: row for row, column in match_faces([c.last for c in candidates], found).items()
        }
        for index, face in enumerate(found):
            # One face may be framed twice: by the detector, or by a track and the detector.
            if any(are_one(face, track.last) for track in self._tracks):
                continue
            track = candidates[again[index]] if index in again else self._begin(face, time)
            self._move(track, face, time)
            track.confirmed = time
            self._tracks.append(track)
        going_on = {track.number for track in self._tracks}
        self._lost = [track for track in candidates if track.number not in going_on]

    def _begin(self, face: Reconstruction, time: float) -> _Track:
        self._count += 1
        box = roi_box_from_landmarks(face.landmarks_px)
        smoother = None if self._make_smoother is None else self._make_smoother()
        return _Track(self._count, face, box, time, time, smoother)

    @staticmethod
    def _move(track: _Track, face: Reconstruction, time: float) -> None:
        track.last, track.seen = face, time
        track.box = roi_box_from_landmarks(face.landmarks_px)

    @staticmethod
    def _smoothed(track: _Track, time: float) -> TrackedFace:
        smooth = track.last if track.smoother is None else track.smoother(track.last, time)
        return TrackedFace(track.number, smooth, track.last)


def _without_doubles(tracks: list[_Track]) -> list[_Track]:
    """Where two tracks ran onto one face, the one that a search confirmed later stays."""
    kept: list[_Track] = []
    for track in sorted(tracks, key=lambda track: (-track.confirmed, track.number)):
        if not any(are_one(track.last, other.last) for other in kept):
            kept.append(track)
    return kept


def _grey(crop: np.ndarray) -> np.ndarray:
    """A crop at 30x30 pixels: small motion within it does not count."""
    return cv2.resize(
        cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), (30, 30), interpolation=cv2.INTER_AREA
    )
