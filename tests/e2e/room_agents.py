"""The programs of examples/room-agent, as they are, with nothing but their packages beside them."""

import os
import shutil

from harness import PEERS, ROOT, wait_until

GO = os.environ.get("LEAT_ROOM_AGENT_GO", str(ROOT / "build/dev/tests/e2e/room_agent_go"))
KINDS = ("go", "node")


def start(case, kind, url, room, port, token, certificate):
    """Begins to serve a room of the relay at url, which is trusted by its certificate."""
    command = [GO, url, room, f"127.0.0.1:{port}"]
    if kind == "node":
        folder = case.folder / f"{kind}-{room}"
        folder.mkdir()
        shutil.copy(ROOT / "examples/room-agent/room_agent.mjs", folder)
        (folder / "node_modules").symlink_to(PEERS / "node_modules")
        command = ["node", folder / "room_agent.mjs", url, room, port]
    process = case.start(kind, command, env={"LEAT_TOKEN": token, "SSL_CERT_FILE": str(certificate),
                                             "NODE_EXTRA_CA_CERTS": str(certificate)})
    serves(process)
    return process


def serves(process, times=1):
    wait_until(lambda: process.log().count("serving ") >= times, f"{process.name} serves",
               alive=[process])
