import JSON
import Testing

extension EndToEnd {
  /// What the command line tells about itself, verb by verb.
  @Suite struct HelpTests {
    /// The words of every verb below `martlet`.
    private static let verbs: [[String]] = {
      guard let dump = try? command([Node.binary, "--experimental-dump-help"]).json(), let root = dump["command"] else {
        return []
      }
      func below(_ command: JSONValue, _ words: [String]) -> [[String]] {
        (command["subcommands"]?.arrayValue ?? []).flatMap { child -> [[String]] in
          guard let name = child["commandName"]?.stringValue, name != "help" else { return [] }
          return [words + [name]] + below(child, words + [name])
        }
      }
      return below(root, [])
    }()

    @Test func `every verb's help has an example of that verb`() throws {
      #expect(HelpTests.verbs.count > 25, "\(HelpTests.verbs)")
      for verb in HelpTests.verbs {
        let help = try command([Node.binary] + verb + ["--help"])
        #expect(help.status == 0, "\(verb): \(help)")
        let examples = help.output.split(separator: "\n").filter { $0.contains("martlet ") }
        #expect(
          help.output.contains("Example: ")
            && examples.contains { $0.contains("martlet \(verb.joined(separator: " "))") },
          "\(verb): \(help)")
      }
    }

    @Test(arguments: ["bash", "zsh", "fish"]) func `shells are told how to complete`(_ shell: String) throws {
      let script = try command([Node.binary, "--generate-completion-script", shell])
      #expect(script.status == 0)
      for word in ["up", "observe", "endpoint", "--state-dir"] {
        let shown = shell == "fish" && word.hasPrefix("--") ? String(word.dropFirst(2)) : word
        #expect(script.output.contains(shown), "\(shell): \(word)")
      }
      if shell == "bash" { #expect(try command(["bash", "-n"], stdin: script.output).status == 0) }
    }

    @Test(arguments: [
      ["nonsense"], ["run"], ["run", "--name", "a", "--port", "http", "--", "true"], ["run", "--name", "a", "--"],
      ["run", "--name", "a", "--restart", "Sometimes", "--", "true"],
      ["up", "--nonsense"], ["up", "--pod-cidr", "10.0.0.0/8"], ["up", "--service-cidr", "a,b"],
      ["up", "--service-node-port-range", "5"], ["up", "--load-balancer-cidr", "a"],
      ["up", "--api-address", "localhost"], ["up", "--config", "/nowhere.yaml"], ["status", "--timeout", "soon"],
      ["observe", "-o", "table"], ["endpoint", "get"], ["policy", "trace", "--from", "a"],
      ["logs"], ["exec"], ["down", "--timeout", "x"], ["agent"],
      ["help", "foo"], ["help", "policy", "foo"], ["why", "a", "b:-"], ["policy", "trace", "--port", "a_b"],
    ]) func `wrong use is exit code 2`(_ arguments: [String]) throws {
      let outcome = try command(
        [Node.binary] + arguments, environment: ["MARTLET_STATE_DIR": "/tmp/martlet-e2e-nothing"])
      #expect(outcome.status == 2, "\(arguments): \(outcome)")
      #expect(outcome.errors.hasPrefix("martlet: "), "\(arguments): \(outcome)")
    }

    @Test(arguments: [
      ["status"], ["status", "--wait", "--timeout", "100ms"], ["endpoint", "list"], ["endpoint", "get", "1"],
      ["identity", "list"], ["identity", "get", "1"], ["policy", "get"], ["policy", "wait"],
      ["policy", "trace", "--from", "a", "--to", "b", "--port", "80/TCP"], ["observe"],
      ["run", "--name", "a", "--", "true"],
    ]) func `nobody who could answer is exit code 3`(_ arguments: [String]) throws {
      let outcome = try command(
        [Node.binary] + arguments, environment: ["MARTLET_STATE_DIR": "/tmp/martlet-e2e-nothing"])
      #expect(outcome.status == 3, "\(arguments): \(outcome)")
      #expect(outcome.errors.hasPrefix("martlet: "), "\(arguments): \(outcome)")
    }
  }
}
