"""Sends and receives at the same time, in pieces of random size, and checks what arrives.

    bulk.py serve                            listens on a free port, prints it, takes any number of connections
    bulk.py visit PORT MEBIBYTES STREAMS     opens so many at once

Each direction of a connection carries: bytes to send (8), those bytes, their SHA-256 (32), end of file.
Each side prints "intact" once for every connection whose bytes arrived as they were sent, or what is wrong.
"""
import hashlib, os, random, socket, struct, sys, threading


def send(connection, size, seed):
    pieces = random.Random(seed)
    # Half of it can be compressed, half cannot.
    text = b"".join(b"line %d of a text that repeats itself\n" % pieces.randint(1, 100) for _ in range(60_000))
    pool = memoryview(pieces.randbytes(2 << 20) + text[:2 << 20])
    digest = hashlib.sha256()
    connection.sendall(struct.pack("!Q", size))
    while size > 0:
        length = min(size, pieces.choice((1, 100, 4_000, 65_536, 300_000, 1_000_000)) * pieces.randint(1, 3))
        offset = pieces.randint(0, len(pool) - 1)
        piece = pool[offset:offset + length]
        connection.sendall(piece)
        digest.update(piece)
        size -= len(piece)
    connection.sendall(digest.digest())
    connection.shutdown(socket.SHUT_WR)


def exactly(connection, count):
    result = b""
    while len(result) < count:
        part = connection.recv(count - len(result))
        if not part:
            raise EOFError(f"ended {count - len(result)} bytes early")
        result += part
    return result


def receive(connection, start=None):
    size = struct.unpack("!Q", exactly(connection, 8))[0]
    if start:
        start(size)
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(1 << 20))
    rest = size
    while rest > 0:
        count = connection.recv_into(buffer[:min(rest, len(buffer))])
        if count == 0:
            raise EOFError(f"ended after {size - rest} of {size} bytes")
        digest.update(buffer[:count])
        rest -= count
    if exactly(connection, 32) != digest.digest():
        raise ValueError("the bytes that arrived are not those that were sent")
    if connection.recv(1):
        raise ValueError("more arrived than was sent")


def run(connection, size):
    """The visitor says how much; the service answers with as much."""
    sender = None

    def start(size):
        nonlocal sender
        sender = threading.Thread(target=send, args=(connection, size, os.urandom(8)))
        sender.start()

    try:
        if size is None:
            receive(connection, start)
        else:
            start(size)
            receive(connection)
        sender.join()
        verdict = "intact"
    except Exception as error:
        verdict = f"damaged: {type(error).__name__}: {error}"
    # One write a line: several threads speak.
    os.write(1, f"{verdict}\n".encode())
    connection.close()


def main():
    if sys.argv[1] == "serve":
        listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        print(f"port {listener.getsockname()[1]}", flush=True)
        while True:
            threading.Thread(target=run, args=(listener.accept()[0], None), daemon=True).start()
    port, mebibytes, streams = map(int, sys.argv[2:5])
    threads = [
        threading.Thread(target=run, args=(socket.create_connection(("127.0.0.1", port)), mebibytes << 20))
        for _ in range(streams)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


main()
