"""Archives from their publishers: checked, limited in size, and in place only when whole."""

import hashlib
import os
import shutil
import stat
import tempfile
import urllib.error
import urllib.request
import zipfile
from pathlib import Path, PurePosixPath

import platformdirs

MAX_EXPANDED = 2 << 30
MAX_RATIO = 100
ALWAYS_FINE = 1 << 20
CHUNK = 1 << 18


def cache_folder() -> Path:
    """Return the folder of this user that downloads go to; it need not exist yet."""
    return platformdirs.user_cache_path("workbench", appauthor=False) / "datasets"


def download_archive(url: str, folder: Path, *, sha256: str, max_bytes: int, licence: str) -> Path:
    """Fetch a zip archive, check it and put its content at `folder`, whole or not at all.

    The licence is printed before the first byte is asked for. Everything happens in a temporary folder beside `folder`,
    which is gone afterwards whatever happens.

    Args:
        url: where the publisher keeps the archive.
        folder: where its content will lie; a single top folder inside the archive is taken off.
        sha256: the archive's checksum, as hexadecimal digits.
        max_bytes: more than this is never fetched.
        licence: the terms, shown to the person.

    Raises:
        OSError: if the publisher cannot be reached.
        ValueError: if the archive is too large, cut off, not the one expected, or unsafe to unpack.
    """
    print(f"Downloading {url}\nTerms: {licence}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".download-") as work:
        archive = Path(work) / "archive.zip"
        digest = _fetch(url, archive, max_bytes=max_bytes)
        if digest != sha256:
            raise ValueError(
                f"{url}: not the file expected (its sha256 is {digest[:12]}..., not {sha256[:12]}...); "
                "nothing was kept; try again, or fetch it by hand and pass the path of the zip to load_dataset"
            )
        content = unpack(archive, Path(work) / "content")
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(content, folder)
    return folder


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack a zip archive into `folder` and return where its files lie: a single top folder is taken off.

    Raises:
        ValueError: if the archive is damaged, a path in it leaves the folder, it holds a link, or it expands beyond
            2 GiB or more than a hundredfold.
    """
    budget = min(MAX_EXPANDED, max(ALWAYS_FINE, MAX_RATIO * archive.stat().st_size))
    try:
        with zipfile.ZipFile(archive) as content:
            for member in content.infolist():
                _check_member(member, archive.name)
            for member in content.infolist():
                target = folder / PurePosixPath(member.filename)
                if member.is_dir():
                    target.mkdir(parents=True, exist_ok=True)
                else:
                    budget -= _unpack_member(content, member, target, budget=budget, archive=archive.name)
    except (zipfile.BadZipFile, EOFError) as problem:
        raise ValueError(f"{archive.name}: damaged or not a zip archive ({problem}); fetch it again") from problem
    inside = list(folder.iterdir()) if folder.is_dir() else []
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else folder


def _check_member(member: zipfile.ZipInfo, archive: str) -> None:
    """Refuse a member whose path leaves the folder it is unpacked to, or that is a link."""
    path = PurePosixPath(member.filename)
    if path.is_absolute() or ".." in path.parts or "\\" in member.filename or ":" in member.filename:
        raise ValueError(f"{archive}: holds the path {member.filename!r}, which leaves its folder; refused as unsafe")
    if stat.S_ISLNK(member.external_attr >> 16):
        raise ValueError(f"{archive}: holds the link {member.filename!r}; refused as unsafe")


def _unpack_member(
    content: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path, *, budget: int, archive: str
) -> int:
    """Write one member and return its size; the bytes are counted, not what the archive says about them."""
    target.parent.mkdir(parents=True, exist_ok=True)
    size = 0
    with content.open(member) as source, target.open("xb") as sink:
        while chunk := source.read(CHUNK):
            size += len(chunk)
            if size > budget:
                raise ValueError(f"{archive}: expands more than {MAX_RATIO} times or beyond 2 GiB; refused as unsafe")
            sink.write(chunk)
    return size


def _fetch(url: str, target: Path, *, max_bytes: int) -> str:
    """Stream `url` to `target` with a progress bar and return its sha256."""
    from tqdm.auto import tqdm  # here, because only a download needs it

    digest, size = hashlib.sha256(), 0
    with urllib.request.urlopen(url, timeout=30) as response, target.open("wb") as sink:
        declared = int(response.headers.get("Content-Length") or 0)
        with tqdm(total=declared or None, unit="B", unit_scale=True, desc=url.rsplit("/", 1)[-1]) as bar:
            while chunk := response.read(CHUNK):
                size += len(chunk)
                if max(size, declared) > max_bytes:
                    raise ValueError(f"{url}: larger than the {max_bytes:,} bytes expected at most; nothing was kept")
                digest.update(chunk)
                sink.write(chunk)
                bar.update(len(chunk))
    if size < declared:
        raise ValueError(f"{url}: cut off after {size:,} of {declared:,} bytes; nothing was kept; try again")
    return digest.hexdigest()
