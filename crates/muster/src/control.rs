//! How `muster admin` reaches a server that runs on the same data directory: a socket in that directory, which only the
//! owner of the directory can open.
//!
//! One line of JSON asks: a command. One line answers: what came of it; before it, what takes long may send any number
//! of lines that say how far it is.

use std::{
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use muster_engine::{AdminCommand, Engine, EngineError};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{UnixListener, UnixStream},
    sync::mpsc,
};
use tokio_util::sync::CancellationToken;

/// The name of the socket in the data directory.
const SOCKET: &str = "control.sock";
/// The longest line, in bytes.
const LONGEST: u64 = 16 << 20;

/// What came of a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outcome {
    /// It is done; this is the answer.
    Done(Value),
    /// It was refused or failed, for this reason.
    Refused(String),
    /// It is not done yet, but has looked at so many things.
    Progress(u64),
}

/// The socket of a running server.
pub(crate) struct Control {
    listener: UnixListener,
    path: PathBuf,
}

impl Control {
    /// Opens the socket. The data directory is locked, so whatever is there was left behind by a server that is gone.
    ///
    /// # Errors
    /// The socket cannot be made, as when the path of the directory is too long for one.
    pub(crate) fn open(data_dir: &Path) -> anyhow::Result<Self> {
        let path = data_dir.join(SOCKET);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        let listener = UnixListener::bind(&path)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        Ok(Self { listener, path })
    }

    /// Does what operators want until `stop` is cancelled.
    pub(crate) async fn serve(self, engine: Engine, stop: CancellationToken) {
        loop {
            let connection = tokio::select! {
                () = stop.cancelled() => break,
                connection = self.listener.accept() => connection,
            };
            match connection {
                Ok((stream, _)) => {
                    tokio::spawn(answer(engine.clone(), stream));
                }
                Err(error) => {
                    tracing::error!(%error, "operators cannot be listened to any more");
                    break;
                }
            }
        }
        // Nobody shall wait for an answer from a server that is gone.
        let _ = std::fs::remove_file(&self.path);
    }
}

async fn answer(engine: Engine, stream: UnixStream) {
    let (reader, mut writer) = stream.into_split();
    let mut line = String::new();
    let read = BufReader::new(reader.take(LONGEST)).read_line(&mut line).await;
    let (tell, mut told) = mpsc::unbounded_channel();
    let work = async move {
        let progress = |looked_at| {
            // Whoever does not listen any more is told nothing.
            let _ = tell.send(Outcome::Progress(looked_at));
        };
        let outcome = match (read, serde_json::from_str::<AdminCommand>(&line)) {
            (Ok(_), Ok(command)) => perform(&engine, command, progress).await,
            (Err(error), _) => Outcome::Refused(format!("the command could not be read: {error}")),
            (_, Err(error)) => Outcome::Refused(format!("this server does not know the command: {error}")),
        };
        let _ = tell.send(outcome);
    };
    let answer = async {
        while let Some(outcome) = told.recv().await {
            let mut text = serde_json::to_string(&outcome).expect("outcomes are plain data");
            text.push('\n');
            if let Err(error) = writer.write_all(text.as_bytes()).await {
                tracing::warn!(%error, "an operator did not wait for the answer");
                break;
            }
        }
    };
    tokio::join!(work, answer);
}

/// Does what an operator wants, and says it in words.
pub(crate) async fn perform(
    engine: &Engine,
    command: AdminCommand,
    progress: impl FnMut(u64) + Send,
) -> Outcome {
    match engine.operate(command, progress).await {
        Ok(value) => Outcome::Done(value),
        Err(EngineError::Invalid(invalid)) => {
            let errors = invalid
                .errors
                .iter()
                .map(|(member, text)| format!("{member}: {text}"));
            Outcome::Refused(errors.collect::<Vec<_>>().join("; "))
        }
        Err(EngineError::Refused(refusal)) => Outcome::Refused(refusal.message),
        Err(error) => Outcome::Refused(error.to_string()),
    }
}

/// Asks the server that runs on a data directory; `None` if none does. `progress` is told what it says of how far it is.
///
/// # Errors
/// A server is there but does not answer.
pub(crate) async fn ask(
    data_dir: &Path,
    command: &AdminCommand,
    mut progress: impl FnMut(u64),
) -> anyhow::Result<Option<Outcome>> {
    let path = data_dir.join(SOCKET);
    let stream = match UnixStream::connect(&path).await {
        Ok(stream) => stream,
        Err(error)
            if matches!(
                error.kind(),
                std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused
            ) =>
        {
            return Ok(None);
        }
        Err(error) => {
            return Err(error).with_context(|| format!("the server cannot be asked at {}", path.display()));
        }
    };
    let (reader, mut writer) = stream.into_split();
    let mut text = serde_json::to_string(command)?;
    text.push('\n');
    writer.write_all(text.as_bytes()).await?;
    let mut lines = BufReader::new(reader).lines();
    while let Some(line) = lines.next_line().await? {
        match serde_json::from_str(&line).context("the server's answer cannot be read")? {
            Outcome::Progress(looked_at) => progress(looked_at),
            outcome => return Ok(Some(outcome)),
        }
    }
    bail!("the server stopped before it answered")
}
