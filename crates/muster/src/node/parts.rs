//! What an engine is built from, opened as the settings say.

use std::{
    fs::File,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, bail};
use ipnet::IpNet;
use muster_engine::{
    EngineConfig, ModelReference, ModelSource, Parts, RatingService, Reference, ReputationService, Standing,
    Supporter, SupporterService, SupporterServiceKind, SystemClock, TextModels, WhenUnknown,
    outbound::{Outbound, Reach},
};
use muster_kudos::image::{ImagePricing, PricingNetwork};
use muster_protocol::{Kudos, UserId};
use muster_server::About;
use muster_store::{BlobConfig, Blobs, BucketNames, S3Config, Store, StoreConfig};
use url::Url;

use super::data_dir::DataDir;
use crate::settings::{Settings, Supporting, WhenDown, Who};

/// Names of what the database remembers about itself.
const KEY_SALT: &str = "key-salt";
const BLOB_SECRET: &str = "blob-secret";
/// Why nothing can be called.
const NO_CERTIFICATES: &str = "the system's certificates cannot be loaded";

pub(super) async fn open(
    settings: &Settings,
    data_dir: &DataDir,
    base_url: &Url,
    sources: &ModelSources,
) -> anyhow::Result<Parts> {
    let text_models = models(sources.text.as_ref(), TextModels::bundled()).await?;
    let models = models(sources.image.as_ref(), ModelReference::bundled()).await?;
    let pricing = pricing(settings)?;
    let mut config = StoreConfig::new(database_url(settings));
    config.read_connections = settings.database_readers.max(1);
    let store = Store::open(config).await?;
    let key_salt = key_salt(&store, settings.secret_key.as_deref()).await?;
    let blobs = blobs(settings, data_dir, base_url, &store).await?;
    let config = EngineConfig {
        key_salt,
        admin_name: settings.admin_name.clone(),
        administrators: (!settings.admins.is_empty()).then(|| settings.admins.clone()),
        awarders: settings.awarders.iter().copied().map(UserId).collect(),
        trust_threshold: settings.trust_threshold.map(Kudos::from_whole),
        supporters: settings.supporters.iter().map(supporter).collect(),
        paused_notice_webhook: settings.paused_notice_webhook.clone(),
        problem_notice_webhook: settings.problem_notice_webhook.clone(),
        maintenance: settings.maintenance,
        invite_only: settings.invite_only,
        raid: settings.raid,
        service_addresses: settings.service_addresses.clone(),
        raised_limits: settings.raised_limits.iter().copied().map(standing).collect(),
        keep_refused_prompts: settings.keep_refused_prompts,
        test_accounts: settings.test_apikeys,
        matched_targeting: settings.matched_targeting,
        upfront_for_named_workers: settings.upfront_kudos_on_workerlist,
        ..EngineConfig::default()
    };
    let seed = random_bytes()?;
    let notifier = Outbound::new(Reach::Anywhere).context(NO_CERTIFICATES)?;
    Ok(Parts {
        config,
        clock: Arc::new(SystemClock),
        seed,
        store,
        blobs,
        models,
        text_models,
        pricing,
        outbound: outbound(settings)?,
        ratings: ratings(settings, &notifier),
        reputation: reputation(settings, &notifier)?,
        supporter_services: supporter_services(settings, &notifier),
        notifier,
    })
}

/// Through which services people support the horde: those that the operator has a key of.
fn supporter_services(settings: &Settings, outbound: &Outbound) -> Vec<SupporterService> {
    let service = |kind, key: &Option<String>, url: &str| {
        key.as_ref().map(|key| SupporterService {
            kind,
            url: url.to_owned(),
            key: key.clone(),
            outbound: outbound.clone(),
        })
    };
    let services = [
        service(
            SupporterServiceKind::Patreon,
            &settings.patreon_token,
            &settings.patreon_url,
        ),
        service(
            SupporterServiceKind::Stripe,
            &settings.stripe_key,
            &settings.stripe_url,
        ),
    ];
    services.into_iter().flatten().collect()
}

fn supporter(supporting: &Supporting) -> Supporter {
    Supporter {
        user: UserId(supporting.user),
        monthly_kudos: Kudos::from_whole(supporting.monthly_kudos),
        name: supporting.name.clone(),
        link: supporting.link.clone(),
    }
}

/// What the operator tells about the horde.
pub(super) fn about(settings: &Settings, base_url: &Url) -> anyhow::Result<About> {
    let read = |file: &Option<PathBuf>| match file {
        None => Ok(None),
        Some(file) => std::fs::read_to_string(file)
            .map(Some)
            .with_context(|| format!("the document {} cannot be read", file.display())),
    };
    Ok(About {
        title: settings.title.clone(),
        url: base_url.as_str().trim_end_matches('/').to_owned(),
        email: settings.email.clone(),
        logo: settings.logo.clone(),
        repository: settings.repository.clone(),
        terms: read(&settings.terms)?,
        privacy: read(&settings.privacy)?,
        news: settings.news.clone(),
    })
}

