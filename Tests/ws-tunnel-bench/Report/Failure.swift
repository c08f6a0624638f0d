/// What keeps a measurement from being made: a sentence, and where there is one a remedy.
struct Failure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}
