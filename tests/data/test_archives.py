"""Images in zip and tar archives: as the folder they were made of, with labels beside, and all that can be wrong."""

from __future__ import annotations

import io
import json
import os
import stat
import tarfile
import zipfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tests.conftest import TINY_SET, bars

import aegan
from aegan.cli.main import main
from aegan.data import ImageAdapter, open_source
from aegan.data.archive import write_archive
from aegan.data.archive_index import ARCHIVE_SUFFIXES, Archive
from aegan.data.archive_source import ArchiveSource
from aegan.data.kinds import detect_kind
from aegan.data.labels import natural_key, path_key
from aegan.errors import DataError, StorageError

FORMS = ("zip", "stored.zip", "tar", "tar.gz", "tgz", "tar.bz2", "tar.xz")


def png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG")
    return buffer.getvalue()


def pack(path: Path, members: Mapping[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".zip":
        method = zipfile.ZIP_STORED if "stored" in path.name else zipfile.ZIP_DEFLATED
        with zipfile.ZipFile(path, "w", method) as archive:
            for name, content in members.items():
                archive.writestr(name, content)
        return path
    how = {".gz": "gz", ".tgz": "gz", ".bz2": "bz2", ".xz": "xz"}.get(path.suffix, "")
    with tarfile.open(path, f"w:{how}") as archive:  # pyright: ignore[reportCallIssue, reportArgumentType]
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


def read(path, **options) -> np.ndarray:
    return np.asarray(ImageAdapter(**options).fit(path).to_tensors(path).fields["x"])


@pytest.fixture
def classes(grey) -> dict[str, bytes]:
    """Members in no order: three classes of two images."""
    return {f"{'b10 b9 a'.split()[i % 3]}/{i}.png": png(grey[i]) for i in (4, 0, 5, 1, 3, 2)}


def unpacked(folder: Path, members: Mapping[str, bytes]) -> Path:
    for name, content in members.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


@pytest.mark.parametrize("form", FORMS)
def test_an_archive_is_as_the_folder_it_was_made_of(tmp_path, classes, form):
    archive, folder = pack(tmp_path / f"pictures.{form}", classes), unpacked(tmp_path / "folder", classes)
    assert detect_kind(str(archive)) == "image"
    one, other = ImageAdapter().fit(archive), ImageAdapter().fit(folder)
    assert one.spec == other.spec and one.spec.classes == ("a", "b9", "b10")
    assert one.summary == other.summary
    data, expected = one.to_tensors(archive), other.to_tensors(folder)
    assert torch.equal(torch.as_tensor(data.fields["x"]), torch.as_tensor(expected.fields["x"]))
    assert data.labels is not None and torch.equal(data.labels, expected.labels)
    assert set(tmp_path.iterdir()) == {archive, folder}  # nothing was extracted


def test_a_folder_around_everything_is_passed_over(tmp_path, classes, grey):
    around = {f"./some/set/{name}": content for name, content in classes.items()}
    assert open_source(pack(tmp_path / "x.zip", around)).classes == ("a", "b9", "b10")
    own = {f"new/{i}.png": png(grey[i]) for i in range(3)}
    assert open_source(pack(tmp_path / "new.tar.gz", own)).labels is None
    assert open_source(pack(tmp_path / "other.tar", own)).classes == ("new",)
    assert open_source(pack(tmp_path / "flat.tar", {"1.png": png(grey[0])})).labels is None
    deep = open_source(pack(tmp_path / "deep.zip", {f"a/{i}/c/1.png": png(grey[i]) for i in range(3)}))
    assert deep.labels is None and "no labels: images lie deeper" in deep.describe()
    with pytest.raises(DataError, match=r"mixed.zip: 1 images lie at the top \(loose.png, …\) and 3 in sub-folders"):
        open_source(pack(tmp_path / "mixed.zip", own | {"loose.png": png(grey[0])}))


def test_labels_beside_the_images_as_webdataset_writes_them(tmp_path, grey):
    tens = [f"{i:06d}" for i in range(4)]
    images = {f"{key}.png": png(grey[i]) for i, key in enumerate(tens)}
    cls = images | {f"{key}.cls": b"%d\n" % (10 * (i % 2)) for i, key in enumerate(tens)}
    source = open_source(pack(tmp_path / "a.tar", dict(sorted(cls.items()))))
    assert source.classes == ("0", "10") and source.labels.tolist() == [0, 1, 0, 1]
    told = images | {f"{key}.json": json.dumps({"id": i, "label": "cat"}).encode() for i, key in enumerate(tens)}
    told["000002.json"] = b'{"class": "dog"}'
    source = open_source(pack(tmp_path / "b.zip", told))
    assert source.classes == ("cat", "dog") and source.labels.tolist() == [0, 0, 1, 0]
    captions = images | {f"{key}.json": b'{"caption": "a cat", "boxes": [1]}' for key in tens}
    assert open_source(pack(tmp_path / "c.tar", captions)).labels is None
    inside = {f"{'ab'[i % 2]}/{key}.png": png(grey[i]) for i, key in enumerate(tens)}
    inside |= {f"{'ab'[i % 2]}/{key}.cls": b"same" for i, key in enumerate(tens)}
    assert open_source(pack(tmp_path / "d.tar", inside)).classes == ("same",)  # rather than the folders


def test_a_folder_and_a_list_of_shards(tmp_path, grey):
    folder = tmp_path / "shards"
    paths = [
        pack(folder / f"part-{i}.tar", {"0.png": png(grey[i % 6]), "0.cls": b"%d" % (i % 2)}) for i in (0, 10, 2, 1)
    ]
    (folder / "plan.json").write_text("{}")
    source = open_source(folder)
    assert [source.item_name(i) for i in range(4)] == [f"part-{i}.tar/0.png" for i in (0, 1, 2, 10)]
    assert source.labels.tolist() == [0, 1, 0, 0]
    np.testing.assert_array_equal(read(folder)[:, 0], grey[[0, 1, 2, 4]])
    listed = open_source(paths)
    assert isinstance(listed, ArchiveSource) and len(listed) == 4
    pack(folder / "empty.tar", {})
    assert "without images: empty.tar" in open_source(folder).describe()
    pack(folder / "other.tar", {"0.png": png(grey[0])})
    with pytest.raises(DataError, match=r"1 of 5 images have no label beside them \(other.tar/0.png, …\).*in .cls"):
        open_source(folder)


def test_images_drawn_in_shards_come_back(tmp_path):
    x = torch.linspace(-1, 1, 6 * 64).reshape(6, 1, 8, 8)
    for part in range(2):
        y = torch.tensor([0, 1, 1])
        write_archive(
            x[3 * part :][:3],
            tmp_path / f"part-{part:06d}-of-000002.tar",
            labels=y,
            classes=("nine", "ten"),
            start=3 * part,
        )
    adapter = ImageAdapter().fit(tmp_path)
    data = adapter.to_tensors(tmp_path)
    assert adapter.spec.classes == ("nine", "ten") and data.labels.tolist() == [0, 1, 1] * 2
    assert torch.equal(data.fields["x"], x.add(1).mul(127.5).round().to(torch.uint8))


def test_names_that_are_left_out_or_replaced(tmp_path, grey):
    members = {"__MACOSX/._0.png": b"x", ".hidden/0.png": b"x", ".DS_Store": b"x", "a/._0.png": b"x", "b/": b""}
    members |= {"../../up/0.png": png(grey[0]), "/up/1.png": png(grey[1]), "..\\up\\2.png": png(grey[2])}
    source = open_source(pack(tmp_path / "in" / "x.zip", members))
    assert [source.item_name(i) for i in range(3)] == ["../../up/0.png", "/up/1.png", "../up/2.png"]
    assert source.classes == ("up",) and source.note == ""
    assert {p.name for p in tmp_path.rglob("*")} == {"in", "x.zip"}

    path = pack(tmp_path / "twice.tar", {"0.png": png(grey[0]), "1.png": png(grey[1])})
    with tarfile.open(path, "a") as archive:
        entry = tarfile.TarInfo("0.png")
        entry.size = len(png(grey[5]))
        archive.addfile(entry, io.BytesIO(png(grey[5])))
        link = tarfile.TarInfo("2.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    np.testing.assert_array_equal(read(path)[:, 0], grey[[5, 1]])
    assert "1 (link), 1 (replaced by a later member of the same name)" in open_source(path).describe()
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as archive:
        info = zipfile.ZipInfo("link.png")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
        archive.writestr("0.png", png(grey[0]))
    assert len(open_source(tmp_path / "link.zip")) == 1


@pytest.mark.parametrize("form", ["zip", "tar", "tgz"])
def test_empty_and_without_images(tmp_path, form, grey):
    with pytest.raises(DataError, match=rf"e.{form}: an empty archive; expected images \(.png.*Write or fetch"):
        ImageAdapter().fit(pack(tmp_path / f"e.{form}", {}))
    with pytest.raises(DataError, match=r"found 2 .csv; expected images .*Of archives only images are read"):
        ImageAdapter().fit(pack(tmp_path / f"t.{form}", {"a.csv": b"1", "b.csv": b"1"}))
    inner = pack(tmp_path / "inner.zip", {"0.png": png(grey[0])}).read_bytes()
    with pytest.raises(DataError, match=r"no images in the archive; found 1 .zip.*unpack the outer one"):
        ImageAdapter().fit(pack(tmp_path / f"n.{form}", {"in.zip": inner}))
    both = pack(tmp_path / f"b.{form}", {"in.zip": inner, "0.png": png(grey[0]), "1.png": png(grey[1])})
    assert "ignored: 1 .zip" in ImageAdapter().fit(both).summary
    (tmp_path / f"zero.{form}").write_bytes(b"")
    with pytest.raises(DataError, match=rf"zero.{form}: empty file \(zero bytes\); expected"):
        ImageAdapter().fit(tmp_path / f"zero.{form}")


@pytest.mark.parametrize("form", ["zip", "tar", "tgz"])
@pytest.mark.parametrize("kept", [0.3, 0.6, 0.9])
def test_truncated(tmp_path, form, kept):
    noise = np.random.default_rng(0).integers(0, 256, (5, 30, 30), np.uint8)
    path = pack(tmp_path / f"x.{form}", {f"{i}.png": png(one) for i, one in enumerate(noise)})
    if form == "tar":  # without the zeros that fill the last ten kilobytes
        path.write_bytes(path.read_bytes().rstrip(b"\0"))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    with pytest.raises(DataError, match=rf"x.{form}: truncated, damaged, or no archive.*whole.*Fetch it or write"):
        ImageAdapter(skip_bad=True).fit(path)


def test_a_tar_that_ends_too_early_or_breaks_off_in_the_middle(tmp_path, grey):
    path = pack(tmp_path / "x.tar", {f"{i}.png": png(one) for i, one in enumerate(grey)})
    whole = path.read_bytes()
    with tarfile.open(path) as archive:
        places = [member.offset for member in archive.getmembers()]
    path.write_bytes(whole[: places[3]])  # just behind a member: tarfile alone takes it for the end
    with pytest.raises(DataError, match=f"ends at byte {places[3]:,} without the mark of an archive's end"):
        open_source(path)
    path.write_bytes(whole[: places[3]] + b"x" * 512 + whole[places[3] + 512 :])
    with pytest.raises(DataError, match=f"no header of a member at byte {places[3]:,}"):
        open_source(path)
    path.write_text("text" * 1000)
    with pytest.raises(DataError, match="no archive at all"):
        open_source(path)
    path.write_bytes(b"\x28\xb5\x2f\xfd" + b"x" * 100)
    with pytest.raises(DataError, match="compressed by zstd"):
        open_source(path)


@pytest.mark.parametrize("form", ["zip", "tar"])
def test_damaged_images_inside(tmp_path, form, grey):
    good = png(grey[0])
    members = {f"{i}.png": png(one) for i, one in enumerate(grey[:4])}
    members |= {"cut.png": good[:-60], "text.png": b"hello", "zero.png": b""}
    path = pack(tmp_path / f"stored.{form}", members)
    with pytest.raises(DataError) as caught:
        ImageAdapter().fit(path)
    text = str(caught.value)
    assert "3 of 7 images cannot be read" in text and "--skip-bad" in text
    assert "cut.png: truncated or corrupt" in text and "text.png: not an image" in text and "zero.png: empty" in text
    adapter = ImageAdapter(skip_bad=True).fit(path)
    assert {name for name, _ in adapter.bad} == {"cut.png", "text.png", "zero.png"}
    np.testing.assert_array_equal(adapter.to_tensors(path).fields["x"][:, 0], grey[:4])
    with pytest.raises(DataError, match="none of the 2 images can be read"):
        ImageAdapter(skip_bad=True).fit(pack(tmp_path / f"bad.{form}", {"a.png": b"hello", "b.png": b"x"}))


@pytest.mark.parametrize("form", ["zip", "stored.zip"])
def test_a_zips_checksums_are_checked(tmp_path, form):
    flat = [np.full((20, 20), 40 * i, np.uint8) for i in range(4)]
    path = pack(tmp_path / f"x.{form}", {f"{i}.bmp": png(one) for i, one in enumerate(flat)})
    with zipfile.ZipFile(path) as archive:
        infos = archive.infolist()
    content = bytearray(path.read_bytes())
    content[infos[1].header_offset + 30 + len("1.bmp") + 50] ^= 255  # one byte of a member
    content[infos[2].header_offset] = 0  # the mark in front of another
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"(?s)1.bmp: the archive is damaged here.*2.bmp: the archive is damaged: no"):
        ImageAdapter().fit(path)
    assert len(read(path, skip_bad=True)) == 2


def test_encrypted_and_unusual_members(tmp_path, grey):
    path = pack(tmp_path / "x.stored.zip", {f"{i}.png": png(one) for i, one in enumerate(grey)})
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        start = archive.start_dir
    content[start + 8] |= 1  # of the first member, as its directory entry tells
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"(?s)1 of 6 images.*0.png: encrypted, and no password.*--skip-bad"):
        ImageAdapter().fit(path)
    assert len(read(path, skip_bad=True)) == 5
    with zipfile.ZipFile(tmp_path / "lzma.zip", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("0.png", png(grey[0]))
        archive.writestr("1.png", png(grey[1]))
    with pytest.raises(DataError, match="method 14; expected stored or deflated"):
        ImageAdapter().fit(tmp_path / "lzma.zip")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("0.cls", b"\xff\xfe", "x.tar/0.cls: cannot be read as a label.*UTF-8"),
        ("0.cls", b" \n", "x.tar/0.cls: the label is ''"),
        ("0.json", b"{", "x.tar/0.json: cannot be read as a label.*under one of class, cls, label"),
        ("0.json", b'{"label": [1, 0]}', r"x.tar/0.json: the label is '\[1, 0\]' \(list\); expected a class"),
        ("0.json", b"[" * 100_000, "x.tar/0.json: cannot be read as a label"),
        ("0.cls", b"1" * (2 << 20), "x.tar/0.cls: cannot be read as a label .2,097,152 bytes.*at most 1,048,576"),
    ],
)
def test_labels_that_cannot_be_read(tmp_path, grey, name, content, said):
    with pytest.raises(DataError, match=said):
        open_source(pack(tmp_path / "x.tar", {"0.png": png(grey[0]), name: content}))


