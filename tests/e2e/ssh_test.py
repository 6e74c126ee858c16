"""OpenSSH through a raw TCP tunnel: a server of our own on a port of its own, ssh and scp as visitors."""

import getpass
import hashlib
import os
import pathlib
import subprocess

import harness
from harness import MiB, SOON, free_port, scaled, wait_until
from wire import Data


class SshTest(harness.Case):
    def setUp(self):
        super().setUp()
        for key in ("host_key", "user_key"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.folder / key], check=True)
        (self.folder / "authorized_keys").write_text((self.folder / "user_key.pub").read_text())
        if os.geteuid() == 0:
            pathlib.Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where root's sshd confines itself
        sshd_port = free_port()
        config = self.folder / "sshd_config"
        config.write_text(f"""\
ListenAddress 127.0.0.1:{sshd_port}
HostKey {self.folder}/host_key
AuthorizedKeysFile {self.folder}/authorized_keys
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
Subsystem sftp internal-sftp
""")
        sshd = self.start("sshd", ["/usr/sbin/sshd", "-D", "-e", "-f", config])
        wait_until(lambda: "Server listening" in sshd.log(), "sshd listens", alive=[sshd])

        self.port, options = self.tcp_port()
        relay = self.relay(*options)
        self.agent(relay, "tcp", f"127.0.0.1:{sshd_port}", "--id", "shell", "--public",
                   "--remote-port", self.port)
        host_key = " ".join((self.folder / "host_key.pub").read_text().split()[:2])
        (self.folder / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {host_key}\n")
        self.options = ["-F", "none", "-i", self.folder / "user_key", "-o", "IdentitiesOnly=yes",
                        "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes",
                        "-o", f"UserKnownHostsFile={self.folder}/known_hosts",
                        "-o", "ControlPath=none", "-o", f"ConnectTimeout={int(SOON)}"]

    def ssh(self, command, **options):
        return subprocess.run(["ssh", *self.options, "-p", str(self.port), f"{getpass.getuser()}@127.0.0.1",
                               command], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=60 * harness.PATIENCE, check=False, **options)

    def scp(self, source, target):
        subprocess.run(["scp", "-q", *self.options, "-P", str(self.port), source, target], check=True,
                       stdin=subprocess.DEVNULL, timeout=60 * harness.PATIENCE)

    def test_a_command_its_output_and_its_exit_code(self):
        result = self.ssh("echo out; echo err >&2; exit 7", stdin=subprocess.DEVNULL)
        self.assertEqual((result.returncode, result.stdout), (7, b"out\n"), result.stderr)
        self.assertIn(b"err\n", result.stderr)

    def test_a_pipe_both_ways(self):
        data = b"".join(bytes(piece) for piece in Data(scaled(64 * MiB)).pieces())
        result = self.ssh("sha256sum", input=data)
        self.assertEqual(result.stdout.split()[0].decode(), hashlib.sha256(data).hexdigest(), result.stderr)
        result = self.ssh("cat", input=data)
        self.assertEqual(hashlib.sha256(result.stdout).digest(), hashlib.sha256(data).digest())

    def test_scp_there_and_back(self):
        here, there, back = (self.folder / name for name in ("here", "there", "back"))
        with open(here, "wb") as file:
            for piece in Data(scaled(64 * MiB)).pieces():
                file.write(piece)
        remote = f"{getpass.getuser()}@127.0.0.1:{there}"
        self.scp(here, remote)
        self.assertEqual(hashlib.sha256(there.read_bytes()).digest(), hashlib.sha256(here.read_bytes()).digest())
        self.scp(remote, back)
        self.assertEqual(hashlib.sha256(back.read_bytes()).digest(), hashlib.sha256(here.read_bytes()).digest())


if __name__ == "__main__":
    harness.main()
