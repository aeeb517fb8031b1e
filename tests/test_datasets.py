import gzip
import hashlib
import io
import threading
import zipfile
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer

import numpy as np
import pytest
import torch

from hdnotes import datasets
from hdnotes.datasets import DIGITS, FASHION, MissingData, content, digits, digits_rows
from hdnotes.datasets import fashion_mnist as fashion

TEXT = b"any content"
NOWHERE = "http://127.0.0.1:1/some.gz"  # nothing listens there
FILE = datasets.File("some.gz", hashlib.sha256(TEXT).hexdigest(), NOWHERE, gzip.decompress)
DAMAGE = {
    "truncated": gzip.compress(TEXT)[:-9],
    "bit-flipped": bytes([gzip.compress(TEXT)[0] ^ 1]) + gzip.compress(TEXT)[1:],
    "other content": gzip.compress(b"other content"),
    "empty": b"",
}


@pytest.fixture
def ways(tmp_path, monkeypatch):
    """The folders of the first three ways, all empty; the fourth way is closed."""
    folders = {name: tmp_path / name for name in ("given", "cache", "debian")}
    folders["cache"] /= "hdnotes"
    for folder in folders.values():
        folder.mkdir(parents=True)
    monkeypatch.setenv("HDNOTES_DATA", str(folders["given"]))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(datasets, "DEBIAN", folders["debian"])
    return folders


@pytest.fixture
def serve():
    """A web server on this machine: serve(body) -> its address; `length` may lie."""
    servers = []

    def start(body, length=None):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Length", str(length or len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        server = HTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


def have(*names):
    """Skip, with a clear word, where the data folder lacks a file."""

    def check(folder):
        missing = [name for name in names if not (folder / name).is_file()]
        if missing:
            pytest.skip(f"needs {', '.join(missing)} in HDNOTES_DATA or ../shared/data")

    return check


have_digits = have("optdigits.tra", "optdigits.tes")
have_fashion = have(*(file.name for file in FASHION.values()))


# --- what is in the sets


def test_digits_have_the_sizes_of_the_source(data_folder):
    have_digits(data_folder)
    data = digits()
    assert [tuple(part.inputs.shape) for part in (data.train, data.validation, data.test)] == [
        (3823, 64),
        (598, 64),
        (1199, 64),
    ]
    assert data.train.labels.bincount().tolist() == [
        376, 389, 380, 389, 387, 376, 377, 387, 380, 382,
    ]  # fmt: skip
    for inputs, labels in (data.train, data.validation, data.test):
        assert (inputs.min(), inputs.max()) == (0, 16)
        assert (inputs.dtype, labels.dtype) == (torch.float32, torch.int64)


def test_digits_split_is_that_of_scikit_learn():
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    labels = load_digits(return_X_y=True)[1]
    validation, test = train_test_split(
        np.arange(1797), test_size=0.66 / 0.99, random_state=342, stratify=labels
    )
    bits = np.unpackbits(np.frombuffer(datasets.DIGITS_VALIDATION, np.uint8), count=1797)
    np.testing.assert_array_equal(np.flatnonzero(bits), np.sort(validation))
    np.testing.assert_array_equal(np.flatnonzero(bits == 0), np.sort(test))


def test_digits_split_keeps_the_order_of_the_file(data_folder):
    have_digits(data_folder)
    data, rows = digits(), digits_rows("tes")
    bits = np.unpackbits(np.frombuffer(datasets.DIGITS_VALIDATION, np.uint8), count=1797)
    for part, bit in ((data.validation, 1), (data.test, 0)):
        torch.testing.assert_close(part.inputs, rows.inputs[bits == bit])
        torch.testing.assert_close(part.labels, rows.labels[bits == bit])


def test_the_digits_of_scikit_learn_are_the_second_file(scikit_learn_folder):
    file = DIGITS["tes"]
    rows = file.decode((scikit_learn_folder / file.name).read_bytes())
    assert hashlib.sha256(rows).hexdigest() == file.sha256


def test_digits_rows_need_only_their_own_file(scikit_learn_folder, monkeypatch):
    monkeypatch.setenv("HDNOTES_DATA", str(scikit_learn_folder))
    inputs, labels = digits_rows("tes", dtype=torch.float64)
    assert inputs.shape == (1797, 64)
    assert inputs.dtype == torch.float64
    assert labels.bincount().tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    with pytest.raises(ValueError, match="file = 'train' is not one of 'tra', 'tes'"):
        digits_rows("train")


def test_fashion_has_the_sizes_of_the_source(data_folder):
    have_fashion(data_folder)
    data = fashion()
    assert [
        part.labels.bincount().tolist() for part in (data.train, data.validation, data.test)
    ] == [
        [6000] * 4,
        [250] * 4,
        [750] * 4,
    ]
    assert data.train.inputs.shape == (24_000, 784)
    assert (data.train.inputs.min(), data.train.inputs.max()) == (-1, 1)


def test_fashion_normalises_and_keeps_its_split_whatever_the_classes(data_folder):
    have_fashion(data_folder)
    images, labels = (
        datasets.idx(content(FASHION[f"t10k-{name}"])) for name in ("images-idx3", "labels-idx1")
    )
    every, two = (fashion(classes, dtype=torch.float64) for classes in (None, (7, 2)))
    assert len(every.test.labels) == 7500
    official = torch.tensor(images[labels == 7].reshape(-1, 784) / 255)
    joined = torch.cat([two.validation.inputs[two.validation.labels == 0],
                        two.test.inputs[two.test.labels == 0]])  # fmt: skip
    torch.testing.assert_close(sorted_rows(joined), sorted_rows((official - 0.5) / 0.5))
    for label, position in ((7, 0), (2, 1)):
        torch.testing.assert_close(
            two.validation.inputs[two.validation.labels == position],
            every.validation.inputs[every.validation.labels == label],
        )


