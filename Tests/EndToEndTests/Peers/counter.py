"""A TLS server that counts what it can decrypt: one line for each connection, "decrypted N bytes".

    counter.py CERTIFICATE KEY [tls1.1] [client-ca=PEM] [silent]

Prints "port N" when it listens. With `silent` it ends a connection whose client showed no certificate without an alert.
"""
import socket, ssl, struct, sys

certificate, key, *options = sys.argv[1:]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
if "tls1.1" in options:
    # Security level 0: OpenSSL would not even offer it otherwise.
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
context.load_cert_chain(certificate, key)
for option in options:
    if option.startswith("client-ca="):
        context.load_verify_locations(option.removeprefix("client-ca="))
        context.verify_mode = ssl.CERT_OPTIONAL if "silent" in options else ssl.CERT_REQUIRED

listener = socket.create_server(("127.0.0.1", 0))
print("port", listener.getsockname()[1], flush=True)
while True:
    plain, _ = listener.accept()
    plain.settimeout(10)
    count = 0
    why = "the client closed"
    try:
        with context.wrap_socket(plain, server_side=True) as secure:
            if "silent" in options and not secure.getpeercert():
                secure.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            else:
                while part := secure.recv(65536):
                    count += len(part)
    except OSError as error:
        why = str(error)
    print(f"decrypted {count} bytes: {why}", flush=True)
