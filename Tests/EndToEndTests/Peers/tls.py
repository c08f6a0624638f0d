"""Speaks TLS by hand: sends standard input, prints what comes back until the other side closes.

    tls.py PORT
"""
import socket, ssl, sys

context = ssl.create_default_context()
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
with socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=15) as plain:
    with context.wrap_socket(plain) as secure:
        try:
            secure.sendall(sys.stdin.buffer.read())
            while part := secure.recv(65536):
                sys.stdout.buffer.write(part)
        except (BrokenPipeError, ConnectionResetError, ssl.SSLError) as error:
            print(f"ended with {type(error).__name__}", file=sys.stderr)
