//! Answers of the API as people read them: a table for a list, a line for each member of anything else. Lists inside
//! follow as tables of their own.

use serde_json::{Map, Value};

/// What is told of each in a list, and its headings.
const COLUMNS: [(&str, &str); 29] = [
    ("repair", "REPAIR"),
    ("id", "ID"),
    ("username", "USER"),
    ("filter_type", "MEANS"),
    ("regex", "FINDS"),
    ("replacement", "BECOMES"),
    ("name", "NAME"),
    ("type", "TYPE"),
    ("kudos", "KUDOS"),
    ("kudos_rewards", "KUDOS"),
    ("owner", "OWNER"),
    ("online", "ONLINE"),
    ("maintenance_mode", "MAINTENANCE"),
    ("paused", "PAUSED"),
    ("trusted", "TRUSTED"),
    ("at", "WHEN"),
    ("kind", "WHY"),
    ("account", "ACCOUNT"),
    ("pot", "POT"),
    ("amount", "AMOUNT"),
    ("balance", "BALANCE"),
    ("entries", "ENTRIES"),
    ("sum", "SUM"),
    ("held", "HELD"),
    ("promised", "PROMISED"),
    ("correction", "CORRECTION"),
    ("treasury", "TREASURY"),
    ("counterparty", "WITH"),
    ("event", "EVENT"),
];

/// The text that is printed.
pub(super) fn for_people(value: &Value) -> String {
    match value {
        Value::Array(rows) => table(rows),
        Value::Object(members) => lines(members, "") + &tables(members),
        other => format!("{}\n", plain(other)),
    }
}

fn table(rows: &[Value]) -> String {
    let shown: Vec<(&str, &str)> = COLUMNS
        .into_iter()
        .filter(|(name, _)| {
            rows.iter()
                .any(|row| row.get(name).is_some_and(|value| !value.is_null()))
        })
        .collect();
    if shown.is_empty() {
        return "none\n".to_owned();
    }
    let mut cells: Vec<Vec<String>> = vec![shown.iter().map(|(_, heading)| (*heading).to_owned()).collect()];
    cells.extend(
        rows.iter()
            .map(|row| shown.iter().map(|(name, _)| plain(&row[*name])).collect()),
    );
    let width = |column: usize| {
        cells
            .iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..shown.len()).map(width).collect();
    let mut text = String::new();
    for row in &cells {
        let padded = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}"));
        text += padded.collect::<Vec<_>>().join("  ").trim_end();
        text.push('\n');
    }
    text
}

/// A line for each member; those of objects inside follow with a dotted name.
fn lines(members: &Map<String, Value>, prefix: &str) -> String {
    let mut text = String::new();
    for (name, value) in members {
        match value {
            Value::Object(inner) => text += &lines(inner, &format!("{prefix}{name}.")),
            Value::Null => {}
            Value::Array(rows) if rows.first().is_some_and(Value::is_object) => {}
            other => text += &[prefix, name, ": ", &plain(other), "\n"].concat(),
        }
    }
    text
}

/// The lists of objects among the members.
fn tables(members: &Map<String, Value>) -> String {
    let mut text = String::new();
    for (name, value) in members {
        if let Value::Array(rows) = value
            && rows.first().is_some_and(Value::is_object)
        {
            text += &[name, ":\n", &table(rows)].concat();
        }
    }
    text
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(yes) => if *yes { "yes" } else { "no" }.to_owned(),
        Value::Number(number) => match number.as_f64() {
            Some(float) if float.fract() == 0.0 && number.is_f64() => format!("{float:.0}"),
            _ => number.to_string(),
        },
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Object(members) => {
            let inner = members.iter().filter(|(_, value)| !value.is_null());
            let inner = inner.map(|(name, value)| format!("{name} {}", plain(value)));
            inner.collect::<Vec<_>>().join(" ")
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lists_are_tables() {
        let users = json!([
            {"id": 7, "username": "ann#7", "kudos": 12.0, "trusted": true},
            {"id": 12, "username": "b#12", "kudos": -3.0, "trusted": false},
        ]);
        assert_eq!(
            for_people(&users),
            "ID  USER   KUDOS  TRUSTED\n7   ann#7  12     yes\n12  b#12   -3     no\n"
        );
        assert_eq!(for_people(&json!([])), "none\n");
    }

    #[test]
    fn lists_inside_are_tables_of_their_own() {
        let history = json!({
            "entries": [{"id": 9, "at": "now", "kind": "transfer", "amount": -2.5, "balance": 7.5}],
            "next": 9,
        });
        assert_eq!(
            for_people(&history),
            "next: 9\nentries:\nID  WHEN  WHY       AMOUNT  BALANCE\n9   now   transfer  -2.5    7.5\n"
        );
    }

    #[test]
    fn everything_else_is_told_line_by_line() {
        let user = json!({"username": "ann#7", "records": {"style": {"image": 1}}, "contact": null, "worker_ids": ["a", "b"]});
        assert_eq!(
            for_people(&user),
            "records.style.image: 1\nusername: ann#7\nworker_ids: a, b\n"
        );
        assert_eq!(for_people(&json!("OK")), "OK\n");
    }
}
