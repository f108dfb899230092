"""The stage page in a browser: its own process, a subscriber like any other, never in the way of the show.

    python -m server.stage_view --connect tcp://127.0.0.1:39550 --host 127.0.0.1 --port 8080 --control 127.0.0.1:9002

bodies: a pose as shapes. scene: what the browser draws. floor: what they stand on. feed: what is heard and said.
panel: figures and sliders. opening: the port. The labelling page (training.label) opens and draws with opening and
scene, too.
"""