def test_no_room_and_no_permission_to_unpack(tmp_path, grey, monkeypatch):
    path = pack(tmp_path / "x.tar.gz", {f"{i}.png": png(one) for i, one in enumerate(grey)})
    cache = tmp_path / "cache"
    assert len(ImageAdapter(cache_dir=cache, memory_limit=0).fit(path).to_tensors(path)) == 6
    assert not any(cache.iterdir())
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"file: cannot unpack .*x.tar.gz there.*set TMPDIR.*as .tar or .zip"):
        ImageAdapter(cache_dir=tmp_path / "file").fit(path)

    class Full(io.BytesIO):
        def write(self, data):
            raise OSError(28, os.strerror(28))

    monkeypatch.setattr("tempfile.TemporaryFile", lambda **options: Full())
    with pytest.raises(StorageError, match="No space left"):
        ImageAdapter().fit(path)


def test_read_from_many_threads(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (300, 9, 11), np.uint8)
    members = {f"{i}.png": png(one) for i, one in enumerate(noise)}
    for form in ("zip", "tar", "tgz"):
        source = open_source(pack(tmp_path / f"x.{form}", members))
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda i, source=source: np.asarray(source.read(i)), range(300)))
        np.testing.assert_array_equal(np.stack(found), noise)


def test_beyond_the_limit_of_memory_they_lie_in_a_file(tmp_path, classes):
    path = pack(tmp_path / "x.zip", classes)
    adapter = ImageAdapter(memory_limit=100, cache_dir=tmp_path).fit(path)
    data = adapter.to_tensors(path)
    assert isinstance(data.fields["x"], np.memmap) and data.block
    np.testing.assert_array_equal(data.fields["x"], read(path))


