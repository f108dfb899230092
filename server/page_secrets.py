"""What the show tells its own page in secret: by its environment, for everybody can read a command line."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass

from server.keys import ClientKeys, Pair

VARIABLE = "PAS_DE_DEUX_PAGE"


@dataclass(frozen=True)
class PageSecrets:
    """keys: for a publisher that asks for some. token: that the remote control asks for; empty: it asks for none."""

    keys: ClientKeys | None = None
    token: str = ""

    def environment(self) -> dict[str, str]:
        """The environment of the page's process: ours, and this."""
        keys = self.keys
        shown = [] if keys is None else [key.decode() for key in (keys.own.public, keys.own.secret, keys.server)]
        return os.environ | {VARIABLE: json.dumps({"keys": shown, "token": self.token})}

    @classmethod
    def received(cls) -> PageSecrets:
        """In the page's process: what the show said, if one has started it; its own children do not hear it."""
        said = json.loads(os.environ.pop(VARIABLE, "{}"))
        shown = [key.encode() for key in said.get("keys", ())]
        return cls(ClientKeys(Pair(*shown[:2]), shown[2]) if shown else None, said.get("token", ""))
