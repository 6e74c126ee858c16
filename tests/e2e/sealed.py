"""What the tests of sealed sessions share: an agent with sealed services, its pairing links, and
`leat connect` beside it."""

import base64
import re
import subprocess

import harness
from harness import LEAT, run_leat, wait_until


class SealedCase(harness.Case):
    def home(self, *services, relay=None, options=(), **more):
        """An agent with these sealed services (kind, target, id), by a configuration file."""
        self.server = relay or self.relay()
        lines = ["services:"]
        for kind, target, name in services:
            lines += [f"  - target: {kind}://{target}", f"    id: {name}", "    sealed: true"]
        config = self.folder / f"{more.get('name', 'agent')}.yaml"
        config.write_text("\n".join(lines) + "\n")
        self.token = self.server.token(more.get("name", "agent"))
        self.tunnel = self.agent(self.server, "agent", None, "--config", config, *options, token=self.token,
                                 **more)
        return self.tunnel

    def command(self, *words, agent=None, expect=0):
        agent = agent or self.tunnel
        done = run_leat(*words, "--state-dir", agent.folder)
        self.assertEqual(done.returncode, expect, done)
        return done.stdout if expect == 0 else done.stderr

    def link(self, *arguments, agent=None):
        return self.command("pair", "--no-qr", *arguments, agent=agent).strip()

    def devices(self):
        """Name -> the words of its line."""
        lines = self.command("device", "list").splitlines()[1:]
        return {line.split()[0]: line.split() for line in lines}

    def connect(self, agent, *arguments, name="connect", wait=True, state=None, env=None,
                local="127.0.0.1:0"):
        """`leat connect` with a local port; `.port` is it, `.way` how it went."""
        keys = self.folder / (state or "keys")
        process = self.start(name, [LEAT, "connect", agent, "--local", local, "--state-dir", keys,
                                    "--name", name, *arguments], env=env)
        listening = wait_until(lambda: re.search(r"listening on 127\.0\.0\.1:(\d+)", process.log()),
                               f"{name} listens", alive=[process] if wait else ())
        process.port = int(listening.group(1))
        if wait:
            way = wait_until(lambda: re.search(r"connected to \S+ sealed, (\w+) ", process.log()),
                             f"{name} is connected", alive=[process])
            process.way = way.group(1)
        return process

    def refused(self, agent, *arguments, state=None, name="stranger"):
        """What `leat connect` says when it gives up."""
        done = run_leat("connect", agent, "--local", "127.0.0.1:0", "--name", name, "--state-dir",
                        self.folder / (state or "keys"), *arguments, seconds=harness.SOON)
        self.assertNotEqual(done.returncode, 0, done)
        return done.stderr


def varint(value):
    out = b""
    while value >= 128:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def fields_of(message):
    """[(number, wire type, value)] of a protobuf message."""
    out, at = [], 0

    def number():
        nonlocal at
        value, shift = 0, 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while at < len(message):
        key = number()
        if key & 7 == 0:
            out.append((key >> 3, 0, number()))
        else:
            size = number()
            out.append((key >> 3, 2, message[at:at + size]))
            at += size
    return out


def by_way_of(link, relay, key=None):
    """The link with another relay in it, and perhaps another agent's key."""
    page, text = link.split("#leat1=")
    message = b""
    for number, kind, value in fields_of(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))):
        if number == 5:
            value = relay.encode()
        if number == 1 and key is not None:
            value = key
        message += varint(number << 3 | kind)
        message += varint(value) if kind == 0 else varint(len(value)) + value
    return page + "#leat1=" + base64.urlsafe_b64encode(message).decode().rstrip("=")


def curl(port, path="/", *arguments, seconds=60):
    return subprocess.run(["curl", "-sS", "--max-time", str(seconds), *arguments,
                           f"http://127.0.0.1:{port}{path}"], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, check=False)