def test_a_header_that_is_longer_than_what_is_read_of_it(tmp_path):
    images = {}
    for i in range(2):
        buffer = io.BytesIO()
        Image.new("RGB", (40, 30), (9, 9, i)).save(buffer, format="JPEG", icc_profile=b"x" * 200_000)
        images[f"{i}.jpg"] = buffer.getvalue()
    source = open_source(pack(tmp_path / "x.tar", images))
    assert source.sizes.tolist() == [[30, 40]] * 2 and source.modes == {"RGB"}


def test_an_index_takes_little_memory(tmp_path):
    path = pack(tmp_path / "x.tar", {f"{i:09d}.png": b"" for i in range(500)})
    archive = Archive(path, (".png",))
    assert len(archive) == 500 and archive.rows.nbytes + len(archive._names) < 500 * 70


def test_paths_sort_as_their_parts_do():
    random = np.random.default_rng(0)
    pieces = ["a", "B", "1", "01", "10", "9", " ", "-", ".", "é", "/", "x2", "0"]
    paths = ["/".join(filter(None, "".join(random.choice(pieces, 6)).split("/"))) for _ in range(3000)]
    paths = [path for path in paths if path]
    by_parts = sorted(paths, key=lambda path: [natural_key(part) for part in path.split("/")])
    assert sorted(paths, key=path_key) == by_parts


