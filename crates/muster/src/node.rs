//! [`Node`]: a server put together from its settings, from the locked data directory to the
//! listening socket.

mod data_dir;
mod metrics;
mod parts;

use std::net::SocketAddr;

use anyhow::Context as _;
use muster_engine::{AdminCommand, Engine, FirstStart, NewKey};
use muster_server::{BodyLimits, ConnectionLimits, ServerConfig, router, serve};
use tokio::net::{TcpListener, TcpSocket};
use tokio_util::sync::CancellationToken;
use url::Url;

pub(crate) use self::parts::{database_url, open_blobs, pricing};
use crate::{
    control::{self, Control, Outcome},
    logging::traces,
    node::{data_dir::DataDir, parts::ModelSources},
    settings::Settings,
};

/// Files that are open besides connections: the database, pictures, calls to others.
const OTHER_FILES: usize = 256;
/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;

/// A server that is ready to be run.
pub(crate) struct Node {
    engine: Engine,
    listener: TcpListener,
    address: SocketAddr,
    config: ServerConfig,
    connections: ConnectionLimits,
    first_start: FirstStart,
    /// Where models are described.
    models: ModelSources,
    /// Where operators reach it.
    control: Option<Control>,
    /// Held as long as the server runs: the directory belongs to one server.
    data_dir: DataDir,
}

impl Node {
    /// Opens and loads everything. The port is claimed first, so that a port in use is noticed before
    /// anything is made, but nobody can connect before the board is loaded.
    ///
    /// # Errors
    /// In words that tell the operator what to do.
    pub(crate) async fn start(settings: &Settings) -> anyhow::Result<Self> {
        let socket = claim(settings.listen)?;
        let data_dir = DataDir::open(&settings.data_dir)?;
        let address = socket
            .local_addr()
            .context("the address listened on is not known")?;
        let models = parts::model_sources(settings, &data_dir)?;
        let base_url = base_url(settings, address)?;
        let parts = parts::open(settings, &data_dir, &base_url, &models).await?;
        let engine = Engine::start(parts)
            .await
            .context("the horde cannot be loaded from the database")?;
        let first_start = engine
            .ensure_admin()
            .await
            .context("the administrator's account cannot be made")?;
        if let FirstStart::Yes(key) = &first_start {
            data_dir.write_admin_key(&key.api_key)?;
        }
        let control = Control::open(data_dir.path())
            .inspect_err(|error| tracing::warn!(%error, "muster admin cannot reach this server"))
            .ok();
        let listener = socket
            .listen(BACKLOG)
            .map_err(|error| port_error(settings.listen, &error))?;
        let config = ServerConfig {
            about: parts::about(settings, &base_url)?,
            node: settings.node_name.clone().unwrap_or_else(host_name),
            port: address.port(),
            trusted_hops: settings.trusted_proxies,
            rate_limits: !settings.test_ratelimit_disabled,
            metrics: metrics::page(settings)?,
            bodies: BodyLimits {
                memory: settings.body_memory.saturating_mul(1024 * 1024),
                ..BodyLimits::default()
            },
        };
        Ok(Self {
            engine,
            listener,
            address,
            config,
            connections: connections(settings),
            first_start,
            models,
            control,
            data_dir,
        })
    }

    /// Where the server listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The horde itself.
    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The administrator's key, if this is the first start.
    pub(crate) fn new_admin(&self) -> Option<&NewKey> {
        match &self.first_start {
            FirstStart::Yes(key) => Some(key),
            FirstStart::No => None,
        }
    }

    /// The file with the administrator's key.
    pub(crate) fn admin_key_file(&self) -> std::path::PathBuf {
        self.data_dir.admin_key_file()
    }

    /// Serves until `stop` is cancelled: then takes no more connections, finishes what is in flight,
    /// and writes everything down.
    ///
    /// # Errors
    /// The background duties failed.
    pub(crate) async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let duties_stop = CancellationToken::new();
        let duties = self.engine.spawn_duties(duties_stop.clone());
        let ModelSources { image, text } = self.models;
        if let Some(source) = image {
            tokio::spawn(self.engine.clone().keep_models_fresh(source, duties_stop.clone()));
        }
        if let Some(source) = text {
            tokio::spawn(self.engine.clone().keep_models_fresh(source, duties_stop.clone()));
        }
        if let Some(control) = self.control {
            tokio::spawn(control.serve(self.engine.clone(), duties_stop.clone()));
        }
        let router = router(self.engine.clone(), &self.config);
        let engine = self.engine.clone();
        let stopped = async move {
            stop.cancelled().await;
            engine.drain();
        };
        serve(self.listener, router, self.connections, stopped).await;
        duties_stop.cancel();
        duties.await.context("the background duties failed")?;
        self.engine.store().clone().close().await;
        drop(self.data_dir);
        Ok(())
    }
}

