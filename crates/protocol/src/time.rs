//! [`Timestamp`]: a moment in milliseconds, the only clock reading the pure crates see.

use std::{
    fmt,
    ops::{Add, Sub},
    time::Duration,
};

use chrono::{DateTime, Months, Utc};
use serde::{Deserialize, Serialize};

/// A moment in UTC, in whole milliseconds since the Unix epoch.
///
/// Pure code receives it as an argument; only the `engine` reads a clock.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// A moment given in milliseconds since the Unix epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// The time since `earlier`, zero if `earlier` lies in the future.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0).max(0).unsigned_abs())
    }

    /// The calendar form, which the database and the wire use.
    pub fn to_datetime(self) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(self.0).unwrap_or_default()
    }

    /// The same moment of the next calendar month, or of its last day if it is shorter.
    ///
    /// ```
    /// # use muster_protocol::Timestamp;
    /// let end_of_january = Timestamp::from_millis(1_706_702_400_000);
    /// assert_eq!(end_of_january.next_month().to_rfc822(), "Thu, 29 Feb 2024 12:00:00 -0000");
    /// ```
    #[must_use]
    pub fn next_month(self) -> Self {
        let next = self.to_datetime().checked_add_months(Months::new(1));
        next.map_or(self, Into::into)
    }

    /// The moment as RFC 3339 has it, to milliseconds: `2026-01-02T03:04:05.678Z`.
    pub fn to_rfc3339(self) -> String {
        self.to_datetime()
            .to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
    }

    /// The wire form of every date field: RFC 822 with English names, whole seconds and the
    /// literal zone `-0000`.
    ///
    /// ```
    /// # use muster_protocol::Timestamp;
    /// assert_eq!(Timestamp::from_millis(1_704_164_645_000).to_rfc822(), "Tue, 02 Jan 2024 03:04:05 -0000");
    /// ```
    pub fn to_rfc822(self) -> String {
        self.to_datetime()
            .format("%a, %d %b %Y %H:%M:%S -0000")
            .to_string()
    }
}

impl From<DateTime<Utc>> for Timestamp {
    fn from(moment: DateTime<Utc>) -> Self {
        Self(moment.timestamp_millis())
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;
    fn add(self, span: Duration) -> Self {
        Self(
            self.0
                .saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)),
        )
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;
    fn sub(self, span: Duration) -> Self {
        Self(
            self.0
                .saturating_sub(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)),
        )
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.to_datetime().format("%FT%T%.3fZ"))
    }
}
