"""What ends `serve`."""


class ServeError(Exception):
    """Something failed: one line that says what to do next. Exit code 3."""


class TargetError(ServeError):
    """What was asked for is no model, or no engine that is here. Exit code 2."""


class StopRequestedError(Exception):
    """Ctrl-C or SIGTERM."""
