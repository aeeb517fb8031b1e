"""The two image sets of document 4: UCI digits and Fashion-MNIST.

Each set is a triple of (inputs, labels): what a network is trained on, what chooses a learning
rate, and what is reported. The files are never part of the project. They are looked for, in this
order, in

1. the folder that the environment variable ``HDNOTES_DATA`` names,
2. the user's cache, ``$XDG_CACHE_HOME/hdnotes`` or ``~/.cache/hdnotes``,
3. the folder of Debian's package dataset-fashion-mnist (Fashion-MNIST only),
4. the network, from where they go into the cache.

Wherever a file comes from, the sha256 of its *content* is checked, because mirrors compress
differently: for the digits of the rows as uint8, for Fashion-MNIST of the decompressed bytes. A
damaged file is never used: in ``HDNOTES_DATA`` it is an error, elsewhere a warning and the next
way is tried. Used by the chapters egop, egop_spectra and egop_images.
"""

import contextlib
import gzip
import hashlib
import http.client
import io
import os
import shutil
import tempfile
import urllib.request
import warnings
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

DEBIAN = Path("/usr/share/datasets/fashion-mnist")


class MissingData(FileNotFoundError):
    """A data file that none of the four ways leads to."""


class Part(NamedTuple):
    """Some of the images: inputs (samples, features) and int64 labels (samples)."""

    inputs: Tensor
    labels: Tensor


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set in three parts, with what a page must say about it."""

    name: str
    source: str
    licence: str
    train: Part
    validation: Part
    test: Part


# --- a file and the four ways to it -------------------------------------------------------------


@dataclass(frozen=True)
class File:
    """A file of a data set: `decode` turns what is on disk into the content that is hashed."""

    name: str
    sha256: str
    url: str
    decode: Callable[[bytes], bytes]


def content(file: File) -> bytes:
    """Find a file in one of the four ways and return its checked content.

    Raises
    ------
    ValueError
        If ``HDNOTES_DATA`` is not a folder, or the file in it or on the network is damaged.
    MissingData
        If no way leads to the file.
    """
    given = os.environ.get("HDNOTES_DATA")
    if given and not Path(given).is_dir():
        raise ValueError(f"HDNOTES_DATA = {given!r} is not a folder.")
    if given and (path := Path(given) / file.name).is_file():
        return _checked(file, path.read_bytes(), path)
    for path in (cache() / file.name, DEBIAN / file.name):
        if path.is_file():
            try:
                return _checked(file, path.read_bytes(), path)
            except ValueError as damaged:
                warnings.warn(f"{damaged} It is not used.", stacklevel=2)
    return _from_network(file)


def cache() -> Path:
    """Return the folder that keeps downloaded files."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hdnotes"


def _checked(file: File, raw: bytes, where: Path | str) -> bytes:
    try:
        found = file.decode(raw)
    except (OSError, EOFError, ValueError, zlib.error):  # not even the format is right
        found = raw
    if (digest := hashlib.sha256(found).hexdigest()) != file.sha256:
        raise ValueError(
            f"{where} is damaged: the sha256 of its content starts with {digest[:12]}, "
            f"not with {file.sha256[:12]}."
        )
    return found


def _from_network(file: File) -> bytes:
    try:
        raw = _download(file.url, file.name)
    except (OSError, http.client.HTTPException) as error:
        raise MissingData(
            f"The data file {file.name} is nowhere: name a folder that holds it in HDNOTES_DATA, "
            f"or put it into {cache()}, or (Fashion-MNIST only) install Debian's package "
            f"dataset-fashion-mnist, or connect to the network so that it can be fetched from "
            f"{file.url} ({error})."
        ) from None
    found = _checked(file, raw, file.url)
    with contextlib.suppress(OSError):  # a cache that cannot be written costs a second download
        _write_whole(cache() / file.name, raw)
    return found


def _download(url: str, name: str) -> bytes:
    raw = io.BytesIO()
    with (
        urllib.request.urlopen(url, timeout=30) as answer,
        tqdm.wrapattr(answer, "read", total=answer.length, desc=name, leave=False) as stream,
    ):
        shutil.copyfileobj(stream, raw)
    if answer.length:
        raise http.client.IncompleteRead(raw.getvalue(), answer.length)
    with contextlib.suppress(zipfile.BadZipFile, KeyError, zlib.error):  # the check will refuse it
        return zipfile.ZipFile(raw).read(name) if url.endswith(".zip") else raw.getvalue()
    return raw.getvalue()


