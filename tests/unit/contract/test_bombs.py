"""The corpus of bombs is what it says: made in memory, as large as a gateway takes, and many."""

from tests.support.bombs import BOMBS, BY_NAME, TOO_LARGE

LARGEST_BODY = 20_000_000


def test_the_corpus_is_large_and_its_names_are_unique():
    assert len(BOMBS) == len(BY_NAME) > 65
    assert all(bomb.statuses <= {200, 413, 422} for bomb in BOMBS)


def test_the_38_byte_file_is_the_one_that_was_reported():
    bomb = BY_NAME["webp-38-bytes"]
    assert (len(bomb.make()), bomb.statuses) == (38, {TOO_LARGE})


def test_every_bomb_passes_the_limit_on_bodies():
    assert all(0 < len(bomb.make()) < LARGEST_BODY for bomb in BOMBS)
