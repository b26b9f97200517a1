//! `muster admin kudos`.

use clap::Subcommand;
use indicatif::ProgressBar;
use muster_engine::AdminCommand;

use super::price::PriceArgs;

#[derive(Subcommand)]
pub(super) enum Action {
    /// Give an account kudos, or, with a negative amount, take them
    Give {
        /// The account's number, or its name with it: 3 or ann#3
        user: String,
        /// Whole kudos
        #[arg(allow_negative_numbers = true)]
        amount: i64,
    },
    /// Change what an account gets every month; an increase is paid at once
    Monthly {
        /// The account's number, or its name with it: 3 or ann#3
        user: String,
        /// How many whole kudos more, or, if negative, less
        #[arg(allow_negative_numbers = true)]
        amount: i64,
    },
    /// Pay an account what it gets every month, now
    Pay {
        /// The account's number, or its name with it: 3 or ann#3
        user: String,
        /// Let its next month begin when it would have begun anyway
        #[arg(long)]
        keep_date: bool,
    },
    /// Explain an account's balance line by line, newest first
    History {
        /// The account's number, or its name with it: 3 or ann#3
        user: String,
        /// Only what happened before the movement with this number
        #[arg(long, value_name = "ID")]
        before: Option<i64>,
        /// How many movements at most
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=500))]
        limit: i64,
    },
    /// Prove that all kudos add up. Fails if anything is wrong. The server may go on working
    Audit,
    /// Propose what makes up for what an audit finds. Nothing is ever edited: repairs are entries, too
    Repair {
        /// Book what is proposed
        #[arg(long)]
        apply: bool,
    },
    /// Price payloads
    Price(PriceArgs),
}

impl Action {
    /// # Panics
    /// For prices, which no server is asked for.
    pub(super) fn into_command(self) -> AdminCommand {
        match self {
            Self::Give { user, amount } => AdminCommand::KudosGive { user, amount },
            Self::Monthly { user, amount } => AdminCommand::KudosMonthly { user, amount },
            Self::Pay { user, keep_date } => AdminCommand::KudosPay { user, keep_date },
            Self::History { user, before, limit } => AdminCommand::KudosHistory { user, before, limit },
            Self::Audit => AdminCommand::KudosAudit,
            Self::Repair { apply } => AdminCommand::KudosRepair { apply },
            Self::Price(_) => unreachable!("prices are told without a server"),
        }
    }
}

/// How many entries of the ledger were read, on a terminal.
pub(super) struct Progress(ProgressBar);

impl Progress {
    pub(super) fn new() -> Self {
        Self(ProgressBar::no_length().with_message("entries read"))
    }

    pub(super) fn show(&self, entries: u64) {
        self.0.set_position(entries);
    }

    pub(super) fn clear(&self) {
        self.0.finish_and_clear();
    }
}
