"""IDX, .npy and .npz: read, paired with labels, and refused when damaged."""

import gzip
import struct
import zipfile

import numpy as np
import pytest

from aegan.data import ImageAdapter, open_source
from aegan.errors import DataError


def idx(array, dtype=0x08):
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, dtype, array.ndim, *array.shape) + array.tobytes()


@pytest.mark.parametrize("gz", ["", ".gz"])
@pytest.mark.parametrize("gz_labels", ["", ".gz"])
def test_idx_pair_by_file_and_by_folder(tmp_path, grey, gz, gz_labels):
    labels = np.array([4, 4, 2, 2, 9, 9], dtype=np.uint8)
    pack = {"": lambda data: data, ".gz": gzip.compress}
    for part, order in (("train", slice(None)), ("t10k", slice(None, None, -1))):
        (tmp_path / f"{part}-images-idx3-ubyte{gz}").write_bytes(pack[gz](idx(grey[order])))
        (tmp_path / f"{part}-labels-idx1-ubyte{gz_labels}").write_bytes(pack[gz_labels](idx(labels[order])))
    for path in (tmp_path, tmp_path / f"train-images-idx3-ubyte{gz}"):
        data = ImageAdapter().fit(path).to_tensors(path)
        np.testing.assert_array_equal(data.fields["x"][:, 0].numpy(), grey)
        assert data.labels.tolist() == [1, 1, 0, 0, 2, 2]
    assert open_source(tmp_path / f"t10k-images-idx3-ubyte{gz}").classes == ("2", "4", "9")
    with pytest.raises(DataError, match="holds labels"):
        open_source(tmp_path / f"train-labels-idx1-ubyte{gz_labels}")


def test_idx_folder_without_train_is_ambiguous(tmp_path, grey):
    for name in ("a", "b"):
        (tmp_path / f"{name}-images-idx3-ubyte").write_bytes(idx(grey))
    with pytest.raises(DataError, match="path of the file itself"):
        open_source(tmp_path)


def test_idx_labels_of_other_length(tmp_path, grey):
    (tmp_path / "x-images-idx3-ubyte").write_bytes(idx(grey))
    (tmp_path / "x-labels-idx1-ubyte").write_bytes(idx(np.zeros(5, np.uint8)))
    with pytest.raises(DataError, match="x-labels-idx1-ubyte.*for 6 images"):
        open_source(tmp_path)


def test_npy_and_npz_with_labels(tmp_path, pixels):
    np.save(tmp_path / "x.npy", pixels)
    assert isinstance(open_source(tmp_path / "x.npy").array, np.memmap)
    np.savez(tmp_path / "x.npz", images=pixels, targets=list("babcab"))
    source = open_source(tmp_path / "x.npz")
    assert source.classes == ("a", "b", "c") and source.labels.tolist() == [1, 0, 1, 2, 0, 1]
    np.savez(tmp_path / "named.npz", x=pixels, y=[0, 1, 0, 1, 0, 1], classes=["zebra", "ape"])
    source = open_source(tmp_path / "named.npz")
    assert source.classes == ("ape", "zebra") and source.labels.tolist() == [1, 0, 1, 0, 1, 0]


def damaged(folder, grey):
    """Every damaged file with what the error must say."""
    whole = idx(grey)
    np.save(folder / "ok.npy", grey)
    np.savez_compressed(folder / "ok.npz", x=grey)
    npy, npz = (folder / "ok.npy").read_bytes(), (folder / "ok.npz").read_bytes()
    np.save(folder / "object.npy", np.array([{}, 1], dtype=object), allow_pickle=True)
    np.savez(folder / "object.npz", x=np.array([{}, 1], dtype=object))
    np.savez(folder / "keys.npz", pictures=grey)
    np.savez(folder / "pair.npz", a=grey, b=grey)
    with zipfile.ZipFile(folder / "text.npz", "w") as archive:
        archive.writestr("x.npy", "hello")
    files = {
        "short-idx3-ubyte": (whole[:-10], "truncated"),
        "short-idx3-ubyte.gz": (gzip.compress(whole[:-10]), "truncated"),
        "cut-idx3-ubyte.gz": (gzip.compress(whole)[:-200], "truncated"),
        "long-idx3-ubyte": (whole + b"x", "more bytes"),
        "head-idx3-ubyte": (whole[:9], "inside its header"),
        "text-idx3-ubyte": (b"hello world", "not an IDX file"),
        "empty-idx3-ubyte": (b"", "empty file"),
        "gz-idx3-ubyte": (gzip.compress(whole), "add .gz"),
        "plain-idx3-ubyte.gz": (whole, "not gzip"),
        "flip-idx3-ubyte.gz": (gzip.compress(whole)[:40] + b"\0" * 40 + gzip.compress(whole)[80:], "corrupt"),
        "huge-idx3-ubyte": (struct.pack(">BBBB3I", 0, 0, 8, 3, 2**31, 2**31, 2**31), "truncated|corrupt"),
        "short.npy": (npy[:-10], "truncated"),
        "head.npy": (npy[:20], "truncated|corrupt"),
        "empty.npy": (b"", "zero bytes"),
        "text.npy": (b"hello world, not numpy", "pickled|corrupt"),
        "zip.npy": (npz, "Rename"),
        "paren.npy": (npy.replace(b"'descr'", b"(descr'", 1), "corrupt"),
        "short.npz": (npz[:-40], "corrupt"),
        "flip.npz": (npz[:100] + b"\0" * 60 + npz[160:], "corrupt"),
        "array.npz": (npy, "one array. Rename"),
        "empty.npz": (b"", "zero bytes"),
    }
    for name, (content, _) in files.items():
        (folder / name).write_bytes(content)
    says = {name: says for name, (_, says) in files.items()}
    more = {
        "object.npy": "never loaded",
        "object.npz": "never loaded",
        "keys.npz": "pictures",
        "text.npz": "corrupt",
    }
    return says | more | {"pair.npz": "arrays a, b"}


def test_damaged_files_are_named_and_explained(tmp_path, grey):
    for name, says in damaged(tmp_path, grey).items():
        with pytest.raises(DataError, match=says) as caught:
            open_source(tmp_path / name)
        assert name in str(caught.value), name


def test_paths_that_are_not_there(tmp_path, grey):
    np.save(tmp_path / "sneakers.npy", grey)
    with pytest.raises(DataError, match="Did you mean 'sneakers.npy'"):
        open_source(tmp_path / "sneaker.npy")
    with pytest.raises(DataError, match="has no 'sneakrs'. Did you mean 'sneakers.npy'"):
        open_source(str(tmp_path / "sneakrs" / "deep" / "x.png"))
    with pytest.raises(DataError, match="download"):
        open_source("https://example.org/mnist.npz")
    (tmp_path / "x.mat").write_bytes(b"x")
    with pytest.raises(DataError, match="suffix .mat"):
        open_source(tmp_path / "x.mat")


def test_large_float_npy_is_scanned_in_blocks(tmp_path, grey, monkeypatch):
    monkeypatch.setattr("aegan.data.image_source.BLOCK_BYTES", 1000)
    data = grey / 255
    np.save(tmp_path / "x.npy", data)
    got = ImageAdapter().fit(tmp_path / "x.npy").to_tensors(tmp_path / "x.npy")
    np.testing.assert_array_equal(got.fields["x"][:, 0].numpy(), grey)
    data[5, 0, 0] = np.nan
    np.save(tmp_path / "x.npy", data)
    with pytest.raises(DataError, match="x.npy: image 5 holds NaN"):
        open_source(tmp_path / "x.npy")
