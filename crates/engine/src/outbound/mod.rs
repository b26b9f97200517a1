//! [`Outbound`]: calls to addresses that strangers name: webhooks and source images.
//!
//! A server that fetches what a stranger tells it to can be made to talk to its own network. So the
//! addresses that a name resolves to are checked where the connection is made, on every redirect too:
//! there is no moment between the check and the use in which the name could change its meaning. A proxy
//! from the environment is not used, for it would resolve the names instead.

mod address;

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use reqwest::{
    Client, Request, RequestBuilder, Response, StatusCode,
    dns::{Addrs, Name, Resolve, Resolving},
    redirect::{Attempt, Policy},
};
use serde::Serialize;
use tracing::{Instrument as _, Span, field::Empty, info_span};
use url::{Host, Url};

pub use self::address::is_public;

/// Redirects that are followed.
const REDIRECTS: usize = 3;
/// How the server names itself.
const USER_AGENT: &str = concat!("Muster/", env!("CARGO_PKG_VERSION"));

/// Where calls may go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// To addresses of the public Internet only.
    #[default]
    Public,
    /// Anywhere, the server's own network included: for closed networks and for tests.
    Anywhere,
}

/// A client for addresses that strangers name. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Outbound {
    http: Client,
    reach: Reach,
}

/// Why a call did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    /// Not the absolute address of something on the web.
    #[error("this is not a web address")]
    BadAddress,
    /// The address belongs to a network that strangers may not reach.
    #[error("this address is not on the public Internet")]
    Private,
    /// The answer is longer than allowed, in bytes.
    #[error("the answer is longer than {0} bytes")]
    TooLarge(usize),
    /// The other side answered that it failed.
    #[error("the other side answered {0}")]
    Status(StatusCode),
    /// The other side could not be reached, or not in time.
    #[error("the other side cannot be reached: {}", innermost(.0))]
    Transport(reqwest::Error),
}

impl From<reqwest::Error> for OutboundError {
    fn from(error: reqwest::Error) -> Self {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&error);
        while let Some(inner) = cause {
            if inner.is::<PrivateAddress>() {
                return Self::Private;
            }
            cause = inner.source();
        }
        Self::Transport(error)
    }
}

/// What went wrong at the bottom. The layers above only say that something did, with the address, which
/// may hold secrets.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    if cause.is::<reqwest::Error>() {
        return if error.is_timeout() {
            "it took too long"
        } else {
            "the call failed"
        }
        .to_owned();
    }
    cause.to_string()
}

impl Outbound {
    /// Prepares the client; connects with the first call.
    ///
    /// # Errors
    /// The system's certificates cannot be loaded.
    pub fn new(reach: Reach) -> Result<Self, OutboundError> {
        // Whoever comes first decides for the process; later calls change nothing.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = Client::builder()
            .user_agent(USER_AGENT)
            .no_proxy()
            .redirect(Policy::custom(move |attempt| follow(attempt, reach)))
            .dns_resolver(Resolver(reach))
            .build()?;
        Ok(Self { http, reach })
    }

    /// Where calls may go.
    pub fn reach(&self) -> Reach {
        self.reach
    }

    /// Fetches what is at an address, within `timeout` in all. The status of the answer does not matter,
    /// except that it must not be a redirect that leads nowhere.
    ///
    /// # Errors
    /// See [`OutboundError`]; an answer of more than `limit` bytes is cut off.
    pub async fn fetch(&self, url: &str, limit: usize, timeout: Duration) -> Result<Bytes, OutboundError> {
        let (status, answer) = self.get(url, limit, timeout).await?;
        if status.is_redirection() {
            // To something that is no web address, or nowhere.
            return Err(OutboundError::Status(status));
        }
        Ok(answer)
    }

