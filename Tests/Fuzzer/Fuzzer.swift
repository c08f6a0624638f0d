import Foundation
import FuzzTargets

/// Runs one target under libFuzzer: `Fuzzer NAME CORPUS [libFuzzer's options]`. Built by `Tests/fuzz` only, as libFuzzer itself
/// is linked in with `-sanitize=fuzzer`. Without arguments it lists the targets.
@main enum Fuzzer {
    /// Where libFuzzer comes back to, with no other way to tell it.
    nonisolated(unsafe) static var target = FuzzTarget.tunnelFrames

    static func main() throws {
        let arguments = CommandLine.arguments
        guard arguments.count > 2, let target = FuzzTarget.all.first(where: { $0.name == arguments[1] }) else {
            for target in FuzzTarget.all { print(target.name) }
            exit(arguments.count > 1 ? 64 : 0)
        }
        self.target = target
        for (index, fixture) in try Fixture.all(for: target).enumerated() {
            try Data(fixture.bytes).write(to: URL(filePath: arguments[2]).appending(path: "fixture-\(index)"))
        }
        let options = [arguments[0], "-max_len=\(target.longest)"] + arguments.dropFirst(2)
        var pointers = options.map { strdup($0) } + [nil]
        var count = CInt(options.count)
        pointers.withUnsafeMutableBufferPointer { pointers in
            var base = pointers.baseAddress
            exit(runDriver(&count, &base) { bytes, count in Fuzzer.attack(bytes, count) })
        }
    }

    private static func attack(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
        do {
            try self.target.attack(with: Array(UnsafeBufferPointer(start: bytes, count: count)))
        } catch {
            fatalError("\(error)")
        }
        return 0
    }
}

/// libFuzzer's own entry, for programs that have a `main`.
@_silgen_name("LLVMFuzzerRunDriver")
private func runDriver(
    _ count: UnsafeMutablePointer<CInt>, _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?>,
    _ test: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
) -> CInt
