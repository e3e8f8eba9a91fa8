import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgestitch_runtime import Classifier
from edgestitch_runtime.errors import EdgestitchError
from edgestitch_runtime.picture import BRIGHT, Expected, decode, files_in, load

EXPECTED = Expected(height=28, width=28)


def png(picture: Image.Image, kind: str = "PNG", **more: object) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind, **more)
    return stream.getvalue()


def pixels(
    picture: Image.Image, *, invert: str = "no", expected: Expected = EXPECTED
) -> np.ndarray:
    return decode("p.png", png(picture), expected, invert=invert).images_u8[0]


def test_a_gray_picture_of_the_models_size_passes_unchanged(mini_test):
    image = mini_test[0][5]
    np.testing.assert_array_equal(pixels(Image.fromarray(image)), image)
    for kind in ("PNG", "BMP"):
        loaded = decode("x", png(Image.fromarray(image), kind), EXPECTED, invert="no")
        np.testing.assert_array_equal(loaded.images_u8, image[None])
    jpeg = decode("x", png(Image.fromarray(image), "JPEG", quality=95), EXPECTED, invert="no")
    assert np.abs(jpeg.images_u8[0].astype(int) - image).mean() < 4


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "CMYK", "LA", "1", "I;16", "YCbCr"])
def test_every_mode_of_the_same_gray_gives_the_same_pixels(mode, mini_test):
    image = mini_test[0][5]
    if mode == "1":
        image = np.where(image > 127, 255, 0).astype(np.uint8)
    gray = Image.fromarray(image)
    if mode == "I;16":
        picture = Image.fromarray(image.astype(np.uint16) << 8)
    else:
        picture = gray.convert(mode)
    if mode in ("CMYK", "YCbCr"):  # PNG has neither
        loaded = decode("x", png(picture, "JPEG", quality=100), EXPECTED, invert="no")
        assert np.abs(loaded.images_u8[0].astype(int) - image).mean() < 4
    else:
        np.testing.assert_array_equal(pixels(picture), image)


def test_colour_is_weighed_as_itu_r_601():
    for colour, luma in (((255, 0, 0), 76), ((0, 255, 0), 150), ((0, 0, 255), 29)):
        assert pixels(Image.new("RGB", (28, 28), colour))[14, 14] == luma


def test_transparency_shows_the_expected_background_even_when_inverted():
    clear = Image.new("RGBA", (28, 28), (200, 200, 200, 0))
    assert pixels(clear).max() == 0
    assert pixels(clear, invert="yes").max() == 0
    bright = Expected(height=28, width=28, background=BRIGHT)
    assert pixels(clear, expected=bright).min() == 255
    palette = Image.new("P", (28, 28), 3)
    palette.info["transparency"] = 3
    stream = io.BytesIO()
    palette.save(stream, "PNG", transparency=3)
    assert decode("p", stream.getvalue(), EXPECTED, invert="no").images_u8.max() == 0


def test_invert_turns_every_pixel_over(mini_test):
    image = mini_test[0][5]
    np.testing.assert_array_equal(pixels(Image.fromarray(255 - image), invert="yes"), image)


def test_a_wide_picture_keeps_its_proportions_on_the_background():
    wide = Image.new("L", (200, 100), 255)
    out = pixels(wide)
    assert out.shape == (28, 28)
    np.testing.assert_array_equal(out[:7], 0)
    np.testing.assert_array_equal(out[21:], 0)
    np.testing.assert_array_equal(out[7:21], 255)


def test_padding_is_dark_when_a_bright_photo_is_inverted():
    wide = Image.new("L", (200, 100), 255)
    assert pixels(wide, invert="yes").max() == 0


def test_scaling_down_averages_and_does_not_pick_pixels():
    board = np.indices((280, 280)).sum(axis=0) % 2 * 255
    out = pixels(Image.fromarray(board.astype(np.uint8)))
    assert np.abs(out.astype(int) - 127).max() <= 3


def test_enlarged_real_images_are_classified_as_before(mini_run, mini_test):
    images = mini_test[0][:200]
    enlarged = [Image.fromarray(i).resize((224, 224), Image.Resampling.BICUBIC) for i in images]
    back = np.stack([pixels(picture) for picture in enlarged])
    with Classifier.open(mini_run / "export" / "mlp-int8.tflite") as classifier:
        same = classifier.scores(images).argmax(axis=1) == classifier.scores(back).argmax(axis=1)
    assert same.mean() > 0.9


def test_exif_orientation_is_applied(mini_test):
    image = mini_test[0][5]
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show it rotated by 90 degrees clockwise
    turned = Image.fromarray(np.ascontiguousarray(np.rot90(image, 1)))
    content = png(turned, "PNG", exif=exif)
    np.testing.assert_array_equal(decode("x", content, EXPECTED, invert="no").images_u8[0], image)


def test_damaged_exif_data_do_not_hide_the_picture(mini_test):
    image = mini_test[0][5]
    for damaged in (b"Exif\0\0II*\0", b"Exif\0\0", b"nothing", b"Exif\0\0II*\0\xff\xff\xff\xff"):
        content = png(Image.fromarray(image), "PNG", exif=damaged)
        found = decode("x", content, EXPECTED, invert="no").images_u8[0]
        np.testing.assert_array_equal(found, image)


