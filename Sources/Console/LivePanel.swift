internal import NIOConcurrencyHelpers

/// A few lines at the bottom of the terminal that always say how things are; what else is written scrolls above them.
package final class LivePanel<State: Sendable>: Sendable {
    private let state: NIOLockedValueBox<State>

    /// `nil` when there is no terminal to show it on, or one that cannot move its cursor.
    package init?(_ state: State) {
        guard Terminal.shared?.movesCursor == true else { return nil }
        self.state = NIOLockedValueBox(state)
    }

    /// What is shown follows within a quarter of a second.
    package func update(_ change: (inout State) -> Void) {
        self.state.withLockedValue { change(&$0) }
    }

    /// From now on, until the program ends.
    ///
    /// - Parameter lines: Called again and again, on any thread; the most important line comes first.
    package func show(_ lines: @escaping @Sendable (inout State) -> [String]) {
        Terminal.shared?.show { self.state.withLockedValue { lines(&$0) } }
    }
}
