"""Tunnels that are measured where they are on PATH: frp, rathole, chisel, bore. Each as its own documents
say, with TLS where it has it."""

import subprocess

from .base import AGENT_PORT, BACKEND_PORT, VISITOR_PORT, Tunnel


class Frp(Tunnel):
    """frp over TLS, with its multiplexer, as it comes."""
    name = "frp"
    program = "frps"
    version_command = ("frps", "--version")

    @classmethod
    def absent(cls):
        return super().absent() or Frpc.absent()

    def open(self):
        server = self.write("frps.toml", f'bindAddr = "{self.link.vps}"\nbindPort = {AGENT_PORT}\n'
                                         f'proxyBindAddr = "{self.link.vps}"\n')
        client = self.write("frpc.toml", (
            f'serverAddr = "{self.link.vps}"\nserverPort = {AGENT_PORT}\ntransport.tls.enable = true\n'
            f'[[proxies]]\nname = "bench"\ntype = "tcp"\nlocalIP = "{self.link.home}"\n'
            f"localPort = {BACKEND_PORT}\nremotePort = {VISITOR_PORT}\n"))
        self.start("vps", "relay", ["frps", "-c", server])
        self.wait_listens("relay", AGENT_PORT)
        self.start("home", "agent", ["frpc", "-c", client])
        return self.visitors


class Frpc(Tunnel):
    program = "frpc"


class Rathole(Tunnel):
    """rathole without TLS: a TCP connection of its own for each visitor."""
    name = "rathole"
    program = "rathole"
    version_command = ("rathole", "--version")

    def transport(self):
        """What is added to the server's and the client's configuration."""
        return "", ""

    def open(self):
        at_server, at_client = self.transport()
        server = self.write("server.toml", (
            f'[server]\nbind_addr = "{self.agents}"\ndefault_token = "bench"\n{at_server}'
            f'[server.services.bench]\nbind_addr = "{self.visitors}"\n'))
        client = self.write("client.toml", (
            f'[client]\nremote_addr = "{self.agents}"\ndefault_token = "bench"\n{at_client}'
            f'[client.services.bench]\nlocal_addr = "{self.backend}"\n'))
        self.start("vps", "relay", [self.program, "--server", server])
        self.wait_listens("relay", AGENT_PORT)
        self.start("home", "agent", [self.program, "--client", client])
        return self.visitors


class RatholeTls(Rathole):
    """rathole over TLS."""
    name = "rathole-tls"

    def transport(self):
        cert, key, _ = self.certificate()
        bundle = self.folder / "identity.pfx"
        subprocess.run(["openssl", "pkcs12", "-export", "-inkey", key, "-in", cert, "-out", bundle,
                        "-passout", "pass:bench"], check=True)
        self.show("The suite cannot be told: the TLS libraries agree on one, which may be AES-256-GCM.")
        return (f'[server.transport]\ntype = "tls"\n[server.transport.tls]\npkcs12 = "{bundle}"\n'
                'pkcs12_password = "bench"\n',
                f'[client.transport]\ntype = "tls"\n[client.transport.tls]\ntrusted_root = "{cert}"\n'
                'hostname = "bench"\n')


class Chisel(Tunnel):
    """chisel: SSH's channels inside a WebSocket."""
    name = "chisel"
    program = "chisel"
    version_command = ("chisel", "--version")

    def open(self):
        self.start("vps", "relay", [self.program, "server", "--host", self.link.vps, "--port", AGENT_PORT,
                                    "--reverse"])
        self.wait_listens("relay", AGENT_PORT)
        self.start("home", "agent", [self.program, "client", f"http://{self.agents}",
                                     f"R:{self.visitors}:{self.backend}"])
        return self.visitors


class Bore(Tunnel):
    """bore: no TLS, a TCP connection of its own for each visitor."""
    name = "bore"
    program = "bore"
    version_command = ("bore", "--version")
    CONTROL_PORT = 7835  # cannot be chosen

    def open(self):
        self.start("vps", "relay", [self.program, "server"])
        self.wait_listens("relay", self.CONTROL_PORT)
        self.start("home", "agent", [self.program, "local", BACKEND_PORT, "--local-host", self.link.home,
                                     "--to", self.link.vps, "--port", VISITOR_PORT])
        return self.visitors
