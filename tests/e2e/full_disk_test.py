"""What was used stays counted when the relay's disk is full, and whoever is known is served. Needs root, for a small
disk of its own."""

import contextlib
import subprocess

import harness
from accounting_faults_test import BODY, AccountingCase, usage
from harness import KiB, wait_until


class FullDisk(AccountingCase):
    def small_disk(self):
        folder = self.folder / "disk"
        folder.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "leat-test", folder], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", folder], check=True)
        return folder

    def test_a_full_disk(self):
        folder = self.small_disk()
        relay = self.relay(folder=folder)
        token = relay.token()
        agent = self.agent(relay, "http", self.origin.address, token=token)
        self.assertEqual(self.get(relay, agent), (200, BODY))
        wait_until(lambda: usage(folder).get("day", (0,))[0] == 1, "the first is written")
        ballast = folder / "ballast"
        with contextlib.suppress(OSError), open(ballast, "wb", buffering=0) as file:
            while True:
                file.write(bytes(4 * KiB))
        for _ in range(50):
            self.assertEqual(self.get(relay, agent), (200, BODY))
        wait_until(lambda: "usage not written" in relay.process.log(), "the relay complains")
        # Whoever is known comes back; whoever is not stays out.
        agent.process.stop()
        again = self.agent(relay, "http", self.origin.address, token=token, folder=agent.folder, name="again")
        self.assertEqual(self.get(relay, again), (200, BODY))
        self.refused(relay, "leat_" + "A" * 43, "LEAT_BAD_TOKEN")
        ballast.unlink()
        wait_until(lambda: usage(folder)["day"][0] == 52, "what was counted meanwhile is written, once")
        self.assertEqual(usage(folder)["month"], usage(folder)["day"])
        wait_until(lambda: "usage written again" in relay.process.log(), "the relay says so")


if __name__ == "__main__":
    harness.main()
