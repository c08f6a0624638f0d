"""A relay for WebSocket connections without TLS that ends them as a proxy does which restarts.

    closer.py PORT CODE        listens on a free port, prints it, leads to PORT

For each line on standard input every open connection gets a Close frame with that code, between two frames of the server's, and
both sides are closed; what the client still says is heard out. It prints "closed" when the frames are sent.
"""
import socket, struct, sys, threading

target, code = map(int, sys.argv[1:3])


class Pair:
    def __init__(self, near):
        self.near, self.far = near, socket.create_connection(("127.0.0.1", target))
        # Held while a whole frame is written.
        self.writing, self.is_closed = threading.Lock(), False
        for body in (self.up, self.down):
            threading.Thread(target=self.guard, args=(body,), daemon=True).start()

    def guard(self, body):
        try:
            body()
        except OSError:
            pass
        for connection in (self.near, self.far):
            try:
                connection.shutdown(socket.SHUT_WR)
            except OSError:
                pass

    def up(self):
        while part := self.near.recv(65_536):
            if not self.is_closed:
                self.far.sendall(part)

    def down(self):
        stream = self.far.makefile("rb")
        answer = b""
        while not answer.endswith(b"\r\n\r\n") and (line := stream.readline()):
            answer += line
        self.near.sendall(answer)
        while len(head := stream.read(2)) == 2:
            length = head[1] & 0x7F
            more = stream.read({126: 2, 127: 8}.get(length, 0))
            if more:
                length = int.from_bytes(more, "big")
            frame = head + more + stream.read(length)
            with self.writing:
                if self.is_closed:
                    return
                self.near.sendall(frame)

    def close(self):
        with self.writing:
            self.is_closed = True
            self.near.sendall(struct.pack("!BBH", 0x88, 2, code))
            self.near.shutdown(socket.SHUT_WR)
        self.far.shutdown(socket.SHUT_RDWR)


def accept(listener, pairs):
    while True:
        pairs.append(Pair(listener.accept()[0]))


def main():
    listener = socket.create_server(("127.0.0.1", 0))
    print(f"port {listener.getsockname()[1]}", flush=True)
    pairs = []
    threading.Thread(target=accept, args=(listener, pairs), daemon=True).start()
    for _ in sys.stdin:
        for pair in pairs:
            if not pair.is_closed:
                try:
                    pair.close()
                except OSError:
                    pass
        print("closed", flush=True)


main()
