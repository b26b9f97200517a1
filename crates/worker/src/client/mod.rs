//! [`ApiClient`]: the calls of the public API that this crate needs, typed.
//!
//! It neither retries nor paces itself: when and how often to call is the caller's business.

mod error;

use std::{net::IpAddr, time::Duration};

use bytes::Bytes;
use muster_protocol::{
    ANONYMOUS_KEY, Heartbeat, RequestId, TestUser, TestUserInput, UserDetails, alchemy,
    image::{PopInput, Popped, Progress, RequestAccepted, RequestInput, Status, SubmitInput, Submitted},
    text,
};
use reqwest::{
    Method, RequestBuilder, Response,
    header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER},
};
use serde::{Serialize, de::DeserializeOwned};
use url::{Host, Url};

pub use error::{ClientError, Refusal};

use crate::{HOME, VERSION};

/// How a client connects.
#[derive(Clone, Debug)]
pub struct Options {
    /// The address of the server, with or without `/api` or `/api/v2`.
    pub url: String,
    /// The key; the anonymous one by default.
    pub api_key: String,
    /// `name:version:contact` of the software, sent as `Client-Agent`.
    pub agent: String,
    /// How long a whole call may take; without it only connecting is limited.
    pub timeout: Option<Duration>,
}

impl Options {
    /// The anonymous account on this server, with the usual limits.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            api_key: ANONYMOUS_KEY.to_owned(),
            agent: format!("muster:{VERSION}:{HOME}"),
            timeout: Some(Duration::from_mins(1)),
        }
    }

    /// The same with another key.
    #[must_use]
    pub fn with_key(mut self, api_key: impl Into<String>) -> Self {
        self.api_key = api_key.into();
        self
    }
}

/// A connection to one server with one key. Clones share their connections.
#[derive(Clone, Debug)]
pub struct ApiClient {
    http: reqwest::Client,
    server: Url,
    credentials: HeaderMap,
}

impl ApiClient {
    /// Prepares to talk to a server; connects with the first call.
    pub fn new(options: &Options) -> Result<Self, ClientError> {
        let server = server_address(&options.url)?;
        // Whoever comes first decides for the process; later calls change nothing.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut http = reqwest::Client::builder().connect_timeout(Duration::from_secs(10));
        if let Some(timeout) = options.timeout {
            http = http.timeout(timeout);
        }
        if is_loopback(&server) {
            http = http.no_proxy();
        }
        let http = http
            .build()
            .map_err(|error| ClientError::Usage(format!("cannot prepare the HTTP client: {error}")))?;
        let mut credentials = HeaderMap::new();
        let mut key = header(&options.api_key, "API key")?;
        key.set_sensitive(true);
        credentials.insert(HeaderName::from_static("apikey"), key);
        credentials.insert(
            HeaderName::from_static("client-agent"),
            header(&options.agent, "client agent")?,
        );
        Ok(Self {
            http,
            server,
            credentials,
        })
    }

    /// The same server with another key, sharing the connections.
    pub fn with_key(&self, api_key: &str) -> Result<Self, ClientError> {
        let mut other = self.clone();
        let mut key = header(api_key, "API key")?;
        key.set_sensitive(true);
        other.credentials.insert(HeaderName::from_static("apikey"), key);
        Ok(other)
    }

    /// The address of the server, ending in a slash.
    pub fn server(&self) -> &Url {
        &self.server
    }

    /// `GET /status/heartbeat`: whether the server is there, and its version.
    pub async fn heartbeat(&self) -> Result<Heartbeat, ClientError> {
        self.call(Method::GET, "status/heartbeat", NOTHING).await
    }

    /// `GET /find_user`: the account of the key.
    pub async fn find_user(&self) -> Result<UserDetails, ClientError> {
        self.call(Method::GET, "find_user", NOTHING).await
    }

    /// `POST /generate/async`: asks for pictures.
    pub async fn request_image(&self, input: &RequestInput) -> Result<RequestAccepted, ClientError> {
        self.call(Method::POST, "generate/async", Some(input)).await
    }

    /// `GET /generate/check/{id}`: how far a request is.
    pub async fn check(&self, id: RequestId) -> Result<Progress, ClientError> {
        self.call(Method::GET, &format!("generate/check/{id}"), NOTHING)
            .await
    }

    /// `GET /generate/status/{id}`: how far a request is, with its results.
    pub async fn status(&self, id: RequestId) -> Result<Status, ClientError> {
        self.call(Method::GET, &format!("generate/status/{id}"), NOTHING)
            .await
    }

    /// `DELETE /generate/status/{id}`: cancels a request. The answer is its state before that.
    pub async fn cancel(&self, id: RequestId) -> Result<Status, ClientError> {
        self.call(Method::DELETE, &format!("generate/status/{id}"), NOTHING)
            .await
    }

