/// Columns aligned for a terminal, as kubectl prints them: a header in capitals, three blanks between columns.
struct Table {
  private var rows: [[String]]

  init(_ header: String...) { rows = [header] }
  init(_ header: [String]) { rows = [header] }

  mutating func add(_ cells: String...) { rows.append(cells) }
  mutating func add(_ cells: [String]) { rows.append(cells) }

  var isEmpty: Bool { rows.count == 1 }

  var text: String {
    let widths = rows.reduce(into: [Int](repeating: 0, count: rows[0].count)) { widths, row in
      for (column, cell) in row.enumerated() { widths[column] = max(widths[column], cell.count) }
    }
    return rows.map { row in
      row.enumerated().map { column, cell in
        column == row.count - 1 ? cell : cell + String(repeating: " ", count: widths[column] - cell.count + 3)
      }.joined()
    }.joined(separator: "\n")
  }
}
