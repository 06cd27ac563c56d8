"""ImageAdapter: options, labels by name, memory, JSON."""

import json
import threading

import numpy as np
import pytest
import torch

import aegan.data.image as image_module
from aegan.data import ImageAdapter, TensorData
from aegan.errors import ConfigError, DataError, StorageError
from aegan.types import Spec


@pytest.mark.parametrize(
    "options",
    [
        {"size": 7},
        {"size": (8, 8, 8)},
        {"size": True},
        {"size": "32"},
        {"size": 32.0},
        {"resize": "zoom"},
        {"channels": 2},
        {"channels": True},
        {"memory_limit": -1},
    ],
)
def test_bad_options(options):
    with pytest.raises(ConfigError, match=next(iter(options))):
        ImageAdapter(**options)


def test_not_fitted():
    for call in (lambda a: a.to_tensors(None), lambda a: a.from_tensors(torch.zeros(1)), lambda a: a.to_json()):
        with pytest.raises(ConfigError, match="Call fit"):
            call(ImageAdapter())


def test_spec_of_unlabelled_and_labelled(grey):
    assert ImageAdapter().fit(grey).spec == Spec(kind="image", shape=(1, 12, 10))
    adapter = ImageAdapter().fit((grey, list("abcabc")))
    assert adapter.spec.classes == ("a", "b", "c")
    assert ImageAdapter().fit((grey, ["same"] * 6)).spec.classes == ()


def test_labels_of_another_source_are_matched_by_name(grey):
    adapter = ImageAdapter().fit((grey, [0, 2, 10, 0, 2, 10]))
    assert adapter.to_tensors((grey[:2], ["10", "2"])).labels.tolist() == [2, 1]
    assert adapter.to_tensors(grey).labels is None
    with pytest.raises(DataError, match="class '11' was not in .* Known: 0, 10, 2"):
        adapter.to_tensors((grey[:2], [11, 0]))
    assert ImageAdapter().fit(grey).to_tensors((grey[:2], [1, 2])).labels is None


def test_another_source_gets_the_fitted_size_and_channels(grey, pixels):
    adapter = ImageAdapter().fit(grey)
    assert adapter.to_tensors(pixels[:1, :9]).fields["x"].shape == (1, 1, 12, 10)
    adapter = ImageAdapter().fit(pixels)
    x = adapter.to_tensors(grey).fields["x"]
    assert x.shape == (6, 3, 12, 10) and torch.equal(x[:, 0], x[:, 2])


def test_channels_given(grey, pixels):
    x = ImageAdapter(channels=3).fit(grey).to_tensors(grey).fields["x"]
    np.testing.assert_array_equal(x[:, 1].numpy(), grey)
    adapter = ImageAdapter(channels=1).fit(pixels)
    assert adapter.spec.shape == (1, 12, 10)
    assert adapter.from_tensors(torch.zeros(2, 1, 12, 10)).shape == (2, 12, 10, 1)
    adapter = ImageAdapter(channels=4).fit(pixels)
    assert (adapter.to_tensors(pixels).fields["x"][:, 3] == 255).all()
    assert ImageAdapter(channels=3).fit(grey).from_tensors(torch.zeros(2, 3, 12, 10)).shape == (2, 12, 10, 3)


def test_from_tensors_clips_and_checks(grey):
    adapter = ImageAdapter().fit(grey)
    ends = torch.tensor([-9.0, 9.0]).reshape(2, 1, 1, 1).expand(2, 1, 12, 10)
    assert [one.max() for one in adapter.from_tensors(ends)] == [0, 255]
    with pytest.raises(DataError, match="expected floats of shape"):
        adapter.from_tensors(torch.zeros(2, 3, 12, 10))
    with pytest.raises(DataError, match="expected floats"):
        adapter.from_tensors(torch.zeros(2, 1, 12, 10, dtype=torch.uint8))
    with pytest.raises(DataError, match="NaN"):
        adapter.from_tensors(torch.full((2, 1, 12, 10), float("nan")))


def test_folders_come_back_as_arrays(tmp_path, grey, pixels, save):
    for name, images in (("grey", grey), ("colour", pixels)):
        for i, one in enumerate(images):
            save(one, tmp_path / name / f"{i}.png")
        adapter = ImageAdapter().fit(tmp_path / name)
        back = adapter.from_tensors(adapter.to_tensors(tmp_path / name).batch(torch.arange(6))["x"])
        assert back.dtype == np.uint8
        np.testing.assert_array_equal(back, images)


def test_fit_then_to_tensors_decodes_once(tmp_path, grey, save, monkeypatch):
    for i, one in enumerate(grey):
        save(one, tmp_path / f"{i}.png")
    count, lock, real = [0], threading.Lock(), image_module.fit_picture

    def counted(*args):
        with lock:
            count[0] += 1
        return real(*args)

    monkeypatch.setattr(image_module, "fit_picture", counted)
    adapter = ImageAdapter().fit(tmp_path)
    first = adapter.to_tensors(str(tmp_path))
    assert count[0] == 6
    assert torch.equal(adapter.to_tensors(tmp_path).fields["x"], first.fields["x"]) and count[0] == 12


