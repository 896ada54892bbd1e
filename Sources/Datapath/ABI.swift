import CMartletABI

/// Constants of the ABI that the importer gives as enums or macros, as the numbers that the maps hold.
enum ABI {
  static let version = UInt32(MARTLET_ABI_VERSION)
  static let ingress = UInt8(MARTLET_INGRESS.rawValue)
  static let egress = UInt8(MARTLET_EGRESS.rawValue)
}