    /// Reads what is at an address, whatever its status, all of it within `timeout`.
    ///
    /// # Errors
    /// See [`OutboundError`]; an answer of more than `limit` bytes is cut off.
    pub async fn get(
        &self,
        url: &str,
        limit: usize,
        timeout: Duration,
    ) -> Result<(StatusCode, Bytes), OutboundError> {
        let request = self.http.get(self.checked(url)?).timeout(timeout);
        self.call(request, async |answer| read(answer, limit).await).await
    }

    /// Reads what is at an address for whoever has a key (`Authorization: Bearer …`), all of it within `timeout`. The key
    /// goes to no other host, if the address leads on to one.
    ///
    /// # Errors
    /// See [`OutboundError`]; any status but success is an error, an answer of more than `limit` bytes is cut off.
    pub async fn get_as(
        &self,
        url: &str,
        key: &str,
        limit: usize,
        timeout: Duration,
    ) -> Result<Bytes, OutboundError> {
        let request = self.http.get(self.checked(url)?).timeout(timeout);
        self.call(request.bearer_auth(key), async |answer| {
            let status = answer.status();
            if !status.is_success() {
                return Err(OutboundError::Status(status));
            }
            Ok(read(answer, limit).await?.1)
        })
        .await
    }

    /// Posts `body` as JSON, within `timeout`. What the other side answers is not read.
    ///
    /// # Errors
    /// See [`OutboundError`]; a status of 400 or more is an error.
    pub async fn post(
        &self,
        url: &str,
        body: &(impl Serialize + Sync),
        timeout: Duration,
    ) -> Result<(), OutboundError> {
        let request = self.http.post(self.checked(url)?).timeout(timeout);
        self.call(request.json(body), async |answer| {
            let status = answer.status();
            if status.is_client_error() || status.is_server_error() {
                return Err(OutboundError::Status(status));
            }
            Ok(())
        })
        .await
    }

    /// Posts `body` as JSON and reads the answer, whatever its status, all of it within `timeout`.
    ///
    /// # Errors
    /// See [`OutboundError`]; a long answer is cut off.
    pub async fn ask(
        &self,
        url: &str,
        body: &(impl Serialize + Sync),
        timeout: Duration,
    ) -> Result<(StatusCode, Bytes), OutboundError> {
        const LIMIT: usize = 64 * 1024;
        let request = self.http.post(self.checked(url)?).timeout(timeout);
        self.call(request.json(body), async |answer| read(answer, LIMIT).await)
            .await
    }

    /// Sends a request and lets `receive` make something of the answer: one span of a trace, from the first byte sent
    /// to the last byte received.
    async fn call<T>(
        &self,
        request: RequestBuilder,
        receive: impl AsyncFnOnce(Response) -> Result<T, OutboundError>,
    ) -> Result<T, OutboundError> {
        let request = request.build()?;
        let span = span(&request);
        let call = async {
            let answer = self.http.execute(request).await?;
            let status = i64::from(answer.status().as_u16());
            Span::current().record("http.response.status_code", status);
            receive(answer).await
        };
        call.instrument(span).await
    }

    fn checked(&self, url: &str) -> Result<Url, OutboundError> {
        let url = Url::parse(url.trim()).map_err(|_| OutboundError::BadAddress)?;
        if !is_web(&url) {
            return Err(OutboundError::BadAddress);
        }
        if !may_reach(&url, self.reach) {
            return Err(OutboundError::Private);
        }
        Ok(url)
    }
}

/// What a trace tells of a call. Of its address only the host: the rest may hold secrets.
fn span(request: &Request) -> Span {
    let method = request.method().as_str();
    info_span!(
        "horde.outbound",
        otel.name = method,
        otel.kind = "client",
        http.request.method = method,
        server.address = request.url().host_str(),
        http.response.status_code = Empty,
    )
}

/// Whether an address leads to something on the web.
pub(crate) fn is_web(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https") && url.has_host()
}

