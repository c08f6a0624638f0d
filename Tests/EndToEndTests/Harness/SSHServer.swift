import Foundation

/// An sshd of the test's own, with keys made for it.
struct SSHServer {
    let port: UInt16
    private let key: String

    init(on stage: Stage) throws {
        let folder = "\(stage.folder)/ssh"
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        for name in ["host", "user"] {
            try stage.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "\(folder)/\(name)")
        }
        try FileManager.default.copyItem(atPath: "\(folder)/user.pub", toPath: "\(folder)/authorized")
        // Where root's sshd confines the part that speaks before anybody has logged in.
        if getuid() == 0 { mkdir("/run/sshd", 0o755) }
        self.key = "\(folder)/user"
        self.port = try stage.freePort()
        let configuration = try stage.file(
            "sshd_config",
            """
            ListenAddress 127.0.0.1:\(self.port)
            HostKey \(folder)/host
            AuthorizedKeysFile \(folder)/authorized
            PidFile none
            StrictModes no
            UsePAM no
            PasswordAuthentication no
            PermitRootLogin prohibit-password

            """)
        // It insists on an absolute path.
        let sshd = try stage.start(Toolchain.find("sshd"), ["-D", "-e", "-f", configuration])
        try sshd.line(containing: "Server listening on 127.0.0.1 port \(self.port)")
    }

    /// For rsync's `-e`.
    func command(port: UInt16) -> String {
        "ssh -p \(port) -i \(self.key) -F none -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"
            + " -o IdentitiesOnly=yes -o LogLevel=ERROR"
    }
}
