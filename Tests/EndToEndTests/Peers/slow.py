"""Opens many TLS connections, sends the beginning of a request on each, and waits until the server has closed them all.

    slow.py PORT COUNT      prints `open`, then `closed COUNT` with the seconds that the last one was kept
"""
import select
import socket
import ssl
import sys
import time

port, count = int(sys.argv[1]), int(sys.argv[2])
context = ssl.create_default_context()
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
opened = {}
for _ in range(count):
    began = time.monotonic()
    peer = context.wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname="localhost")
    peer.sendall(b"GET /_ws-tunnel/v1 HTTP/1.1\r\nHost: local")
    opened[peer] = began
print("open", flush=True)
longest = 0
closed = 0
poll = select.poll()
peers = {peer.fileno(): peer for peer in opened}
for number in peers:
    poll.register(number, select.POLLIN)
while peers:
    for number, _ in poll.poll(60_000):
        peer = peers[number]
        try:
            ended = not peer.recv(4096)
        except OSError:
            ended = True
        if ended:
            longest = max(longest, time.monotonic() - opened[peer])
            closed += 1
            poll.unregister(number)
            del peers[number]
print(f"closed {closed} {longest:.1f}", flush=True)
