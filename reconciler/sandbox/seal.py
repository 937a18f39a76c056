"""The seal of a snapshot: a digest of its bytes, kept in it, so that half of one is known for what it is.

SQLite finds most damage, but not what is left of an older snapshot in the same place.
"""

import hashlib
import sqlite3
from pathlib import Path

_NAME = "seal"
#: Stands in the place of the digest while that is computed.
_OPEN = b"sha256:" + b"-" * 64
#: Where SQLite's header says how large a page is, how the file is written, and how many pages it has; an image in
#: memory cannot be one with a write-ahead log, and a sandbox's file always is once it has been opened.
_PAGE_SIZE, _VERSIONS, _PAGES = slice(16, 18), slice(18, 20), slice(28, 32)
_NO_LOG = b"\x01\x01"


def sealed(connection: sqlite3.Connection) -> bytes:
    """Return the sealed image of a database in memory, which must have a table ``counter``."""
    connection.execute("INSERT INTO counter VALUES (?, ?)", (_NAME, _OPEN.decode()))
    connection.commit()
    image = bytearray(connection.serialize())
    image[_VERSIONS] = _NO_LOG
    return bytes(image.replace(_OPEN, _digest(image)))


def unopened(path: str) -> bytes:
    """Return the image in a file that no sandbox has opened yet; nothing if that is something else, or is empty."""
    file = Path(path)
    if not file.is_file():
        return b""
    with file.open("rb") as opened:
        head = opened.read(_VERSIONS.stop)
        return head + opened.read() if head[_VERSIONS] == _NO_LOG else b""


def check_size(image: bytes) -> None:
    """Refuse an image that is not as long as it says, with sqlite3.DatabaseError."""
    page = int.from_bytes(image[_PAGE_SIZE])
    if len(image) != int.from_bytes(image[_PAGES]) * (page if page > 1 else 1 << 16):
        raise sqlite3.DatabaseError("it is not whole: its end is missing")


def unseal(connection: sqlite3.Connection, image: bytes) -> None:
    """Take the seal off a database with an image; sqlite3.DatabaseError if they are not, whole, what was sealed.

    One without a seal, as a database that has been in use since, is only looked at for damage.
    """
    connection.execute("BEGIN IMMEDIATE")
    found = connection.execute("DELETE FROM counter WHERE name = ? RETURNING value", (_NAME,)).fetchone()
    if found is None:
        [(state,)] = connection.execute("PRAGMA integrity_check(1)").fetchall()
        if state != "ok":
            raise sqlite3.DatabaseError(f"it is damaged: {state}")
    elif (seal := str(found[0]).encode()) != _digest(image.replace(seal, _OPEN)):
        raise sqlite3.DatabaseError("it is not whole: a part of it is missing, damaged or of another snapshot")
    connection.commit()


def _digest(image: bytes | bytearray) -> bytes:
    return b"sha256:" + hashlib.sha256(image).hexdigest().encode()
