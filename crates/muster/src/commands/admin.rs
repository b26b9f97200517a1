//! `muster admin`: what an operator does by hand. It asks the server that runs on the data directory; if none does, it
//! opens the database itself.

mod kudos;
mod output;
mod price;
mod safety;

use std::path::PathBuf;

use anyhow::bail;
use clap::{Args, Subcommand};
use muster_engine::AdminCommand;
use serde_json::{Map, Value};

use crate::{
    control::{self, Outcome},
    node,
    settings::{Options, Settings},
};

#[derive(Args)]
pub(crate) struct AdminArgs {
    /// Answer in JSON, for scripts
    #[arg(long, global = true)]
    json: bool,

    #[command(flatten)]
    place: Place,

    #[command(subcommand)]
    subject: Subject,
}

#[derive(Subcommand)]
enum Subject {
    /// Look at accounts and change them
    User {
        #[command(subcommand)]
        action: UserAction,
    },
    /// Give accounts new keys
    Key {
        #[command(subcommand)]
        action: KeyAction,
    },
    /// Look at workers and change them
    Worker {
        #[command(subcommand)]
        action: WorkerAction,
    },
    /// Look after what prompts must not contain
    Filter {
        #[command(subcommand)]
        action: safety::FilterAction,
    },
    /// Look after addresses and networks that are blocked
    Block {
        #[command(subcommand)]
        action: safety::BlockAction,
    },
    /// Look at the horde's modes and switch them
    Mode {
        #[command(subcommand)]
        action: safety::ModeAction,
    },
    /// Copy the database into a new file while the horde runs (SQLite; of PostgreSQL see docs/backup.md)
    Backup {
        /// The file; nothing is overwritten
        file: PathBuf,
    },
    /// Give and take kudos, prove the books, explain balances and prices
    Kudos {
        #[command(subcommand)]
        action: kudos::Action,
    },
}

/// Where the horde is.
#[derive(Args)]
struct Place {
    /// The TOML file with the server's options
    #[arg(long, global = true, env = "MUSTER_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,

    /// The server's data directory [muster-data]
    #[arg(long, global = true, env = "MUSTER_DATA_DIR", value_name = "DIR")]
    data_dir: Option<PathBuf>,

    /// The server's database, if it is not in the data directory; only looked at if no server runs
    #[arg(
        long,
        global = true,
        env = "MUSTER_DATABASE",
        value_name = "URL",
        hide_env_values = true
    )]
    database: Option<String>,
}

#[derive(Subcommand)]
enum UserAction {
    /// List accounts, 25 a page
    List {
        /// The page
        #[arg(long, default_value_t = 1)]
        page: i64,
        /// By kudos or by age
        #[arg(long, default_value = "kudos", value_parser = ["kudos", "age"])]
        sort: String,
    },
    /// Show everything that is known of an account
    Show {
        /// Its number, or its name with it: 3 or ann#3
        user: String,
    },
    /// Make an account and show its key, this once
    Create {
        /// Its name
        name: String,
    },
    /// Change an account
    Set {
        /// Its number, or its name with it: 3 or ann#3
        user: String,
        /// What to change, as name=value: trusted=true concurrency=50 username=Ann; the names are those of the API's
        /// `ModifyUserInput`
        #[arg(required = true, value_name = "NAME=VALUE")]
        changes: Vec<String>,
    },
    /// Schedule an account for deletion (undone by: set USER undelete=true)
    Delete {
        /// Its number, or its name with it: 3 or ann#3
        user: String,
    },
    /// Overwrite what identifies an account's owner and delete its workers, keys and shared keys. This cannot be undone
    Wipe {
        /// Its number, or its name with it: 3 or ann#3
        user: String,
    },
}

#[derive(Subcommand)]
enum KeyAction {
    /// Give an account a new key and show it, this once; the old one dies
    Reset {
        /// The account's number, or its name with it: 3 or ann#3
        user: String,
    },
}

#[derive(Subcommand)]
enum WorkerAction {
    /// List all workers, online or not
    List,
    /// Show everything that is known of a worker
    Show {
        /// Its id or name
        worker: String,
    },
    /// Change a worker
    Set {
        /// Its id or name
        worker: String,
        /// What to change, as name=value: maintenance=true paused=false name=Rig; the names are those of the API's
        /// `ModifyWorkerInput`
        #[arg(required = true, value_name = "NAME=VALUE")]
        changes: Vec<String>,
    },
    /// Delete a worker
    Delete {
        /// Its id or name
        worker: String,
    },
}

