print("ws-tunnel-server")
