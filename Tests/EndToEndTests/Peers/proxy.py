"""A forward proxy that does what real ones seldom do.

    proxy.py ADDRESS answer TEXT            answers every CONNECT with TEXT (\\r\\n is read as such), and closes
    proxy.py ADDRESS connect TEXT           leads to ADDRESS, whatever the host asked for; TEXT follows right behind its 200
    proxy.py ADDRESS socks USER PASSWORD    SOCKS 5; leads to ADDRESS, whatever the host asked for
    proxy.py ADDRESS reply CODE             SOCKS 5 without a login; refuses with CODE
    proxy.py ADDRESS close -                closes every connection once it has heard something

It listens on the port of the variable PORT, or on any. Prints its port, and what it is asked for.
"""
import os, socket, sys, threading

address, mode, *values = sys.argv[1:]


def pump(one, other):
    try:
        while part := one.recv(65_536):
            other.sendall(part)
        other.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def lead(near, port, answer):
    far = socket.create_connection((address, port))
    near.sendall(answer)
    threading.Thread(target=pump, args=(far, near), daemon=True).start()
    pump(near, far)


def http(near):
    head = b""
    while not head.endswith(b"\r\n\r\n") and (part := near.recv(1)):
        head += part
    target = head.split(b" ")[1].decode()
    print(f"asked for {target}", flush=True)
    text = values[0].replace("\\r\\n", "\r\n").encode()
    if mode == "answer":
        near.sendall(text)
        near.close()
    else:
        lead(near, int(target.rsplit(":", 1)[1]), b"HTTP/1.1 200 Connection established\r\n\r\n" + text)


def read(near, count):
    part = b""
    while len(part) < count:
        more = near.recv(count - len(part))
        if not more:
            raise OSError("closed")
        part += more
    return part


def socks(near):
    methods = read(near, read(near, 2)[1])
    if mode == "socks":
        if 2 not in methods:
            near.sendall(b"\5\xff")
            return near.close()
        near.sendall(b"\5\2")
        read(near, 1)
        login = [read(near, read(near, 1)[0]).decode() for _ in range(2)]
        near.sendall(b"\1\0" if login == values else b"\1\1")
        if login != values:
            return near.close()
    else:
        near.sendall(b"\5\0")
    kind = read(near, 4)[3]
    host = read(near, read(near, 1)[0]).decode() if kind == 3 else socket.inet_ntoa(read(near, 4))
    port = int.from_bytes(read(near, 2), "big")
    print(f"asked for {host}:{port}", flush=True)
    if mode == "reply":
        near.sendall(bytes([5, int(values[0]), 0, 1, 0, 0, 0, 0, 0, 0]))
        return near.close()
    lead(near, port, b"\5\0\0\1\0\0\0\0\0\0")


def serve(near):
    try:
        if mode == "close":
            # What is not read would make it a reset.
            near.recv(65_536)
            near.close()
        elif mode in ("socks", "reply"):
            socks(near)
        else:
            http(near)
    except (OSError, IndexError, ValueError) as error:
        print(f"ended with {type(error).__name__}", flush=True)


listener = socket.create_server(("127.0.0.1", int(os.environ.get("PORT", 0))))
print(f"port {listener.getsockname()[1]}", flush=True)
while True:
    near = listener.accept()[0]
    near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    threading.Thread(target=serve, args=(near,), daemon=True).start()
