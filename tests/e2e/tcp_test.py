"""Raw TCP through a port of the relay: order, both directions, half-close, resets."""

import socket
import struct
import threading

import harness
from harness import SOON, wait_until
from wire import Client, Cut, Data, Reader


class Service:
    """A listener of our own that hands each connection to a function in a thread."""

    def __init__(self, case, serve):
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.address = f"127.0.0.1:{self.socket.getsockname()[1]}"
        self.serve = serve
        case.addCleanup(self.socket.close)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                sock, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._run, args=(sock,), daemon=True).start()

    def _run(self, sock):
        with sock:
            self.serve(sock)


def reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


class TcpTest(harness.Case):
    def publish(self, serve):
        self.service = Service(self, serve)
        self.port, options = self.tcp_port()
        self.server = self.relay(*options)
        self.agent(self.server, "tcp", self.service.address, "--id", "raw", "--public",
                   "--remote-port", self.port)

    def visitor(self):
        client = Client(socket.create_connection(("127.0.0.1", self.port), timeout=SOON))
        self.addCleanup(client.close)
        return client

    def test_the_service_may_speak_first(self):
        self.publish(lambda sock: sock.sendall(b"220 ready\r\n") or sock.recv(1))
        self.assertEqual(self.visitor().reader.until(b"\r\n"), b"220 ready")

    def test_half_close_in_both_orders(self):
        def answer_at_the_end(sock):
            reader = Reader(sock)
            received = b""
            while not reader.at_end():
                received += reader.buffer
                reader.buffer = b""
            sock.sendall(received[::-1])

        self.publish(answer_at_the_end)
        client = self.visitor()
        client.send(b"stressed")
        client.sock.shutdown(socket.SHUT_WR)
        self.assertEqual(client.reader.exactly(8), b"desserts")
        self.assertTrue(client.reader.at_end())

    def test_a_visitor_may_go_on_sending_after_the_services_end(self):
        received = []

        def end_first(sock):
            sock.sendall(b"bye")
            sock.shutdown(socket.SHUT_WR)
            received.append(Reader(sock).exactly(5))

        self.publish(end_first)
        client = self.visitor()
        self.assertEqual(client.reader.exactly(3), b"bye")
        self.assertTrue(client.reader.at_end())
        client.send(b"still")
        wait_until(lambda: received, "the service has the rest")
        self.assertEqual(received, [b"still"])

    def test_a_reset_of_the_service_is_a_reset_for_the_visitor(self):
        def cut(sock):
            sock.recv(1)
            reset(sock)

        self.publish(cut)
        client = self.visitor()
        client.send(b"x")
        with self.assertRaises(ConnectionResetError):
            client.sock.recv(1)

    def test_a_reset_of_the_visitor_is_a_reset_for_the_service(self):
        outcome = []

        def wait_for_the_end(sock):
            try:
                sock.sendall(b"hi")
                outcome.append(sock.recv(1))
            except ConnectionResetError:
                outcome.append("reset")

        self.publish(wait_for_the_end)
        client = self.visitor()
        self.assertEqual(client.reader.exactly(2), b"hi")
        reset(client.sock)
        # The agent's own look at the service, at its start, ends with nothing read.
        wait_until(lambda: "reset" in outcome, "the service sees it")
        self.assertLessEqual(outcome.count(b""), 1)

    def test_many_at_once_both_directions(self):
        def echo(sock):
            while data := sock.recv(65536):
                sock.sendall(data)

        self.publish(echo)
        problems = []

        def run(number):
            try:
                data = Data(512 * harness.KiB, seed=number)
                whole = b"".join(bytes(piece) for piece in data.pieces())
                client = self.visitor()
                sender = threading.Thread(target=client.send, args=(whole,))
                sender.start()
                if client.reader.exactly(len(whole)) != whole:
                    problems.append(f"{number}: other bytes")
                sender.join()
            except (Cut, OSError) as error:
                problems.append(f"{number}: {error!r}")

        threads = [threading.Thread(target=run, args=(number,)) for number in range(50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(problems, [])

    def test_a_service_that_refuses_closes_the_visitor(self):
        self.publish(lambda sock: None)
        self.service.socket.shutdown(socket.SHUT_RDWR)
        self.service.socket.close()
        with self.assertRaises((Cut, ConnectionResetError)):  # the reset may overtake connect's return
            self.visitor().reader.more()

    def test_the_port_is_free_again_when_the_agent_is_gone(self):
        self.publish(lambda sock: sock.sendall(b"x"))
        agent = next(process for process in self.processes if process.name == "agent")
        agent.stop()

        def free():
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", self.port)) != 0
        wait_until(free, "nobody listens there")


if __name__ == "__main__":
    harness.main()
