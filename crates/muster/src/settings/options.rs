//! [`Options`]: what the command line and the configuration file accept.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use clap::{Args, ValueEnum, builder::BoolishValueParser};
use serde::{Deserialize, Serialize};

/// What `muster serve` and `muster demo` accept. What is not given has the value in brackets.
///
/// A TOML file has the same names without the dashes in front: `data-dir = "/var/lib/muster"`.
#[allow(rustdoc::bare_urls, rustdoc::broken_intra_doc_links, clippy::doc_markdown)] // the texts are for the terminal
#[derive(Args, Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub(crate) struct Options {
    /// A TOML file with any of these options
    #[arg(long, env = "MUSTER_CONFIG", value_name = "FILE")]
    #[serde(skip)]
    pub(crate) config: Option<PathBuf>,

    /// The address to listen on [127.0.0.1:7001]
    #[arg(long, env = "MUSTER_LISTEN", value_name = "ADDRESS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) listen: Option<SocketAddr>,

    /// Where the database, pictures and the administrator's key are kept; made if missing
    /// [muster-data]
    #[arg(long, env = "MUSTER_DATA_DIR", value_name = "DIR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) data_dir: Option<PathBuf>,

    /// The database: sqlite:FILE?mode=rwc or postgres://USER:PASSWORD@HOST/NAME
    /// [a SQLite file in the data directory]
    #[arg(long, env = "MUSTER_DATABASE", value_name = "URL", hide_env_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) database: Option<String>,

    /// Where pictures are kept: a directory, or s3: for a service described by the --s3 options
    /// [blobs in the data directory]
    #[arg(long, env = "MUSTER_BLOBS", value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) blobs: Option<String>,

    /// How clients and workers reach the server; pictures are handed out as addresses only if this
    /// is https [http:// and the address listened on]
    #[arg(long, env = "MUSTER_PUBLIC_URL", value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) public_url: Option<String>,

    /// The name of the administrator's account, made at the first start [admin]
    #[arg(long, env = "MUSTER_ADMIN_NAME", value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) admin_name: Option<String>,

    /// An administrator by name and number, as in ann#3; give it several times for several (also `ADMINS`, a JSON list)
    /// [the account that the first start makes]
    #[arg(
        long = "admins",
        env = "MUSTER_ADMINS",
        value_name = "ALIAS",
        value_delimiter = ','
    )]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) admins: Vec<String>,

    /// The number of an account that may award kudos; give it several times for several [1]
    #[arg(
        long = "awarders",
        env = "MUSTER_AWARDERS",
        value_name = "NUMBER",
        value_delimiter = ','
    )]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) awarders: Vec<i64>,

    /// An account becomes trusted by itself once more kudos than this are held back of what its workers earn (also
    /// `KUDOS_TRUST_THRESHOLD`) [never]
    #[arg(long, env = "MUSTER_TRUST_THRESHOLD", value_name = "KUDOS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) trust_threshold: Option<i64>,

    /// Where it is told that a worker was paused: the address of a Discord webhook (also
    /// `DISCORD_PAUSED_NOTICE_WEBHOOK`) [nowhere]
    #[arg(
        long,
        env = "MUSTER_PAUSED_NOTICE_WEBHOOK",
        value_name = "URL",
        hide_env_values = true
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) paused_notice_webhook: Option<String>,

    /// Where it is told that somebody causes problems: the address of a Discord webhook (also
    /// `DISCORD_PROBLEM_USER_WEBHOOK`) [nowhere]
    #[arg(
        long,
        env = "MUSTER_PROBLEM_NOTICE_WEBHOOK",
        value_name = "URL",
        hide_env_values = true
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) problem_notice_webhook: Option<String>,

    /// How the operator is reached, for the documents (also `HORDE_EMAIL` or `HORDE_CONTACT_EMAIL`) [nothing]
    #[arg(long, env = "MUSTER_EMAIL", value_name = "TEXT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) email: Option<String>,

    /// The address of a picture that stands for the horde, for programs that list hordes (also `HORDE_LOGO`) [none]
    #[arg(long, env = "MUSTER_LOGO", value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) logo: Option<String>,

    /// Where the source code of what runs is, changes of yours included, for programs that list hordes (also
    /// `HORDE_REPOSITORY`) [nothing]
    #[arg(long, env = "MUSTER_REPOSITORY", value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) repository: Option<String>,

    /// A Markdown file with the terms of service, in which {title}, {url} and {email} are filled in [neutral ones]
    #[arg(long, env = "MUSTER_TERMS", value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) terms: Option<PathBuf>,

    /// The same about privacy [a neutral one]
    #[arg(long, env = "MUSTER_PRIVACY", value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) privacy: Option<PathBuf>,

    /// A JSON file with news, read whenever somebody asks for them [what comes with Muster]
    #[arg(long, env = "MUSTER_NEWS", value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) news: Option<PathBuf>,

    /// Who supports the horde, and what they get for it: only in the file, as tables [[supporters]]
    #[arg(skip)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) supporters: Vec<Supporting>,

    /// The creator's access token at Patreon: the members of its campaigns get kudos every month and are on the list of
    /// sponsors, if the note about them names their account (also `PATREON_CREATOR_ACCESS_TOKEN`) [none]
    #[arg(
        long,
        env = "MUSTER_PATREON_TOKEN",
        value_name = "TOKEN",
        hide_env_values = true
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) patreon_token: Option<String>,

    /// Where Patreon is [https://www.patreon.com]
    #[arg(long, env = "MUSTER_PATREON_URL", value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) patreon_url: Option<String>,

    /// A key of Stripe that may read subscriptions and products: subscribers get kudos every month, if the subscription's
    /// metadata name their account as horde_id (also `STRIPE_API_KEY`) [none]
    #[arg(long, env = "MUSTER_STRIPE_KEY", value_name = "KEY", hide_env_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) stripe_key: Option<String>,

    /// Where Stripe is [https://api.stripe.com]
    #[arg(long, env = "MUSTER_STRIPE_URL", value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) stripe_url: Option<String>,

    /// The title of the horde on its pages (also `HORDE_TITLE`) [AI Horde]
    #[arg(long, env = "MUSTER_TITLE", value_name = "TEXT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) title: Option<String>,

    /// The name of this node in the Horde-Node header [the host's name]
    #[arg(long, env = "MUSTER_NODE_NAME", value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) node_name: Option<String>,

    /// The salt of API-key hashes (also `secret_key`). Give the one of an existing horde to keep its
    /// keys; by default it is drawn once and kept in the database
    #[arg(long, env = "MUSTER_SECRET_KEY", value_name = "TEXT", hide_env_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) secret_key: Option<String>,

    /// How many reverse proxies of yours are in front of the server; only their X-Forwarded-For is
    /// believed [0]
    #[arg(long, env = "MUSTER_TRUSTED_PROXIES", value_name = "COUNT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) trusted_proxies: Option<usize>,

    /// How many connections there may be at the same time; the system may allow fewer [16384]
    #[arg(long, env = "MUSTER_CONNECTIONS", value_name = "COUNT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) connections: Option<usize>,

    /// How many of them may come from one address, unless there are trusted proxies in front [1024]
    #[arg(long, env = "MUSTER_CONNECTIONS_PER_ADDRESS", value_name = "COUNT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) connections_per_address: Option<usize>,

    /// How many MiB of bodies may be in flight at the same time; beyond that requests are refused for the moment.
    /// In memory a body takes up to three times its size [256]
    #[arg(long, env = "MUSTER_BODY_MEMORY", value_name = "MIB")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) body_memory: Option<usize>,

    /// A network from where /metrics may be read; give it several times for several [this machine]
    #[arg(
        long = "metrics-readers",
        env = "MUSTER_METRICS_READERS",
        value_name = "NETWORK",
        value_delimiter = ','
    )]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) metrics_readers: Vec<String>,

    /// Take no new requests [false]
    #[arg(long, env = "MUSTER_MAINTENANCE", num_args = 0..=1, default_missing_value = "true",
          value_name = "BOOL", value_parser = BoolishValueParser::new())]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) maintenance: Option<bool>,

    /// Take new workers only from accounts that were invited to run more than they do [false]
    #[arg(long, env = "MUSTER_INVITE_ONLY", num_args = 0..=1, default_missing_value = "true",
          value_name = "BOOL", value_parser = BoolishValueParser::new())]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) invite_only: Option<bool>,

    /// Defend the horde against an attack: strangers may do less, and are told less [false]
    #[arg(long, env = "MUSTER_RAID", num_args = 0..=1, default_missing_value = "true",
          value_name = "BOOL", value_parser = BoolishValueParser::new())]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) raid: Option<bool>,

    /// A service that tells how probably an address hides somebody, with {ipaddr} in the place of what is asked about;
    /// it answers with a number from 0 to 1 (also `IP_CHECKER`) [none]
    #[arg(long, env = "MUSTER_IP_CHECKER", value_name = "URL", hide_env_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ip_checker: Option<String>,

    /// The number with which that service says, as an error, that it has no opinion (also `IP_CHECKER_LC`) [none]
    #[arg(
        long,
        env = "MUSTER_IP_CHECKER_NO_OPINION",
        value_name = "NUMBER",
        allow_negative_numbers = true
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ip_checker_no_opinion: Option<f64>,

    /// A network that it is not asked about, as in 198.51.100.0/24; give it several times for several [none]
    #[arg(
        long = "ip-checker-exempt",
        env = "MUSTER_IP_CHECKER_EXEMPT",
        value_name = "NETWORK",
        value_delimiter = ','
    )]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) ip_checker_exempt: Vec<String>,

    /// What becomes of strangers' workers while it does not answer [refuse]
    #[arg(long, env = "MUSTER_IP_CHECKER_DOWN", value_name = "WHAT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ip_checker_down: Option<WhenDown>,

    /// The address of a service that many people share: it may call more often and is blocked for less long; give it
    /// several times for several [none]
    #[arg(
        long = "service-addresses",
        env = "MUSTER_SERVICE_ADDRESSES",
        value_name = "ADDRESS",
        value_delimiter = ','
    )]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) service_addresses: Vec<IpAddr>,

    /// Whose addresses may call more often; give it several times for several [trusted, education, service]
    #[arg(
        long = "raised-limits",
        env = "MUSTER_RAISED_LIMITS",
        value_name = "WHO",
        value_delimiter = ','
    )]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) raised_limits: Vec<Who>,

    /// Keep prompts that filters refused for 30 days, for moderators to look at [true]
    #[arg(long, env = "MUSTER_KEEP_REFUSED_PROMPTS", num_args = 0..=1, default_missing_value = "true",
          value_name = "BOOL", value_parser = BoolishValueParser::new())]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) keep_refused_prompts: Option<bool>,

    /// A JSON file, or the address of one, that describes image models in the format of the public
    /// model reference; an address is looked up every hour (also `HORDE_IMAGE_COMPVIS_REFERENCE`)
    /// [the models that are built in]
    #[arg(long, env = "MUSTER_MODELS", value_name = "FILE|URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) models: Option<String>,

    /// Another one, whose models are added to those of the first or replace them (also
    /// `HORDE_IMAGE_DIFFUSERS_REFERENCE`)
    #[arg(long, env = "MUSTER_MORE_MODELS", value_name = "FILE|URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) more_models: Option<String>,

    /// A JSON file, or the address of one, that describes text models in the format of the public model
    /// reference; an address is looked up every hour (also `HORDE_IMAGE_LLM_REFERENCE`)
    /// [the models that are built in]
    #[arg(long, env = "MUSTER_TEXT_MODELS", value_name = "FILE|URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) text_models: Option<String>,

    /// The address of the service that ratings of shared pictures are passed on to [none]
    #[arg(long, env = "MUSTER_RATINGS_URL", value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ratings_url: Option<String>,

    /// The weights of an existing horde's price model (.npz), to keep its prices [Muster's own]
    #[arg(long, env = "MUSTER_IMAGE_PRICES", value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) image_prices: Option<PathBuf>,

    /// Requests that name workers cost a token price and only go to workers that prioritise the
    /// requester (also `HORDE_REQUIRE_MATCHED_TARGETING`) [false]
    #[arg(long, env = "MUSTER_MATCHED_TARGETING", num_args = 0..=1, default_missing_value = "true",
          value_name = "BOOL", value_parser = BoolishValueParser::new())]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) matched_targeting: Option<bool>,

    /// Requests that name workers must be paid upfront (also `HORDE_UPFRONT_KUDOS_ON_WORKERLIST`)
    /// [false]
    #[arg(long, env = "MUSTER_UPFRONT_KUDOS_ON_WORKERLIST", num_args = 0..=1, default_missing_value = "true",
          value_name = "BOOL", value_parser = BoolishValueParser::new())]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) upfront_kudos_on_workerlist: Option<bool>,

    /// Let webhooks and source images be on private networks, this machine included, and webhooks be
    /// plain http: for closed networks and tests only, since clients choose the addresses [false]
    #[arg(long, env = "MUSTER_OUTBOUND_PRIVATE", num_args = 0..=1, default_missing_value = "true",
          value_name = "BOOL", value_parser = BoolishValueParser::new())]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) outbound_private: Option<bool>,

    /// Let callers on this machine make accounts with any balance, for automated tests (also
    /// `HORDE_TEST_APIKEYS`) [false]
    #[arg(long, env = "MUSTER_TEST_APIKEYS", num_args = 0..=1, default_missing_value = "true",
          value_name = "BOOL", value_parser = BoolishValueParser::new())]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) test_apikeys: Option<bool>,

    /// Count no requests and refuse none for being too many (also `HORDE_TEST_RATELIMIT_DISABLED`)
    /// [false]
    #[arg(long, env = "MUSTER_TEST_RATELIMIT_DISABLED", num_args = 0..=1, default_missing_value = "true",
          value_name = "BOOL", value_parser = BoolishValueParser::new())]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) test_ratelimit_disabled: Option<bool>,

    /// Connections to the database for reading, beside the one that writes [4]
    #[arg(long, env = "MUSTER_DATABASE_READERS", value_name = "COUNT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) database_readers: Option<u32>,

    /// The S3 service (also `R2_TRANSIENT_ACCOUNT`)
    #[arg(long, env = "MUSTER_S3_ENDPOINT", value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) s3_endpoint: Option<String>,

    /// The region of the S3 service (also `AWS_DEFAULT_REGION`) [auto]
    #[arg(long, env = "MUSTER_S3_REGION", value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) s3_region: Option<String>,

    /// The key's id (also `AWS_ACCESS_KEY_ID`)
    #[arg(
        long,
        env = "MUSTER_S3_ACCESS_KEY_ID",
        value_name = "ID",
        hide_env_values = true
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) s3_access_key_id: Option<String>,

    /// The key itself (also `AWS_SECRET_ACCESS_KEY`)
    #[arg(
        long,
        env = "MUSTER_S3_SECRET_ACCESS_KEY",
        value_name = "KEY",
        hide_env_values = true
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) s3_secret_access_key: Option<String>,

    /// The bucket for results (also `R2_TRANSIENT_BUCKET`) [stable-horde]
    #[arg(long, env = "MUSTER_S3_TRANSIENT_BUCKET", value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) s3_transient_bucket: Option<String>,

    /// The bucket for shared results (also `R2_PERMANENT_BUCKET`) [stable-horde]
    #[arg(long, env = "MUSTER_S3_PERMANENT_BUCKET", value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) s3_permanent_bucket: Option<String>,

    /// The bucket for source images (also `R2_SOURCE_IMAGE_BUCKET`) [stable-horde-source-images]
    #[arg(long, env = "MUSTER_S3_SOURCE_BUCKET", value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) s3_source_bucket: Option<String>,

    /// The bucket for refused prompts [prompts]
    #[arg(long, env = "MUSTER_S3_PROMPTS_BUCKET", value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) s3_prompts_bucket: Option<String>,

    /// How the log looks [pretty]
    #[arg(long, env = "MUSTER_LOG_FORMAT", value_name = "FORMAT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) log_format: Option<LogFormat>,

    /// What is logged, for instance info or muster=debug,warn [info]
    #[arg(long, env = "MUSTER_LOG", value_name = "FILTER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) log: Option<String>,

    /// Where traces are sent, as OTLP over HTTP: the address of an OpenTelemetry collector, as in
    /// http://127.0.0.1:4318/v1/traces (also `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`, and `OTEL_EXPORTER_OTLP_ENDPOINT` to which
    /// /v1/traces is added, unless `OTEL_SDK_DISABLED` is true) [nowhere]
    #[arg(long, env = "MUSTER_TRACES", value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) traces: Option<String>,

    /// The share of traces that is kept, from 0 to 1 (also `OTEL_TRACES_SAMPLER_ARG`) [1]
    #[arg(long, env = "MUSTER_TRACES_SHARE", value_name = "SHARE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) traces_share: Option<f64>,
}

impl Options {
    /// Only where the horde is, for commands that do not serve.
    pub(crate) fn of_place(
        config: Option<PathBuf>,
        data_dir: Option<PathBuf>,
        database: Option<String>,
    ) -> Self {
        Self {
            config,
            data_dir,
            database,
            ..Self::default()
        }
    }
}

/// Somebody who supports the horde.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Supporting {
    /// The number of their account.
    pub(crate) user: i64,
    /// Kudos that they get every month.
    pub(crate) monthly_kudos: i64,
    /// How they are called on the list of sponsors; nobody without a name is on it.
    pub(crate) name: Option<String>,
    /// Where their name leads.
    pub(crate) link: Option<String>,
}

/// How the log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// For people.
    Pretty,
    /// One JSON object a line.
    Json,
}

/// What becomes of strangers' workers while the service that knows addresses does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum WhenDown {
    /// They are turned away, and may try again.
    Refuse,
    /// They may work.
    Accept,
}

/// Whose addresses may call more often.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Who {
    /// Trusted accounts.
    Trusted,
    /// Schools.
    Education,
    /// Services that call for others.
    Service,
    /// Supporters.
    Supporter,
}
