"""PostgreSQL through a raw TCP tunnel: a server of our own in a temporary folder, psql, pg_dump, pgbench."""

import hashlib
import os
import pathlib
import re
import shutil
import signal
import stat
import subprocess
import tempfile

import harness
from harness import MiB, SOON, report, scaled, wait_until
from wire import Stopwatch

PROGRAMS = max(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
ROW = 1024


class PostgresTest(harness.Case):
    def setUp(self):
        super().setUp()
        # Its programs refuse to be root's.
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="leat-e2e-postgres-"))
        self.addCleanup(shutil.rmtree, self.home, ignore_errors=True)
        self.who, self.as_nobody = {}, []
        if os.geteuid() == 0:
            shutil.chown(self.home, "nobody", "nogroup")
            self.who = {"user": "nobody", "group": "nogroup", "extra_groups": []}
        if os.geteuid() == 0 and not os.stat("/").st_mode & stat.S_IXOTH:
            # A root directory that is root's alone, as some chroots have: nobody may pass through.
            self.who = {}
            # With the bit access(2), which they ask, knows of the capability.
            self.as_nobody = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups",
                              "--securebits=+no_setuid_fixup", "--inh-caps=+dac_override",
                              "--ambient-caps=+dac_override"]
        data = self.home / "data"
        subprocess.run([*self.as_nobody, PROGRAMS / "initdb", "--pgdata", data, "--username", "postgres",
                        "--auth", "trust", "--no-sync", "--locale", "C", "--encoding", "UTF8"], check=True,
                       cwd=self.home, stdout=subprocess.DEVNULL, **self.who)
        self.own_port = harness.free_port()
        server = self.start("postgres", [*self.as_nobody, PROGRAMS / "postgres", "-D", data, "-p", self.own_port,
                                         "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off",
                                         "-c", f"unix_socket_directories={self.home}"],
                            cwd=self.home, **self.who)
        self.addCleanup(self.stop, server)
        wait_until(lambda: "ready to accept connections" in server.log(), "PostgreSQL serves", 6 * SOON,
                   alive=[server])
        self.port, options = self.tcp_port()
        self.server = self.relay(*options)
        self.agent(self.server, "tcp", f"127.0.0.1:{self.own_port}", "--id", "db", "--public",
                   "--remote-port", self.port)

    def stop(self, server):
        server.send_signal(signal.SIGINT)  # a fast shutdown; KILL would leave its shared memory behind
        server.wait(harness.DRAIN)

    def run_program(self, name, *arguments, port=None, **options):
        return subprocess.run([PROGRAMS / name, "--host", "127.0.0.1", "--port", str(port or self.port),
                               "--username", "postgres", *arguments], check=True, stdin=subprocess.DEVNULL,
                              timeout=120 * harness.PATIENCE, **options)

    def psql(self, *arguments, database="postgres"):
        return self.run_program("psql", "--no-psqlrc", "--tuples-only", "--no-align", "--quiet", "--set",
                                "ON_ERROR_STOP=1", "--dbname", database, *arguments, text=True,
                                stdout=subprocess.PIPE).stdout.strip()

    def dump(self, path, port=None):
        self.run_program("pg_dump", "--file", path, "--dbname", "postgres", port=port)
        # Newer ones put a random word around everything.
        lines = hashlib.sha256()
        with open(path, "rb") as file:
            for line in file:
                if not line.startswith((b"\\restrict", b"\\unrestrict")):
                    lines.update(line)
        return lines.hexdigest()

    def test_a_dump_of_100_megabytes_and_back(self):
        rows = scaled(100 * MiB) // ROW
        self.psql("--command", "CREATE TABLE item (id int PRIMARY KEY, text text)", "--command",
                  f"INSERT INTO item SELECT i, repeat(md5(i::text), {ROW // 32}) "
                  f"FROM generate_series(1, {rows}) AS i")
        direct, tunnelled = self.home / "direct.sql", self.home / "tunnelled.sql"
        watch = Stopwatch()
        through = self.dump(tunnelled)
        report("pg_dump through a tunnel", f"{tunnelled.stat().st_size / watch.seconds() / MiB:.0f} MiB/s")
        self.assertGreaterEqual(tunnelled.stat().st_size, rows * ROW)
        self.assertEqual(through, self.dump(direct, self.own_port))
        self.psql("--command", "CREATE DATABASE copy")
        self.psql("--file", tunnelled, database="copy")
        digest = "SELECT count(*), md5(string_agg(md5(text), '' ORDER BY id)) FROM item"
        self.assertEqual(self.psql("--command", digest, database="copy"), self.psql("--command", digest))

    def test_psql_and_who_came(self):
        self.assertEqual(self.psql("--command", "SELECT 6 * 7"), "42")
        with self.assertRaises(subprocess.CalledProcessError):
            self.psql("--command", "SELECT 1 / 0")
        def visitors():
            return re.findall(r'"event":"tcp visitor left".*"visitor":"127.0.0.1:\d+","clean":true',
                              self.server.process.log())
        wait_until(lambda: len(visitors()) == 2, "the relay's log has who came")

    def test_many_at_once(self):
        self.run_program("pgbench", "--initialize", "--quiet", "postgres", stderr=subprocess.DEVNULL)
        made = self.run_program("pgbench", "--client", "8", "--jobs", "2", "--transactions", "50", "--no-vacuum",
                                "postgres", text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT).stdout
        self.assertIn("400/400", made)


if __name__ == "__main__":
    harness.main()
