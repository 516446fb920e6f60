"""The agent's own small server: what it knows as JSON and as a page, and the door for custom metrics.

It answers on the local address and on a unix socket in the state directory, without the hub and without the internet.
``server.LocalServer`` runs it, ``custom.Custom`` takes the metrics, ``settings.LocalSettings`` says where. Nothing is
imported here: settings are read where no server is wanted.
"""
