/// Rows of text in columns, as Markdown shows them and terminals too.
struct Table {
    private var rows: [[String]]
    /// The first column that holds figures: those stand at the right.
    private let firstFigure: Int

    init(_ head: [String], firstFigure: Int) {
        self.rows = [head]
        self.firstFigure = firstFigure
    }

    mutating func add(_ row: [String]) {
        precondition(row.count == self.rows[0].count, "\(row.count) cells of \(self.rows[0].count)")
        self.rows.append(row)
    }

    var text: String {
        let widths = self.rows[0].indices.map { column in self.rows.map { $0[column].count }.max() ?? 0 }
        var lines = self.rows.map { row in
            let cells = row.indices.map { column in
                let space = String(repeating: " ", count: widths[column] - row[column].count)
                return column < self.firstFigure ? row[column] + space : space + row[column]
            }
            return "| " + cells.joined(separator: " | ") + " |"
        }
        let rule = widths.indices.map { column in
            String(repeating: "-", count: widths[column] + 1) + (column < self.firstFigure ? "-" : ":")
        }
        lines.insert("|" + rule.joined(separator: "|") + "|", at: 1)
        return lines.joined(separator: "\n")
    }
}
