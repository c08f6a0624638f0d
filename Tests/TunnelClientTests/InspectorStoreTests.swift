import HTTPMessages
import NIOConcurrencyHelpers
import NIOCore
import NIOHTTP1
import Testing
import TunnelClient
import TunnelProtocol

@Suite struct InspectorStoreTests {
    @Test func `the ring keeps the last 500, newest first`() {
        let store = InspectorStore()
        for number in 0..<1_234 { store.add(Exchanges.whole("\(number)")) }
        #expect(store.count == 500)
        #expect(store.entries().map(\.exchange.request.id) == (734..<1_234).reversed().map(String.init))
        #expect(store.entry("733") == nil)
        #expect(store.entry("734")?.exchange.state == .complete)
        #expect(store.total(of: TunnelNumber(0)) == 1_234)
    }

    @Test func `all together stay within 64 MiB, and the oldest go first`() {
        let store = InspectorStore()
        let long = String(repeating: "x", count: 60_000)
        for number in 0..<700 {
            let begun = Exchanges.begun("\(number)", fields: ["X-Long": long])
            store.add(
                Exchanges.ended(begun, fields: ["X-Long": long + "\(number)"], body: ByteBuffer(repeating: 1, count: 20_000)))
            #expect(store.bytes <= InspectorStore.byteLimit)
        }
        #expect(store.count < 500)
        #expect(store.count > 400)
        #expect(store.entries().first?.exchange.request.id == "699")
        #expect(store.entries().last?.exchange.request.id == "\(700 - store.count)")
        store.clear()
        #expect(store.bytes == 0)
        #expect(store.count == 0)
    }

    @Test func `of a body the first 10 KiB are kept, in a buffer of at most 16 KiB`() {
        var body = CapturedBody()
        for _ in 0..<1_000 { body.append(ByteBuffer(repeating: 7, count: 999)) }
        #expect(body.count == 999_000)
        #expect(body.beginning.readableBytes == 10 * 1024)
        #expect(body.beginning.capacity <= 16 * 1024)
        #expect(!body.isWhole)
    }

    @Test func `what ends after it was forgotten does not come back`() {
        let store = InspectorStore()
        let begun = Exchanges.begun("1")
        let place = store.began(begun)
        store.clear()
        store.ended(Exchanges.ended(begun), at: place)
        #expect(store.count == 0)
        store.add(Exchanges.whole("2"))
        #expect(store.entries().map(\.exchange.request.id) == ["2"])
        for number in 3..<1_003 { store.add(Exchanges.whole("\(number)")) }
        let bytes = store.bytes
        store.ended(Exchanges.ended(begun), at: place)
        #expect(store.entries().map(\.exchange.request.id) == (503..<1_003).reversed().map(String.init))
        #expect(store.bytes == bytes)
    }

    @Test func `what began elsewhere takes nobody's place`() {
        let store = InspectorStore()
        let place = store.began(Exchanges.begun("ours"))
        store.ended(Exchanges.whole("another's"), at: place)
        store.ended(Exchanges.whole("another's"), at: place + 1)
        #expect(store.entries().map(\.exchange.request.id) == ["ours"])
        #expect(store.entries().first?.exchange.state == .underWay)
    }

    @Test func `of two with the same id the newer one is found`() {
        let store = InspectorStore()
        store.add(Exchanges.whole("same", target: "/1"))
        let second = Exchanges.begun("same", target: "/2")
        let place = store.began(second)
        #expect(store.entry("same")?.exchange.state == .underWay)
        store.ended(Exchanges.ended(second), at: place)
        #expect(store.entry("same")?.exchange.request.target == "/2")
        #expect(store.entries().map(\.exchange.state) == [.complete, .complete])
        for number in 0..<499 { store.add(Exchanges.whole("\(number)")) }
        #expect(store.entry("same")?.exchange.request.target == "/2")
        store.add(Exchanges.whole("499"))
        #expect(store.entry("same") == nil)
    }

    @Test func `readers see an exchange as it began or as it ended while it is being told of`() async {
        let store = InspectorStore()
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                for number in 0..<5_000 {
                    let begun = Exchanges.begun("\(number)")
                    let place = store.began(begun)
                    store.ended(Exchanges.ended(begun), at: place)
                }
            }
            for _ in 0..<2 {
                group.addTask {
                    var version: UInt64 = 0
                    while store.total(of: TunnelNumber(0)) < 5_000 {
                        let changes = store.changes(since: version)
                        version = changes.version
                        for entry in changes.entries {
                            #expect((entry.exchange.response?.status == 200) == (entry.exchange.state == .complete))
                        }
                    }
                }
            }
        }
        #expect(store.entries().allSatisfy { $0.exchange.state == .complete })
    }

    @Test func `a watcher is told once until it looks again`() {
        let store = InspectorStore()
        let told = NIOLockedValueBox(0)
        store.watch { told.withLockedValue { $0 += 1 } }
        for number in 0..<10 { store.add(Exchanges.whole("\(number)")) }
        #expect(told.withLockedValue { $0 } == 1)
        store.rearm()
        store.add(Exchanges.whole("10"))
        store.clear()
        #expect(told.withLockedValue { $0 } == 2)
    }

    @Test func `a watcher learns what changed, and when to start over`() {
        let store = InspectorStore()
        store.add(Exchanges.whole("1"))
        let begun = Exchanges.begun("2")
        let place = store.began(begun)
        let first = store.changes(since: nil)
        #expect(first.startsOver)
        #expect(first.entries.map(\.exchange.request.id) == ["1", "2"])
        store.ended(Exchanges.ended(begun), at: place)
        let second = store.changes(since: first.version)
        #expect(!second.startsOver)
        #expect(second.entries.map(\.exchange.request.id) == ["2"])
        #expect(store.changes(since: second.version).entries.isEmpty)
        store.clear()
        store.add(Exchanges.whole("3"))
        let third = store.changes(since: second.version)
        #expect(third.startsOver)
        #expect(third.entries.map(\.exchange.request.id) == ["3"])
    }

    @Test func `adding is cheap`() {
        let store = InspectorStore()
        let start = ContinuousClock.now
        for number in 0..<20_000 { store.add(Exchanges.whole("\(number)")) }
        // Generous for debug builds on busy machines; what takes time for each entry kept would take minutes.
        #expect(ContinuousClock.now - start < .seconds(20))
        #expect(store.count == 500)
    }
}
