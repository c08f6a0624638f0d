import Testing

@Test func `the room builds`() {}
