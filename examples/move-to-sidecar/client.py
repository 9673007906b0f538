"""A client that knows nothing of premesh: the sidecar is its proxy, and gives its calls the whole policy. Takes the addresses of sidecar and server."""

import sys
import urllib.request

sidecar, server = sys.argv[1:]
opener = urllib.request.build_opener(urllib.request.ProxyHandler({"http": sidecar}))
with opener.open(f"{server}/charges/python") as response:
    print(f"python: {response.status} {response.read().decode()}")
