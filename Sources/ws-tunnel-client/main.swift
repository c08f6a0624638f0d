print("ws-tunnel-client")
