from twodasl_jax.data.original.incomplete import IncompleteFaces


def test_a_field_is_told_once_with_its_number_and_its_first_face():
    faces = IncompleteFaces()
    faces.add("a.jpg", {})
    faces.add("b.jpg", {"pt2d": "is (2, 23) float64; expected (2, 21) numbers"})
    faces.add("c.jpg", {"pt2d": "is absent", "Exp_Para": "is absent"})
    assert faces.lines() == [
        "2 faces have no usable pt2d, first b.jpg: pt2d is (2, 23) float64; expected (2, 21) "
        "numbers. Nothing else of them is left out",
        "1 face has no usable Exp_Para, first c.jpg: Exp_Para is absent. Nothing else of them is "
        "left out",
    ]
    assert IncompleteFaces().lines() == []
