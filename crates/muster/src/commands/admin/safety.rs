//! `muster admin filter|block|mode`: what protects the horde.

use clap::{Subcommand, ValueEnum};
use muster_engine::AdminCommand;
use muster_protocol::HordeModes;
use serde_json::json;

#[derive(Subcommand)]
pub(super) enum FilterAction {
    /// List all filters, and how often each has found something
    List,
    /// Make a filter
    Add {
        /// What it finds: a regular expression, without look-around
        regex: String,
        /// What that means. 10 and 11: minors; 20: sex
        #[arg(long = "type", value_name = "TYPE", value_parser = clap::value_parser!(i64).range(10..=29))]
        kind: i64,
        /// What takes the place of what it finds (type 10)
        #[arg(long, default_value = "")]
        replacement: String,
        /// What to say about it
        #[arg(long)]
        description: Option<String>,
    },
    /// Delete a filter
    Remove {
        /// Its number
        id: String,
    },
    /// Show how much the filters find in a prompt: 2 is refused
    Try {
        /// The prompt
        prompt: String,
    },
}

impl FilterAction {
    pub(super) fn into_command(self) -> AdminCommand {
        match self {
            Self::List => AdminCommand::FilterList,
            Self::Add {
                regex,
                kind,
                replacement,
                description,
            } => {
                let mut filter = json!({"regex": regex, "filter_type": kind, "replacement": replacement});
                if let Some(description) = description {
                    filter["description"] = description.into();
                }
                AdminCommand::FilterAdd { filter }
            }
            Self::Remove { id } => AdminCommand::FilterRemove { id },
            Self::Try { prompt } => AdminCommand::FilterTry { prompt },
        }
    }
}

#[derive(Subcommand)]
pub(super) enum BlockAction {
    /// List the networks that are blocked
    List,
    /// Block an address or a network
    Add {
        /// It, as in 198.51.100.7 or 198.51.100.0/24
        address: String,
        /// For how many hours
        #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(i64).range(1..=8760))]
        hours: i64,
    },
    /// Let an address or a network in again
    Remove {
        /// It, as it is listed
        address: String,
    },
}

impl BlockAction {
    pub(super) fn into_command(self) -> AdminCommand {
        match self {
            Self::List => AdminCommand::BlockList,
            Self::Add { address, hours } => AdminCommand::BlockAdd { address, hours },
            Self::Remove { address } => AdminCommand::BlockRemove { address },
        }
    }
}

#[derive(Subcommand)]
pub(super) enum ModeAction {
    /// Show all modes
    Show,
    /// Switch a mode on
    On {
        /// Which
        mode: Mode,
    },
    /// Switch a mode off
    Off {
        /// Which
        mode: Mode,
    },
}

/// How the horde can behave.
#[derive(Clone, Copy, ValueEnum)]
pub(super) enum Mode {
    /// No new requests; those that wait are stopped
    Maintenance,
    /// New workers only of accounts that were invited
    InviteOnly,
    /// Defend the horde against an attack: strangers may do less, and are told less
    Raid,
}

impl ModeAction {
    pub(super) fn into_command(self) -> AdminCommand {
        let (mode, on) = match self {
            Self::Show => return AdminCommand::ModesShow,
            Self::On { mode } => (mode, Some(true)),
            Self::Off { mode } => (mode, Some(false)),
        };
        let mut modes = HordeModes::default();
        match mode {
            Mode::Maintenance => modes.maintenance_mode = on,
            Mode::InviteOnly => modes.invite_only_mode = on,
            Mode::Raid => modes.raid_mode = on,
        }
        AdminCommand::ModesSet { modes }
    }
}
