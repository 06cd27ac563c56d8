"""Folders and image files: formats, modes, classes, sizes, and everything that can be wrong with them."""

import os

import numpy as np
import pytest
import torch
from PIL import Image

from aegan.data import ImageAdapter, open_source
from aegan.data.image_source import ImageSource
from aegan.data.resize import choose_size, fit_picture
from aegan.errors import DataError


def read(path, **options):
    return ImageAdapter(**options).fit(path).to_tensors(path).fields["x"]


@pytest.mark.parametrize("suffix", ["png", "PNG", "bmp", "webp", "gif", "jpg", "jpeg"])
def test_every_format(tmp_path, grey, save, suffix):
    smooth = np.stack([np.tile(np.linspace(20 * i, 255, 16), (16, 1)) for i in range(3)]).astype(np.uint8)
    options = {"lossless": True} if suffix == "webp" else {"quality": 98} if suffix.startswith("j") else {}
    for i, image in enumerate(smooth):
        save(image, tmp_path / f"{i}.{suffix}", **options)
    x = read(tmp_path)
    assert x.shape[0] == 3 and x.shape[2:] == (16, 16)
    np.testing.assert_allclose(x[:, 0].numpy(), smooth, atol=8 if suffix.startswith("j") else 0)


def test_grey_gif_is_one_channel_and_only_its_first_frame_counts(tmp_path, grey):
    frames = [Image.fromarray(one) for one in grey]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    frames[1].save(tmp_path / "b.gif")
    x = read(tmp_path)
    assert x.shape == (2, 1, 12, 10)
    np.testing.assert_array_equal(x[0, 0].numpy(), grey[0])


def test_modes_become_grey_colour_or_alpha(tmp_path, grey, pixels, save):
    def modes_of(*images):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        for i, image in enumerate(images):
            save(image, folder / f"{i}.{'jpg' if image.mode == 'CMYK' else 'png'}")
        return read(folder)

    first, second = Image.fromarray(grey[0]), Image.fromarray(grey[1])
    deep = Image.fromarray(grey[0].astype(np.uint16) * 257)
    assert deep.mode == "I;16"
    np.testing.assert_array_equal(modes_of(deep, second)[0, 0].numpy(), grey[0])
    black_white = modes_of(first.convert("1"), second.convert("1"))
    assert black_white.shape[1] == 1 and set(black_white.unique().tolist()) == {0, 255}
    colour = Image.fromarray(pixels[0])
    assert modes_of(first, colour).shape[1] == 3
    palette = colour.quantize(16)
    np.testing.assert_array_equal(
        modes_of(palette, second)[0].numpy(), np.asarray(palette.convert("RGB")).transpose(2, 0, 1)
    )
    assert modes_of(colour.convert("CMYK"), second.convert("CMYK")).shape[1] == 3
    opaque = first.copy()
    opaque.putalpha(255)
    assert modes_of(opaque, second).shape[1] == 1
    clear = first.copy()
    clear.putalpha(100)
    assert clear.mode == "LA"
    x = modes_of(clear, second)
    assert x.shape[1] == 4 and x[0, 3].unique().tolist() == [100] and x[1, 3].unique().tolist() == [255]
    clear_palette = folder_palette(tmp_path / "p.png", palette)
    assert modes_of(clear_palette, second).shape[1] == 4


def folder_palette(path, palette):
    palette.save(path, transparency=0)
    return Image.open(path)


def test_exif_orientation_is_honoured(tmp_path, save):
    image = np.zeros((16, 24), np.uint8)
    image[:, :12] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise: what was left comes to the top
    for i in range(2):
        save(Image.fromarray(image + np.uint8(i)), tmp_path / f"{i}.jpg", exif=exif.tobytes(), quality=95)
    source = open_source(tmp_path)
    assert source.sizes.tolist() == [[24, 16]] * 2
    x = read(tmp_path)
    assert x.shape == (2, 1, 24, 16)
    assert x[0, 0, 2].min() > 240 and x[0, 0, -2].max() < 15


def test_classes_are_immediate_subfolders_in_natural_order(tmp_path, grey, save):
    for i, name in enumerate(["10", "9", "a"]):
        save(grey[i], tmp_path / name / "10.png")
        save(grey[i + 3], tmp_path / name / "deeper" / "2.png")
    save(grey[0], tmp_path / ".hidden" / "0.png")
    save(grey[0], tmp_path / "9" / "._0.png")
    (tmp_path / "labels.csv").write_text("x")
    (tmp_path / "empty").mkdir()
    source = open_source(tmp_path)
    assert source.classes == ("9", "10", "a") and source.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert "1 .csv" in source.describe() and "3 classes (9, 10, a)" in source.describe()
    data = ImageAdapter().fit(tmp_path).to_tensors(tmp_path)
    np.testing.assert_array_equal(data.fields["x"][2, 0].numpy(), grey[0])


