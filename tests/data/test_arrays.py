"""Arrays and tensors: layout, range, and back in the same form."""

import numpy as np
import pytest
import torch
from PIL import Image

from aegan.data import ImageAdapter, open_source
from aegan.data.form import find_layout, to_uint8
from aegan.errors import DataError

FORMS = {
    "uint8": lambda x: x,
    "int64": lambda x: x.astype(np.int64),
    "bool": lambda x: x > 127,
    "binary uint8": lambda x: (x > 127).astype(np.uint8),
    "uint16": lambda x: x.astype(np.uint16) * 257,
    "unit": lambda x: (x / 255).astype(np.float32),
    "unit64": lambda x: x / 255,
    "signed": lambda x: (x / 127.5 - 1).astype(np.float32),
    "byte": lambda x: x.astype(np.float32),
    "half": lambda x: (x / 255).astype(np.float16),
}


def there_and_back(data):
    adapter = ImageAdapter().fit(data)
    tensors = adapter.to_tensors(data)
    adapter = ImageAdapter.from_json(adapter.to_json())
    return tensors, adapter.from_tensors(tensors.batch(torch.arange(len(tensors)))["x"])


@pytest.mark.parametrize("form", FORMS)
def test_every_range_comes_back(grey, form):
    data = FORMS[form](grey)
    tensors, back = there_and_back(data)
    assert tensors.fields["x"].dtype == torch.uint8 and tensors.fields["x"].shape == (6, 1, 12, 10)
    expected = np.where(grey > 127, 255, 0) if "b" == form[0] and form != "byte" else grey
    np.testing.assert_array_equal(tensors.fields["x"][:, 0].numpy(), expected)
    assert back.dtype == data.dtype and back.shape == data.shape
    np.testing.assert_allclose(back, data, atol=1e-3 if form == "half" else 1e-6)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
def test_layouts_come_back(layout, channels):
    data = np.random.default_rng(1).integers(0, 256, (5, 12, 10, channels), dtype=np.uint8)
    given = data if layout == "NHWC" else np.ascontiguousarray(data.transpose(0, 3, 1, 2))
    tensors, back = there_and_back(given)
    np.testing.assert_array_equal(tensors.fields["x"].numpy(), data.transpose(0, 3, 1, 2))
    np.testing.assert_array_equal(back, given)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.bfloat16])
def test_tensors_come_back(pixels, dtype):
    data = torch.from_numpy(pixels).permute(0, 3, 1, 2)
    data = data if dtype == torch.uint8 else (data / 255).to(dtype)
    _, back = there_and_back(data)
    assert isinstance(back, torch.Tensor) and back.dtype == dtype
    assert torch.allclose(back.float(), data.float(), atol=5e-3)


def test_lists_come_back(pixels):
    _, arrays = there_and_back(list(pixels))
    assert isinstance(arrays, list) and np.array_equal(arrays[3], pixels[3])
    _, pictures = there_and_back([Image.fromarray(one) for one in pixels])
    assert isinstance(pictures[0], Image.Image) and np.array_equal(np.asarray(pictures[3]), pixels[3])
    mixed = [one[: 12 - i] for i, one in enumerate(pixels)]
    tensors, back = there_and_back(mixed)
    assert tensors.fields["x"].shape[0] == 6 and isinstance(back, list) and back[0].ndim == 3


def test_doubtful_layout_goes_by_library():
    assert find_layout((5, 3, 9, 3), "x") == "NHWC"
    assert find_layout((5, 3, 9, 3), "x", torch_order=True) == "NCHW"
    assert find_layout((5, 3, 9, 3), "x", like="NCHW") == "NCHW"


def test_alpha_that_is_opaque_is_dropped(pixels):
    alpha = np.full((6, 12, 10, 1), 255, np.uint8)
    assert ImageAdapter().fit(np.concatenate([pixels, alpha], -1)).spec.shape[0] == 3
    alpha[2, 3, 4] = 254
    assert ImageAdapter().fit(np.concatenate([pixels, alpha], -1)).spec.shape[0] == 4


