//! The users who have requests on the board: what they wait for and what they have to spend.

use muster_protocol::{Kudos, UserId};
use rustc_hash::FxHashMap;
use slab::Slab;

/// The number of a user.
pub(super) type UserNumber = u32;

/// The users who have requests on the board.
#[derive(Debug, Default)]
pub(super) struct Users {
    numbers: FxHashMap<UserId, UserNumber>,
    slab: Slab<User>,
    /// What each has to spend, by number. Without limit as long as nothing is known.
    available: Vec<Kudos>,
}

/// A user with requests on the board.
#[derive(Debug)]
pub(super) struct User {
    id: UserId,
    /// Requests on the board.
    requests: u32,
    /// Those that wait.
    pub(super) waiting: u32,
    /// Their slots.
    pub(super) slots: u64,
}

/// More than anybody has to spend.
const NO_LIMIT: Kudos = Kudos::from_hundredths(i64::MAX);

impl Users {
    /// Counts one more request of a user.
    pub(super) fn enter(&mut self, id: UserId) -> UserNumber {
        let slab = &mut self.slab;
        let number = *self.numbers.entry(id).or_insert_with(|| {
            slab.insert(User {
                id,
                requests: 0,
                waiting: 0,
                slots: 0,
            }) as UserNumber
        });
        if self.slab[number as usize].requests == 0 {
            self.available
                .resize(self.available.len().max(number as usize + 1), NO_LIMIT);
            self.available[number as usize] = NO_LIMIT;
        }
        self.slab[number as usize].requests += 1;
        number
    }

    /// Counts one request less.
    pub(super) fn leave(&mut self, number: UserNumber) {
        let user = &mut self.slab[number as usize];
        user.requests -= 1;
        if user.requests == 0 {
            let id = user.id;
            self.slab.remove(number as usize);
            self.numbers.remove(&id);
        }
    }

    /// The number of a user with requests on the board.
    pub(super) fn number(&self, id: UserId) -> Option<UserNumber> {
        self.numbers.get(&id).copied()
    }

    /// A user with requests on the board.
    pub(super) fn find(&self, id: UserId) -> Option<&User> {
        self.number(id).map(|number| self.get(number))
    }

    /// A user by number.
    pub(super) fn get(&self, number: UserNumber) -> &User {
        &self.slab[number as usize]
    }

    /// The same, to change it.
    pub(super) fn get_mut(&mut self, number: UserNumber) -> &mut User {
        &mut self.slab[number as usize]
    }

    /// What a user has to spend.
    pub(super) fn available(&self, number: UserNumber) -> Kudos {
        self.available[number as usize]
    }

    /// Says what a user has to spend.
    pub(super) fn set_available(&mut self, number: UserNumber, available: Kudos) {
        self.available[number as usize] = available;
    }
}