impl Subject {
    fn into_command(self) -> anyhow::Result<AdminCommand> {
        match self {
            Self::User { action } => user(action),
            Self::Key {
                action: KeyAction::Reset { user },
            } => Ok(AdminCommand::KeyReset { user }),
            Self::Worker { action } => worker(action),
            Self::Filter { action } => Ok(action.into_command()),
            Self::Block { action } => Ok(action.into_command()),
            Self::Mode { action } => Ok(action.into_command()),
            // The server may run in another directory.
            Self::Backup { file } => Ok(AdminCommand::Backup {
                file: std::path::absolute(file)?,
            }),
            Self::Kudos { action } => Ok(action.into_command()),
        }
    }
}

fn user(action: UserAction) -> anyhow::Result<AdminCommand> {
    Ok(match action {
        UserAction::List { page, sort } => AdminCommand::UserList { page, sort },
        UserAction::Show { user } => AdminCommand::UserShow { user },
        UserAction::Create { name } => AdminCommand::UserCreate { name },
        UserAction::Set { user, changes } => AdminCommand::UserSet {
            user,
            changes: members(&changes)?,
        },
        UserAction::Delete { user } => AdminCommand::UserDelete { user },
        UserAction::Wipe { user } => AdminCommand::UserWipe { user },
    })
}

fn worker(action: WorkerAction) -> anyhow::Result<AdminCommand> {
    Ok(match action {
        WorkerAction::List => AdminCommand::WorkerList,
        WorkerAction::Show { worker } => AdminCommand::WorkerShow { worker },
        WorkerAction::Set { worker, changes } => AdminCommand::WorkerSet {
            worker,
            changes: members(&changes)?,
        },
        WorkerAction::Delete { worker } => AdminCommand::WorkerDelete { worker },
    })
}

/// Names whose values are texts, whatever they look like.
const TEXTS: [&str; 7] = [
    "username",
    "contact",
    "admin_comment",
    "maintenance_msg",
    "info",
    "name",
    "team",
];

/// `trusted=true username=42` as the members of a body.
fn members(changes: &[String]) -> anyhow::Result<Value> {
    let mut members = Map::new();
    for change in changes {
        let Some((name, text)) = change.split_once('=') else {
            bail!("{change:?} is no change: write NAME=VALUE, as in trusted=true");
        };
        let text_value = || Value::String(text.to_owned());
        let value = if TEXTS.contains(&name) {
            text_value()
        } else {
            serde_json::from_str(text).unwrap_or_else(|_| text_value())
        };
        members.insert(name.replace('-', "_"), value);
    }
    Ok(Value::Object(members))
}

/// Does what is asked for, and shows what came of it.
///
/// # Errors
/// What it is about does not exist, cannot be like that, or the horde cannot be reached; the books are wrong.
pub(crate) async fn run(args: AdminArgs) -> anyhow::Result<()> {
    let AdminArgs { json, place, subject } = args;
    let options = Options::of_place(place.config, place.data_dir, place.database);
    let settings = Settings::load(&options, |name| std::env::var(name).ok())?;
    if let Subject::Kudos {
        action: kudos::Action::Price(price),
    } = subject
    {
        // Prices follow from the settings alone.
        return price.run(&node::pricing(&settings)?);
    }
    let command = subject.into_command()?;
    let is_audit = command == AdminCommand::KudosAudit;
    let progress = kudos::Progress::new();
    let asked = control::ask(&settings.data_dir, &command, |entries| progress.show(entries)).await?;
    let outcome = match asked {
        Some(outcome) => outcome,
        None => node::perform_alone(&settings, command, |entries| progress.show(entries)).await?,
    };
    progress.clear();
    match outcome {
        Outcome::Done(value) => {
            if json {
                println!("{}", serde_json::to_string_pretty(&value)?);
            } else {
                print!("{}", output::for_people(&value));
            }
            if is_audit && value["clean"] != true {
                bail!("the books are wrong: see what was found, and `muster admin kudos repair`");
            }
            Ok(())
        }
        Outcome::Refused(message) => bail!("{message}"),
        Outcome::Progress(_) => bail!("the server stopped before it answered"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn changes_are_read_as_what_they_look_like() {
        let read = |changes: &[&str]| {
            let changes: Vec<String> = changes.iter().map(|change| (*change).to_owned()).collect();
            members(&changes)
        };
        assert_eq!(
            read(&[
                "trusted=true",
                "concurrency=5",
                "username=42",
                "contact=a=b",
                "reset-suspicion=true"
            ])
            .unwrap(),
            json!({"trusted": true, "concurrency": 5, "username": "42", "contact": "a=b", "reset_suspicion": true})
        );
        assert!(read(&["trusted"]).unwrap_err().to_string().contains("NAME=VALUE"));
    }
}
