"""One of several gateway processes: `python -m app.worker PART`, started by the supervisor."""

from __future__ import annotations

import sys

from app.gateway_process import serve, tame_libraries


def main() -> int:
    """Serve on the inherited sockets until the supervisor says stop, or SIGTERM."""
    tame_libraries()
    from app.settings.gateway import SettingsError  # noqa: PLC0415 - see `tame_libraries`
    from app.workers.member import Member  # noqa: PLC0415 - as above
    from app.workers.part import Part  # noqa: PLC0415 - as above

    part = Part.from_json(sys.argv[1])
    try:
        settings = part.settings()
    except SettingsError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - the one line the user needs
        return 2
    return serve(settings, Member(part))


if __name__ == "__main__":
    sys.exit(main())
