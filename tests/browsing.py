"""A browser's end of a viser page, for tests: a connection that says where it looks from, and can say anything else."""

import threading

import msgspec
import viser
from websockets.sync.client import ClientConnection, connect


def browse(server: viser.ViserServer) -> ClientConnection:
    """Returns when the server knows of the viewer."""
    connected = threading.Event()
    server.on_client_connect(lambda _: connected.set())
    name = f"viser-v{viser.__version__}"
    browser = connect(f"ws://127.0.0.1:{server.get_port()}", subprotocols=[name], max_size=None)
    zero, up = (0.0, 0.0, 0.0), (0.0, 1.0, 0.0)
    camera = {"wxyz": (1.0, 0.0, 0.0, 0.0), "position": (0.0, 0.0, 4.0), "fov": 0.6, "near": 0.01, "far": 100.0}
    size = {"image_height": 720, "image_width": 1280, "look_at": zero, "up_direction": up}
    tell(browser, {"type": "ViewerCameraMessage", **camera, **size})
    assert connected.wait(5.0)
    return browser


def tell(browser: ClientConnection, message: dict) -> None:
    browser.send(msgspec.msgpack.encode(message))
