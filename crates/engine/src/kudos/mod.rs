//! Kudos that move by hand: transfers, awards; and the books that explain every balance.

mod award;
mod books;
mod history;
mod recent;
mod transfer;

pub(crate) use recent::RecentTransfers;
pub use transfer::Gift;

/// Whoever has so many reasons for suspicion, and is not trusted, takes part in no transfers.
const SUSPICIOUS: usize = 5;

impl crate::accounts::Caller {
    fn is_suspicious(&self) -> bool {
        !self.is_trusted() && self.account().suspicions.len() >= SUSPICIOUS
    }
}
