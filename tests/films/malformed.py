"""A table of clips that are none, made by mutation."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from pathlib import Path

from films.clip_samples import make_clip, make_sound

TEXTS = {
    "text": b"this is a letter\n" * 40,
    "one-letter": b"a",
    "zeros": bytes(5000),
    "playlist": b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nwhole.mp4\n#EXT-X-ENDLIST\n",
    "list": b"ffconcat version 1.0\nfile whole.mp4\n",
    "session": b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=video 1 RTP/AVP 96\n",
    "page": b"<!DOCTYPE html><html><body>Sign in to download</body></html>" * 9,
    "manifest": b'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"></MPD>',
    "json": b'{"frames": []}',
    "subtitles": b"1\n00:00:00,000 --> 00:00:01,000\nHello\n",
    "picture": b"\x89PNG\r\n\x1a\n" + bytes(600),
    "zip": b"PK\x03\x04" + bytes(900),
    "program": b"\x7fELF\x02\x01\x01" + bytes(900),
    "begin-of-mp4": b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom",
    "begin-of-webm": b"\x1aE\xdf\xa3\x9fB\x86\x81\x01B\xf7\x81\x01",
    "begin-of-avi": b"RIFF\xff\xff\xff\xffAVI LIST",
    "begin-of-gif": b"GIF89a\x10\x00\x10\x00\x80\x00\x00",
    "wide-gif": b"GIF89a\xff\xff\xff\xff\x80\x00\x00" + bytes(40),
    "huge-gif": b"GIF89a"
    + struct.pack("<HH", 20000, 20000)
    + b"\xf0\0\0"
    + bytes(6)
    + b",\0\0\0\0"
    + struct.pack("<HH", 20000, 20000)
    + b"\0\x02\x02\x44\x01\0;",
    "endless-box": b"\x00\x00\x00\x01ftyp" + b"\xff" * 8 + bytes(100),
    "nested-boxes": b"".join(b"\x00\x00\xff\xffmoov" for _ in range(400)),
}


def hopeless(folder: Path) -> Iterator[tuple[str, Path]]:
    """Files that no film can be got from."""

    def put(name: str, data: bytes, suffix: str = ".mp4") -> tuple[str, Path]:
        path = folder / f"{name}{suffix}"
        path.write_bytes(data)
        return name, path

    for name, data in TEXTS.items():
        yield put(name, data)
    yield put("empty", b"")
    (folder / "folder.mp4").mkdir()
    yield "folder", folder / "folder.mp4"
    yield "missing", folder / "missing.mp4"
    yield "beside-a-file", folder / "text.mp4" / "a.mp4"
    yield "address", Path("https://example.org/a.mp4")
    yield "null", folder / "a\0b.mp4"
    yield "long-name", folder / ("a" * 4000 + ".mp4")
    for suffix, codec in ((".mp4", "aac"), (".wav", "pcm_s16le"), (".webm", "libopus")):
        yield f"sound{suffix}", make_sound(folder / f"sound{suffix}", codec, 0.3)
    for suffix, data in wholes(folder).items():
        if suffix == ".gif":
            continue  # which tells no length: what is there is the film
        for share in (0.02, 0.1, 0.2, 0.3, 0.6):
            yield put(f"cut-{share}{suffix}", data[: int(len(data) * share)], suffix)
        for name, changed in {
            "no-begin": data[40:],
            "backwards": data[::-1],
            "upper-case": data.upper(),
            "zero-head": bytes(200) + data[200:],
            "text-mode": data.decode("latin-1").encode("utf-8"),
        }.items():
            yield put(f"{name}{suffix}", changed, suffix)


def dubious(folder: Path, tries: int = 12) -> Iterator[tuple[str, Path]]:
    """Files with damage inside, of which something may be got."""
    rng = random.Random(5)
    for suffix, data in wholes(folder).items():
        for number in range(tries):
            changed = bytearray(data)
            begin = rng.randrange(len(data))
            if number % 3 == 0:
                changed[begin : begin + 64] = rng.randbytes(64)
            elif number % 3 == 1:
                del changed[begin : begin + rng.randrange(1, 300)]
            else:
                for _ in range(20):
                    changed[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
            path = folder / f"dubious-{number}{suffix}"
            path.write_bytes(changed)
            yield path.name, path


def wholes(folder: Path) -> dict[str, bytes]:
    """Suffix -> a sound film."""
    kinds = {
        ".mp4": ("libx264", "yuv420p", "aac"),
        ".webm": ("libvpx-vp9", "yuv420p", "libopus"),
        ".avi": ("mpeg4", "yuv420p", ""),
        ".gif": ("gif", "rgb8", ""),
    }
    return {
        suffix: make_clip(
            folder / f"whole{suffix}", 12, codec=codec, pix_fmt=shape, sound=sound
        ).read_bytes()
        for suffix, (codec, shape, sound) in kinds.items()
    }
