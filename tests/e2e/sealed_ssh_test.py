"""OpenSSH by `leat connect` as its ProxyCommand: what ssh_test.py does over a port of the relay, sealed."""

import re

import harness
import ssh_test
from harness import LEAT
from sealed import SealedCase


class SealedSshTest(ssh_test.SshTest, SealedCase):
    def setUp(self):
        super().setUp()
        target = re.search(r"ListenAddress (\S+)", (self.folder / "sshd_config").read_text()).group(1)
        self.home(("tcp", target, "door"), relay=self.relay(name="sealing-relay"), name="sealing-agent")
        paired = self.connect(self.link())
        paired.stop()
        keys = self.folder / "keys"
        self.options += ["-o", f"ProxyCommand={LEAT} connect door --state-dir {keys}"]


if __name__ == "__main__":
    harness.main()
