"""A visitor who asks again and again, and reads no answer before it is told to.

    unread.py PORT HOST TARGET COUNT

Sends COUNT requests on one connection, or as many as are taken, and prints {"event": "sent", "requests": <whole ones>}. After a line
on standard input it reads up to the end, and prints {"event": "answers", "count": N}.
"""
import json, socket, sys

port, host, target, count = int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
request = f"GET {target} HTTP/1.1\r\nHost: {host}\r\nAccept: text/html\r\n\r\n".encode()
connection = socket.create_connection(("127.0.0.1", port))
everything, sent = memoryview(request * count), 0
connection.settimeout(1)
try:
    while sent < len(everything):
        sent += connection.send(everything[sent:sent + (1 << 16)])
except TimeoutError:
    pass
print(json.dumps({"event": "sent", "requests": sent // len(request)}), flush=True)
sys.stdin.readline()

connection.settimeout(60)
connection.shutdown(socket.SHUT_WR)
answers, rest, mark = 0, b"", b"HTTP/1.1 200 OK\r\n" if target.startswith("/bytes") else b"HTTP/1.1 404 "
while part := connection.recv(1 << 18):
    rest += part
    answers += rest.count(mark)
    # No more of it than can be the beginning of the next.
    end = rest.rfind(mark)
    rest = rest[max(end + len(mark) if end >= 0 else 0, len(rest) - len(mark) + 1):]
print(json.dumps({"event": "answers", "count": answers}), flush=True)
