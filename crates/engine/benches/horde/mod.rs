//! A horde to measure.

use std::{path::Path, sync::Arc};

use muster_engine::{
    Engine, EngineConfig, ModelReference, Parts, SystemClock, TextModels,
    outbound::{Outbound, Reach},
};
use muster_kudos::image::ImagePricing;
use muster_store::{BlobConfig, Blobs, Store, StoreConfig};

/// Starts a horde on a database, with pictures in a directory.
pub(crate) async fn start(url: &str, directory: &Path, config: EngineConfig) -> Engine {
    let blobs = BlobConfig::Local {
        dir: directory.join("blobs"),
        base_url: "http://127.0.0.1:1".parse().unwrap(),
        secret: b"bench".to_vec(),
    };
    let parts = Parts {
        supporter_services: Vec::new(),
        notifier: Outbound::new(Reach::Public).unwrap(),
        reputation: None,
        config,
        clock: Arc::new(SystemClock),
        seed: [7; 32],
        store: Store::open(StoreConfig::new(url)).await.unwrap(),
        blobs: Blobs::new(blobs).unwrap(),
        models: ModelReference::bundled().clone(),
        text_models: TextModels::bundled().clone(),
        pricing: ImagePricing::bundled(),
        ratings: None,
        outbound: Outbound::new(Reach::Public).unwrap(),
    };
    Engine::start(parts).await.unwrap()
}
