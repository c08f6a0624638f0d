/// What one load process measured; seconds and bytes throughout. Travels as one line of text: `name=value name=value`.
struct Readings: ExpressibleByDictionaryLiteral {
    enum Name: String {
        case port
        case bytes
        case bytesPerSecond
        /// The slowest stream's bytes by the fastest one's.
        case evenness
        case count
        case perSecond
        case median
        case percentile99
    }

    private var values: [Name: Double]

    init(dictionaryLiteral elements: (Name, Double)...) {
        self.values = Dictionary(elements) { $1 }
    }

    init(line: String) throws {
        self.values = [:]
        for word in line.split(separator: " ") {
            let parts = word.split(separator: "=")
            guard parts.count == 2, let name = Name(rawValue: String(parts[0])), let value = Double(String(parts[1])) else {
                throw Failure("the load said \"\(line)\"")
            }
            self.values[name] = value
        }
    }

    /// Zero for what was not measured.
    subscript(name: Name) -> Double { self.values[name] ?? 0 }

    var line: String {
        self.values.map { "\($0.key.rawValue)=\($0.value)" }.sorted().joined(separator: " ")
    }
}
