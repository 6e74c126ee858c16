#!/usr/bin/python3
"""What TLS 1.3 session resumption would save: processor time of both ends for a full and for a resumed handshake,
without a network between them (docs/adr/0022).

    handshakes.py [--count 500]
"""

import argparse
import pathlib
import ssl
import statistics
import subprocess
import tempfile
import time


def contexts(folder):
    """Of both ends; a certificate as a relay makes its own: P-256."""
    key, certificate = (pathlib.Path(folder) / name for name in ("key.pem", "certificate.pem"))
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-subj", "/CN=relay", "-addext", "subjectAltName=DNS:relay", "-days", "2", "-keyout", key,
                    "-out", certificate], check=True, stderr=subprocess.DEVNULL)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate, key)
    client = ssl.create_default_context(cafile=certificate)
    for context in (server, client):
        context.minimum_version = ssl.TLSVersion.TLSv1_3
    return server, client


def handshake(server, client, session=None):
    """Seconds of processor time, whether it was resumed, and a session to resume."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    began = time.process_time()
    ends = [client.wrap_bio(back, there, server_hostname="relay", session=session),
            server.wrap_bio(there, back, server_side=True)]
    left = list(ends)
    while left:
        for end in list(left):
            try:
                end.do_handshake()
                left.remove(end)
            except ssl.SSLWantReadError:
                pass
    took = time.process_time() - began
    ends[1].write(b"x")  # with the tickets in front
    ends[0].read(1)
    return took, ends[0].session_reused, ends[0].session


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=500)
    count = parser.parse_args().count
    with tempfile.TemporaryDirectory() as folder:
        ends = contexts(folder)
        full, resumed = [], []
        for _ in range(count):  # in turns, so that both meet the same machine
            took, again, session = handshake(*ends)
            assert not again
            full.append(took)
            took, again, _ = handshake(*ends, session)
            assert again
            resumed.append(took)
    for name, times in (("full", full), ("resumed", resumed)):
        print(f"{name:8} {1e3 * statistics.median(times):.2f} ms, least {1e3 * min(times):.2f}")


if __name__ == "__main__":
    main()
