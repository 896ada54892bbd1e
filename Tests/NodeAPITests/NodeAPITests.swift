@testable import NodeAPI
