//! How balances move: floors, forgiven debt, and what an account can still promise.
//!
//! The ledger itself is kept elsewhere; these are the rules it applies (sections 7.4 and 10).

use muster_protocol::Kudos;

/// How an account came to be, which decides how low its balance may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AccountKind {
    /// The account everybody without a key shares.
    Anonymous,
    /// Registered without an identity provider.
    Pseudonymous,
    /// Registered through an identity provider.
    Registered,
}

impl AccountKind {
    /// The balance below which the account never falls.
    pub const fn floor(self) -> Kudos {
        match self {
            Self::Anonymous => Kudos::from_whole(-50),
            Self::Pseudonymous => Kudos::from_whole(14),
            Self::Registered => Kudos::from_whole(25),
        }
    }
}

/// What became of a balance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Movement {
    /// The balance afterwards, at least the floor.
    pub balance: Kudos,
    /// Newly created kudos that lifted the balance to the floor; zero if it was above anyway.
    pub minted: Kudos,
}

/// Applies a debit (negative) or credit (positive) to a spendable balance.
///
/// A balance that would end below the floor is lifted to it, by credits too: an account that never
/// moved shows zero and jumps to its floor at the first movement. Escrow, worker and team figures
/// have no floor and don't go through here.
pub fn move_balance(balance: Kudos, amount: Kudos, floor: Kudos) -> Movement {
    let unlimited = balance + amount;
    let balance = unlimited.max(floor);
    Movement {
        balance,
        minted: balance - unlimited,
    }
}

/// What an account can promise now, to a request that must be paid upfront or to a transfer.
///
/// `promised` is what its holds and its debits not yet booked add up to. The floor can't be
/// promised. The result may be negative.
pub fn available(balance: Kudos, floor: Kudos, promised: Kudos) -> Kudos {
    balance - floor - promised
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_first_movement_lifts_to_the_floor() {
        let credited = move_balance(
            Kudos::ZERO,
            Kudos::from_whole(10),
            AccountKind::Registered.floor(),
        );
        assert_eq!(credited.balance, Kudos::from_whole(25));
        assert_eq!(credited.minted, Kudos::from_whole(15));
    }

    #[test]
    fn a_debit_beyond_the_floor_is_forgiven() {
        let floor = AccountKind::Anonymous.floor();
        let debited = move_balance(Kudos::from_whole(-48), Kudos::from_hundredths(-1033), floor);
        assert_eq!(debited.balance, Kudos::from_whole(-50));
        assert_eq!(debited.minted, Kudos::from_hundredths(833));
    }

    #[test]
    fn the_floor_cannot_be_promised() {
        let floor = AccountKind::Registered.floor();
        let left = available(Kudos::from_whole(100), floor, Kudos::from_whole(60));
        assert_eq!(left, Kudos::from_whole(15));
        assert_eq!(
            available(Kudos::ZERO, AccountKind::Anonymous.floor(), Kudos::ZERO),
            Kudos::from_whole(50)
        );
    }

    proptest! {
        #[test]
        fn movements_add_up_and_respect_the_floor(balance in -10_000_i64..10_000_000, amount in -1_000_000_i64..1_000_000) {
            let floor = AccountKind::Pseudonymous.floor();
            let (balance, amount) = (Kudos::from_hundredths(balance), Kudos::from_hundredths(amount));
            let moved = move_balance(balance, amount, floor);
            prop_assert_eq!(moved.balance, balance + amount + moved.minted);
            prop_assert!(moved.balance >= floor && moved.minted >= Kudos::ZERO);
        }
    }
}
