"""A browser's end of a viser page, for tests: a connection that says where it looks from, and can say anything else."""

import threading

import msgspec
import viser
from websockets.sync.client import ClientConnection, connect

Place = tuple[float, float, float]


def browse(
    server: viser.ViserServer,
    width: int = 1280,
    height: int = 720,
    position: Place = (0.0, 0.0, 4.0),
    look_at: Place = (0.0, 0.0, 0.0),
) -> ClientConnection:
    """Returns when the server knows of the viewer, who looks from there through a picture of that size."""
    connected, before = threading.Event(), set(server.get_clients())
    server.on_client_connect(lambda client: None if client.client_id in before else connected.set())
    name = f"viser-v{viser.__version__}"
    browser = connect(f"ws://127.0.0.1:{server.get_port()}", subprotocols=[name], max_size=None)
    camera = {"wxyz": (1.0, 0.0, 0.0, 0.0), "position": position, "fov": 0.6, "near": 0.01, "far": 100.0}
    seen = {"image_height": height, "image_width": width, "look_at": look_at, "up_direction": (0.0, 1.0, 0.0)}
    tell(browser, {"type": "ViewerCameraMessage", **camera, **seen})
    assert connected.wait(5.0)
    return browser


def tell(browser: ClientConnection, message: dict) -> None:
    browser.send(msgspec.msgpack.encode(message))
