"""Augmentation against plain loops over real images."""

from __future__ import annotations

import numpy as np
import pytest

from edgestitch_train.augmentation import augmented

Images = np.ndarray


def plain(images: Images, **changes: float) -> Images:
    asked = {"flip": 0.0, "shift": 0, "erase": 0.0, "background": 0} | changes
    return augmented(
        images,
        flip=asked["flip"],
        shift=int(asked["shift"]),
        erase=asked["erase"],
        background=int(asked["background"]),
        generator=np.random.default_rng(5),
    )


@pytest.fixture(scope="module")
def images(mini_train: tuple[np.ndarray, np.ndarray]) -> Images:
    return mini_train[0][:1000]


def test_nothing_asked_changes_nothing(images: Images) -> None:
    out = plain(images)
    assert np.array_equal(out, images) and out is not images


@pytest.mark.parametrize("share", [0.3, 1.0])
def test_the_asked_share_is_mirrored_left_to_right_and_the_rest_is_as_it_was(
    images: Images, share: float
) -> None:
    before = images.copy()
    out = plain(images, flip=share)
    mirrored = sum(
        np.array_equal(new, np.fliplr(old)) and not np.array_equal(new, old)
        for new, old in zip(out, images, strict=True)
    )
    same = sum(np.array_equal(new, old) for new, old in zip(out, images, strict=True))
    assert mirrored + same == 1000
    assert abs(mirrored - share * 1000) < 60  # four standard deviations
    assert np.array_equal(images, before)


@pytest.mark.parametrize("background", [0, 255])
def test_each_image_is_moved_by_up_to_so_many_pixels_and_the_background_comes_in(
    images: Images, background: int
) -> None:
    out = plain(images, shift=2, background=background)
    seen = set()
    for new, old in zip(out[:200], images[:200], strict=True):
        wide = np.full((32, 32), background, np.uint8)
        wide[2:30, 2:30] = old
        found = [
            (down, right)
            for down in range(5)
            for right in range(5)
            if np.array_equal(new, wide[down : down + 28, right : right + 28])
        ]
        assert found
        seen.add(found[0])
    assert len(seen) > 15  # of 25: some images fit several ways


def test_the_asked_share_has_one_rectangle_of_one_gray(images: Images) -> None:
    out = plain(images, erase=0.4)
    erased = 0
    for new, old in zip(out, images, strict=True):
        changed = new != old
        if not changed.any():
            continue
        erased += 1
        rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
        inside = new[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        assert max(inside.shape) <= 14
        assert len(np.unique(new[changed])) == 1
    assert abs(erased - 400) < 65


def test_every_epoch_and_seed_draws_anew_and_the_same_draws_the_same(images: Images) -> None:
    def draw(seed: tuple[int, int]) -> bytes:
        return augmented(
            images, flip=0.5, shift=2, erase=0.5, generator=np.random.default_rng(seed)
        ).tobytes()

    assert draw((0, 0)) == draw((0, 0))
    assert len({draw((0, 0)), draw((0, 1)), draw((1, 0))}) == 3


@pytest.mark.parametrize("side", [4, 5, 64])
def test_images_of_any_allowed_size_are_altered(side: int, images: Images) -> None:
    small = np.resize(images[:50], (50, side, side))
    out = plain(small, flip=0.5, shift=16, erase=1.0)
    assert out.shape == small.shape and out.dtype == np.uint8
    assert not np.array_equal(out, small)
