//! `muster serve`: run a horde.

use crate::{
    logging,
    node::Node,
    settings::{Options, Settings},
    signals,
};

/// Runs a server until it is told to stop.
///
/// # Errors
/// What keeps it from starting, in words that tell what to do.
pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let settings = Settings::load(&options, |name| std::env::var(name).ok())?;
    let logging = logging::start(&settings, &settings.log)?;
    let stop = signals::stop_token()?;
    let node = tokio::select! {
        node = Node::start(&settings) => node?,
        () = stop.cancelled() => return Ok(()),
    };
    if let Some(admin) = node.new_admin() {
        println!(
            "This is a new horde. Its administrator is {}, with the API key",
            admin.alias
        );
        println!("\n    {}\n", admin.api_key);
        println!(
            "It is shown this once and kept in {}.",
            node.admin_key_file().display()
        );
    }
    tracing::info!(address = %node.address(), version = muster_server::VERSION, "serving");
    println!("Serving on http://{}", node.address());
    node.run(stop).await?;
    tracing::info!("stopped");
    logging.finish().await;
    Ok(())
}
