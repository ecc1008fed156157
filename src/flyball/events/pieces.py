"""Reads a stream in chunks of bytes, decompressed when it is gzip."""

import zlib
from collections.abc import Iterator
from typing import BinaryIO

from flyball.core import BadInput


def read_pieces(stream: BinaryIO, size: int = 1 << 21) -> Iterator[bytes]:
    """Yield chunks of bytes, decompressed when the stream is gzip. Of a pipe what is available, at most `size`
    bytes."""
    read = getattr(stream, "read1", stream.read)
    piece = read(size)
    if piece[:2] == b"\x1f\x8b":
        yield from _unpacked(piece, stream, size)
        return
    while piece:
        yield piece
        piece = read(size)


def _unpacked(first: bytes, stream: BinaryIO, size: int) -> Iterator[bytes]:
    """Yield the decompressed bytes of all gzip members in turn."""
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
