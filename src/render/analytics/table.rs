//! A table with headings: columns of text, the first at the left, the others at the right.

use crate::render::layout::{left, right, width};

/// A table.
pub(super) struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(head: &[&str]) -> Self {
        Self {
            head: head.iter().map(|name| (*name).to_owned()).collect(),
            rows: Vec::new(),
        }
    }

    pub(super) fn row<const N: usize>(&mut self, cells: [String; N]) {
        debug_assert_eq!(N, self.head.len());
        self.rows.push(cells.into());
    }

    pub(super) fn text(&self) -> Vec<String> {
        let all = || std::iter::once(&self.head).chain(&self.rows);
        let widths: Vec<usize> = (0..self.head.len())
            .map(|at| all().map(|row| width(&row[at])).max().unwrap_or(0))
            .collect();
        let line = |row: &Vec<String>| {
            let cells = row.iter().zip(&widths).enumerate();
            let cells: Vec<String> = cells
                .map(|(at, (cell, width))| {
                    if at == 0 {
                        left(cell, *width)
                    } else {
                        right(cell, *width)
                    }
                })
                .collect();
            format!("  {}", cells.join("  "))
        };
        all().map(line).collect()
    }

    pub(super) fn markdown(&self) -> Vec<String> {
        let escape = |cell: &String| cell.replace('|', "\\|");
        let line = |row: &Vec<String>| {
            let cells: Vec<String> = row.iter().map(escape).collect();
            format!("| {} |", cells.join(" | "))
        };
        let mut rule = vec!["---".to_owned()];
        rule.resize(self.head.len(), "--:".to_owned());
        let mut lines = vec![line(&self.head), line(&rule)];
        lines.extend(self.rows.iter().map(line));
        lines
    }
}
