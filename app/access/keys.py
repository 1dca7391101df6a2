"""API keys: a file of their SHA-256 hashes, and the question whose key it is that somebody shows.

    # one line per key; a name may have several lines while a key is being replaced
    mobile-app:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08

A key never stands in the file, in a log line or in an error. What takes time is independent of how
much of a guess is right: a guess is hashed, found under a second hash that is keyed with this
process's own secret, and compared as a whole.
"""

from __future__ import annotations

import asyncio
import hmac
import os
import re
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import blake2b, sha256
from pathlib import Path
from typing import Final

MAX_FILE_BYTES: Final = 4_000_000
"""40,000 keys. More is no file of keys."""

POLL_SECONDS: Final = 2.0

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,63}")
"""Begins with a letter and has no colon, so that it is never an IP address: both are clients."""
_NAME_RULE: Final = (
    "a name is a letter, then at most 63 letters, digits, dots, underscores and hyphens"
)
_DIGEST: Final = re.compile(r"[0-9a-fA-F]{64}")
_KEY_PREFIX: Final = "sightserve_"
"""Secret scanners find what has a name of its own."""


class KeysError(ValueError):
    """The file cannot be used; the message is one line with the line's number, and has no hash."""


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just made. It is shown once, to a person, and never stored."""

    key: str
    line: str
    """For the file."""


def new_key(name: str) -> NewKey:
    """Make a key of 256 random bits.

    Raises:
        KeysError: the name cannot stand in the file.
    """
    if not _NAME.fullmatch(name):
        raise KeysError(f"{name!r}: {_NAME_RULE}")
    key = _KEY_PREFIX + secrets.token_urlsafe(32)
    return NewKey(key, f"{name}:{sha256(key.encode()).hexdigest()}")


class KeyRing:
    """The keys in force at one time; immutable."""

    def __init__(self, digests: Iterable[tuple[str, bytes]]) -> None:
        """Hold the SHA-256 digests of keys, each with its owner's name."""
        self._secret = secrets.token_bytes(32)
        self._entries = {self._place(digest): (name, digest) for name, digest in digests}
        self._nobody = ("", secrets.token_bytes(32))

    def __len__(self) -> int:
        return len(self._entries)

    def owner(self, key: bytes) -> str | None:
        """Whose key it is; None for nobody's."""
        digest = sha256(key).digest()
        name, wanted = self._entries.get(self._place(digest), self._nobody)
        return name if hmac.compare_digest(digest, wanted) else None

    def _place(self, digest: bytes) -> bytes:
        """Where a digest is looked up: nobody outside of this process can aim at a place."""
        return blake2b(digest, digest_size=16, key=self._secret).digest()


def parse_keys(text: str) -> KeyRing:
    """Read the file's text.

    Raises:
        KeysError: what is wrong in which line.
    """
    found: dict[bytes, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        content = line.partition("#")[0].strip()
        if not content:
            continue
        name, colon, digest = (part.strip() for part in content.partition(":"))
        if not colon or not _DIGEST.fullmatch(digest):
            raise KeysError(f"line {number}: write name:sha256, the hash as 64 hex digits")
        if not _NAME.fullmatch(name):
            raise KeysError(f"line {number}: {_NAME_RULE}")
        if found.setdefault(bytes.fromhex(digest), name) != name:
            raise KeysError(f"line {number}: the same key belongs to another name already")
    if not found:
        raise KeysError("it holds no key, and nobody could call")
    return KeyRing((name, digest) for digest, name in found.items())


@dataclass(frozen=True, slots=True)
class _Version:
    """What tells one state of a file from the next; a Kubernetes Secret changes by its link."""

    device: int
    inode: int
    modified_ns: int
    size: int


class KeysFile:
    """The keys in a file, as it is now: read once at the start, again whenever it has changed."""

    def __init__(self, path: Path) -> None:
        """Read the file.

        Raises:
            KeysError: it cannot be read or used.
        """
        self._path = path
        self._seen: _Version | None
        self._seen, self.ring = self._read()
        self.is_stale = False
        """The file has changed into something unusable, so the keys of before are in force."""

    def refresh(self) -> bool:
        """Read the file again if it changed; whether other keys are in force now. Does I/O.

        Raises:
            KeysError: it changed into something that cannot be used. The keys stay as they were;
                the same state of the file is not complained about twice.
        """
        version = self._version()
        if version == self._seen:
            return False
        self._seen, self.is_stale = version, True
        self._seen, self.ring = self._read()
        self.is_stale = False
        return True

    async def watch(
        self, tell: Callable[[KeysError | None], None], *, poll_seconds: float = POLL_SECONDS
    ) -> None:
        """Refresh for ever; tell of each change, and of each that cannot be used."""
        while True:
            await asyncio.sleep(poll_seconds)
            try:
                if await asyncio.to_thread(self.refresh):
                    tell(None)
            except KeysError as error:
                tell(error)

    def _version(self) -> _Version | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return _version_of(found)

    def _read(self) -> tuple[_Version, KeyRing]:
        try:
            with self._path.open("rb") as file:
                version = _version_of(os.fstat(file.fileno()))
                content = file.read(MAX_FILE_BYTES + 1)
        except OSError as error:
            raise KeysError(f"{self._path}: {error.strerror or 'cannot be read'}") from error
        if len(content) > MAX_FILE_BYTES:
            raise KeysError(f"{self._path}: more than {MAX_FILE_BYTES:,} bytes are no file of keys")
        try:
            return version, parse_keys(content.decode("utf-8-sig"))
        except UnicodeDecodeError as error:
            raise KeysError(f"{self._path}: not UTF-8 text") from error
        except KeysError as error:
            raise KeysError(f"{self._path}: {error}") from error


def _version_of(found: os.stat_result) -> _Version:
    return _Version(found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size)
