"""leat_load as a whole: what its visitor reports of its own service, and of services that lie or fall silent."""

import json
import os
import socket
import subprocess
import threading
import unittest

LOAD = os.environ["LEAT_LOAD"]


def client(port, *arguments):
    """Exit status and report."""
    done = subprocess.run([LOAD, "client", "--to", f"127.0.0.1:{port}", *map(str, arguments)],
                          stdout=subprocess.PIPE, text=True, timeout=60, check=False)
    return done.returncode, json.loads(done.stdout)


class Good(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.backend = subprocess.Popen([LOAD, "backend"], stdout=subprocess.PIPE, text=True)
        cls.addClassCleanup(cls.end)
        cls.port = json.loads(cls.backend.stdout.readline())["listen"].rpartition(":")[2]

    @classmethod
    def end(cls):
        cls.backend.terminate()
        cls.backend.wait()
        cls.backend.stdout.close()

    def test_everything_at_once(self):
        status, report = client(self.port, "--download", 2, "--upload", 2, "--tokens", 2, "--notes", 1, "--events", 1,
                                "--pings", 1, "--connects", 2, "--requests", 2, "--new-requests", 2, "--held", 3,
                                "--sample", 16, "--warmup", 0.3, "--duration", 2)
        self.assertEqual((status, report["faults"]), (0, []))
        for way in ("download", "upload"):
            self.assertGreater(report[way]["MB_per_s"], 0)
            self.assertEqual(len(report[way]["MB_per_s_each"]), 2)
        for what, streams in (("tokens", 2), ("notes", 1), ("events", 1)):
            self.assertEqual(report[what]["missing"], 0)
            # 50 a second for 2 s.
            self.assertAlmostEqual(report[what]["delay_ms"]["count"], 100 * streams, delta=2 * streams)
        self.assertGreater(report["ping"]["round_trip_ms"]["count"], 0)
        for what in ("connect", "requests", "new_requests"):
            self.assertGreater(report[what]["per_s"], 0)
        self.assertEqual(report["held"], 3)

    def test_marks_frame_the_window(self):
        done = subprocess.run([LOAD, "client", "--to", f"127.0.0.1:{self.port}", "--held", "1", "--warmup", "0",
                               "--duration", "0.5", "--marks"], stdout=subprocess.PIPE, text=True, check=True)
        begin, end, report = done.stdout.split("\n", 2)
        self.assertEqual((begin.split()[0], end.split()[0]), ("begin", "end"))
        self.assertAlmostEqual((int(end.split()[1]) - int(begin.split()[1])) / 1e9, 0.5, delta=0.4)
        self.assertAlmostEqual(json.loads(report)["window_s"], 0.5)


class Bad(unittest.TestCase):
    def serve(self, answer):
        """A service whose every connection goes to answer(connection); its port."""
        listener = socket.create_server(("127.0.0.1", 0))
        kept = []

        def accept():
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                kept.append(connection)
                connection.recv(32)
                answer(connection)
        threading.Thread(target=accept, daemon=True).start()

        def end():
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
            for connection in kept:
                connection.close()
        self.addCleanup(end)
        return listener.getsockname()[1]

    def fault(self, answer, *arguments):
        status, report = client(self.serve(answer), "--warmup", 0, "--duration", 0.5, *arguments)
        self.assertEqual((status, len(report["faults"])), (1, 1), report["faults"])
        return report["faults"][0]

    def test_one_that_says_nothing(self):
        silent = lambda connection: None  # noqa: E731
        self.assertEqual(self.fault(silent, "--pings", 1), "ping: one was not answered")
        self.assertEqual(self.fault(silent, "--connects", 1), "connect: one was not answered")
        self.assertEqual(self.fault(silent, "--requests", 1), "requests: one was not answered")
        self.assertEqual(self.fault(silent, "--tokens", 1), "tokens: 25 not received in time")

    def test_one_that_closes(self):
        close = lambda connection: connection.shutdown(socket.SHUT_RDWR)  # noqa: E731
        self.assertEqual(self.fault(close, "--download", 1), "download 0: ended early")
        self.assertEqual(self.fault(close, "--pings", 1), "ping: broken or ended early")
        self.assertIn("connect: ", self.fault(close, "--connects", 1))

    def test_one_that_sends_what_nobody_asked_for(self):
        status, report = client(self.serve(lambda connection: connection.sendall(b"x" * 100)), "--download", 1,
                                "--warmup", 0, "--duration", 0.5)
        self.assertEqual(status, 1)
        self.assertIn("download 0: a byte was wrong", report["faults"])

    def test_nobody_there(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        status, report = client(port, "--pings", 1, "--warmup", 0, "--duration", 0.1)
        self.assertEqual(status, 1)
        self.assertIn("connect to ", report["faults"][0])


if __name__ == "__main__":
    unittest.main(verbosity=2)
