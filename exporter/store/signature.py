"""`model.sig`: who vouches for a version's files, by OpenSSF model signing with a key of one's own.

A Sigstore bundle over the SHA-256 of every file, `MANIFEST.json` among them. Signing and verifying
by key ask nobody over the network. The library comes with the extra `sign`.
"""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any

from exporter.errors import FailedError, RefusedError, UsageError, first_line
from exporter.store import manifest

_STEP = "signature"


def sign(version: Path, private_key: Path) -> Path:
    """Write the signature beside a version's files; one that is there is replaced.

    Raises:
        UsageError: no such key, or not an elliptic curve's in PEM without a password.
        RefusedError: the files are not as they were published.
        FailedError: the library is not there, or the file cannot be written.
    """
    library = _library()
    _require_key(private_key)
    if (version / manifest.FILE).is_file() and (changes := manifest.differences(version)):
        raise RefusedError(
            f"{version} is not as it was published: {'; '.join(changes)}", step="manifest"
        )
    target = version / manifest.SIGNATURE_FILE
    staged = version.parent / f".signing-{os.getpid()}-{version.name}"
    try:
        signer = library.signing.Config().use_elliptic_key_signer(private_key=private_key)
        signer.set_hashing_config(_hashing(library, version)).sign(version, staged)
        staged.replace(target)
    except (ValueError, TypeError, AttributeError) as error:
        raise UsageError(
            f"{private_key} does not sign: {first_line(error)}; it takes an elliptic curve's key "
            "in PEM without a password (openssl ecparam -name prime256v1 -genkey -noout)"
        ) from error
    finally:
        staged.unlink(missing_ok=True)
    return target


def verify_signature(version: Path, public_key: Path) -> None:
    """Hold a version's files against its signature.

    Raises:
        UsageError: no such key.
        RefusedError: there is no signature, it is another key's, or the files have changed.
        FailedError: the library is not there.
    """
    library = _library()
    _require_key(public_key)
    signature = version / manifest.SIGNATURE_FILE
    if not signature.is_file():
        raise RefusedError(f"{version} is not signed: there is no {signature.name}", step=_STEP)
    try:
        verifier = library.verifying.Config().use_elliptic_key_verifier(public_key=public_key)
        verifier.set_hashing_config(_hashing(library, version)).verify(version, signature)
    except Exception as error:  # the library raises what its parts raise
        raise RefusedError(f"{version}: {_reason(error)}", step=_STEP) from error


def require_usable(key: Path) -> None:
    """Refuse what cannot sign before any work is done.

    Raises:
        UsageError: there is no such key.
        FailedError: the library is not there.
    """
    _library()
    _require_key(key)


def _require_key(path: Path) -> None:
    if not path.is_file():
        raise UsageError(f"there is no key {path}")


def _library() -> Any:
    try:
        return importlib.import_module("model_signing")  # an extra, and half a second
    except ImportError as error:
        raise FailedError(
            f"signatures need the extra sign ({first_line(error)}): "
            "pip install model-signing pyopenssl"
        ) from error


def _hashing(library: Any, version: Path) -> Any:
    """Every file but those that come later, which the manifest leaves out too."""
    later = [version / manifest.SIGNATURE_FILE, version / manifest.REPUBLISHED_FILE]
    return library.hashing.Config().set_ignored_paths(paths=later, ignore_git_paths=False)


def _reason(error: Exception) -> str:
    text = first_line(error)
    if "Key mismatch" in text:
        return "the signature is another key's"
    if "mismatch" in text.lower():
        return f"changed since it was signed ({text[:300]})"
    return f"the signature does not hold ({text[:300]})"
