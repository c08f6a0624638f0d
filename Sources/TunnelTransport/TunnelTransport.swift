// TunnelTransport
