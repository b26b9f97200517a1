//! [`Modes`]: the horde's modes, which the operator and moderators switch while it runs (spec: operations, 3.2).

use muster_protocol::{HordeModes, ReturnCode};
use muster_store::Role;
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};

use crate::{
    Call, Engine, EngineConfig, EngineError,
    accounts::{not_administrator, not_moderator},
    error::Result,
};

/// What the database calls them.
const SETTING: &str = "modes";

/// How the horde behaves at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Mode {
    /// No new requests.
    pub(crate) maintenance: bool,
    /// No new workers, except of accounts that were invited to run more than they do.
    pub(crate) invite_only: bool,
    /// The horde is under attack: strangers may do less, and are told less.
    pub(crate) raid: bool,
}

/// The modes as they are, and as they were last read.
#[derive(Debug)]
pub(crate) struct Modes(RwLock<State>);

#[derive(Debug)]
struct State {
    now: Mode,
    /// What the database said last: only what differs from it is news.
    stored: Mode,
}

impl Modes {
    /// What the operator wants from the start on.
    pub(crate) fn new(config: &EngineConfig) -> Self {
        let now = Mode {
            maintenance: config.maintenance,
            invite_only: config.invite_only,
            raid: config.raid,
        };
        let stored = Mode::default();
        Self(RwLock::new(State { now, stored }))
    }

    pub(crate) fn now(&self) -> Mode {
        self.0.read().now
    }

    /// Takes over what has changed in the database, here or on another node. What the operator wants from the start on
    /// stays until somebody switches it.
    fn learn(&self, stored: Mode) {
        let mut state = self.0.write();
        let before = std::mem::replace(&mut state.stored, stored);
        let take = |now: &mut bool, before: bool, stored: bool| {
            if before != stored {
                *now = stored;
            }
        };
        let now = &mut state.now;
        take(&mut now.maintenance, before.maintenance, stored.maintenance);
        take(&mut now.invite_only, before.invite_only, stored.invite_only);
        take(&mut now.raid, before.raid, stored.raid);
    }

    /// Takes over what was just switched here.
    fn set(&self, now: Mode, stored: Mode) {
        *self.0.write() = State { now, stored };
    }
}

impl Engine {
    /// Reads the modes: when the server starts, and from time to time.
    ///
    /// # Errors
    /// The database failed; they stay as they are.
    pub(crate) async fn read_modes(&self) -> Result<()> {
        let _turn = self.switching.lock().await;
        self.modes.learn(self.stored_modes().await?);
        Ok(())
    }

    async fn stored_modes(&self) -> Result<Mode> {
        let stored = self.store.setting(SETTING).await?;
        let modes = stored.and_then(|value| serde_json::from_value(value).ok());
        Ok(modes.unwrap_or_default())
    }

    /// The modes. Only moderators learn whether the horde defends itself.
    ///
    /// # Errors
    /// An unknown key, `NotModerator` for that of somebody else.
    pub async fn horde_modes(&self, call: &Call) -> Result<HordeModes> {
        let viewer = self.viewer(call).await?;
        if viewer.as_ref().is_some_and(|viewer| !viewer.has(Role::Moderator)) {
            return Err(not_moderator());
        }
        let modes = self.all_modes();
        Ok(HordeModes {
            raid_mode: modes.raid_mode.filter(|_| viewer.is_some()),
            ..modes
        })
    }

    /// The modes, for the operator.
    pub(crate) fn all_modes(&self) -> HordeModes {
        let modes = self.modes.now();
        HordeModes {
            maintenance_mode: Some(modes.maintenance),
            invite_only_mode: Some(modes.invite_only),
            raid_mode: Some(modes.raid),
        }
    }

    /// Switches modes. Answers those that were switched. Maintenance stops the requests that wait.
    ///
    /// # Errors
    /// No or an unknown key, `NotAdmin`, `NotModerator`, `NoHordeModSelected`; nothing is switched then.
    pub async fn switch_modes(&self, call: &Call, wanted: HordeModes) -> Result<HordeModes> {
        let caller = self.identify(call).await?;
        if wanted.maintenance_mode.is_some() && !self.is_administrator(&caller) {
            return Err(not_administrator());
        }
        let for_moderators = wanted.invite_only_mode.or(wanted.raid_mode).is_some();
        if for_moderators && !caller.has(Role::Moderator) {
            return Err(not_moderator());
        }
        if wanted == HordeModes::default() {
            let message = "No mode was selected to be switched.";
            return Err(EngineError::refused(ReturnCode::NoHordeModSelected, message));
        }
        tracing::info!(by = %caller.id(), ?wanted, "modes of the horde are switched");
        self.switch_modes_as_operator(wanted).await
    }

    /// The same, for the operator.
    pub(crate) async fn switch_modes_as_operator(&self, wanted: HordeModes) -> Result<HordeModes> {
        let _turn = self.switching.lock().await;
        let before = self.modes.now();
        let changed = |mode: Mode| Mode {
            maintenance: wanted.maintenance_mode.unwrap_or(mode.maintenance),
            invite_only: wanted.invite_only_mode.unwrap_or(mode.invite_only),
            raid: wanted.raid_mode.unwrap_or(mode.raid),
        };
        let stored = changed(self.stored_modes().await?);
        let value = serde_json::to_value(stored).expect("modes are plain data");
        self.store.set_setting(SETTING, value).await?;
        self.modes.set(changed(before), stored);
        if wanted.maintenance_mode == Some(true) && !before.maintenance {
            let stopped = self.stop_waiting_requests().await?;
            tracing::info!(requests = stopped, "waiting requests are stopped");
        }
        Ok(wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_operator_wants_stays_until_somebody_switches_it() {
        let config = EngineConfig {
            raid: true,
            ..EngineConfig::default()
        };
        let modes = Modes::new(&config);
        modes.learn(Mode::default());
        assert!(modes.now().raid);
        // Another node switches something else, and then this.
        let invite_only = Mode {
            invite_only: true,
            ..Mode::default()
        };
        modes.learn(invite_only);
        assert_eq!(
            modes.now(),
            Mode {
                raid: true,
                ..invite_only
            }
        );
        modes.learn(Mode {
            raid: true,
            ..Mode::default()
        });
        modes.learn(Mode::default());
        assert_eq!(modes.now(), Mode::default());
    }
}
