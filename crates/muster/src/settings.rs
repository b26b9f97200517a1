//! [`Settings`]: everything that can be configured about a server, from four sources.
//!
//! A later source wins: built-in values, a TOML file, environment variables that existing
//! deployments already set (`HORDE_TITLE`, `AWS_ACCESS_KEY_ID` …), and finally flags and their
//! `MUSTER_…` variables.

use std::{net::SocketAddr, path::PathBuf};

use anyhow::Context as _;
use clap::{Args, ValueEnum, builder::BoolishValueParser};
use figment::{
    Figment,
    providers::{Format as _, Serialized, Toml},
    value::{Dict, Map, Value},
};
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
    listen: Option<SocketAddr>,

    /// Where the database, pictures and the administrator's key are kept; made if missing
    /// [muster-data]
    #[arg(long, env = "MUSTER_DATA_DIR", value_name = "DIR")]
    #[serde(skip_serializing_if = "Option::is_none")]
    data_dir: Option<PathBuf>,

    /// The database: sqlite:FILE?mode=rwc or postgres://USER:PASSWORD@HOST/NAME
    /// [a SQLite file in the data directory]
    #[arg(long, env = "MUSTER_DATABASE", value_name = "URL", hide_env_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    database: Option<String>,

    /// Where pictures are kept: a directory, or s3: for a service described by the --s3 options
    /// [blobs in the data directory]
    #[arg(long, env = "MUSTER_BLOBS", value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    blobs: Option<String>,

    /// How clients and workers reach the server; pictures are handed out as addresses only if this
    /// is https [http:// and the address listened on]
    #[arg(long, env = "MUSTER_PUBLIC_URL", value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    public_url: Option<String>,

    /// The name of the administrator's account, made at the first start [admin]
    #[arg(long, env = "MUSTER_ADMIN_NAME", value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    admin_name: Option<String>,

    /// An administrator by name and number, as in ann#3; give it several times for several (also `ADMINS`, a JSON list)
    /// [the account that the first start makes]
    #[arg(
        long = "admins",
        env = "MUSTER_ADMINS",
        value_name = "ALIAS",
        value_delimiter = ','
    )]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    admins: Vec<String>,

    /// The number of an account that may award kudos; give it several times for several [1]
    #[arg(
        long = "awarders",
        env = "MUSTER_AWARDERS",
        value_name = "NUMBER",
        value_delimiter = ','
    )]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    awarders: Vec<i64>,

    /// An account becomes trusted by itself once more kudos than this are held back of what its workers earn (also
    /// `KUDOS_TRUST_THRESHOLD`) [never]
    #[arg(long, env = "MUSTER_TRUST_THRESHOLD", value_name = "KUDOS")]
    #[serde(skip_serializing_if = "Option::is_none")]
    trust_threshold: Option<i64>,

    /// Where it is told that a worker was paused: the address of a Discord webhook (also
    /// `DISCORD_PAUSED_NOTICE_WEBHOOK`) [nowhere]
    #[arg(
        long,
        env = "MUSTER_PAUSED_NOTICE_WEBHOOK",
        value_name = "URL",
        hide_env_values = true
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    paused_notice_webhook: Option<String>,

    /// How the operator is reached, for the documents (also `HORDE_EMAIL`) [nothing]
    #[arg(long, env = "MUSTER_EMAIL", value_name = "TEXT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,

    /// A Markdown file with the terms of service, in which {title}, {url} and {email} are filled in [neutral ones]
    #[arg(long, env = "MUSTER_TERMS", value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    terms: Option<PathBuf>,

    /// The same about privacy [a neutral one]
    #[arg(long, env = "MUSTER_PRIVACY", value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    privacy: Option<PathBuf>,

    /// A JSON file with news, read whenever somebody asks for them [what comes with Muster]
    #[arg(long, env = "MUSTER_NEWS", value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    news: Option<PathBuf>,

    /// Who supports the horde, and what they get for it: only in the file, as tables [[supporters]]
    #[arg(skip)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    supporters: Vec<Supporting>,

    /// The title of the horde on its pages (also `HORDE_TITLE`) [AI Horde]
    #[arg(long, env = "MUSTER_TITLE", value_name = "TEXT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,

    /// The name of this node in the Horde-Node header [the host's name]
    #[arg(long, env = "MUSTER_NODE_NAME", value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    node_name: Option<String>,

    /// The salt of API-key hashes (also `secret_key`). Give the one of an existing horde to keep its
    /// keys; by default it is drawn once and kept in the database
    #[arg(long, env = "MUSTER_SECRET_KEY", value_name = "TEXT", hide_env_values = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_key: Option<String>,

    /// How many reverse proxies of yours are in front of the server; only their X-Forwarded-For is
    /// believed [0]
    #[arg(long, env = "MUSTER_TRUSTED_PROXIES", value_name = "COUNT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    trusted_proxies: Option<usize>,

    /// Take no new requests [false]
    #[arg(long, env = "MUSTER_MAINTENANCE", num_args = 0..=1, default_missing_value = "true",
          value_name = "BOOL", value_parser = BoolishValueParser::new())]
    #[serde(skip_serializing_if = "Option::is_none")]
    maintenance: Option<bool>,

    /// Take new workers only from accounts that were invited to run more than they do [false]
    #[arg(long, env = "MUSTER_INVITE_ONLY", num_args = 0..=1, default_missing_value = "true",
          value_name = "BOOL", value_parser = BoolishValueParser::new())]
    #[serde(skip_serializing_if = "Option::is_none")]
    invite_only: Option<bool>,

    /// A JSON file, or the address of one, that describes image models in the format of the public
    /// model reference; an address is looked up every hour (also `HORDE_IMAGE_COMPVIS_REFERENCE`)
    /// [the models that are built in]
    #[arg(long, env = "MUSTER_MODELS", value_name = "FILE|URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    models: Option<String>,

    /// Another one, whose models are added to those of the first or replace them (also
    /// `HORDE_IMAGE_DIFFUSERS_REFERENCE`)
    #[arg(long, env = "MUSTER_MORE_MODELS", value_name = "FILE|URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    more_models: Option<String>,

    /// A JSON file, or the address of one, that describes text models in the format of the public model
    /// reference; an address is looked up every hour (also `HORDE_IMAGE_LLM_REFERENCE`)
    /// [the models that are built in]
    #[arg(long, env = "MUSTER_TEXT_MODELS", value_name = "FILE|URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    text_models: Option<String>,

    /// The address of the service that ratings of shared pictures are passed on to [none]
    #[arg(long, env = "MUSTER_RATINGS_URL", value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    ratings_url: Option<String>,

    /// The weights of an existing horde's price model (.npz), to keep its prices [Muster's own]
    #[arg(long, env = "MUSTER_IMAGE_PRICES", value_name = "FILE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    image_prices: Option<PathBuf>,

    /// Requests that name workers cost a token price and only go to workers that prioritise the
    /// requester (also `HORDE_REQUIRE_MATCHED_TARGETING`) [false]
    #[arg(long, env = "MUSTER_MATCHED_TARGETING", num_args = 0..=1, default_missing_value = "true",
          value_name = "BOOL", value_parser = BoolishValueParser::new())]
    #[serde(skip_serializing_if = "Option::is_none")]
    matched_targeting: Option<bool>,

    /// Requests that name workers must be paid upfront (also `HORDE_UPFRONT_KUDOS_ON_WORKERLIST`)
    /// [false]
    #[arg(long, env = "MUSTER_UPFRONT_KUDOS_ON_WORKERLIST", num_args = 0..=1, default_missing_value = "true",
          value_name = "BOOL", value_parser = BoolishValueParser::new())]
    #[serde(skip_serializing_if = "Option::is_none")]
    upfront_kudos_on_workerlist: Option<bool>,

    /// Let webhooks and source images be on private networks, this machine included, and webhooks be
    /// plain http: for closed networks and tests only, since clients choose the addresses [false]
    #[arg(long, env = "MUSTER_OUTBOUND_PRIVATE", num_args = 0..=1, default_missing_value = "true",
          value_name = "BOOL", value_parser = BoolishValueParser::new())]
    #[serde(skip_serializing_if = "Option::is_none")]
    outbound_private: Option<bool>,

    /// Let callers on this machine make accounts with any balance, for automated tests (also
    /// `HORDE_TEST_APIKEYS`) [false]
    #[arg(long, env = "MUSTER_TEST_APIKEYS", num_args = 0..=1, default_missing_value = "true",
          value_name = "BOOL", value_parser = BoolishValueParser::new())]
    #[serde(skip_serializing_if = "Option::is_none")]
    test_apikeys: Option<bool>,

    /// Count no requests and refuse none for being too many (also `HORDE_TEST_RATELIMIT_DISABLED`)
    /// [false]
    #[arg(long, env = "MUSTER_TEST_RATELIMIT_DISABLED", num_args = 0..=1, default_missing_value = "true",
          value_name = "BOOL", value_parser = BoolishValueParser::new())]
    #[serde(skip_serializing_if = "Option::is_none")]
    test_ratelimit_disabled: Option<bool>,

    /// Connections to the database for reading, beside the one that writes [4]
    #[arg(long, env = "MUSTER_DATABASE_READERS", value_name = "COUNT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    database_readers: Option<u32>,

    /// The S3 service (also `R2_TRANSIENT_ACCOUNT`)
    #[arg(long, env = "MUSTER_S3_ENDPOINT", value_name = "URL")]
    #[serde(skip_serializing_if = "Option::is_none")]
    s3_endpoint: Option<String>,

    /// The region of the S3 service (also `AWS_DEFAULT_REGION`) [auto]
    #[arg(long, env = "MUSTER_S3_REGION", value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    s3_region: Option<String>,

    /// The key's id (also `AWS_ACCESS_KEY_ID`)
    #[arg(
        long,
        env = "MUSTER_S3_ACCESS_KEY_ID",
        value_name = "ID",
        hide_env_values = true
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    s3_access_key_id: Option<String>,

    /// The key itself (also `AWS_SECRET_ACCESS_KEY`)
    #[arg(
        long,
        env = "MUSTER_S3_SECRET_ACCESS_KEY",
        value_name = "KEY",
        hide_env_values = true
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    s3_secret_access_key: Option<String>,

    /// The bucket for results (also `R2_TRANSIENT_BUCKET`) [stable-horde]
    #[arg(long, env = "MUSTER_S3_TRANSIENT_BUCKET", value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    s3_transient_bucket: Option<String>,

    /// The bucket for shared results (also `R2_PERMANENT_BUCKET`) [stable-horde]
    #[arg(long, env = "MUSTER_S3_PERMANENT_BUCKET", value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    s3_permanent_bucket: Option<String>,

    /// The bucket for source images (also `R2_SOURCE_IMAGE_BUCKET`) [stable-horde-source-images]
    #[arg(long, env = "MUSTER_S3_SOURCE_BUCKET", value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    s3_source_bucket: Option<String>,

    /// The bucket for refused prompts [prompts]
    #[arg(long, env = "MUSTER_S3_PROMPTS_BUCKET", value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    s3_prompts_bucket: Option<String>,

    /// How the log looks [pretty]
    #[arg(long, env = "MUSTER_LOG_FORMAT", value_name = "FORMAT")]
    #[serde(skip_serializing_if = "Option::is_none")]
    log_format: Option<LogFormat>,

    /// What is logged, for instance info or muster=debug,warn [info]
    #[arg(long, env = "MUSTER_LOG", value_name = "FILTER")]
    #[serde(skip_serializing_if = "Option::is_none")]
    log: Option<String>,
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

