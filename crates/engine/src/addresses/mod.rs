//! From where the horde is called (spec: alchemy and safety, B7 to B10): addresses and networks that are blocked for a
//! while, and what a reputation service thinks of workers' addresses.
//!
//! | file | what is in it |
//! | --- | --- |
//! | `blocks` | what is held against addresses, in memory |
//! | `reputation` | the service that tells hidden addresses from others |
//! | `gates` | who is turned away |
//! | `reports` | what follows when something bad comes from an address |
//! | `manage` | what moderators do about it |

mod blocks;
mod gates;
mod manage;
mod reports;
mod reputation;

pub use blocks::home_network;
pub(crate) use blocks::{Blocks, home_of};
pub(crate) use reports::ProxyReports;
pub(crate) use reputation::Reputation;
pub use reputation::{ReputationService, WhenUnknown};

use muster_protocol::Timestamp;

use crate::{Engine, error::Result};

impl Engine {
    /// Reads what is held against addresses: when the server starts, and from time to time, for another node may have
    /// learned something.
    ///
    /// # Errors
    /// The database failed; what is known stays.
    pub(crate) async fn read_blocks(&self) -> Result<()> {
        let changes = self.blocks.changes();
        let marks = self.store.address_marks(self.clock.now()).await?;
        self.blocks.replace(&marks, changes);
        Ok(())
    }

    /// Forgets what is over, and reads the rest.
    ///
    /// # Errors
    /// The database failed; what is known stays.
    pub(crate) async fn refresh_blocks(&self, now: Timestamp) -> Result<()> {
        self.store.journal().prune_addresses(now).await?;
        self.read_blocks().await
    }
}
