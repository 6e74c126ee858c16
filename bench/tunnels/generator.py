"""leat_load: the service behind every tunnel and the visitor before it."""

import json
import subprocess

from .base import BACKEND_PORT, BUILD

LOAD = BUILD / "bench/load/leat_load"


def start_backend(link):
    process = link.start("home", [LOAD, "backend", "--listen", f"{link.home}:{BACKEND_PORT}"],
                         stdout=subprocess.PIPE, text=True)
    if "listen" not in process.stdout.readline():
        raise RuntimeError("the backend did not start")
    return process


def start_client(link, to, **options):
    """The load generator's visitor; its report is finish(process). A flag is an option that is True."""
    command = [LOAD, "client", "--to", to]
    for name, value in options.items():
        command += [f"--{name.replace('_', '-')}"] + ([] if value is True else [value])
    return link.start("vps", command, stdout=subprocess.PIPE, text=True)


def finish(process):
    output, _ = process.communicate()
    if not output:
        raise RuntimeError(f"the client ended with {process.returncode} and no report")
    return json.loads(output)


def measure(tunnel, to, at_begin=None, **options):
    """A client's whole run. Its report, with what the tunnel's processes used of the processors within the
    window: {"cpu_s": {"relay": …}}. at_begin() is called as the window begins."""
    client = start_client(tunnel.link, to, marks=True, **options)
    used = {}
    for mark in ("begin", "end"):
        line = client.stdout.readline()
        if not line.startswith(mark):
            client.communicate()
            raise RuntimeError(f"the client ended with {client.returncode} before its {mark}")
        if mark == "begin" and at_begin:
            at_begin()
        sign = -1 if mark == "begin" else 1
        for what, seconds in tunnel.cpu_seconds().items():
            used[what] = used.get(what, 0) + sign * seconds
    return {**finish(client), "cpu_s": used}