def _write_whole(path: Path, raw: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as scratch:
        try:
            scratch.write(raw)
            scratch.close()
            os.replace(scratch.name, path)
        finally:
            Path(scratch.name).unlink(missing_ok=True)


# --- UCI digits ---------------------------------------------------------------------------------


def _numbers(text: bytes) -> bytes:
    """Turn lines of comma-separated numbers 0..255 into one byte a number."""
    return bytes(map(int, b",".join(text.split()).split(b",")))


UCI = "https://archive.ics.uci.edu/static/public/80/optical+recognition+of+handwritten+digits.zip"
DIGITS = {
    name: File(f"optdigits.{name}", sha256, UCI, _numbers)
    for name, sha256 in {
        "tra": "028f5e244ee9135dbe3d8c684583e6518709a7b05293a4c5ecd652eafb9f4689",
        "tes": "68aea062d35a127749050fa0e52dca09d6569ac08092c925610e0954e172dde2",
    }.items()
}

# One bit a row of optdigits.tes, set where the row is for validation: what scikit-learn's
# train_test_split gives (stratified, test_size 0.66/0.99, random_state 342), kept here because a
# machine that only computes has no scikit-learn. tests/test_datasets.py makes it again.
DIGITS_VALIDATION = bytes.fromhex(
    """
    25131004241cf12c02e2421a3269c09e2af2d0c66960844084019590fa090062f031005d83419a2264c1aa0c09
    38450c18980a64966010146418a1987081c434372190188285c38c0434909a444b13885120c861f424aa24619a
    21090b80d440e6a194157710a80008653485f00e58200002f480009585370ea100406d2b48c84192835601d00e
    d600cc13461933098a8d628c03c606c1090820868cc58c536282607310014c0648d19080800a5a004218205b95
    417234d82104111609300664d09b0a5080390c9878283c60ab51c43c01109436096350180a02e6828080801200
    """
)


def digits_rows(file: str = "tra", *, dtype: torch.dtype = torch.float32) -> Part:
    """Return the rows of one of UCI's two digits files, in the file's order.

    Parameters
    ----------
    file
        ``"tra"`` (3823 images by 30 writers) or ``"tes"`` (1797 by 13 others; this file alone is
        also what scikit-learn carries).
    dtype
        Of the inputs: 64 raw pixels 0..16, row by row of the 8 x 8 image.
    """
    if file not in DIGITS:
        raise ValueError(f"file = {file!r} is not one of 'tra', 'tes'.")
    rows = np.frombuffer(content(DIGITS[file]), np.uint8).reshape(-1, 65)
    return _part(rows[:, :64], rows[:, 64], dtype)


def digits(*, dtype: torch.dtype = torch.float32) -> Dataset:
    """Return UCI's optical digits: 3823 images to train on, 598 for validation, 1199 for test.

    Training is on ``optdigits.tra``; ``optdigits.tes`` is split, stratified by label (document 4
    as the authors' code does it). Both parts of the split keep the file's order. For inputs and
    `dtype` see `digits_rows`.
    """
    rows = digits_rows("tes", dtype=dtype)
    bits = np.frombuffer(DIGITS_VALIDATION, np.uint8)
    chosen = torch.tensor(np.unpackbits(bits, count=len(rows.labels)), dtype=torch.bool)
    return Dataset(
        name="UCI digits",
        source="E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, "
        "UCI Machine Learning Repository, 1998, doi:10.24432/C50P49",
        licence="CC BY 4.0",
        train=digits_rows("tra", dtype=dtype),
        validation=Part(rows.inputs[chosen], rows.labels[chosen]),
        test=Part(rows.inputs[~chosen], rows.labels[~chosen]),
    )


# --- Fashion-MNIST ------------------------------------------------------------------------------

ZALANDO = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com"
FASHION = {
    name: File(f"{name}-ubyte.gz", sha256, f"{ZALANDO}/{name}-ubyte.gz", gzip.decompress)
    for name, sha256 in {
        "train-images-idx3": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "train-labels-idx1": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "t10k-images-idx3": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "t10k-labels-idx1": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    }.items()
}
FASHION_SEED = 342  # assumed: the source states a seed for the digits only, and it is this one


def fashion_mnist(
    classes: Sequence[int] | None = (0, 1, 2, 3), *, dtype: torch.dtype = torch.float32
) -> Dataset:
    """Return Fashion-MNIST: 6000 images a class to train on, 250 for validation, 750 for test.

    With the four classes of document 4 these are its 24,000, 1,000 and 3,000. The official test
    images are split by `FASHION_SEED`, class by class, so that an image is on the same side
    whichever classes are asked for. All parts keep the files' order.

    Parameters
    ----------
    classes
        Which of the ten, distinct; None for all. A label is the position in `classes`.
    dtype
        Of the inputs: 784 pixels (x - 0.5)/0.5, x in [0, 1], row by row of the 28 x 28 image.
    """
    chosen = tuple(range(10)) if classes is None else tuple(classes)
    if not chosen or len(set(chosen)) < len(chosen) or not set(chosen) <= set(range(10)):
        raise ValueError(f"classes = {classes!r} must be distinct whole numbers from 0 to 9.")
    official = idx(content(FASHION["t10k-labels-idx1"]))
    first = first_of_each_class(official, 250, FASHION_SEED)
    return Dataset(
        name="Fashion-MNIST",
        source="H. Xiao, K. Rasul and R. Vollgraf, Fashion-MNIST: a Novel Image Dataset for "
        "Benchmarking Machine Learning Algorithms, 2017, arXiv:1708.07747",
        licence="MIT",
        train=_fashion_part("train", chosen, np.array(True), dtype),
        validation=_fashion_part("t10k", chosen, first, dtype),
        test=_fashion_part("t10k", chosen, ~first, dtype),
    )


def first_of_each_class(labels: np.ndarray, number: int, seed: int) -> np.ndarray:
    """Mark `number` rows of every class, the first in an order drawn from `seed`.

    The order sorts the raw 64-bit output of PCG64, which NumPy promises never to change; what its
    distributions make of that output may change from release to release.

    >>> marked = first_of_each_class(np.array([0, 0, 0, 1, 1, 1]), 2, seed=0)
    >>> int(marked[:3].sum()), int(marked[3:].sum())
    (2, 2)
    """
    order = np.argsort(np.random.PCG64(seed).random_raw(len(labels)))
    marked = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        marked[order[labels[order] == label][:number]] = True
    return marked


def idx(stored: bytes) -> np.ndarray:
    """Read an IDX file of bytes: 0, 0, type 8, number of axes, lengths (big-endian), entries.

    >>> idx(bytes([0, 0, 8, 1, 0, 0, 0, 3, 7, 8, 9])).tolist()
    [7, 8, 9]
    """
    axes = stored[3]
    lengths = np.frombuffer(stored, ">u4", count=axes, offset=4)
    return np.frombuffer(stored, np.uint8, offset=4 + 4 * axes).reshape(lengths)


def _fashion_part(
    name: str, classes: tuple[int, ...], mask: np.ndarray, dtype: torch.dtype
) -> Part:
    labels = idx(content(FASHION[f"{name}-labels-idx1"]))
    wanted = np.isin(labels, classes) & mask
    images = idx(content(FASHION[f"{name}-images-idx3"]))[wanted].reshape(-1, 784)
    position = np.zeros(10, dtype=np.int64)
    position[list(classes)] = range(len(classes))
    part = _part(images, position[labels[wanted]], dtype)
    return Part(part.inputs.div_(127.5).sub_(1), part.labels)


def _part(inputs: np.ndarray, labels: np.ndarray, dtype: torch.dtype) -> Part:
    return Part(torch.tensor(inputs, dtype=dtype), torch.tensor(labels, dtype=torch.int64))


def max_pooled(inputs: torch.Tensor, side: int = 28) -> torch.Tensor:
    """Return square images with each 2 x 2 pixels replaced by their largest (document 4, D.4).

    Parameters
    ----------
    inputs
        (samples, side * side), row by row.

    Examples
    --------
    >>> max_pooled(torch.arange(16.0).view(1, 16), side=4).tolist()
    [[5.0, 7.0, 13.0, 15.0]]
    """
    images = inputs.view(-1, 1, side, side)
    return torch.nn.functional.max_pool2d(images, 2).flatten(1)