/// Checks an address that is given as numbers; names are checked when they are resolved.
fn may_reach(url: &Url, reach: Reach) -> bool {
    let public = match url.host() {
        Some(Host::Ipv4(address)) => is_public(address.into()),
        Some(Host::Ipv6(address)) => is_public(address.into()),
        Some(Host::Domain(_)) => true,
        None => false,
    };
    public || reach == Reach::Anywhere
}

fn follow(attempt: Attempt<'_>, reach: Reach) -> reqwest::redirect::Action {
    if attempt.previous().len() > REDIRECTS {
        attempt.error(TooManyRedirects)
    } else if !is_web(attempt.url()) || !may_reach(attempt.url(), reach) {
        attempt.error(PrivateAddress)
    } else {
        attempt.follow()
    }
}

/// The status of an answer, and all of it.
async fn read(mut answer: Response, limit: usize) -> Result<(StatusCode, Bytes), OutboundError> {
    let announced = answer.content_length().unwrap_or(0);
    if announced > limit as u64 {
        return Err(OutboundError::TooLarge(limit));
    }
    let mut body = Vec::with_capacity(announced as usize);
    while let Some(chunk) = answer.chunk().await? {
        if body.len() + chunk.len() > limit {
            return Err(OutboundError::TooLarge(limit));
        }
        body.extend_from_slice(&chunk);
    }
    Ok((answer.status(), body.into()))
}

#[derive(Debug, thiserror::Error)]
#[error("the address is not on the public Internet")]
struct PrivateAddress;

#[derive(Debug, thiserror::Error)]
#[error("there were too many redirects")]
struct TooManyRedirects;

