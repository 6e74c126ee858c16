"""What is built beside leat or comes with Debian: ssh -R, hashicorp/yamux over TLS, haproxy, stunnel."""

import os
import pathlib
import subprocess

from .base import AGENT_PORT, BUILD, VISITOR_PORT, Tunnel, wait_for

# leat's own choice where both ends have AES in hardware; Go takes it too.
SUITE = "TLS_AES_128_GCM_SHA256"


class Yamux(Tunnel):
    """hashicorp/yamux over TLS, windows as they come: 256 KiB."""
    name = "yamux"
    binary = BUILD / "bench/peers/yamux_go_tunnel"
    version_command = ("dpkg-query", "-W", "golang-github-hashicorp-yamux-dev")  # what it is built from
    window = 256 * 1024

    @classmethod
    def absent(cls):
        return None if os.access(cls.binary, os.X_OK) else "no go or no hashicorp/yamux when it was built"

    def open(self):
        command = [self.binary, "-window", self.window]
        relay = self.start("vps", "relay", [*command, "relay", self.agents, self.visitors])
        wait_for(lambda: "listening" in self.log("relay"), "the relay listens", [relay])
        agent = self.start("home", "agent", [*command, "agent", self.agents, self.backend])
        wait_for(lambda: "online" in self.log("relay"), "the agent is online", [relay, agent])
        return self.visitors


class YamuxWide(Yamux):
    """hashicorp/yamux over TLS with windows of 4 MiB."""
    name = "yamux-4M"
    window = 4 * 1024 * 1024


class Ssh(Tunnel):
    """OpenSSH's ssh -R with aes128-gcm."""
    name = "ssh"
    server = "/usr/sbin/sshd"
    version_command = ("ssh", "-V")
    cipher = "aes128-gcm@openssh.com"

    @classmethod
    def absent(cls):
        return None if os.access(cls.server, os.X_OK) else f"no {cls.server}"

    def open(self):
        pathlib.Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        for key in ("host_key", "user_key"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.folder / key],
                           check=True)
        config = self.write("config", (
            f"ListenAddress {self.agents}\nHostKey {self.folder}/host_key\n"
            f"AuthorizedKeysFile {self.folder}/user_key.pub\nPidFile none\nStrictModes no\nUsePAM no\n"
            "PermitRootLogin yes\nPasswordAuthentication no\nGatewayPorts clientspecified\n"))
        sshd = self.start("vps", "relay", [self.server, "-D", "-e", "-f", config])
        wait_for(lambda: "Server listening" in self.log("relay"), "sshd listens", [sshd])
        self.start("home", "agent", [
            "ssh", "-N", "-F", "none", "-i", self.folder / "user_key", "-p", AGENT_PORT,
            "-c", self.cipher, "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no",
            "-o", f"UserKnownHostsFile={self.folder}/known_hosts", "-o", "ExitOnForwardFailure=yes",
            "-R", f"{self.visitors}:{self.backend}", f"root@{self.link.vps}"])
        self.wait_listens("relay", VISITOR_PORT)
        return self.visitors


class SshChacha(Ssh):
    """OpenSSH's ssh -R with chacha20-poly1305, its default."""
    name = "ssh-chacha"
    cipher = "chacha20-poly1305@openssh.com"


HAPROXY = """global
  maxconn 8000
  ssl-default-bind-ciphersuites {suite}
  ssl-default-server-ciphersuites {suite}
defaults
  mode tcp
  timeout connect 10s
  timeout client 10m
  timeout server 10m
listen bench
  bind {bind}
  server next {server}
"""


class Haproxy(Tunnel):
    """haproxy, one hop without TLS: no tunnel, but the least that something between can cost."""
    name = "haproxy"
    program = "haproxy"
    version_command = ("haproxy", "-v")

    def hop(self, side, what, port, bind, server):
        config = self.write(f"{what}.cfg", HAPROXY.format(suite=SUITE, bind=bind, server=server))
        self.start(side, what, [self.program, "-db", "-q", "-f", config])
        self.wait_listens(what, port)

    def open(self):
        self.hop("vps", "relay", VISITOR_PORT, self.visitors, self.backend)
        return self.visitors


class HaproxyTls(Haproxy):
    """Two of haproxy with TLS between: a TLS connection for each visitor."""
    name = "haproxy-tls"

    def open(self):
        between = f"{self.link.home}:{AGENT_PORT}"
        both = self.certificate()[2]
        self.hop("home", "agent", AGENT_PORT, f"{between} ssl crt {both}", self.backend)
        self.hop("vps", "relay", VISITOR_PORT, self.visitors, f"{between} ssl verify none")
        return self.visitors


class Stunnel(Tunnel):
    """Two of stunnel: a TLS connection and a thread for each visitor."""
    name = "stunnel"
    program = "stunnel"
    version_command = ("stunnel", "-version")

    def hop(self, side, what, port, *service):
        config = self.write(f"{what}.conf", "\n".join([
            "foreground = yes", "pid =", "debug = err", "socket = l:TCP_NODELAY=1",
            "socket = r:TCP_NODELAY=1", f"ciphersuites = {SUITE}", "[bench]", *service]) + "\n")
        self.start(side, what, [self.program, config])
        self.wait_listens(what, port)

    def open(self):
        between = f"{self.link.home}:{AGENT_PORT}"
        self.hop("home", "agent", AGENT_PORT, f"accept = {between}", f"connect = {self.backend}",
                 f"cert = {self.certificate()[2]}")
        self.hop("vps", "relay", VISITOR_PORT, "client = yes", f"accept = {self.visitors}",
                 f"connect = {between}")
        return self.visitors
