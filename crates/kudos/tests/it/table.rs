//! Tables of measured figures: comma separated, without quotes, with a line of column names.

use std::str::FromStr;

/// A table.
pub(crate) struct Table<'a> {
    columns: Vec<&'a str>,
    lines: Vec<&'a str>,
}

/// A row with the names of its columns.
#[derive(Debug)]
pub(crate) struct Row<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Table<'a> {
    pub(crate) fn of(text: &'a str) -> Self {
        let mut lines = text.lines();
        Self {
            columns: lines.next().unwrap().split(',').collect(),
            lines: lines.collect(),
        }
    }

    pub(crate) fn rows(&self) -> Vec<Row<'a>> {
        let row = |line: &&'a str| Row(self.columns.iter().copied().zip(line.split(',')).collect());
        self.lines.iter().map(row).collect()
    }
}

impl<'a> Row<'a> {
    pub(crate) fn get(&self, column: &str) -> &'a str {
        self.cells().find(|(name, _)| *name == column).unwrap().1
    }

    pub(crate) fn cells(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0.iter().copied()
    }

    pub(crate) fn flag(&self, column: &str) -> bool {
        self.get(column) == "1"
    }

    pub(crate) fn number<T: FromStr>(&self, column: &str) -> T {
        let text = self.get(column);
        text.parse().unwrap_or_else(|_| panic!("{column}: {text}"))
    }

    pub(crate) fn optional(&self, column: &str) -> Option<f64> {
        self.get(column).parse().ok()
    }
}
