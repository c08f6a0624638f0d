import FuzzTargets
import Testing

/// Every fixture of every fuzz target, as tests without a fuzzer: what was found once is not found again.
@Suite struct FuzzTests {
    static let names = FuzzTarget.all.map(\.name)

    @Test(arguments: names) func `whatever was found stays mended`(name: String) throws {
        let target = try #require(FuzzTarget.all.first { $0.name == name })
        let fixtures = try Fixture.all(for: target)
        #expect(!fixtures.isEmpty)
        for fixture in fixtures {
            #expect(throws: Never.self, "\(fixture.title)") { try target.attack(with: fixture.bytes) }
        }
    }

    @Test(arguments: names) func `every beginning of a fixture is an input too`(name: String) throws {
        let target = try #require(FuzzTarget.all.first { $0.name == name })
        for fixture in try Fixture.all(for: target) {
            for count in 0..<min(fixture.bytes.count, 200) {
                #expect(throws: Never.self, "\(count) bytes of \(fixture.title)") {
                    try target.attack(with: Array(fixture.bytes.prefix(count)))
                }
            }
        }
    }
}
