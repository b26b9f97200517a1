//! The users whom a worker serves first.

use muster_protocol::{ReturnCode, UserId};

use crate::{EngineError, error::Result, names};

/// What becomes of a name that cannot be that of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unprioritised {
    /// The pop is refused.
    Refused(ReturnCode),
    /// It is passed over, as the name of nobody.
    Ignored,
}

/// The users that a worker names, like `name#42`. `strange`: what becomes of a name whose number is none.
///
/// # Errors
/// `missing`, if a name has no number at all; what `strange` says.
pub(crate) fn priority_users(
    names: &[String],
    missing: ReturnCode,
    strange: Unprioritised,
) -> Result<Vec<UserId>> {
    let mut users = Vec::with_capacity(names.len());
    for name in names {
        match (name.contains('#'), names::user_number(name), strange) {
            (true, Some(number), _) => users.push(UserId(number)),
            (true, None, Unprioritised::Ignored) => {}
            (true, None, Unprioritised::Refused(code)) => return Err(refusal(name, code)),
            (false, ..) => return Err(refusal(name, missing)),
        }
    }
    Ok(users)
}

fn refusal(name: &str, code: ReturnCode) -> EngineError {
    let message = format!(
        "\"{}\" is not a user's name with its number, like name#42.",
        names::truncate(name, 64)
    );
    EngineError::refused(code, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_without_a_number_are_refused_or_passed_over() {
        let read = |names: &[&str], strange| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            priority_users(&names, ReturnCode::BadRequest, strange).map_err(|error| match error {
                EngineError::Refused(refusal) => refusal.code,
                other => panic!("{other}"),
            })
        };
        let refused = Unprioritised::Refused(ReturnCode::InvalidPriorityUsername);
        assert_eq!(read(&["a#1", "b#c#22"], refused), Ok(vec![UserId(1), UserId(22)]));
        assert_eq!(
            read(&["a#1", "b"], Unprioritised::Ignored),
            Err(ReturnCode::BadRequest)
        );
        assert_eq!(
            read(&["a#1", "b#x"], refused),
            Err(ReturnCode::InvalidPriorityUsername)
        );
        assert_eq!(read(&["a#1", "b#x"], Unprioritised::Ignored), Ok(vec![UserId(1)]));
    }
}
