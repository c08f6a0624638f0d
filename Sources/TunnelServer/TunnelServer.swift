// TunnelServer