@pytest.mark.parametrize("kind", ["folder", "float", "resized"])
def test_beyond_the_memory_limit_data_lie_on_disk_and_vanish(tmp_path, grey, save, kind):
    source = grey / 255
    if kind == "folder":
        source = tmp_path / "images"
        for i, one in enumerate(grey):
            save(one, source / f"{i}.png")
    size = (16, 16) if kind == "resized" else None
    cache = tmp_path / "cache"
    small = ImageAdapter(memory_limit=100, cache_dir=cache, size=size).fit(source)
    data = small.to_tensors(source)
    assert isinstance(data.fields["x"], np.memmap) and not data.fields["x"].flags.writeable
    expected = ImageAdapter(size=size).fit(source).to_tensors(source)
    assert isinstance(expected.fields["x"], torch.Tensor)
    index = torch.tensor([5, 0, 3])
    assert torch.equal(data.batch(index)["x"], expected.batch(index)["x"])
    held = data.subset(index)
    assert torch.equal(held.batch(torch.tensor([1]))["x"], expected.batch(index[1:2])["x"])
    del data, small, held
    assert list(cache.iterdir()) == []


def test_skipped_images_leave_no_gap_on_disk(tmp_path, grey, save):
    for i, one in enumerate(grey):
        save(one, tmp_path / f"{i}.png")
    (tmp_path / "2.png").write_text("no")
    x = ImageAdapter(memory_limit=0, skip_bad=True).fit(tmp_path).to_tensors(tmp_path).fields["x"]
    assert isinstance(x, np.memmap)
    np.testing.assert_array_equal(x[:, 0], grey[[0, 1, 3, 4, 5]])


@pytest.mark.parametrize("layout", ["NHW", "NHWC", "NCHW"])
def test_large_plain_npy_is_used_in_place(tmp_path, grey, pixels, layout):
    array = {"NHW": grey, "NHWC": pixels, "NCHW": pixels.transpose(0, 3, 1, 2).copy()}[layout]
    np.save(tmp_path / "x.npy", array)
    cache = tmp_path / "cache"
    data = ImageAdapter(memory_limit=0, cache_dir=cache).fit(tmp_path / "x.npy").to_tensors(tmp_path / "x.npy")
    x = data.fields["x"]
    assert isinstance(x, np.memmap) and not cache.exists() and not x.flags.writeable
    first = array[:1, None] if layout == "NHW" else pixels[:1].transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(data.batch(torch.tensor([0]))["x"].add(1).mul(127.5).round().numpy(), first)


def test_no_room_for_the_temporary_file(tmp_path, grey, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("aegan.data.store._allocate", full)
    with pytest.raises(StorageError, match="cannot set aside .*No space left .*cache_dir"):
        ImageAdapter(memory_limit=0, cache_dir=tmp_path / "cache").fit(grey / 255)
    assert list((tmp_path / "cache").iterdir()) == []


def test_json_round_trip(grey):
    adapter = ImageAdapter(size=(16, 24), resize="pad", channels=3).fit((grey / 255, list("abcabc")))
    data = json.loads(json.dumps(adapter.to_json()))
    again = ImageAdapter.from_json(data)
    assert again.spec == adapter.spec and again.form == adapter.form and again.to_json() == data
    assert torch.equal(again.to_tensors(grey / 255).fields["x"], adapter.to_tensors(grey / 255).fields["x"])


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (["spec"], None, "adapter spec: got NoneType"),
        (["spec", "shape"], [1, 12], "shape \\[1, 12\\]"),
        (["spec", "shape"], [2, 12, 12], "shape"),
        (["spec", "kind"], "table", "kind 'table'"),
        (["spec", "classes"], [1], "list of names"),
        (["adapter"], "text", "kind 'text'"),
        (["extra"], 1, "unknown extra"),
        (["options", "size"], 3, "size is 3"),
        (["options", "resize"], "x", "resize is 'x'"),
        (["form"], [], "expected the keys"),
        (["form", "layout"], "HW", "layout is 'HW'"),
        (["form", "range"], ["unit"], "range is"),
        (["form", "dtype"], "object", "dtype is 'object'"),
        (["form", "dtype"], "nonsense", "dtype is 'nonsense'"),
    ],
)
def test_tampered_json(grey, path, value, says):
    data = ImageAdapter().fit(grey).to_json()
    part = data
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    with pytest.raises(DataError, match=says):
        ImageAdapter.from_json(data)


def test_missing_json_keys(grey):
    for key in ("adapter", "options", "spec", "form"):
        data = ImageAdapter().fit(grey).to_json()
        del data[key]
        with pytest.raises(DataError, match=f"missing {key}"):
            ImageAdapter.from_json(data)


def test_tensor_data_wants_one_length():
    with pytest.raises(DataError, match="one length"):
        TensorData(x=torch.zeros(3), y=torch.zeros(2))
