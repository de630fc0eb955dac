"""Downloads: checked, limited, safely unpacked, and in place only when whole."""

import hashlib
import io
import stat
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from workbench.catalogs.downloads import download_archive, unpack


def zip_of(files: dict[str, bytes]) -> bytes:
    """Return a zip archive of these files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.fixture
def publish():
    """Serve bytes on 127.0.0.1, cut off after so many of them, and return their address."""
    servers = []

    def serve(content: bytes, *, sent: int | None = None) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content[:sent])

            def log_message(self, *arguments):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/archive.zip"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def fetch(url: str, folder, content: bytes, **changes):
    """Download with the checksum of `content`."""
    digest = hashlib.sha256(content).hexdigest()
    return download_archive(url, folder, **{"sha256": digest, "max_bytes": 1 << 20, "licence": "CC0", **changes})


def test_a_download_is_unpacked_without_its_top_folder_and_shows_its_licence(publish, tmp_path, capsys):
    content = zip_of({"set/u.data": b"1", "set/more/u.item": b"2"})
    folder = fetch(publish(content), tmp_path / "cache" / "set", content)
    assert (folder / "u.data").read_bytes() == b"1" and (folder / "more" / "u.item").read_bytes() == b"2"
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["set"]
    assert "Terms: CC0" in capsys.readouterr().out


def test_a_download_that_is_cut_off_leaves_nothing_behind(publish, tmp_path):
    content = zip_of({"u.data": bytes(range(256)) * 40})
    with pytest.raises(ValueError, match=f"cut off after 100 of {len(content)} bytes"):
        fetch(publish(content, sent=100), tmp_path / "set", content)
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_checksum_leaves_the_old_folder_as_it_was(publish, tmp_path):
    content = zip_of({"u.data": b"new"})
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "u.data").write_text("old")
    with pytest.raises(ValueError, match="not the file expected"):
        fetch(publish(content), tmp_path / "set", content, sha256="0" * 64)
    assert (tmp_path / "set" / "u.data").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_a_download_beyond_the_limit_is_refused(publish, tmp_path):
    content = zip_of({"u.data": b"x"})
    with pytest.raises(ValueError, match="larger than the 10 bytes"):
        fetch(publish(content), tmp_path / "set", content, max_bytes=10)
    assert list(tmp_path.iterdir()) == []


def test_an_unreachable_publisher_leaves_nothing_behind(tmp_path):
    with pytest.raises(OSError):
        fetch("http://127.0.0.1:9/archive.zip", tmp_path / "set", b"")
    assert list(tmp_path.iterdir()) == []


def test_a_zip_that_expands_a_thousandfold_is_refused_and_leaves_nothing_behind(publish, tmp_path):
    content = zip_of({"u.data": b"\0" * 20_000_000})
    assert len(content) * 900 < 20_000_000
    with pytest.raises(ValueError, match="expands more than 100 times"):
        fetch(publish(content), tmp_path / "set", content)
    assert list(tmp_path.iterdir()) == []


def test_many_members_share_one_limit(tmp_path):
    path = tmp_path / "bomb.zip"
    path.write_bytes(zip_of({f"{number}": b"\0" * 900_000 for number in range(20)}))
    with pytest.raises(ValueError, match="expands more than"):
        unpack(path, tmp_path / "content")


@pytest.mark.parametrize("name", ["../out.txt", "a/../../out.txt", "/out.txt", "..\\out.txt", "C:out.txt"])
def test_a_zip_path_that_climbs_out_is_refused_before_anything_is_written(tmp_path, name):
    path = tmp_path / "climber.zip"
    path.write_bytes(zip_of({"fine.txt": b"1", name: b"2"}))
    with pytest.raises(ValueError, match="leaves its folder"):
        unpack(path, tmp_path / "inner" / "content")
    assert [file.name for file in tmp_path.iterdir()] == ["climber.zip"]


def test_a_link_in_a_zip_is_refused(tmp_path):
    path = tmp_path / "link.zip"
    member = zipfile.ZipInfo("u.data")
    member.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member, "/etc/passwd")
    with pytest.raises(ValueError, match="holds the link"):
        unpack(path, tmp_path / "content")


def test_a_file_that_is_no_zip_is_refused(tmp_path):
    path = tmp_path / "page.zip"
    path.write_text("<html>please log in</html>")
    with pytest.raises(ValueError, match="not a zip archive"):
        unpack(path, tmp_path / "content")