def test_files_are_in_natural_order_and_threads_keep_it(tmp_path, save):
    for i in range(40):
        save(np.full((8, 8), i, np.uint8), tmp_path / f"{i}.png")
    assert read(tmp_path)[:, 0, 0, 0].tolist() == list(range(40))


def test_where_images_lie_elsewhere(tmp_path, grey, save):
    save(grey[0], tmp_path / "deep" / "a" / "b" / "0.png")
    save(grey[1], tmp_path / "deep" / "a" / "c" / "1.png")
    assert open_source(tmp_path / "deep").labels is None and "no labels" in open_source(tmp_path / "deep").describe()
    assert open_source(tmp_path / "deep" / "a").classes == ("b", "c")
    save(grey[1], tmp_path / "deep" / "loose.png")
    assert open_source(tmp_path / "deep").labels is None
    save(grey[1], tmp_path / "mix" / "loose.png")
    save(grey[1], tmp_path / "mix" / "a" / "0.png")
    with pytest.raises(DataError, match="1 images lie at the top \\(loose.png"):
        open_source(tmp_path / "mix")


def test_folders_without_images(tmp_path):
    with pytest.raises(DataError, match="an empty folder"):
        open_source(tmp_path)
    (tmp_path / "a.txt").write_text("x")
    (tmp_path / "b.txt").write_text("x")
    with pytest.raises(DataError, match="found 2 .txt"):
        open_source(tmp_path)
    (tmp_path / "c.npz").write_bytes(b"x")
    with pytest.raises(DataError, match="array file itself, .*c.npz"):
        open_source(tmp_path)


def test_linked_folders_are_followed_once(tmp_path, grey, save):
    save(grey[0], tmp_path / "a" / "0.png")
    save(grey[1], tmp_path / "b" / "1.png")
    (tmp_path / "a" / "loop").symlink_to(tmp_path, target_is_directory=True)
    assert len(open_source(tmp_path)) == 2


@pytest.fixture
def spoilt(tmp_path, grey, save, monkeypatch):
    """A folder with good images and one of each bad kind; classes a and b, and one all bad."""
    for i in range(4):
        save(grey[i], tmp_path / "ab"[i % 2] / f"{i}.png")
    whole = (tmp_path / "a" / "0.png").read_bytes()
    (tmp_path / "a" / "text.png").write_text("hello")
    (tmp_path / "a" / "zero.jpg").write_bytes(b"")
    (tmp_path / "b" / "cut.png").write_bytes(whole[:-60])
    (tmp_path / "b" / "flip.png").write_bytes(whole[:60] + b"\0" * 20 + whole[80:])
    save(np.zeros((300, 400), np.uint8), tmp_path / "b" / "bomb.png")
    save(np.random.default_rng(0).integers(0, 255, (90, 90), dtype=np.uint8), tmp_path / "b" / "cut.jpg")
    jpg = tmp_path / "b" / "cut.jpg"
    jpg.write_bytes(jpg.read_bytes()[:2000])
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "link.png").symlink_to(tmp_path / "gone.png")
    monkeypatch.setattr("aegan.data.pictures.MAX_PIXELS", 300 * 400 - 1)
    return tmp_path


BAD = {"a/text.png", "a/zero.jpg", "b/cut.png", "b/flip.png", "b/bomb.png", "b/cut.jpg", "c/link.png"}


def test_all_bad_images_are_listed_in_one_error(spoilt):
    with pytest.raises(DataError) as caught:
        ImageAdapter().fit(spoilt)
    text = str(caught.value)
    assert all(name in text for name in BAD) and "7 of 11 images" in text and "--skip-bad" in text
    for reason in ("not an image", "zero bytes", "truncated or corrupt", "bomb", "broken link"):
        assert reason in text


def test_bad_images_are_skipped_when_asked(spoilt, grey):
    adapter = ImageAdapter(skip_bad=True).fit(spoilt)
    data = adapter.to_tensors(spoilt)
    assert {path for path, _ in adapter.bad} == BAD
    assert "7 unreadable and skipped" in adapter.summary
    assert adapter.spec.classes == ("a", "b") and data.labels.tolist() == [0, 0, 1, 1]
    np.testing.assert_array_equal(data.fields["x"][:, 0].numpy(), grey[[0, 2, 1, 3]])


def test_many_bad_images_are_counted(tmp_path):
    for i in range(30):
        (tmp_path / f"{i}.png").write_text("no")
    with pytest.raises(DataError, match="(?s)none of the 30 images.*and 10 more"):
        ImageAdapter(skip_bad=True).fit(tmp_path)


def test_single_file_is_too_few(tmp_path, grey, save):
    path = save(grey[0], tmp_path / "a.png")
    with pytest.raises(DataError, match="a.png: got 1 image; expected at least 2"):
        ImageAdapter().fit(path)
    adapter = ImageAdapter().fit(grey)
    np.testing.assert_array_equal(adapter.to_tensors(path).fields["x"][0, 0].numpy(), grey[0])


