"""Text files, gzipped or not, in blocks of whole records."""

from __future__ import annotations

import codecs
import gzip
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from recsys.errors import DataError

_BLOCK = 1 << 23
_PIECE = 1 << 16
_MARK = b"\xef\xbb\xbf"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_QUOTE, _LINE_FEED, _RETURN = b'"\n\r'


def text_blocks(path: Path, encoding: str | None, delimiter: str | None = None) -> Iterator[bytes]:
    """Yield a file's text as UTF-8, cut after whole records into blocks of about 8 MiB.

    Records that are longer, or quoted in such a way that nobody knows where they end, make a block
    larger.

    A byte order mark is left out. Bytes that are no text in `encoding` stay no text: they become
    lone surrogates, or with UTF-8 stay as they are.

    Parameters
    ----------
    path
        The file; `.gz` is unpacked.
    encoding
        Its character encoding, None for UTF-8.
    delimiter
        One character that separates cells, in which line ends may be quoted; None where a line end
        always ends a record.

    Raises
    ------
    DataError
        The file is empty, cut short, damaged, or not written in `encoding`.
    """
    pieces = _unpacked(path) if path.suffix == ".gz" else _pieces(path)
    blocks = _cut(_utf8(path, pieces, encoding), delimiter)
    first = next(blocks, b"")
    if not first:
        raise DataError("is empty", file=path)
    if encoding is None and first[:2] in _UTF16:
        raise DataError("is UTF-16 text", file=path, hint="read it with --encoding utf-16")
    yield first.removeprefix(_MARK)
    yield from blocks


def _cut(pieces: Iterator[bytes], delimiter: str | None) -> Iterator[bytes]:
    """Join pieces and cut them after whole records."""
    pending, wanted = bytearray(), _BLOCK
    for piece in pieces:
        pending += piece
        if len(pending) < wanted:
            continue
        if end := _end_of_records(pending, delimiter):
            yield bytes(memoryview(pending)[:end])
            del pending[:end]
        wanted = _BLOCK if end else 2 * len(pending)
    if pending:
        yield bytes(pending)


def _end_of_records(block: bytearray, delimiter: str | None) -> int:
    """Return the length of the whole records in a block that starts with one, 0 if unknown."""
    end = block.rfind(b"\n") + 1
    if delimiter is None or block.find(b'"', 0, end) < 0:
        return end
    content = np.frombuffer(block, np.uint8, end)
    quotes = np.flatnonzero(content == _QUOTE)
    edges = [_QUOTE, _LINE_FEED, _RETURN, ord(delimiter)]
    before, after = content[quotes[::2] - 1], content[quotes[1::2] + 1]  # the last is a line feed
    if not (np.isin(before, edges).all() and np.isin(after, edges).all()):
        return 0  # a quotation mark within a cell: which of them open one is guesswork
    if len(quotes) % 2:
        lines = np.flatnonzero(content == _LINE_FEED)
        unquoted = np.searchsorted(quotes, lines) % 2 == 0
        return int(lines[unquoted].max(initial=-1)) + 1
    return end


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        while piece := stream.read(_BLOCK):
            yield piece


def _unpacked(path: Path) -> Iterator[bytes]:
    """Yield what a gzip file holds."""
    lines = 0
    try:
        with gzip.open(path) as stream:
            while piece := stream.read1(_PIECE):
                yield piece
                lines += piece.count(b"\n")
    except EOFError as error:
        raise DataError(
            f"this gzip file is cut short, it ends after row {lines}",
            file=path,
            hint="copy or download it again",
        ) from error
    except (OSError, ValueError) as error:
        raise DataError(f"is no whole gzip file ({error})", file=path) from error
    except Exception as error:  # zlib.error has no other base
        raise DataError(
            f"this gzip file is damaged ({error})", file=path, hint="copy or download it again"
        ) from error


def _utf8(path: Path, pieces: Iterator[bytes], encoding: str | None) -> Iterator[bytes]:
    """Write pieces of text in UTF-8."""
    if encoding is None:
        yield from pieces
        return
    lines, strict = 0, "16" in encoding or "32" in encoding
    try:
        b"".decode(encoding)  # names what is no encoding of text, too
        decoder = codecs.getincrementaldecoder(encoding)("strict" if strict else "surrogateescape")
        for piece in pieces:
            text = decoder.decode(piece)
            yield text.encode("utf-8", "surrogatepass")
            lines += text.count("\n")
        yield decoder.decode(b"", final=True).encode("utf-8", "surrogatepass")
    except (UnicodeError, LookupError) as error:
        raise DataError(
            f"cannot be read as {encoding} ({error})",
            file=path,
            row=lines + 1 if isinstance(error, UnicodeError) else None,
            hint="name its true encoding with --encoding",
        ) from error
