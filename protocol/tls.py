"""TLS to a model server: whom to believe, which name to expect, and how to show who we are.

Files are read once, when they are loaded: a program is started again to use others.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self


@dataclass(frozen=True, slots=True)
class Tls:
    """What a client of a model server needs beside its address, for either protocol."""

    context: ssl.SSLContext
    """For REST: all of the below but the name."""
    ca: bytes | None
    """PEM for gRPC; None: the authorities that come with it."""
    certificate: bytes | None
    key: bytes | None
    server_name: str
    """The name that the certificate must have; "": the host of the address."""

    @classmethod
    def load(
        cls,
        ca_file: Path | None = None,
        certificate_file: Path | None = None,
        key_file: Path | None = None,
        *,
        server_name: str = "",
    ) -> Self:
        """Read PEM files.

        Args:
            ca_file: who signs model servers' certificates; None: public authorities (REST: the
                system's, gRPC: its own list).
            certificate_file: our certificate, then those between it and its authority.
            key_file: its key, not encrypted; None: it is in the same file.
            server_name: see the field.

        Raises:
            ValueError: which file cannot be used, and why.
        """
        context = (
            ssl.create_default_context()
            if ca_file is None
            else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        )
        ca, certificate = _content(ca_file), _content(certificate_file)
        key = _content(key_file or certificate_file)
        if ca_file is not None:
            with _naming(ca_file):
                context.load_verify_locations(ca_file)
        if certificate_file is not None:
            with _naming(key_file or certificate_file):
                # Without a password OpenSSL would ask for one on the terminal, and wait.
                context.load_cert_chain(certificate_file, key_file, password=b"")
        return cls(context, ca, certificate, key, server_name)

    def naming(self, name: str) -> Self:
        """The same, expecting a name where none was expected."""
        return replace(self, server_name=self.server_name or name)


def _content(path: Path | None) -> bytes | None:
    if path is None:
        return None
    with _naming(path):
        return path.read_bytes()


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Errors of a file, with its name."""
    try:
        yield
    except OSError as error:  # SSLError too
        reason = getattr(error, "reason", None) or error.strerror or "no PEM file of that kind"
        raise ValueError(f"{path}: {reason}") from error