def test_only_one_good_image_left(spoilt):
    for i in range(1, 4):
        os.remove(next(spoilt.rglob(f"{i}.png")))
    with pytest.raises(DataError, match="got 1 image;"):
        ImageAdapter(skip_bad=True).fit(spoilt)


def test_lists_of_paths_and_float_pictures(tmp_path, grey, save):
    paths = [str(save(one, tmp_path / f"{i}.png")) for i, one in enumerate(grey)]
    assert len(read(paths)) == 6
    with pytest.raises(DataError, match="Did you mean '5.png'"):
        open_source([*paths, str(tmp_path / "55.png")])
    with pytest.raises(DataError, match="mode F"):
        ImageAdapter().fit([Image.fromarray(grey[0].astype(np.float32))] * 2)


def test_checkerboard_shrinks_to_grey():
    board = (np.indices((128, 128)).sum(0) % 2 * 255).astype(np.uint8)
    small = fit_picture(Image.fromarray(board), (16, 16), "crop", 1)
    assert np.abs(small[0, 2:-2, 2:-2].astype(int) - 127).max() <= 2


def test_large_jpegs_are_decoded_small_without_aliasing(tmp_path, save):
    ramp = np.tile(np.linspace(0, 255, 640), (640, 1)).astype(np.uint8)
    save(ramp, tmp_path / "a.jpg", quality=95)
    save(ramp[:, ::-1], tmp_path / "b.jpg", quality=95)
    assert open_source(tmp_path).read(0, at_least=80).size == (80, 80)
    x = read(tmp_path, size=16)
    np.testing.assert_allclose(x[0, 0, 8].numpy(), np.linspace(8, 247, 16), atol=4)


def test_alpha_is_premultiplied_and_flattened_on_white():
    rgba = np.zeros((16, 16, 4), np.uint8)
    rgba[:, 8:] = 255, 0, 0, 255  # red on the right, transparent black on the left
    rgba[:, :8, 1] = 255  # and green where nobody can see it
    small = fit_picture(Image.fromarray(rgba), (2, 3), "stretch", 4)
    assert small[1].max() <= 1 and small[3, 0, 0] < 20 and 100 < small[3, 0, 1] < 155
    flat = fit_picture(Image.fromarray(rgba), (16, 16), "crop", 3)
    assert flat[:, 0, 0].tolist() == [255, 255, 255] and flat[:, 0, 15].tolist() == [255, 0, 0]


def test_crop_pad_and_stretch():
    wide = np.zeros((16, 32), np.uint8)
    wide[:, 8:24] = 200
    image = Image.fromarray(wide)
    assert (fit_picture(image, (16, 16), "crop", 1) == 200).all()
    padded = fit_picture(image, (32, 32), "pad", 1)[0]
    assert padded[:8].max() == 0 and padded[16, 16] == 200 and padded[24:].max() == 0
    assert fit_picture(image, (16, 16), "stretch", 1)[0, 8].tolist()[0] == 0
    for size in ((9, 31), (31, 9), (8, 64)):
        for how in ("crop", "pad", "stretch"):
            assert fit_picture(image, size, how, 3).shape == (3, *size)


@pytest.mark.parametrize(
    ("sizes", "chosen"),
    [
        ([(28, 28)] * 3, (28, 28)),
        ([(50, 37)] * 3, (50, 37)),
        ([(100, 100)] * 3, (64, 64)),
        ([(480, 640)] * 3, (48, 64)),
        ([(640, 480)] * 3, (64, 48)),
        ([(20, 20), (40, 40), (30, 30)], (28, 28)),
        ([(100, 300), (300, 100), (200, 200)], (64, 64)),
    ],
)
def test_default_size(sizes, chosen):
    assert choose_size(np.array(sizes), "x") == chosen


def test_too_narrow_by_default():
    with pytest.raises(DataError, match="Choose a size"):
        choose_size(np.array([(10, 200)]), "x")


def test_mixed_sizes_and_given_size(tmp_path, save):
    rng = np.random.default_rng(0)
    for i, shape in enumerate([(100, 80), (90, 90), (200, 160)]):
        save(rng.integers(0, 255, shape, dtype=np.uint8), tmp_path / f"{i}.png")
    assert read(tmp_path).shape == (3, 1, 64, 52)
    assert read(tmp_path, size=(16, 24), channels=3).shape == (3, 3, 16, 24)


def test_an_opened_source_is_taken_as_it_is(tmp_path, grey, save):
    for i, one in enumerate(grey):
        save(one, tmp_path / f"{i}.png")
    source = open_source(tmp_path)
    assert isinstance(source, ImageSource) and open_source(source) is source
    adapter = ImageAdapter().fit(source)
    assert torch.equal(adapter.to_tensors(source).fields["x"], adapter.to_tensors(tmp_path).fields["x"])
