//! Patreon: members of the campaigns whose creator's key this is.

use muster_kudos::income;
use muster_protocol::Kudos;
use serde::Deserialize;
use serde_json::Value;

use super::{MOST_PAGES, ServiceError, Supporter, SupporterService, account, link};

/// Campaigns or members on a page.
const PAGE: &str = "100";
/// Who is on the list of sponsors, in the campaign's currency.
const LISTED: std::ops::RangeInclusive<u64> = 3..=1000;
/// From here on a name on that list leads somewhere.
const SPONSOR: u64 = 100;

#[derive(Deserialize)]
struct List<T> {
    data: Vec<T>,
    #[serde(default)]
    meta: Meta,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Meta {
    pagination: Pagination,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Pagination {
    cursors: Cursors,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Cursors {
    next: Option<String>,
}

#[derive(Deserialize)]
struct Campaign {
    id: String,
}

#[derive(Deserialize)]
struct Member {
    attributes: Attributes,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Attributes {
    patron_status: Option<String>,
    full_name: Option<String>,
    currently_entitled_amount_cents: u64,
    /// What the creator wrote down about the member: JSON with the account and how it wants to be listed.
    note: Option<String>,
}

#[derive(Deserialize)]
struct Note {
    stable_id: Value,
    alias: Option<String>,
    sponsor_link: Option<String>,
}

impl SupporterService {
    /// The active members of all campaigns.
    pub(super) async fn patrons(&self) -> Result<Vec<Supporter>, ServiceError> {
        let campaigns: List<Campaign> = self
            .ask("/api/oauth2/v2/campaigns", &[("page[count]", PAGE)])
            .await?;
        let mut patrons = Vec::new();
        for campaign in campaigns.data {
            self.members(&campaign.id, &mut patrons).await?;
        }
        Ok(patrons)
    }

    async fn members(&self, campaign: &str, patrons: &mut Vec<Supporter>) -> Result<(), ServiceError> {
        const FIELDS: &str = "patron_status,full_name,currently_entitled_amount_cents,note";
        let path = format!("/api/oauth2/v2/campaigns/{campaign}/members");
        let mut cursor: Option<String> = None;
        for _ in 0..MOST_PAGES {
            let mut query = vec![("fields[member]", FIELDS), ("page[count]", PAGE)];
            query.extend(cursor.as_deref().map(|cursor| ("page[cursor]", cursor)));
            let page: List<Member> = self.ask(&path, &query).await?;
            patrons.extend(
                page.data
                    .into_iter()
                    .filter_map(|member| patron(member.attributes)),
            );
            cursor = page.meta.pagination.cursors.next;
            if cursor.is_none() {
                return Ok(());
            }
        }
        Err(ServiceError::Endless)
    }
}

/// A member who pays and whose account is known.
fn patron(member: Attributes) -> Option<Supporter> {
    if member.patron_status.as_deref() != Some("active_patron") {
        return None;
    }
    let note = member.note.filter(|note| !note.trim().is_empty())?;
    let note: Note = serde_json::from_str(&note)
        .inspect_err(|error| tracing::warn!(%error, "a patron's note names no account"))
        .ok()?;
    let user = match &note.stable_id {
        Value::String(text) => account(text),
        number => account(&number.to_string()),
    };
    let amount = member.currently_entitled_amount_cents / 100;
    let monthly_kudos = income::patreon_month(amount).unwrap_or_else(|| {
        tracing::warn!(amount, "no kudos are planned for what a patron pays");
        Kudos::ZERO
    });
    let name = note
        .alias
        .or(member.full_name)
        .filter(|name| LISTED.contains(&amount) && !name.trim().is_empty());
    Some(Supporter {
        user: user?,
        monthly_kudos,
        name,
        link: link(note.sponsor_link).filter(|_| amount >= SPONSOR),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use muster_protocol::UserId;
    use serde_json::json;

    use super::*;

    fn read(status: &str, cents: u64, note: &str) -> Option<Supporter> {
        let member = json!({
            "patron_status": status, "full_name": "Ann Example", "note": note,
            "currently_entitled_amount_cents": cents,
        });
        patron(serde_json::from_value(member).unwrap())
    }

    #[test]
    fn members_are_listed_by_what_they_pay() {
        let note = r#"{"stable_id": "ann#7", "alias": "Ann", "sponsor_link": "https://ann.example"}"#;
        for (cents, kudos, name, link) in [
            (299, 20_000, None, None),
            (300, 30_000, Some("Ann"), None),
            (1000, 150_000, Some("Ann"), None),
            (10_000, 1_500_000, Some("Ann"), Some("https://ann.example")),
            // Nobody knows what that is for.
            (200_000, 0, None, Some("https://ann.example")),
        ] {
            let supporter = Supporter {
                user: UserId(7),
                monthly_kudos: Kudos::from_whole(kudos),
                name: name.map(str::to_owned),
                link: link.map(str::to_owned),
            };
            assert_eq!(read("active_patron", cents, note), Some(supporter), "{cents}");
        }
    }

    #[test]
    fn whoever_is_no_member_or_unknown_is_left_out() {
        for (status, note) in [
            ("former_patron", r#"{"stable_id": "7"}"#),
            ("active_patron", ""),
            ("active_patron", "met at a fair"),
            ("active_patron", r#"{"alias": "Ann"}"#),
            ("active_patron", r#"{"stable_id": "ann"}"#),
        ] {
            assert_eq!(read(status, 500, note), None, "{note}");
        }
        let by_number = read("active_patron", 500, r#"{"stable_id": 7}"#).unwrap();
        assert_eq!(
            (by_number.user, by_number.name.unwrap().as_str()),
            (UserId(7), "Ann Example")
        );
    }
}
