"""Everything a show is steered by: the desk, its OSC port, OSCQuery, the announcement, and who runs errands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, ClassVar

from server.control import Control
from server.desk import SWITCH, Desk
from server.discovery import Announcement
from server.keys import read_token
from server.osc_query import OscQuery, host_info
from server.preset_control import Control as Settings


class Steering:
    """Opens what `settings` ask for; `name` is how others see the show, `metrics` what `/metrics` says.

    Raises OSError and ValueError in words.
    """

    NONE: ClassVar[dict[str, Any]] = {  # the figures of a show that nobody steers
        "control": None,
        "oscquery": None,
        "control_counts": {},
        "discovery_fault": "",
        "cue": "",
        "preset": "",
        "cues": [],
        "models": {},
        "commands": {},
    }

    def __init__(
        self, settings: Settings, desk: Desk, name: str, metrics: Callable[[], tuple[str, bytes]] | None = None
    ) -> None:
        self.desk = desk
        self.query: OscQuery | None = None
        self.announcement: Announcement | None = None
        try:
            self.token = "" if settings.token is None else read_token(settings.token)
        except ValueError as error:
            raise ValueError(f"control.token: {error}") from None
        self.control = Control(settings, desk, token=self.token)
        ports = {"_osc._udp": self.control.port}
        if settings.query_port is not None:
            try:
                info = host_info(name, self.control.host, self.control.port)
                self.query = OscQuery(settings.host, settings.query_port, desk, info, settings.allow, metrics)
            except OSError:
                self.control.close()
                raise
            ports = {"_oscjson._tcp": self.query.port, **ports}
        if settings.announced:
            self.announcement = Announcement(name, self.control.host, ports)

    def start(self) -> None:
        self.desk.errands.start()
        self.control.start()
        if self.query is not None:
            self.query.start()
        if self.announcement is not None:
            self.announcement.start()

    def close(self) -> None:
        """Safe before `start`."""
        for part in (self.announcement, self.query, self.control, self.desk.errands):
            if part is not None:
                part.close()

    def describe(self) -> str:
        """For people: where it listens."""
        control, query = self.control, self.query
        found = f", OSCQuery on http://{query.host}:{query.port}" if query is not None else ""
        announced = ", announced by mDNS" if self.announcement is not None else ""
        return f"OSC on {control.host}:{control.port}{found}{announced}"

    def figures(self) -> dict[str, Any]:
        """For the stats message."""
        counts = dict(self.control.counts + (self.query.counts if self.query is not None else Counter()))
        fault = self.announcement.fault if self.announcement is not None else ""
        counts |= {"command_faults": self.desk.errands.faults} if self.desk.errands.faults else {}
        counts |= {"discovery_faults": 1} if fault else {}
        switch = self.desk.commands.get(SWITCH)
        return {
            "control": f"{self.control.host}:{self.control.port}",
            "oscquery": f"{self.query.host}:{self.query.port}" if self.query is not None else None,
            "control_counts": counts,
            "discovery_fault": fault,
            "cue": self.desk.cues.title(self.desk.cues.position) if self.desk.cues.cues else "",
            "preset": switch.value() if switch is not None and switch.value is not None else "",
            **self.desk.figures(),
        }
