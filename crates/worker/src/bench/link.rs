//! [`Link`]: one HTTP/1.1 connection that is kept open, with as little around it as possible.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request,
    client::conn::http1::{SendRequest, handshake},
    header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue, RETRY_AFTER},
};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use url::Url;

use crate::{HOME, VERSION};

/// No call may take longer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// How the load generator names itself as a client.
pub(super) fn agent() -> String {
    format!("muster-bench:{VERSION}:{HOME}")
}

/// A connection to one server; opened by the first call, reopened when it broke.
pub(super) struct Link {
    host: String,
    port: u16,
    host_header: HeaderValue,
    agent: HeaderValue,
    sender: Option<SendRequest<Full<Bytes>>>,
}

/// An answer, whatever its status.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Bytes,
    pub(super) retry_after: Option<Duration>,
}

impl Link {
    /// A connection to the server of an address; `None` if it is not plain HTTP.
    pub(super) fn to(url: &Url) -> Option<Self> {
        if url.scheme() != "http" {
            return None;
        }
        let host = url.host_str()?;
        let port = url.port_or_known_default()?;
        Some(Self {
            host_header: HeaderValue::from_str(&format!("{host}:{port}")).ok()?,
            host: host.trim_matches(['[', ']']).to_owned(),
            port,
            agent: HeaderValue::from_str(&agent()).ok()?,
            sender: None,
        })
    }

    /// Whether an address belongs to the server of this connection.
    pub(super) fn reaches(&self, url: &Url) -> bool {
        url.host_str().map(|host| host.trim_matches(['[', ']'])) == Some(self.host.as_str())
            && url.port_or_known_default() == Some(self.port)
    }

    /// Sends one call and reads the whole answer. The error says why there is none.
    pub(super) async fn call(
        &mut self,
        method: Method,
        path: &str,
        key: Option<&HeaderValue>,
        body: Bytes,
    ) -> Result<Answer, &'static str> {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(headers) = request.headers_mut() {
            headers.insert(HOST, self.host_header.clone());
            headers.insert(HeaderName::from_static("client-agent"), self.agent.clone());
            if let Some(key) = key {
                headers.insert(HeaderName::from_static("apikey"), key.clone());
                if !body.is_empty() {
                    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                }
            }
        }
        let request = request.body(Full::new(body)).map_err(|_| "bad address")?;
        let answer = tokio::time::timeout(TIMEOUT, self.exchange(request))
            .await
            .unwrap_or(Err("time-out"));
        if answer.is_err() {
            self.sender = None;
        }
        answer
    }

    async fn exchange(&mut self, request: Request<Full<Bytes>>) -> Result<Answer, &'static str> {
        // A server may close an idle connection at any time; that is no failure of the call.
        let open = match &mut self.sender {
            Some(sender) => sender.ready().await.is_ok(),
            None => false,
        };
        if !open {
            self.sender = Some(self.connect().await?);
        }
        let sender = self.sender.as_mut().ok_or("no connection")?;
        let response = sender
            .send_request(request)
            .await
            .map_err(|_| "connection broke")?;
        let status = response.status().as_u16();
        let retry_after = response
            .headers()
            .get(RETRY_AFTER)
            .filter(|_| status == 429)
            .and_then(|value| value.to_str().ok()?.parse().ok())
            .map(Duration::from_secs);
        let body = response
            .into_body()
            .collect()
            .await
            .map_err(|_| "connection broke")?;
        Ok(Answer {
            status,
            body: body.to_bytes(),
            retry_after,
        })
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, &'static str> {
        let stream = TcpStream::connect((self.host.as_str(), self.port))
            .await
            .map_err(|_| "no connection")?;
        stream.set_nodelay(true).map_err(|_| "no connection")?;
        let (sender, connection) = handshake(TokioIo::new(stream))
            .await
            .map_err(|_| "no connection")?;
        // Ends when the sender is dropped or the server closes; calls see the error themselves.
        tokio::spawn(async move {
            let _ = connection.await;
        });
        Ok(sender)
    }
}
