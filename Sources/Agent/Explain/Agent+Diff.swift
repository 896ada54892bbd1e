import Flows
import Identity
import JSON
import KubernetesAPI
import NodeAPI
import Policy
import Synchronization

extension Agent {
  /// What the policies in `documents` would change for the flows of the ring, or for those given in `flows`.
  func policyDifference(_ request: JSONValue) async throws -> PolicyDifference {
    let documents = try JSONCursor(request).required("documents").elements().map { try policyDocument($0.value) }
    var flows: [Flow] = []
    if let given = request["flows"]?.arrayValue {
      for (index, flow) in given.enumerated() {
        do throws(FieldError) {
          flows.append(try Flow(hubble: flow))
        } catch {
          throw FieldError(path: "flows[\(index)].\(error.path)", message: error.message)
        }
      }
    } else {
      var filter = FlowFilter()
      filter.since = request["since"]?.integerValue.flatMap { UInt64(exactly: $0) }
      // Of what audit mode tells there is another flow.
      flows = ring.flows(matching: filter).filter { $0.verdict != .audit }
    }
    let (before, after) = await policy.trial(documents)
    let issues = documents.flatMap { document in document.issues.map { "\(document.key) \($0)" } }
    let comparison = PolicyComparison(before: before, after: after, labels: await policy.knownIdentities)
    return comparison.difference(flows, issues: issues)
  }

  private func policyDocument(_ value: JSONValue) throws -> PolicyDocument {
    let context = policyContext.withLock { $0 }
    switch value["kind"]?.stringValue {
    case NetworkPolicy.resource.kind: return PolicyDocument(try NetworkPolicy(value))
    case CiliumNetworkPolicy.resource.kind: return PolicyDocument(try CiliumNetworkPolicy(value), in: context)
    case CiliumClusterwideNetworkPolicy.resource.kind:
      return PolicyDocument(try CiliumClusterwideNetworkPolicy(value), in: context)
    case let other: throw FieldError(path: "kind", message: "\"\(other ?? "")\" is not a policy")
    }
  }
}