/// All options with their values.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[allow(missing_docs, clippy::struct_excessive_bools)] // the options say it
pub(crate) struct Settings {
    pub(crate) listen: SocketAddr,
    pub(crate) data_dir: PathBuf,
    pub(crate) database: Option<String>,
    pub(crate) blobs: Option<String>,
    pub(crate) public_url: Option<String>,
    pub(crate) admin_name: String,
    pub(crate) admins: Vec<String>,
    pub(crate) awarders: Vec<i64>,
    pub(crate) trust_threshold: Option<i64>,
    pub(crate) paused_notice_webhook: Option<String>,
    pub(crate) email: Option<String>,
    pub(crate) terms: Option<PathBuf>,
    pub(crate) privacy: Option<PathBuf>,
    pub(crate) news: Option<PathBuf>,
    pub(crate) supporters: Vec<Supporting>,
    pub(crate) title: String,
    pub(crate) node_name: Option<String>,
    pub(crate) secret_key: Option<String>,
    pub(crate) trusted_proxies: usize,
    pub(crate) maintenance: bool,
    pub(crate) invite_only: bool,
    pub(crate) models: Option<String>,
    pub(crate) more_models: Option<String>,
    pub(crate) text_models: Option<String>,
    pub(crate) ratings_url: Option<String>,
    pub(crate) image_prices: Option<PathBuf>,
    pub(crate) matched_targeting: bool,
    pub(crate) upfront_kudos_on_workerlist: bool,
    pub(crate) outbound_private: bool,
    pub(crate) test_apikeys: bool,
    pub(crate) test_ratelimit_disabled: bool,
    pub(crate) database_readers: u32,
    pub(crate) s3_endpoint: Option<String>,
    pub(crate) s3_region: String,
    pub(crate) s3_access_key_id: Option<String>,
    pub(crate) s3_secret_access_key: Option<String>,
    pub(crate) s3_transient_bucket: String,
    pub(crate) s3_permanent_bucket: String,
    pub(crate) s3_source_bucket: String,
    pub(crate) s3_prompts_bucket: String,
    pub(crate) log_format: LogFormat,
    pub(crate) log: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7001)),
            data_dir: "muster-data".into(),
            database: None,
            blobs: None,
            public_url: None,
            admin_name: "admin".into(),
            admins: Vec::new(),
            awarders: vec![1],
            trust_threshold: None,
            paused_notice_webhook: None,
            email: None,
            terms: None,
            privacy: None,
            news: None,
            supporters: Vec::new(),
            title: "AI Horde".into(),
            node_name: None,
            secret_key: None,
            trusted_proxies: 0,
            maintenance: false,
            invite_only: false,
            models: None,
            more_models: None,
            text_models: None,
            ratings_url: None,
            image_prices: None,
            matched_targeting: false,
            upfront_kudos_on_workerlist: false,
            outbound_private: false,
            test_apikeys: false,
            test_ratelimit_disabled: false,
            database_readers: 4,
            s3_endpoint: None,
            s3_region: "auto".into(),
            s3_access_key_id: None,
            s3_secret_access_key: None,
            s3_transient_bucket: "stable-horde".into(),
            s3_permanent_bucket: "stable-horde".into(),
            s3_source_bucket: "stable-horde-source-images".into(),
            s3_prompts_bucket: "prompts".into(),
            log_format: LogFormat::Pretty,
            log: "info".into(),
        }
    }
}

