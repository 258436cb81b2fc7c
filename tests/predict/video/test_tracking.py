"""Who is who from frame to frame, in made-up scenes whose faces are known."""

import dataclasses
import functools

import cv2
import numpy as np
import pytest

from tests.predict.linear_faces import decoder, reconstruction_from_coefficients
from twodasl_jax.coefficient_layout import CODE_LAYOUT
from twodasl_jax.data.face_crop import crop_image
from twodasl_jax.predict.faces.reconstruct import under_another_camera
from twodasl_jax.predict.faces.upright import carry_back
from twodasl_jax.predict.video.smoothing import FaceSmoother
from twodasl_jax.predict.video.tracking import (
    FaceTracker,
    TrackingOptions,
)

RATE = 10.0
HEIGHT, WIDTH = 300, 500


def texture(seed, height, width):
    coarse = np.random.default_rng(seed).integers(0, 256, (9, 9, 3)).astype(np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


class Scene:
    """Pictures with faces at known places, and a network and a detector that see them.

    As the real one, the network finds a face in every crop: where there is none it predicts one
    in the middle.
    """

    def __init__(self, face_model):
        self.face_model = face_model
        self.faces = {}  # name -> (x, y, crop side)
        self.hidden = set()  # from the detector
        self.background = 100
        self.searches = 0

    def picture(self):
        image = texture(self.background, HEIGHT, WIDTH) // 4 + 90
        for name, (x, y, side) in self.faces.items():
            patch = texture(sum(map(ord, name)), side, side)
            left, top = round(x - side / 2), round(y - side / 2)
            move = np.float64([[1, 0, left], [0, 1, top]])
            cv2.warpAffine(
                patch, move, (WIDTH, HEIGHT), dst=image, borderMode=cv2.BORDER_TRANSPARENT
            )
        return image

    def face(self, image, x, y, side):
        coefficients = np.zeros(62, np.float32)
        # The dome's landmarks are 100 units wide, the training crop 141.
        coefficients[[0, 5, 10]] = 120 / 141.42
        coefficients[[3, 7]] = 60, 61
        box = np.array([x, y, x, y]) + np.array([-1, -1, 1, 1]) * side / 2
        return reconstruction_from_coefficients(
            self.face_model, coefficients, box, crop=crop_image(image, box), box=box
        )

    def find(self, image):
        self.searches += 1
        shown = [place for name, place in self.faces.items() if name not in self.hidden]
        return [self.face(image, *place) for place in shown]

    def follow(self, image, boxes):
        found = []
        for box in boxes:
            x, y = (box[:2] + box[2:]) / 2
            side = float(box[2] - box[0])
            near = [
                place
                for place in self.faces.values()
                if np.hypot(place[0] - x, place[1] - y) < 0.4 * side
            ]
            found.append(self.face(image, *(near[0] if near else (x, y, side))))
        # What the network saw was cut at the boxes, not where the face was found.
        return [
            reconstruction_from_coefficients(
                self.face_model,
                face.coefficients,
                face.roi_box,
                crop=crop_image(image, box),
                box=box,
            )
            for face, box in zip(found, boxes, strict=True)
        ]


@pytest.fixture
def scene(dome_face):
    return Scene(dome_face)


@pytest.fixture
def play(scene):
    """Plays frames: a function of the frame's number changes the scene; gives numbers by frame."""

    def played(change, count, **options):
        tracker = FaceTracker(scene.find, scene.follow, options=TrackingOptions(**options))
        shown = []
        for index in range(count):
            change(index)
            shown.append(tracker(scene.picture(), index / RATE))
        return shown

    return played


def numbers(shown):
    return [[face.number for face in faces] for faces in shown]


def test_a_moving_face_is_followed_without_searching(scene, play):
    def change(index):
        scene.faces = {"ada": (100 + 8 * index, 150, 100)}

    shown = play(change, 10, search_seconds=100.0)
    assert numbers(shown) == [[1]] * 10
    assert scene.searches == 1
    centre = shown[-1][0].reconstruction.landmarks_px.mean(axis=0)
    assert abs(centre[0] - 172) < 2  # half a pixel of the box's rounding, and the dome's landmarks


def test_a_face_in_fast_motion_is_cropped_anew(scene, play, monkeypatch):
    boxes_seen = []
    follow = scene.follow
    monkeypatch.setattr(
        scene, "follow", lambda image, boxes: boxes_seen.append(boxes) or follow(image, boxes)
    )

    def change(index):
        scene.faces = {"ada": (100 + (25 if index >= 2 else 0), 150, 100)}

    assert numbers(play(change, 4, search_seconds=100.0)) == [[1]] * 4
    # Once at rest, twice in the frame in which it moved, once at rest.
    assert len(boxes_seen) == 4
    assert boxes_seen[2][0][0] - boxes_seen[1][0][0] == pytest.approx(25, abs=1)


def test_crossing_heights_keep_their_numbers(scene, play):
    def change(index):
        scene.faces = {"ada": (120, 90 + 10 * index, 90), "bob": (380, 210 - 10 * index, 90)}

    shown = play(change, 12)
    assert numbers(shown) == [[1, 2]] * 12
    places = {face.number: face.reconstruction.landmarks_px.mean(axis=0)[0] for face in shown[0]}
    for faces in shown:
        for face in faces:
            assert abs(face.reconstruction.landmarks_px.mean(axis=0)[0] - places[face.number]) < 3


def test_a_newcomer_is_found_at_the_next_search(scene, play):
    def change(index):
        scene.faces = {"ada": (120, 150, 100)}
        if index >= 4:
            scene.faces["bob"] = (350, 150, 100)

    found = numbers(play(change, 12, search_seconds=0.5))
    assert found[4] == [1]
    assert found[5] == [1, 2]
    assert found[-1] == [1, 2]


def test_who_walks_out_of_the_picture_is_lost(scene, play):
    def change(index):
        scene.faces = {"ada": (400 + 15 * index, 150, 100)}
        scene.hidden = {"ada"} if index else set()

    found = numbers(play(change, 13, search_seconds=100.0))
    assert found[0] == [1]
    assert found[-1] == []


def test_a_covered_face_does_not_live_on_as_a_ghost(scene, play):
    def change(index):
        scene.faces = {"ada": (250, 150, 100)} if index < 5 else {}

    assert numbers(play(change, 8, search_seconds=100.0)) == [[1]] * 5 + [[]] * 3


def test_a_face_that_was_covered_for_a_moment_keeps_its_number(scene, play):
    def change(index):
        scene.faces = {} if 4 <= index < 7 else {"ada": (250, 150, 100)}

    found = numbers(play(change, 12, empty_search_seconds=0.05))
    assert found[4:7] == [[]] * 3
    assert found[7:] == [[1]] * 5


def test_a_face_that_comes_back_later_is_a_new_one(scene, play):
    def change(index):
        scene.faces = {} if 4 <= index < 10 else {"ada": (250, 150, 100)}

    assert numbers(play(change, 14, memory_seconds=0.3))[-1] == [2]


def test_a_jump_is_found_again_at_once(scene, play):
    def change(index):
        scene.faces = {"ada": (100 if index < 5 else 400, 150, 100)}

    found = numbers(play(change, 8, search_seconds=100.0))
    assert all(len(frame) == 1 for frame in found)


def test_what_no_search_confirms_is_given_up(scene, play):
    def change(index):
        scene.faces = {"ada": (250, 150, 100)}
        scene.hidden = {"ada"} if index else set()

    found = numbers(play(change, 30, search_seconds=0.5, patience_seconds=2.0))
    assert found[:20] == [[1]] * 20
    assert found[-1] == []


def test_a_cut_begins_anew(scene, play):
    def change(index):
        scene.background = 100 if index < 5 else 7
        name = "ada" if index < 5 else "bob"
        scene.faces = {name: (250, 150, 290)}

    assert numbers(play(change, 10, search_seconds=100.0)) == [[1]] * 5 + [[2]] * 5


def test_a_detector_that_frames_a_face_twice_gives_one(scene, play):
    def change(index):
        scene.faces = {"ada": (250, 150, 100), "ada again": (252, 151, 100)}

    assert numbers(play(change, 3)) == [[1]] * 3


def test_a_face_that_drifted_is_set_right(scene, play, monkeypatch):
    shrink = 1.0
    follow = scene.follow

    def shrinking(image, boxes):
        """A network that loses itself in the mouth, a little more with every frame."""
        nonlocal shrink
        shrink *= 0.85
        found = follow(image, boxes)
        return [scene.face(image, 250, 150, 100 * shrink) for _ in found]

    monkeypatch.setattr(scene, "follow", shrinking)

    def change(index):
        scene.faces = {"ada": (250, 150, 100)}

    shown = play(change, 6, search_seconds=0.5)
    sizes = [np.ptp(faces[0].reconstruction.landmarks_px[:, 0]) for faces in shown]
    assert numbers(shown) == [[1]] * 6
    assert sizes[4] < 0.6 * sizes[0]
    assert sizes[5] == pytest.approx(sizes[0])


def test_an_empty_video_is_searched_now_and_then(scene, play):
    assert numbers(play(lambda _: None, 20, empty_search_seconds=0.5)) == [[]] * 20
    assert scene.searches == 4


def test_faces_are_smoothed_where_a_smoother_is_given(scene):
    model = scene.face_model
    smoother = functools.partial(FaceSmoother, model, decoder(model), CODE_LAYOUT)
    tracker = FaceTracker(scene.find, scene.follow, smoother)
    scene.faces = {"ada": (100, 150, 100)}
    tracker(scene.picture(), 0.0)
    scene.faces = {"ada": (106, 150, 100)}
    (face,) = tracker(scene.picture(), 0.1)
    moved = face.predicted.landmarks_px - face.reconstruction.landmarks_px
    assert 0 < moved[:, 0].mean() < 6


def test_one_face_that_is_always_found_keeps_one_number(scene, play, monkeypatch):
    """As by the detector that takes the whole picture for a face, score None."""
    monkeypatch.setattr(
        scene, "find", lambda image: [scene.face(image, *next(iter(scene.faces.values())))]
    )

    def change(index):
        scene.faces = {"ada": (150 + 8 * index, 150, 120)}

    assert numbers(play(change, 25, search_seconds=0.3)) == [[1]] * 25


def test_a_long_and_low_frame_does_not_end_the_video(scene):
    """A face that grows beyond what can be cut out of the frame is lost, not an error."""
    frame = np.zeros((500, 2000, 3), np.uint8)

    def stretched(side):
        face = scene.face(frame, 1000, 250, 300)
        landmarks = face.landmarks.copy()
        landmarks[[0, 16], 0] = 1000 + np.array([-1, 1]) * side / np.sqrt(8)
        return dataclasses.replace(face, landmarks=landmarks)

    def follow(image, boxes):
        for box in boxes:
            crop_image(image, box)
        return [stretched(3600) for _ in boxes]

    found = [stretched(3000)]
    tracker = FaceTracker(lambda _: found, follow)
    assert len(tracker(frame, 0.0)) == 1
    found.clear()
    assert [tracker(frame, 0.1), tracker(frame, 0.2)] == [[], []]


def test_a_turned_head_is_followed_in_turned_crops(dome_face):
    """A head on its side, which the next frame shows to the network upright again."""
    scene = Scene(dome_face)
    scene.faces = {"a": (200, 120, 90)}
    image = scene.picture()
    upright = scene.face(image, 200, 120, 90)
    lying = under_another_camera(upright, carry_back(upright.camera_matrix, -90.0), dome_face)
    asked = []

    def follow(_image, boxes, turns=None):
        asked.append(turns)
        return [lying for _ in boxes]

    tracker = FaceTracker(lambda _: [lying], follow)
    tracker(image, 0.0)
    assert [face.number for face in tracker(image, 0.04)] == [1]
    ((turn,),) = asked
    assert turn == pytest.approx(-90.0, abs=1e-3)
