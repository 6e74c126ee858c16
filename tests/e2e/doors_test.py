"""The examples of docs/doors.md, as they stand there: each block of commands runs after that of "To try them",
in an empty folder, and must print what the block behind it says. Only the ports are others."""

import os
import pathlib
import re
import signal
import subprocess

import harness
from harness import LEAT, PEERS, ROOT, free_port

PAGE = ROOT / "docs/doors.md"
FIRST = "To try them"


def examples():
    """Of each block of commands: its section, its number there, the commands, and what they must print."""
    blocks = []
    section = None
    fence = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
    for part in re.split(r"^## ", PAGE.read_text(), flags=re.M)[1:]:
        section = part.split("\n", 1)[0]
        number = 0
        for language, text in fence.findall(part):
            if language == "sh":
                number += 1
                blocks.append([section, number, text, []])
            elif language == "text":
                blocks[-1][3] = text.splitlines()
    return blocks


def with_own_ports(text):
    """The same port stands for the same one throughout."""
    own = {}
    return re.sub(r"(?<=[:\s=-])\d{4,5}(?=[\s:/;\\-])",
                  lambda port: own.setdefault(port.group(), str(free_port())), text)


class DoorsTest(harness.Case):
    def run_block(self, name, commands, printed):
        bin_folder = self.folder / "bin"
        bin_folder.mkdir()
        (bin_folder / "leat").symlink_to(LEAT)
        work = self.folder / "work"
        work.mkdir()
        (work / "node_modules").symlink_to(PEERS / "node_modules")
        (work / "examples").symlink_to(ROOT / "examples")
        script = self.folder / "script"
        script.write_text("set -euo pipefail\n" + commands)
        path = f"{bin_folder}:{os.environ['PATH']}"
        log = self.folder / "log"
        with open(log, "wb") as errors:
            # Not waited for by its output: what it leaves running holds that open.
            process = subprocess.Popen(["bash", script], cwd=work, stdin=subprocess.DEVNULL, stdout=errors,
                                       stderr=errors, start_new_session=True,
                                       env={**os.environ, "PATH": path, "HOME": str(work),
                                            "XDG_STATE_HOME": str(self.folder / "state")})
            try:
                code = process.wait(60 * harness.PATIENCE)
            finally:
                self.end_group(process)
        output = log.read_text(errors="replace")
        self.assertEqual(code, 0, f"{name}\n{commands}\n{output}")
        self.assertTrue(printed, f"{name}: says nothing of what it prints")
        for line in printed:
            self.assertIn(line, output, f"{name}\n{commands}")

    def end_group(self, process):
        """The session that was begun for the script: it and what it started."""
        for sent in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(process.pid, sent)
            except ProcessLookupError:
                break
            if sent == signal.SIGTERM:
                harness.wait_until(lambda: self.gone(process), "the example's processes end", harness.DRAIN)
        process.wait()

    @staticmethod
    def gone(process):
        process.poll()
        group = [path for path in pathlib.Path("/proc").glob("[0-9]*/stat") if DoorsTest.in_group(path, process.pid)]
        return not group

    @staticmethod
    def in_group(path, group):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            return False
        return fields[0] != "Z" and int(fields[2]) == group


def make_test(section, number, commands, printed):
    def test(self):
        first = "" if section == FIRST else next(text for name, _, text, _ in BLOCKS if name == FIRST)
        self.run_block(f"{section}, block {number}", with_own_ports(first + commands), printed)
    return test


BLOCKS = examples()
for block_section, block_number, block_text, block_printed in BLOCKS:
    if block_section == FIRST:
        continue
    slug = re.sub(r"\W+", "_", block_section.lower())
    setattr(DoorsTest, f"test_{slug}_{block_number}",
            make_test(block_section, block_number, block_text, block_printed))


if __name__ == "__main__":
    harness.main()
