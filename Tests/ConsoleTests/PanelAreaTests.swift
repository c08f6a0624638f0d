import Console
import Testing

/// The rows of a terminal that a panel occupies.
@Suite struct PanelAreaTests {
    private let size = PanelArea.Size(columns: 20, rows: 10)

    @Test func `a panel is drawn in rows of its own, and taken away from its first`() {
        var area = PanelArea()
        #expect(area.erase(on: self.size) == "")
        #expect(area.draw(["one", "two"], on: self.size) == "one\ntwo\n")
        #expect(area.erase(on: self.size) == "\r\u{1B}[2A\u{1B}[J")
        #expect(area.erase(on: self.size) == "", "there is nothing left to take away")
    }

    @Test func `what is shown already need not be drawn`() {
        var area = PanelArea()
        _ = area.draw(["one"], on: self.size)
        #expect(area.shows(["one"], on: self.size))
        #expect(!area.shows(["one", "two"], on: self.size))
        #expect(!area.shows(["one"], on: PanelArea.Size(columns: 3, rows: 10)), "it has to be cut now")
        _ = area.erase(on: self.size)
        #expect(!area.shows(["one"], on: self.size))
    }

    @Test(arguments: [
        ("exactly nineteen ch", "exactly nineteen ch"), ("and here are twenty.", "and here are twenty"),
        // Each may take two columns.
        ("日本語日本語日本語日本語", "日本語日本語日本語"),
    ])
    func `a line is cut where it could wrap`(line: String, cut: String) {
        var area = PanelArea()
        #expect(area.draw([line], on: self.size) == cut + "\n")
    }

    @Test(arguments: [(10, 3), (4, 2), (3, 1), (2, 0), (0, 0)])
    func `a low window has room for a line of the log`(rows: Int, shown: Int) {
        var area = PanelArea()
        let drawn = area.draw(["1", "2", "3"], on: PanelArea.Size(columns: 20, rows: rows))
        #expect(drawn == ["1\n", "2\n", "3\n"].prefix(shown).joined())
    }

    @Test func `a window that became narrower has broken the lines`() {
        var area = PanelArea()
        _ = area.draw(["123456789012", "1234"], on: self.size)
        #expect(area.erase(on: PanelArea.Size(columns: 5, rows: 10)) == "\r\u{1B}[4A\u{1B}[J")
    }

    @Test func `nothing in a line moves the cursor`() {
        var area = PanelArea()
        #expect(area.draw(["a\u{1B}[Ab\nc\u{9B}d"], on: self.size) == "a\u{FFFD}[Ab\u{FFFD}c\u{FFFD}d\n")
    }

    @Test func `what is forgotten stays on the screen`() {
        var area = PanelArea()
        _ = area.draw(["one"], on: self.size)
        area.forget()
        #expect(area.erase(on: self.size) == "")
    }
}