def test_every_door_takes_archives(tmp_path, capsys):
    pixels, labels = bars(64)
    members = {f"{labels[i]}/{i}.png": png(pixels[i]) for i in range(64)}
    source = str(pack(tmp_path / "pictures.zip", members))
    again = str(pack(tmp_path / "again.tar.gz", members))
    run = aegan.fit(source, out=tmp_path / "run", settings=TINY_SET, precision="fp32", steps=12, evaluate=False)
    assert run.classes == ("0", "1")
    where = str(tmp_path / "run")
    for args in (
        ["encode", where, source, "--out", str(tmp_path / "codes.npz")],
        ["reconstruct", where, again, "--out", str(tmp_path / "grid.png")],
        ["augment", *[where, source], "--out", str(tmp_path / "more"), "--num", "8", "--check", "none"],
    ):
        assert main(args) == 0, capsys.readouterr().err
    assert (tmp_path / "grid.png").exists() and np.load(tmp_path / "codes.npz")["codes"].shape[0] == 64
    made = tmp_path / "made"
    assert main(["sample", where, "--num", "64", "--shard", "32", "--out", str(made)]) == 0
    assert detect_kind(str(made)) == "image" and len(open_source(made)) == 64
    assert open_source(made).classes == ("0", "1")
    assert {suffix for suffix in ARCHIVE_SUFFIXES if detect_kind(f"x{suffix}") == "image"} == set(ARCHIVE_SUFFIXES)
