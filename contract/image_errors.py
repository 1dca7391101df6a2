"""Why an image is not decoded, in words that are fit for a client."""


class ImageError(ValueError):
    """The bytes are no image that we can or will decode. The message is fit for a client.

    ImageError
    ├── UnsupportedImageFormatError   not an image, or a format that is not on the allow-list
    ├── ImageTooLargeError            more pixels or a longer side than the limits allow
    └── CorruptImageError             the right format, but truncated or damaged
    """


class UnsupportedImageFormatError(ImageError):
    """The bytes are not an image of an allowed format."""


class ImageTooLargeError(ImageError):
    """The header announces more pixels than the limits allow."""


class CorruptImageError(ImageError):
    """The header is right but the pixels cannot be decoded."""
