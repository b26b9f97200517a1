//! Building blocks for set-based statements.
//!
//! A statement with as many parameters as there happen to be rows would be prepared anew almost
//! every time. Row counts are therefore powers of two: lists that may repeat a value are padded,
//! lists that may not are cut into pieces.

use std::sync::Arc;

use sea_orm::{
    ConnectionTrait, DbErr, QueryResult, StatementBuilder, Value,
    sea_query::{Expr, ExprTrait as _, IntoIden, Query, TableRef, UpdateStatement, ValueTuple},
};

/// The most rows in one statement.
pub(crate) const MAX_ROWS: usize = 256;

/// The alias of the rows in [`update_from_values`].
const ROWS: &str = "v";

/// Cuts rows into pieces whose lengths are powers of two, at most [`MAX_ROWS`].
pub(crate) fn pieces<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        if rows.is_empty() {
            return None;
        }
        let length = MAX_ROWS.min(1 << rows.len().ilog2());
        let (piece, rest) = rows.split_at(length);
        rows = rest;
        Some(piece)
    })
}

/// Cuts values into lists for `IN`, each padded to a power of two by repeating its last value.
pub(crate) fn lists<V: Into<Value>>(values: impl IntoIterator<Item = V>) -> Vec<Vec<Value>> {
    let values: Vec<Value> = values.into_iter().map(Into::into).collect();
    values
        .chunks(MAX_ROWS)
        .map(|chunk| padded(chunk.to_vec()))
        .collect()
}

fn padded<T: Clone>(mut rows: Vec<T>) -> Vec<T> {
    if let Some(last) = rows.last().cloned() {
        rows.resize(rows.len().next_power_of_two(), last);
    }
    rows
}

/// The name that both engines give to the nth column (from 1) of a list of values.
fn nth_column(n: usize) -> Arc<str> {
    format!("column{n}").into()
}

/// A reference to the nth column (from 1) of the rows in [`update_from_values`].
pub(crate) fn nth(n: usize) -> Expr {
    Expr::col((ROWS, nth_column(n).to_string()))
}

/// Statements that are `UPDATE table SET … FROM (VALUES …) WHERE table.key = first column`.
///
/// `set` adds the assignments, in terms of [`nth`]. Rows must have distinct keys.
pub(crate) fn update_from_values(
    table: impl IntoIden + Copy,
    key: impl IntoIden + Copy,
    rows: &[Vec<Value>],
    set: impl Fn(&mut UpdateStatement),
) -> Vec<UpdateStatement> {
    rows.chunks(MAX_ROWS)
        .map(|chunk| {
            let tuples = padded(chunk.to_vec()).into_iter().map(ValueTuple::Many).collect();
            let mut update = Query::update();
            update
                .table(table.into_iden())
                .from(TableRef::ValuesList(tuples, ROWS.into_iden()))
                .and_where(Expr::col((table.into_iden(), key.into_iden())).eq(nth(1)));
            set(&mut update);
            update
        })
        .collect()
}

/// Runs statements one after the other.
pub(crate) async fn execute_all<C: ConnectionTrait, S: StatementBuilder>(
    db: &C,
    statements: Vec<S>,
) -> Result<(), DbErr> {
    for statement in statements {
        db.execute(&statement).await?;
    }
    Ok(())
}

/// Runs queries one after the other and returns all rows.
pub(crate) async fn query_each<C: ConnectionTrait, S: StatementBuilder>(
    db: &C,
    queries: Vec<S>,
) -> Result<Vec<QueryResult>, DbErr> {
    let mut rows = Vec::new();
    for query in queries {
        rows.append(&mut db.query_all(&query).await?);
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_powers_of_two_and_complete() {
        let rows: Vec<u32> = (0..613).collect();
        let lengths: Vec<usize> = pieces(&rows).map(<[u32]>::len).collect();
        assert_eq!(lengths, [256, 256, 64, 32, 4, 1]);
        assert_eq!(pieces(&rows).flatten().copied().collect::<Vec<_>>(), rows);
    }

    #[test]
    fn lists_repeat_their_last_value() {
        let lists = lists([1_i64, 2, 3]);
        assert_eq!(
            lists,
            [vec![Value::from(1_i64), 2_i64.into(), 3_i64.into(), 3_i64.into()]]
        );
    }
}
