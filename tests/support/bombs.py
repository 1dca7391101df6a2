"""Images that attack: what each costs, what it must be answered, and how soon.

Nothing large is stored: every bomb is made when somebody asks for it. A status may be one of
several where the file is damaged as well as large, or where a faster machine finishes in time;
`seconds` is the worst answer time with the default settings on a machine that is not busy.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from tests.support.forged import jpeg, others, png
from tests.support.pictures import png_bomb

OK, TOO_LARGE, INVALID = 200, 413, 422
_LIMIT_BYTES = 19_900_000
"""Just below the largest body that a gateway takes by default."""


@dataclass(frozen=True)
class Bomb:
    """One hostile file."""

    name: str
    make: Callable[[], bytes]
    statuses: frozenset[int]
    """Any of these is right."""
    seconds: float

    def __str__(self) -> str:
        return self.name


def _bomb(name: str, make: Callable[[], bytes], *statuses: int, seconds: float = 3.0) -> Bomb:
    return Bomb(name, make, frozenset(statuses), seconds)


_KILLED_SECONDS = 8.0
"""The time limit of a decode (5 s), upload and what a busy machine adds."""


def _killable(name: str, make: Callable[[], bytes]) -> Bomb:
    """It needs seconds of CPU: refused at the time limit, unless it is seen through before."""
    return _bomb(name, make, OK, TOO_LARGE, INVALID, seconds=_KILLED_SECONDS)


def _filled(unit: bytes) -> bytes:
    return unit * (_LIMIT_BYTES // len(unit))


_WEBP = (
    _bomb("webp-38-bytes", lambda: others.webp_flat(16_000, 4_000), TOO_LARGE),
    _bomb("webp-lossless-64mp", lambda: others.webp_flat(8_000, 8_000), TOO_LARGE),
    _bomb("webp-lossless-long", lambda: others.webp_flat(16_383, 3_900), TOO_LARGE),
    _bomb("webp-lossless-268mp", lambda: others.webp_flat(16_384, 16_384), TOO_LARGE),
    _bomb("webp-lossless-16mp", lambda: others.webp_flat(4_000, 4_000), OK, INVALID),
    _bomb("webp-lossy-64mp", lambda: others.webp_lossy(8_000, 8_000), TOO_LARGE),
    _bomb("webp-lossy-12mp", lambda: others.webp_lossy(4_000, 3_000), OK, INVALID),
    _bomb("webp-canvas-64mp", lambda: others.webp_canvas(8_000, 8_000), TOO_LARGE, INVALID),
    _bomb("webp-canvas-2-48", lambda: others.webp_canvas(1 << 24, 1 << 24), TOO_LARGE, INVALID),
    _bomb("webp-animation-64mp", lambda: others.webp_animation(8_000, 8_000, 3), TOO_LARGE),
    _bomb("webp-380k-frames", lambda: others.webp_animation(8, 8, 380_000), OK, INVALID),
    _bomb("webp-cut", lambda: others.webp_flat(16_000, 4_000)[:30], TOO_LARGE, INVALID),
)

_PNG = (
    _bomb("png-400mp", png_bomb, TOO_LARGE),
    _bomb("png-rgba-64mp", lambda: png.flat(8_000, 8_000, png.RGBA), TOO_LARGE),
    _bomb("png-rgba-announced", lambda: png.announced(8_000, 8_000, png.RGBA), TOO_LARGE),
    _bomb("png-grey16-64mp", lambda: png.announced(8_000, 8_000, png.GREY, depth=16), TOO_LARGE),
    _bomb(
        "png-palette-transparent-64mp",
        lambda: png.announced(8_000, 8_000, png.PALETTE, extra=png.chunk(b"tRNS", b"\0\x80")),
        TOO_LARGE,
    ),
    _bomb(
        "png-rgb-transparent-64mp",
        lambda: png.announced(8_000, 8_000, png.RGB, extra=png.chunk(b"tRNS", bytes(6))),
        TOO_LARGE,
    ),
    _bomb(
        "png-interlaced-rgba",
        lambda: png.announced(8_000, 8_000, png.RGBA, is_interlaced=True),
        TOO_LARGE,
    ),
    _bomb(
        "png-rgb16-64mp", lambda: png.announced(8_000, 8_000, png.RGB, depth=16), TOO_LARGE, INVALID
    ),
    _bomb("png-rgb-64mp", lambda: png.flat(8_000, 8_000, png.RGB), OK, TOO_LARGE, seconds=6.0),
    _bomb("png-grey-64mp", lambda: png.flat(8_000, 8_000, png.GREY), OK, TOO_LARGE, seconds=6.0),
    _bomb("png-bilevel-60mp", lambda: png.flat(30_000, 2_000, png.GREY, depth=1), OK, seconds=6.0),
    _bomb("png-2-62-pixels", lambda: png.announced(2**31 - 1, 2**31 - 1, png.RGB), TOO_LARGE),
    _bomb("png-one-row", lambda: png.announced(2_000_000, 1, png.RGB), TOO_LARGE),
    _bomb("png-no-pixels", lambda: png.announced(0, 0, png.RGB), INVALID),
    _bomb("png-ztxt-64mb", lambda: png.with_chunks(png.text_bomb(b"zTXt", 64_000_000)), INVALID),
    _bomb("png-itxt-64mb", lambda: png.with_chunks(png.text_bomb(b"iTXt", 64_000_000)), INVALID),
    _bomb(
        "png-profile-64mb", lambda: png.with_chunks(png.text_bomb(b"iCCP", 64_000_000)), INVALID, OK
    ),
    _killable(
        "png-60-texts-of-1mb", lambda: png.with_chunks(png.text_bomb(b"zTXt", 1_000_000) * 60)
    ),
    _killable("png-million-chunks", lambda: png.with_chunks(_filled(png.chunk(b"tEXt", b"k\0")))),
    _killable("png-million-unknown", lambda: png.with_chunks(_filled(png.chunk(b"abCd")))),
    _killable(
        "png-million-empty-data",
        lambda: png.with_chunks(b"", inside=_filled(png.chunk(b"IDAT"))),
    ),
    _bomb("png-excess-data", lambda: png.excess(200_000_000), OK, INVALID),
    _bomb("png-animation", lambda: png.animation(20_000), OK, INVALID),
    _bomb("png-cut", lambda: png.flat(4_000, 4_000, png.RGB)[:500], INVALID),
)

_JPEG = (
    _killable("jpeg-progressive-20mb-of-scans", lambda: jpeg.many_scans(2_000, 2_000, 1_900_000)),
    _killable("jpeg-progressive-319kb-of-scans", lambda: jpeg.many_scans(2_000, 2_000, 31_900)),
    _killable("jpeg-90-scans-of-64mp", lambda: jpeg.many_scans(8_000, 8_000, 90, data=bytes(600))),
    _bomb(
        "jpeg-progressive-64mp",
        lambda: jpeg.announced(8_000, 8_000, marker=jpeg.PROGRESSIVE),
        OK,
        TOO_LARGE,
    ),
    _bomb("jpeg-separate-scans-64mp", lambda: jpeg.separate_scans(8_000, 8_000), OK, TOO_LARGE),
    _bomb("jpeg-65500-square", lambda: jpeg.announced(65_500, 65_500), TOO_LARGE),
    _bomb("jpeg-one-row", lambda: jpeg.announced(65_500, 1), TOO_LARGE),
    _bomb(
        "jpeg-no-sampling",
        lambda: jpeg.announced(512, 7_936, marker=jpeg.PROGRESSIVE, sampling="0"),
        INVALID,
    ),
    _bomb("jpeg-no-height", lambda: jpeg.announced(100, 0), INVALID),
    _bomb("jpeg-64mp", lambda: jpeg.announced(8_000, 8_000), OK, INVALID),
    _bomb("jpeg-cmyk-64mp", lambda: jpeg.announced(8_000, 8_000, sampling="4444"), OK, INVALID),
    _bomb(
        "jpeg-arithmetic",
        lambda: jpeg.announced(8_000, 8_000, marker=jpeg.ARITHMETIC),
        INVALID,
        OK,
        TOO_LARGE,
        seconds=_KILLED_SECONDS,
    ),
    _bomb(
        "jpeg-lossless",
        lambda: jpeg.announced(8_000, 8_000, marker=jpeg.LOSSLESS),
        INVALID,
        TOO_LARGE,
    ),
    _bomb("jpeg-12-bit", lambda: jpeg.announced(8_000, 8_000, bits=12), INVALID),
    _killable("jpeg-20mb-of-padding", lambda: jpeg.with_segments(_filled(b"\xff"))),
    _killable("jpeg-20mb-of-junk", lambda: jpeg.with_segments(_filled(b"\0"))),
    _killable("jpeg-5m-comments", lambda: jpeg.with_segments(_filled(jpeg.segment(0xFE)))),
    _killable("jpeg-5m-applications", lambda: jpeg.with_segments(_filled(jpeg.segment(0xE5)))),
    _killable(
        "jpeg-2m-exif-blocks", lambda: jpeg.with_segments(_filled(jpeg.segment(0xE1, b"Exif\0\0")))
    ),
    _killable(
        "jpeg-20mb-of-exif",
        lambda: jpeg.with_segments(_filled(jpeg.segment(0xE1, b"Exif\0\0" + bytes(60_000)))),
    ),
    _killable(
        "jpeg-20mb-of-profile",
        lambda: jpeg.with_segments(_filled(jpeg.segment(0xE2, b"ICC_PROFILE\0\1\1" + bytes(99)))),
    ),
    _killable(
        "jpeg-photoshop-blocks",
        lambda: jpeg.with_segments(
            _filled(jpeg.segment(0xED, b"Photoshop 3.0\0" + b"8BIM\4\4\0\0\0\0\0\0" * 5_000))
        ),
    ),
    _killable(
        "jpeg-300k-quantization-tables",
        lambda: jpeg.with_segments(_filled(jpeg.segment(0xDB, b"\0" + b"\1" * 64))),
    ),
    _killable("jpeg-20mb-of-restarts", lambda: jpeg.with_tail(_filled(b"\xff\xd0"))),
    _bomb("jpeg-exif-bomb", jpeg.exif_bomb, OK, INVALID),
    _bomb("jpeg-multi-picture", lambda: jpeg.multi_picture(4_000), OK, INVALID),
    _bomb("jpeg-cut", lambda: jpeg.photo(400)[:2_000], INVALID),
)

_BMP_AND_GIF = (
    _killable(
        "bmp-rle-no-moves",
        lambda: others.bmp(8_000, 8_000, 8, _filled(b"\0\2\0\0"), compression=1),
    ),
    _killable(
        "bmp-rle-line-ends", lambda: others.bmp(8_000, 8_000, 8, _filled(b"\0\0"), compression=1)
    ),
    _killable("bmp-rle-ones", lambda: others.bmp(8_000, 8_000, 8, _filled(b"\1\0"), compression=1)),
    _killable("bmp-rle4", lambda: others.bmp(8_000, 8_000, 4, _filled(b"\xff\0"), compression=2)),
    _bomb("bmp-64mp", lambda: others.bmp(8_000, 8_000, 24, bytes(1_000)), INVALID, TOO_LARGE),
    _bomb("bmp-side", lambda: others.bmp(2**31 - 1, 1, 24, b""), TOO_LARGE),
    _bomb("bmp-colors", lambda: others.bmp(8, 8, 8, bytes(64), colors=2**31), INVALID),
    _bomb("gif-canvas-4-gp", lambda: others.gif(65_535, 65_535), TOO_LARGE),
    _bomb("gif-canvas-64mp", lambda: others.gif(8_000, 8_000), OK, TOO_LARGE, INVALID),
    _bomb(
        "gif-frame-64mp",
        lambda: others.gif_frame(8_000, 8_000, b"\x02\x44\x01"),
        OK,
        TOO_LARGE,
        INVALID,
    ),
    _bomb("gif-million-frames", lambda: others.gif(8, 8, frames=1_200_000), OK, INVALID),
    _killable("gif-comment", lambda: others.gif(8, 8, before=others.gif_comment(9_900_000))),
    _killable(
        "gif-clear-codes",
        lambda: others.gif_frame(8_000, 8_000, _filled(b"\xff" + b"\x24\x49\x92" * 85)),
    ),
)

_DISGUISED = (
    _bomb("tiff", lambda: b"II*\0\x08\0\0\0" + bytes(100), INVALID),
    _bomb("avif", lambda: b"\0\0\0\x1cftypavif" + bytes(100), INVALID),
    _bomb("svg", lambda: b"<svg xmlns='http://www.w3.org/2000/svg'/>", INVALID),
    _bomb("zip", lambda: b"PK\3\4" + bytes(100), INVALID),
    _bomb("icon", lambda: b"\0\0\1\0\1\0" + bytes(100), INVALID),
    _bomb("photoshop", lambda: b"8BPS\0\1" + bytes(100), INVALID),
    _bomb("postscript", lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n" + bytes(100), INVALID),
    _bomb("noise-20mb", lambda: random.Random(9).randbytes(_LIMIT_BYTES), INVALID),  # noqa: S311
    _bomb("zeros-20mb", lambda: bytes(_LIMIT_BYTES), INVALID),
)

BOMBS: tuple[Bomb, ...] = (*_WEBP, *_PNG, *_JPEG, *_BMP_AND_GIF, *_DISGUISED)
BY_NAME: dict[str, Bomb] = {bomb.name: bomb for bomb in BOMBS}
