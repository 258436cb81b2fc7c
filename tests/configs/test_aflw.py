"""Training on real faces, shrunk to rendered ones."""

import pytest


@pytest.mark.parametrize("variant", ["fits", "renders"])
def test_shrunk_it_trains_scores_and_predicts(variant, tmp_path, train_shrunk):
    train_shrunk(tmp_path, "aflw", variant)
