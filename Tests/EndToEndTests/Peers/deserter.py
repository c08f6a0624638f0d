"""A server that accepts every upgrade to the tunnel protocol, and closes the connection instead of greeting.

    deserter.py [PORT]        listens on PORT, by default a free one, and prints it
"""
import base64, hashlib, socket, sys

listener = socket.create_server(("127.0.0.1", int(sys.argv[1]) if sys.argv[1:] else 0))
print(f"port {listener.getsockname()[1]}", flush=True)
while True:
    connection = listener.accept()[0]
    with connection, connection.makefile("rb") as stream:
        key = b""
        # An attempt that is given up ends early.
        while (line := stream.readline()).strip():
            name, _, value = line.partition(b":")
            if name.lower() == b"sec-websocket-key":
                key = value.strip()
        accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()).decode()
        connection.sendall(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: ws-tunnel.1\r\n\r\n".encode())
        connection.shutdown(socket.SHUT_WR)
        # Heard out, so that no unread byte turns the end into a reset.
        while stream.read1(65_536):
            pass