/// Variables that existing deployments set, and the options they stand for.
const INHERITED: [(&str, &str); 20] = [
    ("HORDE_TITLE", "title"),
    ("HORDE_EMAIL", "email"),
    ("ADMINS", "admins"),
    ("KUDOS_TRUST_THRESHOLD", "trust-threshold"),
    ("DISCORD_PAUSED_NOTICE_WEBHOOK", "paused-notice-webhook"),
    ("secret_key", "secret-key"),
    ("HORDE_REQUIRE_MATCHED_TARGETING", "matched-targeting"),
    ("HORDE_UPFRONT_KUDOS_ON_WORKERLIST", "upfront-kudos-on-workerlist"),
    ("HORDE_IMAGE_COMPVIS_REFERENCE", "models"),
    ("HORDE_IMAGE_DIFFUSERS_REFERENCE", "more-models"),
    ("HORDE_IMAGE_LLM_REFERENCE", "text-models"),
    ("HORDE_TEST_APIKEYS", "test-apikeys"),
    ("HORDE_TEST_RATELIMIT_DISABLED", "test-ratelimit-disabled"),
    ("R2_TRANSIENT_ACCOUNT", "s3-endpoint"),
    ("AWS_DEFAULT_REGION", "s3-region"),
    ("AWS_ACCESS_KEY_ID", "s3-access-key-id"),
    ("AWS_SECRET_ACCESS_KEY", "s3-secret-access-key"),
    ("R2_TRANSIENT_BUCKET", "s3-transient-bucket"),
    ("R2_PERMANENT_BUCKET", "s3-permanent-bucket"),
    ("R2_SOURCE_IMAGE_BUCKET", "s3-source-bucket"),
];

