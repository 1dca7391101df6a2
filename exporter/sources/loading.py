"""How a source comes to whoever builds from it: as a call that can be sent to another process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from exporter.progress import Reporter

if TYPE_CHECKING:
    from exporter.sources.network import Network  # would bring TensorFlow


class Load(Protocol):
    """Gives the source; called once. Picklable where the build runs in a process of its own."""

    def __call__(self, report: Reporter, /) -> Network:
        """Load it, telling the reporter about downloads and notes.

        Raises:
            ExporterError: it cannot be loaded, or is no image classifier.
        """
        ...