/// The database's address: by default a file in the data directory.
pub(crate) fn database_url(settings: &Settings) -> String {
    let file = settings.data_dir.join("muster.db");
    settings
        .database
        .clone()
        .unwrap_or_else(|| format!("sqlite:{}?mode=rwc", file.display()))
}

/// Calls to webhooks and source images.
fn outbound(settings: &Settings) -> anyhow::Result<Outbound> {
    let reach = if settings.outbound_private {
        Reach::Anywhere
    } else {
        Reach::Public
    };
    Outbound::new(reach).context(NO_CERTIFICATES)
}

/// Where ratings go, if the operator says so.
fn ratings(settings: &Settings, outbound: &Outbound) -> Option<RatingService> {
    let url = settings.ratings_url.clone()?;
    let outbound = outbound.clone();
    Some(RatingService {
        url,
        outbound,
        timeout: RatingService::TIMEOUT,
    })
}

/// The networks, or single addresses, that an option names.
pub(super) fn networks(texts: &[String], option: &str) -> anyhow::Result<Vec<IpNet>> {
    let network = |text: &String| {
        let single = || text.parse::<IpAddr>().map(IpNet::from).ok();
        let network = text.parse::<IpNet>().ok().or_else(single);
        network.with_context(|| format!("{text:?} of {option} is not a network"))
    };
    texts.iter().map(network).collect()
}

/// Who is asked about addresses, if the operator says so.
fn reputation(settings: &Settings, outbound: &Outbound) -> anyhow::Result<Option<ReputationService>> {
    let Some(url) = settings.ip_checker.clone() else {
        return Ok(None);
    };
    if !url.contains("{ipaddr}") {
        bail!("the address of --ip-checker must have {{ipaddr}} in the place of what is asked about");
    }
    Ok(Some(ReputationService {
        url,
        no_opinion: settings.ip_checker_no_opinion,
        exempt: networks(&settings.ip_checker_exempt, "--ip-checker-exempt")?,
        when_unknown: match settings.ip_checker_down {
            WhenDown::Refuse => WhenUnknown::Refuse,
            WhenDown::Accept => WhenUnknown::Accept,
        },
        outbound: outbound.clone(),
    }))
}

fn standing(who: Who) -> Standing {
    match who {
        Who::Trusted => Standing::Trusted,
        Who::Education => Standing::Education,
        Who::Service => Standing::Service,
        Who::Supporter => Standing::Supporter,
    }
}

/// Where models are described, if the operator says so.
pub(super) struct ModelSources {
    pub(super) image: Option<ModelSource<ModelReference>>,
    pub(super) text: Option<ModelSource<TextModels>>,
}

pub(super) fn model_sources(settings: &Settings, data_dir: &DataDir) -> anyhow::Result<ModelSources> {
    Ok(ModelSources {
        image: model_source([&settings.models, &settings.more_models], data_dir)?,
        text: model_source([&settings.text_models], data_dir)?,
    })
}

fn model_source<'a, R: Reference>(
    places: impl IntoIterator<Item = &'a Option<String>>,
    data_dir: &DataDir,
) -> anyhow::Result<Option<ModelSource<R>>> {
    let places: Vec<String> = places.into_iter().flatten().cloned().collect();
    if places.is_empty() {
        return Ok(None);
    }
    let source = ModelSource::new(places, data_dir.path().to_owned());
    source.map(Some).context(NO_CERTIFICATES)
}

/// What is known about models. A place that cannot be reached now may have been reached before; a file
/// that cannot be read is a mistake of the operator's.
async fn models<R: Reference + Clone>(
    source: Option<&ModelSource<R>>,
    bundled: &'static R,
) -> anyhow::Result<R> {
    let Some(source) = source else {
        return Ok(bundled.clone());
    };
    match source.read().await {
        Ok(reference) => Ok(reference),
        Err(error) if source.is_local() => Err(error.into()),
        Err(error) => {
            if let Some(copy) = source.read_copy().await {
                tracing::warn!(%error, "what was known about {} models the last time is used", R::CALLED);
                return Ok(copy);
            }
            tracing::error!(%error, "only the {} models that are built in are known for now", R::CALLED);
            Ok(bundled.clone())
        }
    }
}

pub(crate) fn pricing(settings: &Settings) -> anyhow::Result<ImagePricing> {
    let pricing = match &settings.image_prices {
        None => ImagePricing::bundled(),
        Some(path) => {
            let shown = path.display();
            let file = File::open(path).with_context(|| format!("the weights {shown} cannot be read"))?;
            let network = PricingNetwork::from_npz(std::io::BufReader::new(file));
            ImagePricing::new(network.with_context(|| format!("{shown} does not hold a price model"))?)
        }
    };
    Ok(pricing.with_token_price_for_named_workers(settings.matched_targeting))
}