def test_later_arrays_are_read_in_the_fitted_range(grey):
    adapter = ImageAdapter().fit((grey / 127.5 - 1).astype(np.float32))
    bright = np.full((1, 12, 10), 0.5, np.float32)  # alone, it would pass for 0..1
    assert adapter.to_tensors(bright).fields["x"].unique().tolist() == [191]
    adapter = ImageAdapter().fit(grey)
    assert adapter.to_tensors(np.ones((1, 12, 10), np.uint8)).fields["x"].unique().tolist() == [1]


def test_user_array_is_left_alone(grey):
    given = grey[:, None].copy()
    data = ImageAdapter(memory_limit=0).fit(given).to_tensors(given)
    assert given.flags.writeable
    tensors = ImageAdapter().fit(given).to_tensors(given)
    given[:] = 0
    assert tensors.fields["x"].any() and len(data) == 6


def with_value(array, value, at=4):
    array = array.astype(np.float32) / 255
    array[at, 2, 2] = value
    return array


NOISE = np.random.default_rng(2).integers(0, 256, (6, 12, 10), dtype=np.uint8)
BAD = {
    "nan": (with_value(NOISE, np.nan), "image 4 holds NaN"),
    "inf": (with_value(NOISE, np.inf), "image 4 holds infinite"),
    "a few too large": (with_value(NOISE, 7.0), "image 4 is the first out of range"),
    "below signed": (with_value(NOISE, -3.0), "image 4 is the first out of range"),
    "above byte": (NOISE * 2.0, "Scale them"),
    "digits 0..16": (NOISE.astype(float) // 16, "x / 15"),
    "digits as int": (NOISE.astype(int) // 16, "uint8"),
    "int too large": (NOISE.astype(int) * 2, "expected integers in 0..255"),
    "int negative": (NOISE.astype(int) - 9, "expected integers in 0..255"),
    "12 bit": (NOISE.astype(np.uint16) * 16, "nearly black"),
    "complex": (NOISE.astype(complex), "complex128"),
    "object": (NOISE.astype(object), "data type object"),
    "strings": (NOISE.astype(str), "data type <U"),
    "two channels": (np.zeros((5, 9, 9, 2), np.uint8), "two channels"),
    "five channels": (np.zeros((5, 9, 9, 5), np.uint8), "C = 1, 3 or 4"),
    "flat rows": (np.zeros((5, 784), np.uint8), "reshape\\(-1, 28, 28\\)"),
    "one image": (np.zeros((32, 32, 3), np.uint8), "looks like one image"),
    "five axes": (np.zeros((2, 3, 4, 5, 3), np.uint8), "got 5 axes"),
    "scalar": (np.array(3), "got 0 axes"),
    "empty": (np.zeros((0, 9, 9), np.uint8), "empty array"),
    "constant": (np.full((5, 9, 9), 7, np.uint8), "all 5 images are identical"),
    "identical": (np.stack([NOISE[0]] * 3), "all 3 images are identical"),
    "single": (NOISE[:1], "got 1 image;"),
    "tiny": (NOISE[:, :5, :5], "at least 8"),
    "complex tensor": (torch.zeros(3, 9, 9, dtype=torch.complex64), "complex64"),
    "sparse tensor": (torch.zeros(3, 9, 9).to_sparse(), "dense"),
    "empty list": ([], "empty list"),
    "list of words": ([NOISE[0], "x"], "item 1 is str"),
    "list of types": ([NOISE[0], NOISE[1, 1:] / 255], "image 1 is float64"),
    "list with odd shape": ([NOISE[0], NOISE[1][None, None]], "image 1: got shape"),
    "dict": ({"x": NOISE}, "cannot read images from builtins.dict"),
    "number": (3, "cannot read images from builtins.int"),
    "labels too short": ((NOISE, [0, 1]), "labels of shape \\(2,\\) for 6 images"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_arrays(case):
    data, says = BAD[case]
    with pytest.raises(DataError, match=says):
        ImageAdapter().fit(data)


def test_uint8_digits_and_small_overshoot_are_accepted():
    assert open_source(NOISE // 16).form.range == "byte"
    assert open_source(with_value(NOISE, 1.0005)).form.range == "unit"
    assert open_source(np.clip(with_value(NOISE, -0.2), -1, 1)).form.range == "signed"


def test_sixteen_bits_are_rounded_to_eight():
    assert to_uint8(np.array([0, 128, 129, 257 * 3 + 129, 65535], np.uint16), "wide").tolist() == [0, 0, 1, 4, 255]
