import Glibc
import Testing

/// What the tests themselves rely on.
@Suite struct ChildTests {
  @Test func `a child hears SIGTERM, whatever the thread that started it blocks`() throws {
    var all = sigset_t()
    var before = sigset_t()
    sigfillset(&all)
    pthread_sigmask(SIG_SETMASK, &all, &before)
    defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
    let child = try Child(["sleep", "60"])
    child.signal(SIGTERM)
    #expect(eventually(within: 20) { !child.isRunning })
    child.signal(SIGKILL)
    #expect(child.wait() == 128 + SIGTERM)
  }
}