/// Those of them that are lists, in JSON.
const INHERITED_LISTS: [&str; 1] = ["admins"];

/// Those of them that are numbers.
const INHERITED_NUMBERS: [&str; 1] = ["trust-threshold"];

/// Those of them that are switches.
const INHERITED_SWITCHES: [&str; 4] = [
    "matched-targeting",
    "upfront-kudos-on-workerlist",
    "test-apikeys",
    "test-ratelimit-disabled",
];

impl Settings {
    /// Puts the sources together. `environment` looks up a variable.
    ///
    /// # Errors
    /// The file is missing or wrong, or a value does not fit its option.
    pub(crate) fn load(
        options: &Options,
        environment: impl Fn(&str) -> Option<String>,
    ) -> anyhow::Result<Self> {
        let mut figment = Figment::from(Serialized::defaults(Self::default()));
        if let Some(file) = &options.config {
            let text = std::fs::read_to_string(file)
                .with_context(|| format!("the configuration file {} cannot be read", file.display()))?;
            figment = figment.merge(Toml::string(&text));
        }
        figment = figment
            .merge(inherited(environment))
            .merge(Serialized::defaults(options));
        figment
            .extract()
            .map_err(|error| anyhow::anyhow!("the configuration is not valid: {error}"))
    }
}

/// The layer of inherited variables.
fn inherited(environment: impl Fn(&str) -> Option<String>) -> Serialized<Map<String, Value>> {
    let mut layer = Dict::new();
    for (variable, option) in INHERITED {
        let Some(text) = environment(variable).filter(|text| !text.is_empty()) else {
            continue;
        };
        let value = if INHERITED_SWITCHES.contains(&option) {
            Value::from(matches!(
                text.trim().to_lowercase().as_str(),
                "1" | "true" | "yes" | "on"
            ))
        } else if INHERITED_LISTS.contains(&option)
            && let Ok(list) = serde_json::from_str::<Vec<String>>(&text)
        {
            Value::from(list)
        } else if INHERITED_NUMBERS.contains(&option)
            && let Ok(number) = text.trim().parse::<i64>()
        {
            Value::from(number)
        } else {
            Value::from(text)
        };
        layer.insert(option.to_owned(), value);
    }
    Serialized::defaults(layer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn none(_: &str) -> Option<String> {
        None
    }

    #[test]
    fn options_alone_give_the_documented_defaults() {
        let settings = Settings::load(&Options::default(), none).unwrap();
        assert_eq!(settings.listen.to_string(), "127.0.0.1:7001");
        assert_eq!(settings.admin_name, "admin");
        assert!(!settings.test_apikeys);
    }

    #[test]
    fn flags_win_over_inherited_variables_and_those_over_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("muster.toml");
        std::fs::write(
            &file,
            "title = \"file\"\nadmin-name = \"file\"\ndata-dir = \"file\"\n",
        )
        .unwrap();
        let options = Options {
            config: Some(file),
            title: Some("flag".into()),
            ..Options::default()
        };
        let environment = |name: &str| match name {
            "HORDE_TITLE" => Some("inherited".to_owned()),
            "HORDE_TEST_APIKEYS" => Some(" Yes ".to_owned()),
            "ADMINS" => Some("[\"ann#1\", \"ben#2\"]".to_owned()),
            "KUDOS_TRUST_THRESHOLD" => Some("50000".to_owned()),
            "R2_TRANSIENT_BUCKET" => Some("12345".to_owned()),
            _ => None,
        };
        let settings = Settings::load(&options, environment).unwrap();
        assert_eq!(
            (settings.title.as_str(), settings.admin_name.as_str()),
            ("flag", "file")
        );
        assert!(settings.test_apikeys);
        assert_eq!(settings.admins, ["ann#1", "ben#2"]);
        assert_eq!(settings.trust_threshold, Some(50_000));
        assert_eq!(settings.s3_transient_bucket, "12345");
    }

    #[test]
    fn a_misspelt_option_in_the_file_is_an_error_that_names_it() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("muster.toml");
        std::fs::write(&file, "listne = \"127.0.0.1:1\"\n").unwrap();
        let options = Options {
            config: Some(file),
            ..Options::default()
        };
        let error = Settings::load(&options, none).unwrap_err().to_string();
        assert!(error.contains("listne"), "{error}");
    }

    #[test]
    fn supporters_are_listed_in_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("muster.toml");
        let text = "[[supporters]]\nuser = 7\nmonthly-kudos = 5000\nname = \"Ann\"\n[[supporters]]\nuser = 9\n\
                    monthly-kudos = 1\n";
        std::fs::write(&file, text).unwrap();
        let options = Options {
            config: Some(file),
            ..Options::default()
        };
        let supporters = Settings::load(&options, none).unwrap().supporters;
        assert_eq!(
            (supporters.len(), supporters[0].user, supporters[0].monthly_kudos),
            (2, 7, 5000)
        );
        assert_eq!(supporters[0].name.as_deref(), Some("Ann"));
    }

    #[test]
    fn a_missing_file_is_an_error_that_names_it() {
        let options = Options {
            config: Some("nowhere.toml".into()),
            ..Options::default()
        };
        let error = Settings::load(&options, none).unwrap_err().to_string();
        assert!(error.contains("nowhere.toml"), "{error}");
    }
}
