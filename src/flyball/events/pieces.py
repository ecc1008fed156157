"""The bytes of a stream as they come, unpacked when they are compressed."""

import zlib
from collections.abc import Iterator
from typing import BinaryIO

from flyball.core import BadInput


def read_pieces(stream: BinaryIO, size: int = 1 << 21) -> Iterator[bytes]:
    """Bytes as they come, unpacked when they are gzip. A pipe is not waited for until `size` bytes are there."""
    read = getattr(stream, "read1", stream.read)
    piece = read(size)
    if piece[:2] == b"\x1f\x8b":
        yield from _unpacked(piece, stream, size)
        return
    while piece:
        yield piece
        piece = read(size)


def _unpacked(first: bytes, stream: BinaryIO, size: int) -> Iterator[bytes]:
    """The text of one gzip member after another."""
    inflate, piece = zlib.decompressobj(wbits=31), first
    try:
        while piece:
            while piece:
                if inflate.eof:
                    inflate = zlib.decompressobj(wbits=31)
                yield inflate.decompress(piece, size)
                piece = inflate.unused_data if inflate.eof else inflate.unconsumed_tail
            piece = stream.read(size)
    except zlib.error as error:
        raise BadInput("gzip stream", "intact", str(error)) from None
    if not inflate.eof:
        raise BadInput("gzip stream", "whole", "one that was cut")