/// Resolves names and leaves out what may not be reached.
struct Resolver(Reach);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.0;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let reachable: Vec<SocketAddr> = found
                .filter(|address| reach == Reach::Anywhere || is_public(address.ip()))
                .collect();
            if reachable.is_empty() {
                return Err(PrivateAddress.into());
            }
            Ok(Box::new(reachable.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
        sync::mpsc::{self, error::TryRecvError},
    };
    use tracing::{
        Subscriber,
        level_filters::LevelFilter,
        span::{Id, Record},
    };
    use tracing_subscriber::{
        Layer, Registry,
        filter::Targets,
        layer::{Context, SubscriberExt as _},
    };

    use super::*;

    const SOON: Duration = Duration::from_secs(5);

    /// Answers every connection with `answer` and tells where it listens.
    async fn serve(answer: String) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut connection, _)) = listener.accept().await {
                let mut request = [0; 1024];
                let _ = connection.read(&mut request).await;
                let _ = connection.write_all(answer.as_bytes()).await;
            }
        });
        address
    }

    fn ok(body: &str) -> String {
        format!(
            "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    }

    #[tokio::test]
    async fn own_networks_are_not_reached_by_number_or_name() {
        let address = serve(ok("secret")).await;
        let client = Outbound::new(Reach::Public).unwrap();
        for host in [
            "127.0.0.1",
            "localhost",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "2130706433",
            "0x7f.1",
        ] {
            let url = format!("http://{host}:{}/", address.port());
            let outcome = client.fetch(&url, 100, SOON).await;
            assert!(
                matches!(outcome, Err(OutboundError::Private)),
                "{host}: {outcome:?}"
            );
        }
    }

    #[tokio::test]
    async fn redirects_are_followed_a_few_times() {
        let end = serve(ok("here")).await;
        let one = serve(format!(
            "HTTP/1.1 302 Found\r\nconnection: close\r\nlocation: http://{end}/\r\ncontent-length: 0\r\n\r\n"
        ))
        .await;
        let client = Outbound::new(Reach::Anywhere).unwrap();
        assert_eq!(
            client.fetch(&format!("http://{one}/"), 100, SOON).await.unwrap(),
            "here"
        );

        let round = serve(
            "HTTP/1.1 302 Found\r\nconnection: close\r\nlocation: /\r\ncontent-length: 0\r\n\r\n".into(),
        )
        .await;
        let outcome = client.fetch(&format!("http://{round}/"), 100, SOON).await;
        assert!(outcome.unwrap_err().to_string().contains("too many redirects"));
    }

    #[tokio::test]
    async fn a_redirect_to_another_protocol_is_refused() {
        let one = serve("HTTP/1.1 302 Found\r\nconnection: close\r\nlocation: file:///etc/passwd\r\ncontent-length: 0\r\n\r\n".into()).await;
        let client = Outbound::new(Reach::Anywhere).unwrap();
        let outcome = client.fetch(&format!("http://{one}/"), 100, SOON).await;
        assert!(outcome.is_err(), "{outcome:?}");
    }

    #[tokio::test]
    async fn long_answers_are_cut_off() {
        let announced = serve(ok("0123456789")).await;
        let endless = serve(
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n6\r\n012345\r\n6\r\n012345\r\n".into(),
        )
        .await;
        let client = Outbound::new(Reach::Anywhere).unwrap();
        for address in [announced, endless] {
            let outcome = client.fetch(&format!("http://{address}/"), 9, SOON).await;
            assert!(matches!(outcome, Err(OutboundError::TooLarge(9))), "{outcome:?}");
        }
    }

    /// Tells of what happens to spans.
    struct Spans(mpsc::UnboundedSender<&'static str>);

    impl<S: Subscriber> Layer<S> for Spans {
        fn on_record(&self, _: &Id, _: &Record<'_>, _: Context<'_, S>) {
            self.0.send("answered").unwrap();
        }

        fn on_close(&self, _: Id, _: Context<'_, S>) {
            self.0.send("closed").unwrap();
        }
    }

    #[tokio::test]
    async fn the_time_of_an_answer_ends_with_its_last_byte() {
        let (told, mut spans) = mpsc::unbounded_channel();
        let only_ours = Targets::new().with_target("muster_engine", LevelFilter::INFO);
        let subscriber = Registry::default().with(Spans(told).with_filter(only_ours));
        let _tracing = tracing::subscriber::set_default(subscriber);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let other_side = async {
            let (mut connection, _) = listener.accept().await.unwrap();
            let _ = connection.read(&mut [0; 1024]).await.unwrap();
            let (start, end) = ("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nsl", "ow");
            connection.write_all(start.as_bytes()).await.unwrap();
            assert_eq!(spans.recv().await, Some("answered"));
            assert_eq!(spans.try_recv(), Err(TryRecvError::Empty));
            connection.write_all(end.as_bytes()).await.unwrap();
            assert_eq!(spans.recv().await, Some("closed"));
        };
        let client = Outbound::new(Reach::Anywhere).unwrap();
        let (answer, ()) = tokio::join!(client.fetch(&url, 100, SOON), other_side);
        assert_eq!(answer.unwrap(), "slow");
    }

    #[tokio::test]
    async fn an_error_status_fails_a_post() {
        let fine = serve("HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n".into()).await;
        let broken =
            serve("HTTP/1.1 500 Oops\r\nconnection: close\r\ncontent-length: 0\r\n\r\n".into()).await;
        let client = Outbound::new(Reach::Anywhere).unwrap();
        let body = serde_json::json!({"request": 1});
        client
            .post(&format!("http://{fine}/"), &body, SOON)
            .await
            .unwrap();
        let outcome = client.post(&format!("http://{broken}/"), &body, SOON).await;
        assert!(matches!(outcome, Err(OutboundError::Status(status)) if status == 500));
    }

    #[tokio::test]
    async fn only_web_addresses_count() {
        let client = Outbound::new(Reach::Anywhere).unwrap();
        for url in [
            "",
            "file:///etc/passwd",
            "ftp://example.org/",
            "example.org",
            "https://",
        ] {
            let outcome = client.fetch(url, 9, SOON).await;
            assert!(
                matches!(outcome, Err(OutboundError::BadAddress)),
                "{url}: {outcome:?}"
            );
        }
    }
}