def test_a_bright_border_is_warned_of_and_nothing_is_changed(mini_test):
    image = mini_test[0][5]
    loaded = decode("boot.png", png(Image.fromarray(255 - image)), EXPECTED, invert="no")
    assert len(loaded.warnings) == 1
    assert "boot.png has a bright border" in loaded.warnings[0]
    assert "--invert" in loaded.warnings[0]
    np.testing.assert_array_equal(loaded.images_u8[0], 255 - image)
    assert decode("x", png(Image.fromarray(image)), EXPECTED, invert="no").warnings == ()
    bright = Expected(height=28, width=28, background=BRIGHT)
    assert (
        "dark border" in decode("x", png(Image.fromarray(image)), bright, invert="no").warnings[0]
    )


def test_a_wide_photo_on_white_is_warned_of_although_its_bars_are_dark():
    loaded = decode("wide.png", png(Image.new("L", (200, 100), 250)), EXPECTED, invert="no")
    assert "--invert" in loaded.warnings[0]
    inverted = decode("w.png", png(Image.new("L", (200, 100), 5)), EXPECTED, invert="yes")
    assert "leave out --invert" in inverted.warnings[0]


def test_a_picture_too_thin_to_be_seen_is_refused():
    with pytest.raises(EdgestitchError, match="thinner than one"):
        pixels(Image.new("L", (20, 5000), 255))


def test_idx_is_known_by_its_content_gzipped_or_not(tmp_path, mini_test):
    import gzip

    images = mini_test[0][:3]
    content = b"\0\0\x08\x03" + np.array(images.shape, ">u4").tobytes() + images.tobytes()
    for raw in (content, gzip.compress(content)):
        np.testing.assert_array_equal(decode("-", raw, EXPECTED, invert="no").images_u8, images)


def test_no_images_at_all_is_said(tmp_path):
    np.save(tmp_path / "none.npy", np.zeros((0, 28, 28), np.uint8))
    with pytest.raises(EdgestitchError, match="holds no image"):
        load(tmp_path / "none.npy", EXPECTED, invert="no")


def test_arrays_are_taken_as_they_are(tmp_path, mini_test):
    images = mini_test[0][:5]
    np.save(tmp_path / "a.npy", images)
    np.save(tmp_path / "one.npy", images[0])
    np.testing.assert_array_equal(load(tmp_path / "a.npy", EXPECTED, invert="no").images_u8, images)
    assert load(tmp_path / "one.npy", EXPECTED, invert="no").images_u8.shape == (1, 28, 28)
    inverted = load(tmp_path / "a.npy", EXPECTED, invert="yes").images_u8
    np.testing.assert_array_equal(inverted, 255 - images)


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.zeros((28, 28), np.float32), "float32"),
        (np.zeros((28, 28), np.int64), "int64"),
        (np.zeros((3, 14, 14), np.uint8), r"\(3, 14, 14\)"),
        (np.zeros((784,), np.uint8), r"\(784,\)"),
        (np.zeros((2, 2, 28, 28), np.uint8), r"\(2, 2, 28, 28\)"),
        (np.array([{"a": 1}], dtype=object), "Python objects"),
    ],
)
def test_arrays_of_another_kind_are_refused(tmp_path, array, said):
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    with pytest.raises(EdgestitchError, match=said) as caught:
        load(tmp_path / "a.npy", EXPECTED, invert="no")
    assert caught.value.hint


def _cut(content: bytes) -> bytes:
    return content[: len(content) // 2]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"hello, this is a text file", "not a picture"),
        (b"GIF89a" + bytes(40), "not a picture"),
        (_cut(png(Image.effect_noise((200, 200), 50))), "damaged picture"),
        (b"\x93NUMPY\x01\x00v\x00{'descr'", "damaged .npy"),
        (b"\x93NUMPY\x01\x00\x10\x00" + b"{'descr': ((((  \n", "damaged .npy"),
        (b"\0\0\x08\x03" + bytes(12), "holds 16 bytes|shape"),
    ],
)
def test_what_is_no_image_is_refused_in_one_line(tmp_path, content, said):
    path = tmp_path / "thing.png"
    path.write_bytes(content)
    with pytest.raises(EdgestitchError, match=said) as caught:
        load(path, EXPECTED, invert="no")
    assert "\n" not in caught.value.message
    assert caught.value.hint


def test_a_huge_picture_is_refused_before_it_is_decoded():
    content = png(Image.new("1", (9000, 9000)))
    with pytest.raises(EdgestitchError, match="64 million"):
        decode("huge.png", content, EXPECTED, invert="no")
    enormous = png(Image.new("1", (20000, 20000)))  # Pillow itself calls this a bomb
    with pytest.raises(EdgestitchError, match="64 million"):
        decode("bomb.png", enormous, EXPECTED, invert="no")


def test_a_folder_gives_its_pictures_by_name_and_an_empty_one_is_refused(tmp_path):
    for name in ("b.png", "a.JPG", "c.npy", "notes.txt"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "deeper").mkdir()
    assert [p.name for p in files_in([tmp_path])] == ["a.JPG", "b.png", "c.npy"]
    with pytest.raises(EdgestitchError, match="holds no picture"):
        list(files_in([tmp_path / "deeper"]))
    assert list(files_in([Path("x.png")])) == [Path("x.png")]


def test_another_size_of_model_is_served_too():
    small = Expected(height=20, width=12)
    assert pixels(Image.new("L", (64, 64), 9), expected=small).shape == (20, 12)
