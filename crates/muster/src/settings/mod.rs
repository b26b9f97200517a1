//! [`Settings`]: everything that can be configured about a server, from four sources.
//!
//! A later source wins: built-in values, a TOML file, environment variables that existing
//! deployments already set (`HORDE_TITLE`, `AWS_ACCESS_KEY_ID` …), and finally flags and their
//! `MUSTER_…` variables. A new option goes into [`Options`] and [`Settings`], which have the same members.

#[cfg(test)]
mod documentation;
mod inherited;
mod options;

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use anyhow::Context as _;
use figment::{
    Figment,
    providers::{Format as _, Serialized, Toml},
};
use serde::{Deserialize, Serialize};

use inherited::inherited;
pub(crate) use options::{LogFormat, Options, Supporting, WhenDown, Who};

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
    pub(crate) problem_notice_webhook: Option<String>,
    pub(crate) email: Option<String>,
    pub(crate) logo: Option<String>,
    pub(crate) repository: Option<String>,
    pub(crate) terms: Option<PathBuf>,
    pub(crate) privacy: Option<PathBuf>,
    pub(crate) news: Option<PathBuf>,
    pub(crate) supporters: Vec<Supporting>,
    pub(crate) patreon_token: Option<String>,
    pub(crate) patreon_url: String,
    pub(crate) stripe_key: Option<String>,
    pub(crate) stripe_url: String,
    pub(crate) title: String,
    pub(crate) node_name: Option<String>,
    pub(crate) secret_key: Option<String>,
    pub(crate) trusted_proxies: usize,
    pub(crate) connections: usize,
    pub(crate) connections_per_address: usize,
    pub(crate) body_memory: usize,
    pub(crate) metrics_readers: Vec<String>,
    pub(crate) maintenance: bool,
    pub(crate) invite_only: bool,
    pub(crate) raid: bool,
    pub(crate) ip_checker: Option<String>,
    pub(crate) ip_checker_no_opinion: Option<f64>,
    pub(crate) ip_checker_exempt: Vec<String>,
    pub(crate) ip_checker_down: WhenDown,
    pub(crate) service_addresses: Vec<IpAddr>,
    pub(crate) raised_limits: Vec<Who>,
    pub(crate) keep_refused_prompts: bool,
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
    pub(crate) traces: Option<String>,
    pub(crate) traces_share: f64,
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
            problem_notice_webhook: None,
            email: None,
            logo: None,
            repository: None,
            terms: None,
            privacy: None,
            news: None,
            supporters: Vec::new(),
            patreon_token: None,
            patreon_url: "https://www.patreon.com".into(),
            stripe_key: None,
            stripe_url: "https://api.stripe.com".into(),
            title: "AI Horde".into(),
            node_name: None,
            secret_key: None,
            trusted_proxies: 0,
            connections: 16_384,
            connections_per_address: 1024,
            body_memory: 256,
            metrics_readers: vec!["127.0.0.0/8".into(), "::1".into()],
            maintenance: false,
            invite_only: false,
            raid: false,
            ip_checker: None,
            ip_checker_no_opinion: None,
            ip_checker_exempt: Vec::new(),
            ip_checker_down: WhenDown::Refuse,
            service_addresses: Vec::new(),
            raised_limits: vec![Who::Trusted, Who::Education, Who::Service],
            keep_refused_prompts: true,
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
            traces: None,
            traces_share: 1.0,
        }
    }
}

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

    #[test]
    fn where_traces_go_is_read_as_the_standard_says() {
        let traces = |variables: &[(&str, &str)]| {
            let look = |name: &str| {
                let found = variables.iter().find(|(variable, _)| *variable == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            let settings = Settings::load(&Options::default(), look).unwrap();
            (settings.traces, settings.traces_share)
        };
        let (base, exact) = (
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        );
        for (variables, address) in [
            (&[][..], None),
            (&[(base, "http://c:4318")], Some("http://c:4318/v1/traces")),
            (&[(base, "http://c:4318/")], Some("http://c:4318/v1/traces")),
            (&[(exact, "http://c/t")], Some("http://c/t")),
            (&[(exact, "http://c/t"), (base, "http://d")], Some("http://c/t")),
            (
                &[("AI_HORDE_TELEMETRY_ENABLED", "yes")],
                Some("http://localhost:4318/v1/traces"),
            ),
            (
                &[
                    (exact, "http://c/t"),
                    (base, "http://d"),
                    ("OTEL_SDK_DISABLED", "true"),
                ],
                None,
            ),
        ] {
            assert_eq!(traces(variables).0.as_deref(), address, "{variables:?}");
        }
        for (argument, share) in [("0.25", 0.25), ("7", 1.0), ("-1", 0.0)] {
            assert!((traces(&[("OTEL_TRACES_SAMPLER_ARG", argument)]).1 - share).abs() < 1e-9);
        }
    }
}