    /// `POST /generate/pop`: asks for jobs.
    pub async fn pop(&self, input: &PopInput) -> Result<Popped, ClientError> {
        self.call(Method::POST, "generate/pop", Some(input)).await
    }

    /// `POST /generate/submit`: hands in a result.
    pub async fn submit(&self, input: &SubmitInput) -> Result<Submitted, ClientError> {
        self.call(Method::POST, "generate/submit", Some(input)).await
    }

    /// `POST /generate/text/async`: asks for texts.
    pub async fn request_text(
        &self,
        input: &text::RequestInput,
    ) -> Result<text::RequestAccepted, ClientError> {
        self.call(Method::POST, "generate/text/async", Some(input)).await
    }

    /// `GET /generate/text/status/{id}`: how far a request is, with its results.
    pub async fn text_status(&self, id: RequestId) -> Result<text::Status, ClientError> {
        self.call(Method::GET, &format!("generate/text/status/{id}"), NOTHING)
            .await
    }

    /// `DELETE /generate/text/status/{id}`: cancels a request. The answer is its state before that.
    pub async fn cancel_text(&self, id: RequestId) -> Result<text::Status, ClientError> {
        self.call(Method::DELETE, &format!("generate/text/status/{id}"), NOTHING)
            .await
    }

    /// `POST /generate/text/pop`: asks for jobs.
    pub async fn pop_text(&self, input: &text::PopInput) -> Result<text::Popped, ClientError> {
        self.call(Method::POST, "generate/text/pop", Some(input)).await
    }

    /// `POST /generate/text/submit`: hands in a result.
    pub async fn submit_text(&self, input: &text::SubmitInput) -> Result<Submitted, ClientError> {
        self.call(Method::POST, "generate/text/submit", Some(input)).await
    }

    /// `POST /interrogate/async`: asks for forms.
    pub async fn request_forms(
        &self,
        input: &alchemy::RequestInput,
    ) -> Result<alchemy::RequestAccepted, ClientError> {
        self.call(Method::POST, "interrogate/async", Some(input)).await
    }

    /// `GET /interrogate/status/{id}`: what became of each form.
    pub async fn forms_status(&self, id: RequestId) -> Result<alchemy::Status, ClientError> {
        self.call(Method::GET, &format!("interrogate/status/{id}"), NOTHING)
            .await
    }

    /// `DELETE /interrogate/status/{id}`: cancels a request. The answer is its state after that.
    pub async fn cancel_forms(&self, id: RequestId) -> Result<alchemy::Status, ClientError> {
        self.call(Method::DELETE, &format!("interrogate/status/{id}"), NOTHING)
            .await
    }

    /// `POST /interrogate/pop`: asks for forms to do.
    pub async fn pop_forms(&self, input: &alchemy::PopInput) -> Result<alchemy::Popped, ClientError> {
        self.call(Method::POST, "interrogate/pop", Some(input)).await
    }

    /// `POST /interrogate/submit`: hands in a result.
    pub async fn submit_form(&self, input: &alchemy::SubmitInput) -> Result<Submitted, ClientError> {
        self.call(Method::POST, "interrogate/submit", Some(input)).await
    }

    /// `POST /dev/test-user`: makes or re-keys an account, on servers that allow it to their own
    /// machine.
    pub async fn test_user(&self, input: &TestUserInput) -> Result<TestUser, ClientError> {
        self.call(Method::POST, "dev/test-user", Some(input)).await
    }

    /// `PUT /users/{id}`: how many pictures an account may have waiting. For moderators.
    pub async fn set_concurrency(&self, user: &str, concurrency: u32) -> Result<(), ClientError> {
        let change = serde_json::json!({ "concurrency": concurrency });
        let _: serde_json::Value = self
            .call(Method::PUT, &format!("users/{user}"), Some(&change))
            .await?;
        Ok(())
    }

    /// Fills in the registration page (`POST /register`) and returns the key that it shows.
    pub async fn register(&self, username: &str) -> Result<String, ClientError> {
        let call = "register";
        let request = self
            .http
            .post(self.address("register"))
            .form(&[("username", username)]);
        let page = self.send(call, request).await?;
        let page = String::from_utf8_lossy(&page);
        registered_key(&page)
            .map(str::to_owned)
            .ok_or_else(|| ClientError::Malformed {
                call: call.to_owned(),
                detail: "the page shows no key; registration may be closed or need a captcha".to_owned(),
                body: None,
            })
    }

