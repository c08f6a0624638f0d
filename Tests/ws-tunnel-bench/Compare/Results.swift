/// The readings of all rounds.
struct Results {
    private var readings: [Contender: [Figure: [Double]]] = [:]

    mutating func add(_ figures: [Figure: Double], of contender: Contender) {
        for (figure, value) in figures { self.readings[contender, default: [:]][figure, default: []].append(value) }
    }

    /// In seconds or bytes, of each round.
    private func readings(_ figure: Figure, _ contender: Contender) -> [Double] { self.readings[contender]?[figure] ?? [] }

    /// Ours by HAProxy's: the median of each round's, as a machine is not equally fast in all of them.
    private func ratio(_ figure: Figure, _ meaning: Figure.Meaning) -> Double {
        guard meaning.hasRatio else { return .nan }
        let pairs = zip(self.readings(figure, .ours), self.readings(figure, .haproxy))
        let ratios = pairs.map { $0 / $1 }.filter(\.isFinite)
        return ratios.isEmpty ? .nan : ratios.median
    }

    private var measured: [Figure] { Figure.allCases.filter { !self.readings($0, .ours).isEmpty } }

    func table(idle: Int) -> String {
        var table = Table(["", "unit", Contender.ours.rawValue, Contender.haproxy.rawValue, "ratio", "better is"], firstFigure: 2)
        for figure in self.measured {
            let meaning = figure.meaning(idle: idle)
            let values = Contender.allCases.map { (self.readings(figure, $0).median * meaning.scale).brief }
            let ratio = self.ratio(figure, meaning)
            table.add(
                [meaning.label, meaning.unit] + values
                    + [ratio.isFinite ? ratio.fixed(2) : "-", meaning.isMoreBetter ? "more" : "less"])
        }
        return table.text
    }

    func json(idle: Int) -> JSON {
        .list(self.measured.map { figure in
            let meaning = figure.meaning(idle: idle)
            var members: [(String, JSON)] = [
                ("name", .text(figure.rawValue)), ("unit", .text(meaning.unit)),
                ("better", .text(meaning.isMoreBetter ? "more" : "less")), ("ratio", .number(self.ratio(figure, meaning))),
            ]
            for contender in Contender.allCases {
                let values = self.readings(figure, contender).map { $0 * meaning.scale }
                members.append(("\(contender.rawValue)", .number(values.median)))
                members.append(("\(contender.rawValue) rounds", .list(values.map { .number($0) })))
            }
            return .object(members)
        })
    }
}
