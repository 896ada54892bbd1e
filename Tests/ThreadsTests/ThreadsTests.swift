import Glibc
import Testing
import Threads

@Suite struct ThreadsTests {
  private struct Refusal: Error, Equatable {}

  @Test func `a joined thread is another one, and its value or error comes back`() throws {
    let here = pthread_self()
    #expect(try JoinedThread.run { pthread_equal(pthread_self(), here) == 0 }.get())
    let refused: Result<Int, Refusal> = try JoinedThread.run { () throws(Refusal) -> Int in throw Refusal() }
    #expect(refused == .failure(Refusal()))
  }

  @Test func `a value of a detached thread is waited for`() async {
    #expect(
      await DetachedThread.run {
        usleep(1000)
        return 7
      } == 7)
  }
}
