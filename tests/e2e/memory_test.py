"""Relay and agent stay small while one visitor downloads as fast as it can and another reads slowly."""

import threading

import harness
from harness import GiB, KiB, MiB, SOON, report, scaled
from wire import Client, Cut, Origin, Stopwatch, download, read_head

SIZE = scaled(4 * GiB)
SLOW_RATE = MiB  # bytes a second
MOST = 64 * MiB


class MemoryTest(harness.Case):
    def begin(self, relay, path):
        client = Client(relay.connect())
        self.addCleanup(client.close)
        client.request("GET", path)
        self.assertEqual(read_head(client.reader).status, 200)
        return client

    def slow_reader(self, client, stop):
        """SLOW_RATE, a little every 20 ms."""
        watch = Stopwatch()
        try:
            while not stop.wait(0.02):
                due = int(SLOW_RATE * watch.seconds()) - self.slow_bytes
                for piece in client.reader.pieces(due):
                    self.slow_bytes += len(piece)
        except (Cut, OSError) as error:
            self.slow_error = error

    def fast_download(self, relay, path, size):
        """Bytes a second."""
        watch = Stopwatch()
        fast = self.begin(relay, path)
        buffer = bytearray(256 * KiB)
        got = len(fast.reader.buffer)
        while got < size:
            count = fast.sock.recv_into(buffer)
            self.assertGreater(count, 0, "the download ended early")
            got += count
        return size / watch.seconds()

    def test_a_fast_and_a_slow_download(self):
        origin = Origin(self, download)
        relay = self.relay()
        agent = self.agent(relay, "http", origin.address)
        part = SIZE // 4
        before = self.fast_download(relay, agent.path(f"/{part}"), part)
        self.slow_bytes, self.slow_error = 0, None
        stop = threading.Event()
        slow_client = self.begin(relay, agent.path(f"/{SIZE}"))
        slow = threading.Thread(target=self.slow_reader, args=(slow_client, stop))
        slow.start()
        watch = Stopwatch()
        try:
            rate = self.fast_download(relay, agent.path(f"/{SIZE}"), SIZE)
        finally:
            stop.set()
            slow.join(SOON)
        self.assertIsNone(self.slow_error)
        seconds = watch.seconds()
        slow_client.close()
        least = min(before, self.fast_download(relay, agent.path(f"/{part}"), part))
        report("fast download", f"{rate / MiB:.0f} MiB/s, alone {least / MiB:.0f} MiB/s")
        report("slow download", f"{self.slow_bytes / MiB / seconds:.2f} MiB/s")
        for process in (relay.process, agent.process):
            memory = process.memory()
            report(f"memory of {process.name}", f"most resident {memory['VmHWM'] / MiB:.1f} MiB, "
                   f"anonymous now {memory['RssAnon'] / MiB:.1f} MiB")
            self.assertLess(memory["VmHWM"], MOST)
        # The machine's own rate comes and goes; one that waited for the slow reader would have a few MiB/s.
        self.assertGreater(rate, least / 10)
        # The slow one was served all along, and no faster than it read.
        self.assertGreater(self.slow_bytes, SLOW_RATE * seconds / 2)


if __name__ == "__main__":
    harness.main()
