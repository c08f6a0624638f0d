#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#else
internal import Darwin
#endif

/// What changes about a path when something else comes to lie there, or is written into it. A symbolic link is followed, so that
/// a link that now leads elsewhere is a change as well: that is how certbot and Kubernetes put a new certificate in place.
package struct FileFacts: Equatable, Sendable {
    private let device: UInt64
    private let inode: UInt64
    private let size: Int64
    /// When the contents, and when anything at all, last changed: seconds and nanoseconds.
    private let modified: [Int]
    private let changed: [Int]

    /// - Returns: `nil` when nothing is there, or it cannot be asked about.
    package init?(_ path: String) {
        var facts = stat()
        guard stat(path, &facts) == 0 else { return nil }
        self.device = UInt64(truncatingIfNeeded: facts.st_dev)
        self.inode = UInt64(facts.st_ino)
        self.size = Int64(facts.st_size)
        #if canImport(Darwin)
        let (modified, changed) = (facts.st_mtimespec, facts.st_ctimespec)
        #else
        let (modified, changed) = (facts.st_mtim, facts.st_ctim)
        #endif
        self.modified = [modified.tv_sec, modified.tv_nsec]
        self.changed = [changed.tv_sec, changed.tv_nsec]
    }
}