/// The salt of key hashes. Once keys have been made with one, no other will do.
async fn key_salt(store: &Store, configured: Option<&str>) -> anyhow::Result<String> {
    let stored = store
        .setting(KEY_SALT)
        .await?
        .and_then(|value| value.as_str().map(str::to_owned));
    match (stored, configured) {
        (Some(stored), Some(configured)) if stored != configured => bail!(
            "the secret key is not the one that this database was made with, so no API key would be known; \
             leave it out, or give the right one"
        ),
        (Some(stored), _) => Ok(stored),
        (None, configured) => {
            let salt = configured.map_or_else(random_hex, |configured| Ok(configured.to_owned()))?;
            store.set_setting(KEY_SALT, salt.as_str().into()).await?;
            Ok(salt)
        }
    }
}

async fn blobs(
    settings: &Settings,
    data_dir: &DataDir,
    base_url: &Url,
    store: &Store,
) -> anyhow::Result<Blobs> {
    let secret = blob_secret(store).await?;
    blobs_with(settings, data_dir.path(), base_url, secret)
}

/// The store of pictures, to try it: its addresses are signed with nobody's key.
pub(crate) fn open_blobs(settings: &Settings) -> anyhow::Result<Blobs> {
    let base_url = super::base_url(settings, settings.listen)?;
    blobs_with(settings, &settings.data_dir, &base_url, Vec::new())
}

fn blobs_with(
    settings: &Settings,
    data_dir: &Path,
    base_url: &Url,
    secret: Vec<u8>,
) -> anyhow::Result<Blobs> {
    let place = settings.blobs.as_deref();
    if place.is_some_and(|place| place.starts_with("s3:")) {
        return Ok(Blobs::new(BlobConfig::S3(s3(settings)?))?);
    }
    let dir = match place {
        None => data_dir.join("blobs"),
        Some(place) => Path::new(place.strip_prefix("file://").unwrap_or(place)).to_owned(),
    };
    Ok(Blobs::new(BlobConfig::Local {
        dir,
        base_url: base_url.clone(),
        secret,
    })?)
}

/// Whether the files that the settings name can be used.
pub(super) fn check(settings: &Settings) -> anyhow::Result<()> {
    pricing(settings)?;
    let notifier = Outbound::new(Reach::Anywhere).context(NO_CERTIFICATES)?;
    reputation(settings, &notifier)?;
    let places = [&settings.models, &settings.more_models, &settings.text_models];
    for place in places
        .into_iter()
        .flatten()
        .filter(|place| !place.starts_with("http"))
    {
        std::fs::metadata(place).with_context(|| format!("the models in {place} cannot be read"))?;
    }
    Ok(())
}

fn s3(settings: &Settings) -> anyhow::Result<S3Config> {
    let needed = |value: &Option<String>, option: &str| {
        value
            .clone()
            .with_context(|| format!("pictures in S3 need the option --{option}"))
    };
    let endpoint = needed(&settings.s3_endpoint, "s3-endpoint")?;
    Ok(S3Config {
        endpoint: Url::parse(&endpoint)
            .with_context(|| format!("{endpoint:?} is not the address of a service"))?,
        region: settings.s3_region.clone(),
        access_key_id: needed(&settings.s3_access_key_id, "s3-access-key-id")?,
        secret_access_key: needed(&settings.s3_secret_access_key, "s3-secret-access-key")?,
        path_style: true,
        buckets: BucketNames {
            transient: settings.s3_transient_bucket.clone(),
            source: settings.s3_source_bucket.clone(),
            permanent: settings.s3_permanent_bucket.clone(),
            prompts: settings.s3_prompts_bucket.clone(),
        },
    })
}

/// The key of signed addresses: drawn once, the same for all nodes on the database.
async fn blob_secret(store: &Store) -> anyhow::Result<Vec<u8>> {
    if let Some(secret) = store
        .setting(BLOB_SECRET)
        .await?
        .and_then(|value| value.as_str().map(str::to_owned))
    {
        return Ok(secret.into_bytes());
    }
    let secret = random_hex()?;
    store.set_setting(BLOB_SECRET, secret.as_str().into()).await?;
    Ok(secret.into_bytes())
}

fn random_bytes() -> anyhow::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).context("the system has no random numbers")?;
    Ok(bytes)
}

fn random_hex() -> anyhow::Result<String> {
    use std::fmt::Write as _;
    let mut text = String::new();
    for byte in random_bytes()? {
        write!(text, "{byte:02x}")?;
    }
    Ok(text)
}
