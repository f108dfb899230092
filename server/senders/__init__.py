"""Where poses leave. A sender owns one socket and never blocks: what cannot be sent now is counted and gone."""


class SenderError(OSError):
    """An output cannot be opened: names the endpoint and what to do."""
