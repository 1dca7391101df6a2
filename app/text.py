"""Texts that people write into settings."""

from __future__ import annotations


def comma_separated(text: str) -> list[str]:
    """The parts between commas, without the spaces around them; empty ones are nothing."""
    return [part.strip() for part in text.split(",") if part.strip()]