def sorted_rows(rows):
    return rows[np.lexsort(rows.numpy().T)]


@pytest.mark.parametrize("classes", [(), (1, 1), (10,), (-1,)])
def test_fashion_refuses_classes_that_are_not(classes):
    with pytest.raises(ValueError, match=r"^classes = .* must be distinct whole numbers"):
        fashion(classes)


def test_the_stratified_split_never_changes():
    labels = np.arange(10_000) % 10
    marked = datasets.first_of_each_class(labels, 250, datasets.FASHION_SEED)
    assert np.bincount(labels[marked]).tolist() == [250] * 10
    assert hashlib.sha256(np.packbits(marked)).hexdigest().startswith("9344038c90c7")


def test_idx_reads_axes_in_order():
    entries = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    header = bytes([0, 0, 8, 3]) + np.array(entries.shape, ">u4").tobytes()
    np.testing.assert_array_equal(datasets.idx(header + entries.tobytes()), entries)


# --- the four ways to a file


@pytest.mark.parametrize("way", ["given", "cache", "debian"])
def test_a_file_is_found_in_each_folder(ways, way):
    (ways[way] / FILE.name).write_bytes(gzip.compress(TEXT))
    assert content(FILE) == TEXT


def test_the_network_comes_last_and_fills_the_cache(ways, serve):
    file = replace(FILE, url=serve(gzip.compress(TEXT)))
    assert content(file) == TEXT
    assert [path.name for path in ways["cache"].iterdir()] == [FILE.name]
    assert content(FILE) == TEXT


def test_digits_are_taken_out_of_their_archive(ways, serve, scikit_learn_folder, monkeypatch):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as stream:
        stream.write(scikit_learn_folder / "optdigits.tes", "optdigits.tes")
    file = replace(DIGITS["tes"], url=serve(archive.getvalue()) + "/digits.zip")
    monkeypatch.setitem(DIGITS, "tes", file)
    assert len(digits_rows("tes").labels) == 1797
    assert [path.name for path in ways["cache"].iterdir()] == ["optdigits.tes"]


def test_a_cache_that_cannot_be_written_is_no_obstacle(ways, serve, monkeypatch):
    (ways["given"] / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(ways["given"] / "file"))
    assert content(replace(FILE, url=serve(gzip.compress(TEXT)))) == TEXT


def test_a_crash_while_writing_leaves_nothing(ways, serve, monkeypatch):
    monkeypatch.setattr(datasets.os, "replace", fail)
    assert content(replace(FILE, url=serve(gzip.compress(TEXT)))) == TEXT
    assert not list(ways["cache"].iterdir())


def fail(*_):
    raise OSError(28, "No space left on device")


def test_no_way_is_one_sentence_with_all_four(ways):
    with pytest.raises(MissingData) as caught:
        content(FILE)
    sentence = str(caught.value)
    assert isinstance(caught.value, FileNotFoundError)
    assert "\n" not in sentence
    for way in ("some.gz", "HDNOTES_DATA", str(ways["cache"]), "dataset-fashion-mnist", NOWHERE):
        assert way in sentence


def test_a_connection_that_breaks_off_is_a_missing_file(ways, serve):
    with pytest.raises(MissingData, match="IncompleteRead"):
        content(replace(FILE, url=serve(b"half", length=8)))
    assert not list(ways["cache"].iterdir())


# --- damaged files


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_given_file_is_an_error(ways, kind):
    path = ways["given"] / FILE.name
    path.write_bytes(DAMAGE[kind])
    (ways["cache"] / FILE.name).write_bytes(gzip.compress(TEXT))
    with pytest.raises(ValueError, match="is damaged") as caught:
        content(FILE)
    sentence = str(caught.value)
    assert sentence.startswith(f"{path} is damaged")
    assert FILE.sha256[:12] in sentence
    assert "\n" not in sentence


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_cached_file_is_fetched_again(ways, serve, kind):
    path = ways["cache"] / FILE.name
    path.write_bytes(DAMAGE[kind])
    with pytest.warns(UserWarning, match=f"{path} is damaged.*It is not used"):
        assert content(replace(FILE, url=serve(gzip.compress(TEXT)))) == TEXT
    assert content(FILE) == TEXT


def test_a_damaged_debian_file_is_not_used(ways):
    (ways["debian"] / FILE.name).write_bytes(DAMAGE["other content"])
    with pytest.warns(UserWarning, match="is damaged"), pytest.raises(MissingData):
        content(FILE)


def test_a_damaged_download_is_refused_and_not_kept(ways, serve):
    url = serve(b"<html>please log in</html>")
    with pytest.raises(ValueError, match=f"^{url} is damaged"):
        content(replace(FILE, url=url))
    assert not list(ways["cache"].iterdir())


@pytest.mark.parametrize("text", [b"0,1,2\n3,4", b"0,1,2\n3,four,5", b"0,1,2\n3,256,5"])
def test_damaged_rows_are_refused(ways, text):
    (ways["given"] / "optdigits.tes").write_bytes(text)
    with pytest.raises(ValueError, match=r"optdigits\.tes is damaged"):
        digits_rows("tes")


def test_a_given_folder_that_is_none_is_refused(ways, monkeypatch):
    monkeypatch.setenv("HDNOTES_DATA", str(ways["given"] / "typo"))
    with pytest.raises(ValueError, match="HDNOTES_DATA = '.*typo' is not a folder"):
        content(FILE)


def test_the_cache_without_xdg_is_in_the_home_folder(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", "/somewhere")
    assert str(datasets.cache()) == "/somewhere/.cache/hdnotes"
