"""Writers: every suffix, whole or not at all, and never over something else."""

import errno

import numpy as np
import pytest
import torch
from PIL import Image

import aegan.data.write as write_module
from aegan.data import ImageAdapter, make_grid, open_source, write_images
from aegan.errors import ConfigError, DataError, StorageError


@pytest.fixture
def images(pixels):
    """The six colour images as floats in [-1, 1], (6, 3, 12, 10)."""
    return torch.from_numpy(pixels).permute(0, 3, 1, 2) / 127.5 - 1


def leftovers(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("name", ["folder", "x.npy", "x.npz"])
def test_round_trip_through_the_adapter(tmp_path, name, channels):
    pixels = np.random.default_rng(0).integers(0, 256, (5, channels, 9, 11), dtype=np.uint8)
    labels = None if name == "x.npy" else [2, 0, 1, 0, 2]
    classes = ("a", "b", "c")
    out = write_images(torch.from_numpy(pixels) / 127.5 - 1, tmp_path / name, labels=labels, classes=classes)
    assert leftovers(tmp_path) == [name]
    data = ImageAdapter().fit(out).to_tensors(out)
    order = [1, 3, 2, 0, 4] if name == "folder" else [0, 1, 2, 3, 4]
    np.testing.assert_array_equal(data.fields["x"].numpy(), pixels[order])
    if labels is not None:
        assert open_source(out).classes == classes and data.labels.tolist() == [labels[i] for i in order]


def test_folder_names(tmp_path, images):
    write_images(images, tmp_path / "plain")
    assert leftovers(tmp_path / "plain") == [f"0000{i}.png" for i in range(6)]
    write_images(images[:3], tmp_path / "odd", labels=[0, 1, 2], classes=("../../etc", "a/b", "a_b"))
    assert leftovers(tmp_path / "odd") == ["_.._etc", "a_b", "a_b-2"] and leftovers(tmp_path) == ["odd", "plain"]
    write_images(images[:2], tmp_path / "numbers", labels=torch.tensor([1, 0]))
    assert leftovers(tmp_path / "numbers") == ["0", "1"]


def test_grid_near_square_and_enlarged():
    digits = torch.linspace(-1, 1, 5).reshape(5, 1, 1, 1).expand(5, 1, 8, 8)
    grid = make_grid(digits)
    assert grid.mode == "L" and grid.size == (3 * 58 + 2, 2 * 58 + 2)
    array = np.asarray(grid)
    assert (array[2:58, 2:58] == 0).all() and (array[:2] == 255).all()
    assert (array[60:116, 60:116] == 255).all() and (array[60:116, 2:58] == 191).all()
    assert make_grid(digits, 5, pad=0, scale=1).size == (40, 8)
    assert make_grid(torch.zeros(4, 3, 64, 64)).size == (134, 134)
    assert make_grid(torch.zeros(4, 4, 64, 64, dtype=torch.uint8)).mode == "RGBA"


def test_grid_with_one_row_a_class(tmp_path, images):
    write_images(images, tmp_path / "g.png", labels=[1, 1, 1, 0, 0, 1])
    array = np.asarray(Image.open(tmp_path / "g.png"))
    assert array.shape == (2 * (72 + 2) + 2, 4 * (60 + 2) + 2, 3)
    first = ((images[3] + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()
    np.testing.assert_array_equal(array[2:74:6, 2:62:6], first)
    assert (array[2:74, 2 + 2 * 62 :] == 255).all() and not (array[76:, 2 + 3 * 62 : -2] == 255).all()


@pytest.mark.parametrize("options", [{"columns": 0}, {"pad": -1}, {"scale": 0}, {"scale": 9000}])
def test_bad_grids(images, options):
    with pytest.raises(ConfigError, match="make_grid"):
        make_grid(images, **options)


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (torch.zeros(3, 8, 8), "got shape"),
        (torch.zeros(3, 2, 8, 8), "C = 1, 3 or 4"),
        (torch.zeros(0, 1, 8, 8), "N >= 1"),
        (torch.zeros(3, 1, 8, 8, dtype=torch.int64), "int64"),
        (torch.tensor([0.0, float("nan")]).reshape(2, 1, 1, 1).expand(2, 1, 8, 8), "image 1 holds NaN"),
    ],
)
def test_bad_images(tmp_path, bad, says):
    with pytest.raises(DataError, match=says):
        write_images(bad, tmp_path / "x.npy")
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("labels", [[0, 1], [0.0] * 6, [0, 1, 2, 0, 1, -1], [0, 1, 2, 0, 1, 3]])
def test_bad_labels(tmp_path, images, labels):
    with pytest.raises(DataError, match="labels"):
        write_images(images, tmp_path / "x", labels=labels, classes=("a", "b", "c"))
    assert leftovers(tmp_path) == []


def test_unknown_suffix(tmp_path, images):
    with pytest.raises(ConfigError, match="cannot write images as .gif"):
        write_images(images, tmp_path / "x.gif")


@pytest.mark.parametrize("name", ["folder", "x.png", "x.npy", "x.npz"])
def test_nothing_is_overwritten_unless_asked(tmp_path, images, name):
    write_images(images[:2], tmp_path / name)
    with pytest.raises(StorageError, match="overwrite"):
        write_images(images, tmp_path / name)
    write_images(images, tmp_path / name, overwrite=True)
    assert leftovers(tmp_path) == [name]
    if name == "folder":
        assert len(leftovers(tmp_path / name)) == 6
        (tmp_path / name / "thesis.docx").write_text("years of work")
        with pytest.raises(StorageError, match="more than PNG files .*thesis.docx"):
            write_images(images, tmp_path / name, overwrite=True)
        assert (tmp_path / name / "thesis.docx").exists()


def test_empty_folder_is_filled_and_kinds_do_not_mix(tmp_path, images):
    (tmp_path / "new").mkdir()
    write_images(images, tmp_path / "new")
    assert len(leftovers(tmp_path / "new")) == 6
    (tmp_path / "dir.npz").mkdir()
    (tmp_path / "file").write_text("x")
    for name in ("dir.npz", "file"):
        with pytest.raises(StorageError, match="Choose another"):
            write_images(images, tmp_path / name, overwrite=True)


@pytest.mark.parametrize(
    ("number", "says"),
    [(errno.ENOSPC, "disk is full"), (errno.EACCES, "permission denied"), (errno.EROFS, "read-only")],
)
@pytest.mark.parametrize("name", ["folder", "x.png", "x.npy", "x.npz"])
def test_failing_disk_leaves_nothing_behind(tmp_path, images, monkeypatch, name, number, says):
    write_images(images[:2], tmp_path / "sub" / name)
    before = open_source(tmp_path / "sub" / name).describe()
    done = [0]

    def failing(real):
        def save(*args, **options):
            done[0] += 1
            if name != "folder" or done[0] == 4:
                args[0].write(b"half") if name.startswith("x.np") else None
                raise OSError(number, "simulated")
            return real(*args, **options)

        return save

    monkeypatch.setattr(Image.Image, "save", failing(Image.Image.save))
    monkeypatch.setattr(write_module.np, "save", failing(np.save))
    monkeypatch.setattr(write_module.np, "savez_compressed", failing(np.savez_compressed))
    with pytest.raises(StorageError, match=f"{says}.*before is unchanged"):
        write_images(images, tmp_path / "sub" / name, overwrite=True)
    assert leftovers(tmp_path / "sub") == [name] and done[0] > 0
    assert open_source(tmp_path / "sub" / name).describe() == before


def test_failing_last_step_restores_the_old_folder(tmp_path, images, monkeypatch):
    write_images(images[:2], tmp_path / "out")
    real = write_module.os.replace

    def replace(source, target):
        if str(source).endswith("new"):
            raise OSError(errno.EACCES, "simulated")
        real(source, target)

    monkeypatch.setattr(write_module.os, "replace", replace)
    with pytest.raises(StorageError, match="permission denied"):
        write_images(images, tmp_path / "out", overwrite=True)
    assert leftovers(tmp_path) == ["out"] and len(leftovers(tmp_path / "out")) == 2
