import io
import tarfile

import pytest

from twodasl_jax.user_files.tar_file import read_members

EXPECTED = "expected pictures"


def write(path, members, **options):
    with tarfile.open(path, "w", **options) as archive:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def read(path, *names):
    return read_members(path, names, largest=1000, expected=EXPECTED)


def test_the_named_files_are_read_and_the_last_of_two_counts(tmp_path):
    path = write(tmp_path / "x.tar", [("a", b"old"), ("b", b"2"), ("a", b"new"), ("c", b"3")])
    assert read(path, "a", "c", "absent") == {"a": b"new", "c": b"3"}


def test_links_and_devices_are_no_pictures(tmp_path):
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE):
            member = tarfile.TarInfo("a")
            member.type, member.linkname = kind, "/etc/passwd"
            archive.addfile(member)
    assert read(tmp_path / "x.tar", "a") == {}


def test_what_is_too_large_is_not_read(tmp_path):
    path = write(tmp_path / "x.tar", [("a", bytes(1001))])
    with pytest.raises(ValueError, match=r"x\.tar is damaged \(a has 1,001 bytes\)"):
        read(path, "a")
    assert read(path, "b") == {}
    content = bytearray(write(tmp_path / "x.tar", [("a", b"1")]).read_bytes())
    content[124:136] = b"77777777777\0"  # 8 GB, with its checksum
    content[148:156] = b" " * 8
    content[148:156] = b"%06o\0 " % sum(content[:512])
    path.write_bytes(content)
    with pytest.raises(ValueError, match="a has 8,589,934,591 bytes"):
        read(path, "a")


def test_another_kind_of_archive_is_told(tmp_path):
    with tarfile.open(tmp_path / "x.tar", "w:gz") as archive:
        archive.addfile(tarfile.TarInfo("a"))
    with pytest.raises(ValueError, match=r"x\.tar is damaged \(it is a gzip archive\)"):
        read(tmp_path / "x.tar", "a")
