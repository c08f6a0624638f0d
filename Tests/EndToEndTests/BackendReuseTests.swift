import Foundation
import Testing

/// Behind load balancers that put the requests of many visitors, for different hosts, onto the same few connections, the tunnels'
/// own among them: nobody ever gets an answer of another tunnel's, or of another visitor's.
@Suite struct BackendReuseTests {
    enum Balancer: String, CaseIterable, Sendable { case haproxy, nginx }

    private func nginx(before server: Server, on stage: Stage) throws -> UInt16 {
        let port = try stage.freePort()
        let configuration = """
            worker_processes 1;
            pid \(stage.folder)/nginx.pid;
            events { worker_connections 1024; }
            http {
              access_log off;
              client_body_temp_path \(stage.folder)/body;
              proxy_temp_path \(stage.folder)/proxy;
              fastcgi_temp_path \(stage.folder)/fastcgi;
              uwsgi_temp_path \(stage.folder)/uwsgi;
              scgi_temp_path \(stage.folder)/scgi;
              map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
              upstream tunnel { server 127.0.0.1:\(server.port); keepalive 4; }
              server {
                listen 127.0.0.1:\(port);
                location / {
                  proxy_pass http://tunnel;
                  proxy_bind \(LoadBalancer.address);
                  proxy_http_version 1.1;
                  proxy_set_header Host $http_host;
                  proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
                  proxy_set_header Upgrade $http_upgrade;
                  proxy_set_header Connection $connection_upgrade;
                  proxy_read_timeout 60s;
                }
              }
            }
            """
        let file = try stage.file("nginx.conf", configuration)
        chmod(stage.folder, 0o777)
        let program = try stage.startFamily("nginx", ["-e", "stderr", "-g", "daemon off; error_log stderr notice;", "-c", file])
        try program.line(containing: "start worker process")
        return port
    }

    private func haproxy(before server: Server, on stage: Stage) throws -> UInt16 {
        try LoadBalancer(
            """
            mode http
            bind @PORT@
            option forwardfor
            http-reuse always
            server s1 127.0.0.1:\(server.port) @SOURCE@ pool-max-conn 4
            """, on: stage
        ).port
    }

    @Test(arguments: Balancer.allCases)
    func `two tunnels share a load balancer's connections, and every answer is its visitor's own`(balancer: Balancer) throws {
        try Stage.run { stage in
            let server = try stage.httpServer("--trusted-proxies", LoadBalancer.address, "--public-host", "localhost")
            let port = try balancer == .haproxy ? self.haproxy(before: server, on: stage) : self.nginx(before: server, on: stage)
            // The clients come the same way.
            let front = Server(program: server.program, port: port, fingerprint: nil, isPlain: true)
            let tunnels = try ["red", "green"].map { name in
                try stage.expose(stage.origin(name), at: front, ",subdomain=\(name)", arguments: ["--state-dir", "\(stage.folder)/\(name)"])
            }
            let crowd = try Crowd(24, at: port, asking: [("red.localhost", "red"), ("green.localhost", "green")], on: stage)
            // A third tunnel's upgrade arrives on a connection that may have been a visitor's.
            let third = try stage.expose(stage.origin("blue"), at: front, ",subdomain=blue", arguments: ["--state-dir", "\(stage.folder)/blue"])
            let late = try Crowd(4, at: port, asking: [("blue.localhost", "blue"), ("red.localhost", "red")], on: stage)
            try third.origin.checkNothingOdd()
            for (figures, least) in [(try late.finish(), 8), (try crowd.finish(), 100)] {
                #expect(figures.wrong == 0 && figures.failed == 0 && figures.right >= least, "\(figures)")
            }
            for tunnel in tunnels { try tunnel.origin.checkNothingOdd() }
            #expect(tunnels.allSatisfy { $0.client.events("lost", "paused").isEmpty })
            // Few connections carried all of it.
            let heads = try tunnels.map { Set(try $0.origin.requests().map(\.connection)).count }
            #expect(heads.allSatisfy { $0 <= 64 }, "\(heads)")
        }
    }

    @Test func `visitors and a tunnel follow each other on one connection`() throws {
        try Stage.run { stage in
            let tunnel = try stage.httpTunnel(server: ["--trusted-proxies", "127.0.0.1"])
            let one = HTTPVisitor(try stage.visit(tunnel.server.port))
            let requests = [("/echo", tunnel.authority, 200), ("/", "nobody.localhost", 404), ("/echo", tunnel.authority, 200)]
            for (path, host, status) in requests {
                try one.send("GET \(path) HTTP/1.1\r\nHost: \(host)\r\n\r\n")
                #expect(try one.answer().status == status, "\(path) of \(host)")
            }
            try one.send(RawWebSocket.request(key: stage.key))
            #expect(try one.head().status == 101)
        }
    }
}