    /// Uploads a picture to the address that came with a job. Neither key nor content type is
    /// sent: the address itself is the permission, and is signed.
    pub async fn put_blob(&self, url: &str, blob: Bytes) -> Result<(), ClientError> {
        self.send("upload", self.http.put(url).body(blob)).await.map(drop)
    }

    /// Downloads a picture from the address that came with a result.
    pub async fn get_blob(&self, url: &str) -> Result<Bytes, ClientError> {
        self.send("download", self.http.get(url)).await
    }

    fn address(&self, path: &str) -> String {
        format!("{}{path}", self.server)
    }

    async fn call<B: Serialize, T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Option<&B>,
    ) -> Result<T, ClientError> {
        let call = format!("{method} {path}");
        let mut request = self
            .http
            .request(method, self.address(&format!("api/v2/{path}")))
            .headers(self.credentials.clone());
        if let Some(body) = body {
            request = request.json(body);
        }
        let body = self.send(&call, request).await?;
        serde_json::from_slice(&body).map_err(|error| ClientError::Malformed {
            call,
            detail: error.to_string(),
            body: serde_json::from_slice(&body).ok().map(Box::new),
        })
    }

    /// Sends a request and takes any 2xx for success.
    async fn send(&self, call: &str, request: RequestBuilder) -> Result<Bytes, ClientError> {
        let transport = |error: reqwest::Error| ClientError::Transport {
            call: call.to_owned(),
            error: error.without_url(),
        };
        let response = request.send().await.map_err(transport)?;
        let (status, retry_after) = (response.status(), retry_after(&response));
        let body = response.bytes().await.map_err(transport)?;
        if status.is_success() {
            return Ok(body);
        }
        Err(ClientError::Api {
            call: call.to_owned(),
            refusal: Box::new(Refusal::read(status.as_u16(), retry_after, &body)),
        })
    }
}

const NOTHING: Option<&()> = None;

fn header(text: &str, what: &str) -> Result<HeaderValue, ClientError> {
    HeaderValue::from_str(text)
        .map_err(|_| ClientError::Usage(format!("the {what} has characters that a header cannot carry")))
}

/// The root of a server, ending in a slash, from what people write for it.
pub(crate) fn server_address(text: &str) -> Result<Url, ClientError> {
    let wrong = |why: &str| ClientError::Usage(format!("`{text}` is no server address: {why}"));
    let mut url = Url::parse(text).map_err(|error| wrong(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(wrong("it should look like https://horde.example"));
    }
    let path = url.path().trim_end_matches('/');
    let path = path.strip_suffix("/v2").unwrap_or(path);
    let path = path.strip_suffix("/api").unwrap_or(path);
    let root = format!("{path}/");
    url.set_path(&root);
    url.set_query(None);
    url.set_fragment(None);
    Ok(url)
}

/// Whether an address points to this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
        None => false,
    }
}

fn retry_after(response: &Response) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    let seconds: f64 = seconds.trim().parse().ok()?;
    Duration::try_from_secs_f64(seconds.min(3600.0)).ok()
}

/// The key on the registration page stands in the element of class `ah-api-key`.
fn registered_key(page: &str) -> Option<&str> {
    let (_, rest) = page.split_once("class=\"ah-api-key\">")?;
    let (key, _) = rest.split_once('<')?;
    Some(key.trim()).filter(|key| !key.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_as_people_write_them() {
        for text in [
            "http://127.0.0.1:7001",
            "http://127.0.0.1:7001/",
            "http://127.0.0.1:7001/api",
            "http://127.0.0.1:7001/api/v2/",
        ] {
            assert_eq!(server_address(text).unwrap().as_str(), "http://127.0.0.1:7001/");
        }
        assert_eq!(
            server_address("https://example.org/horde/api").unwrap().as_str(),
            "https://example.org/horde/"
        );
        assert!(server_address("127.0.0.1:7001").is_err());
        assert!(server_address("ftp://example.org").is_err());
    }

    #[test]
    fn loopback_is_told_from_the_rest() {
        let local = |text| is_loopback(&server_address(text).unwrap());
        assert!(local("http://localhost:7001") && local("http://127.8.0.1") && local("http://[::1]:80"));
        assert!(!local("https://localhost.example.org") && !local("http://192.168.0.2"));
    }

    #[test]
    fn the_key_is_found_on_the_page() {
        assert_eq!(
            registered_key(r#"<p>Your key: <b id="k" class="ah-api-key">abcDEF123</b></p>"#),
            Some("abcDEF123")
        );
        assert_eq!(registered_key("<p>raid mode</p>"), None);
    }

    #[test]
    fn keys_that_no_header_carries_are_refused() {
        let options = Options::new("http://localhost").with_key("line\nbreak");
        assert!(matches!(ApiClient::new(&options), Err(ClientError::Usage(_))));
    }
}