/// Does what an operator wants while no server runs.
///
/// # Errors
/// The horde cannot be opened, or a server has just been started.
pub(crate) async fn perform_alone(
    settings: &Settings,
    command: AdminCommand,
    progress: impl FnMut(u64) + Send,
) -> anyhow::Result<Outcome> {
    anyhow::ensure!(
        settings.data_dir.is_dir(),
        "there is no horde in {}: name its directory with --data-dir",
        settings.data_dir.display()
    );
    let data_dir = DataDir::open(&settings.data_dir)?;
    let base_url = base_url(settings, settings.listen)?;
    // What is known about models does not matter here, and may be far away.
    let models = ModelSources {
        image: None,
        text: None,
    };
    let parts = parts::open(settings, &data_dir, &base_url, &models).await?;
    let engine = Engine::start(parts)
        .await
        .context("the horde cannot be loaded from the database")?;
    let outcome = control::perform(&engine, command, progress).await;
    engine.store().clone().close().await;
    Ok(outcome)
}

/// How many connections there may be: as many as the settings say, and the system allows.
fn connections(settings: &Settings) -> ConnectionLimits {
    let usable = open_files().map(|files| files.saturating_sub(OTHER_FILES).max(1));
    let wanted = settings.connections;
    let connections = usable.map_or(wanted, |usable| wanted.min(usable));
    if connections < wanted {
        tracing::warn!(
            connections,
            wanted,
            "the system lets this process open too few files for all connections: raise its limit (ulimit -n)"
        );
    }
    ConnectionLimits {
        connections,
        // To a server behind a proxy all connections seem to come from there.
        per_address: (settings.trusted_proxies == 0).then_some(settings.connections_per_address),
        ..ConnectionLimits::default()
    }
}

/// Raises the number of files that this process may have open as far as it may, and answers it.
pub(crate) fn open_files() -> Option<usize> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    let current = if setrlimit(Resource::Nofile, raised).is_ok() {
        limit.maximum
    } else {
        limit.current
    };
    current.and_then(|files| usize::try_from(files).ok())
}

/// Whether the files and addresses that the settings name can be used. Nothing is made.
///
/// # Errors
/// In words that tell the operator what to do.
pub(crate) fn check(settings: &Settings) -> anyhow::Result<()> {
    let base_url = base_url(settings, settings.listen)?;
    parts::about(settings, &base_url)?;
    parts::check(settings)?;
    traces::check(settings)?;
    metrics::readers(settings).map(|_| ())
}

/// Binds the port without listening on it yet.
fn claim(address: SocketAddr) -> anyhow::Result<TcpSocket> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    }?;
    socket.set_reuseaddr(true)?;
    socket
        .bind(address)
        .map_err(|error| port_error(address, &error))?;
    Ok(socket)
}

fn port_error(address: SocketAddr, error: &std::io::Error) -> anyhow::Error {
    match error.kind() {
        std::io::ErrorKind::AddrInUse => anyhow::anyhow!(
            "cannot listen on {address}: another program does already; stop it or choose another address with --listen"
        ),
        std::io::ErrorKind::PermissionDenied => anyhow::anyhow!(
            "cannot listen on {address}: ports below 1024 need special rights; choose another one with --listen"
        ),
        _ => anyhow::anyhow!("cannot listen on {address}: {error}"),
    }
}

/// How clients reach the server.
fn base_url(settings: &Settings, address: SocketAddr) -> anyhow::Result<Url> {
    let text = settings.public_url.clone().unwrap_or_else(|| {
        let reachable = if address.ip().is_unspecified() {
            SocketAddr::from(([127, 0, 0, 1], address.port()))
        } else {
            address
        };
        format!("http://{reachable}")
    });
    Url::parse(&text).with_context(|| format!("{text:?} is not a public URL"))
}

fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map(|name| name.trim().to_owned())
        .ok()
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "muster".to_owned())
}
