//! Cells of files that people open in a spreadsheet.
//!
//! Owns: that no text becomes a formula there. May not: change what a program reads, which takes JSON lines.

/// A cell that a spreadsheet would take for a formula is none.
pub(super) fn harmless(mut cell: String) -> String {
    if cell.starts_with(['=', '+', '-', '@']) {
        cell.insert(0, '\'');
    }
    cell
}
