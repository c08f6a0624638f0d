/// Whether a proxy leads to a server, and which: what was asked for, before the environment's habits.
///
///     --proxy, else
///     HTTPS_PROXY, https_proxy for wss;  http_proxy for ws, in lower case only: a CGI program's HTTP_PROXY is its caller's
///     header (CVE-2016-5385); else
///     ALL_PROXY, all_proxy
///     then NO_PROXY, no_proxy; and loopback never goes through a proxy
///
/// An empty value means that there is none, and is not passed over; for `--proxy` so does `none`.
package struct ProxyChoice: Sendable, Equatable {
    /// Why no choice can be made.
    package struct Invalid: Error, Equatable, Sendable {
        /// `--proxy`, or a variable's name.
        package let source: String
        package let reason: ProxyURL.Invalid

        package init(source: String, reason: ProxyURL.Invalid) {
            self.source = source
            self.reason = reason
        }
    }

    /// `nil`: straight to the server.
    package let proxy: ProxyURL?
    /// `--proxy`, or the name of the variable, whether it was followed or not; `nil` when nothing names a proxy.
    package let source: String?
    /// Why the proxy that was named is not used: the variable's name, or "loopback".
    package let bypass: String?

    /// - Parameters:
    ///   - isSecure: Whether the server's scheme is wss.
    ///   - host: The server's, an address without brackets.
    ///   - argument: The value of `--proxy`.
    package init(
        isSecure: Bool, host: String, port: UInt16, argument: String?, environment: [String: String]
    ) throws(Invalid) {
        let variables = (isSecure ? ["HTTPS_PROXY", "https_proxy"] : ["http_proxy"]) + ["ALL_PROXY", "all_proxy"]
        var named: (source: String, text: String)?
        if let argument {
            named = ("--proxy", argument == "none" ? "" : argument)
        } else {
            named = variables.lazy.compactMap { name in environment[name].map { (name, $0) } }.first
        }
        guard let named, !named.text.isEmpty else {
            (self.proxy, self.source, self.bypass) = (nil, nil, nil)
            return
        }
        self.source = named.source
        if ProxyBypass.isLoopback(host: host) {
            self.bypass = "loopback"
        } else {
            self.bypass = ["NO_PROXY", "no_proxy"].first { environment[$0] != nil }.flatMap { name in
                ProxyBypass(environment[name] ?? "").covers(host: host, port: port) ? name : nil
            }
        }
        // What nobody asked for and nobody needs may be wrong.
        guard argument != nil || self.bypass == nil else {
            self.proxy = nil
            return
        }
        do throws(ProxyURL.Invalid) {
            let proxy = try ProxyURL(named.text)
            self.proxy = self.bypass == nil ? proxy : nil
        } catch {
            throw Invalid(source: named.source, reason: error)
        }
    }
}
