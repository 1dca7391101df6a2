"""The bodies that the classify routes read, for the OpenAPI document: `uploads` reads them."""

from __future__ import annotations

from typing import Any, Final

_BINARY: Final = {"type": "string", "format": "binary"}
_BASE64: Final = {
    "type": "string",
    "format": "byte",
    "description": "The file's bytes in base64 (RFC 4648, section 4).",
}

COMPONENTS: Final[dict[str, Any]] = {
    "ImageForm": {
        "type": "object",
        "required": ["file"],
        "properties": {"file": _BINARY},
    },
    "ImagesForm": {
        "type": "object",
        "required": ["files"],
        "properties": {"files": {"type": "array", "minItems": 1, "items": _BINARY}},
    },
    "Base64Image": {
        "type": "object",
        "required": ["b64"],
        "additionalProperties": False,
        "properties": {"b64": _BASE64},
    },
    "NamedBase64Image": {
        "type": "object",
        "required": ["b64"],
        "additionalProperties": False,
        "properties": {
            "b64": _BASE64,
            "name": {"type": "string", "description": "Comes back as `file`."},
        },
    },
    "ImageJson": {
        "type": "object",
        "required": ["image"],
        "additionalProperties": False,
        "properties": {"image": {"$ref": "#/components/schemas/Base64Image"}},
    },
    "ImagesJson": {
        "type": "object",
        "required": ["images"],
        "additionalProperties": False,
        "properties": {
            "images": {
                "type": "array",
                "minItems": 1,
                "items": {"$ref": "#/components/schemas/NamedBase64Image"},
            }
        },
    },
}
"""Schemas of the document beside those that FastAPI makes."""


_PIXEL: Final = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4//8/AAX+Av4N70a4AAAAAElFTkSuQmCC"
)
"""A PNG of one white pixel."""


def _body(**content: Any) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": content}}


def _schema(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


ONE_IMAGE: Final = _body(
    **{
        "multipart/form-data": {"schema": _schema("ImageForm")},
        "application/json": {
            "schema": _schema("ImageJson"),
            "example": {"image": {"b64": _PIXEL}},
        },
        "application/octet-stream": {"schema": _BINARY},
        "image/*": {"schema": _BINARY},
    }
)
IMAGES: Final = _body(
    **{
        "multipart/form-data": {"schema": _schema("ImagesForm")},
        "application/json": {
            "schema": _schema("ImagesJson"),
            "example": {"images": [{"b64": _PIXEL, "name": "white.png"}]},
        },
    }
)
