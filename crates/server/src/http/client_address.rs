//! Who is calling: [`TransportPeer`], [`ClientAddress`] and [`EffectiveAddress`].
//!
//! The three answer different questions. The transport peer is whoever holds the connection; the
//! client address looks through the reverse proxies that the operator runs; the effective address
//! looks through services that call on behalf of their own users and hold a passkey for that.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

use axum::{
    extract::{ConnectInfo, FromRequestParts, Request, State},
    http::{HeaderMap, request::Parts},
    middleware::Next,
    response::Response,
};

use muster_protocol::UserId;

use super::ApiError;

/// The other end of the connection, whatever headers say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TransportPeer(
    /// The address, IPv4 in its own form.
    pub IpAddr,
);

/// The client as the operator's own reverse proxies saw it; the peer if there are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientAddress(
    /// The address, IPv4 in its own form.
    pub IpAddr,
);

/// The person behind the client: differs from [`ClientAddress`] if the client is a service that
/// proved with a passkey that it may speak for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EffectiveAddress {
    /// The address, IPv4 in its own form.
    pub address: IpAddr,
    /// The account of the service, if it is another address than the client's.
    pub service: Option<UserId>,
}

/// Knows the passkeys of services that may speak for others.
pub trait Passkeys: Send + Sync + 'static {
    /// Whose `passkey` it is, if that account is in good standing. Called for every request that carries a passkey, so
    /// it must answer from memory.
    fn owner(&self, passkey: &str) -> Option<UserId>;
}

/// Nobody may speak for others.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoPasskeys;

impl Passkeys for NoPasskeys {
    fn owner(&self, _passkey: &str) -> Option<UserId> {
        None
    }
}

/// Whom to believe about addresses.
#[derive(Clone)]
pub struct AddressRules {
    /// How many reverse proxies of the operator a request passes before it arrives. With none,
    /// `X-Forwarded-For` is ignored. Each proxy must append the address it saw to that header; an
    /// operator who sets a number here must not leave the server reachable past the proxies.
    pub trusted_hops: usize,
    /// Which services may speak for others.
    pub passkeys: Arc<dyn Passkeys>,
}

impl Default for AddressRules {
    /// Believes nobody.
    fn default() -> Self {
        Self {
            trusted_hops: 0,
            passkeys: Arc::new(NoPasskeys),
        }
    }
}

impl AddressRules {
    /// Looks through the operator's proxies.
    ///
    /// Of the last `trusted_hops` entries of `X-Forwarded-For`, which the proxies wrote, it takes
    /// the first, that is the outermost. Entries that are no address are passed over.
    fn client(&self, headers: &HeaderMap, peer: TransportPeer) -> ClientAddress {
        let lines: Vec<&str> = headers
            .get_all("x-forwarded-for")
            .iter()
            .map(|line| line.to_str().unwrap_or_default())
            .collect();
        let outermost = lines
            .iter()
            .rev()
            .flat_map(|line| line.rsplit(','))
            .take(self.trusted_hops)
            .filter_map(read_address)
            .last();
        ClientAddress(outermost.unwrap_or(peer.0))
    }

    /// Looks through a service that holds a passkey. An unknown passkey and an unreadable address
    /// change nothing.
    fn effective(&self, headers: &HeaderMap, client: ClientAddress) -> EffectiveAddress {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let behind = text("proxied-for")
            .and_then(read_address)
            .filter(|behind| *behind != client.0);
        let service = behind
            .and_then(|_| text("proxy-authorization"))
            .and_then(|passkey| self.passkeys.owner(passkey));
        EffectiveAddress {
            address: behind.filter(|_| service.is_some()).unwrap_or(client.0),
            service,
        }
    }
}

/// Reads an address with or without a port, IPv6 with or without brackets.
fn read_address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    bare.parse::<IpAddr>()
        .or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip()))
        .ok()
        .map(|address| address.to_canonical())
}

/// Middleware: works out the three addresses once and puts them where the extractors and the rate
/// limiter find them.
///
/// The server has to be started with `into_make_service_with_connect_info::<SocketAddr>()`. A
/// connection without an address (a test, a Unix socket) counts as `0.0.0.0`.
pub async fn resolve_addresses(State(rules): State<AddressRules>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let peer = ConnectInfo::<SocketAddr>::from_request_parts(&mut parts, &())
        .await
        .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |info| info.0.ip());
    let peer = TransportPeer(peer.to_canonical());
    let client = rules.client(&parts.headers, peer);
    let effective = rules.effective(&parts.headers, client);
    parts.extensions.insert(peer);
    parts.extensions.insert(client);
    parts.extensions.insert(effective);
    next.run(Request::from_parts(parts, body)).await
}

/// Makes a type an extractor of what [`resolve_addresses`] left in the request.
macro_rules! resolved {
    ($($address:ty),*) => {
        $(impl<S: Send + Sync> FromRequestParts<S> for $address {
            type Rejection = ApiError;

            async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
                let address = parts.extensions.get().copied();
                address.ok_or_else(|| ApiError::internal("the layer that resolves addresses is missing"))
            }
        })*
    };
}

resolved!(TransportPeer, ClientAddress, EffectiveAddress);

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use axum::{Router, extract::connect_info::MockConnectInfo, middleware, routing::get};

    use super::{super::testing::send, *};

    struct One;

    impl Passkeys for One {
        fn owner(&self, passkey: &str) -> Option<UserId> {
            (passkey == "pass").then_some(UserId(7))
        }
    }

    async fn addresses(hops: usize, headers: &[(&str, &str)]) -> String {
        let rules = AddressRules {
            trusted_hops: hops,
            passkeys: Arc::new(One),
        };
        let peer: SocketAddr = "[::ffff:192.0.2.1]:9".parse().unwrap();
        let handler = |peer: TransportPeer, client: ClientAddress, effective: EffectiveAddress| async move {
            format!(
                "{} {} {} {}",
                peer.0,
                client.0,
                effective.address,
                effective.service.is_some()
            )
        };
        let router = Router::new()
            .route("/", get(handler))
            .layer(middleware::from_fn_with_state(rules, resolve_addresses))
            .layer(MockConnectInfo(peer));
        send(&router, "GET", "/", headers, "").await.text
    }

    #[tokio::test]
    async fn nobody_is_trusted_unless_configured() {
        assert_eq!(
            addresses(0, &[("x-forwarded-for", "198.51.100.7")]).await,
            "192.0.2.1 192.0.2.1 192.0.2.1 false"
        );
    }

    #[tokio::test]
    async fn as_many_hops_are_trusted_as_configured() {
        let forged = ("x-forwarded-for", "203.0.113.9, 198.51.100.7");
        let client = async |hops, headers: &[(&str, &str)]| {
            let text = addresses(hops, headers).await;
            text.split(' ').nth(1).unwrap().to_owned()
        };
        assert_eq!(client(1, &[forged]).await, "198.51.100.7");
        assert_eq!(client(2, &[forged]).await, "203.0.113.9");
        assert_eq!(
            client(3, &[forged]).await,
            "203.0.113.9",
            "a shorter chain is used as it is"
        );
        assert_eq!(
            client(1, &[forged, ("x-forwarded-for", "::ffff:10.0.0.1")]).await,
            "10.0.0.1"
        );
        assert_eq!(
            client(2, &[forged, ("x-forwarded-for", "[2001:db8::1]:443")]).await,
            "198.51.100.7"
        );
        assert_eq!(client(1, &[]).await, "192.0.2.1");
        assert_eq!(client(1, &[("x-forwarded-for", "unknown")]).await, "192.0.2.1");
    }

    #[tokio::test]
    async fn a_known_passkey_speaks_for_others() {
        let effective = async |passkey: &str, proxied_for: &str| {
            let headers = [("proxy-authorization", passkey), ("proxied-for", proxied_for)];
            addresses(0, &headers).await.split_once(' ').unwrap().1.to_owned()
        };
        assert_eq!(
            effective("pass", "2001:db8::5").await,
            "192.0.2.1 2001:db8::5 true"
        );
        assert_eq!(
            effective("guess", "2001:db8::5").await,
            "192.0.2.1 192.0.2.1 false"
        );
        assert_eq!(effective("pass", "somebody").await, "192.0.2.1 192.0.2.1 false");
        assert_eq!(effective("pass", "192.0.2.1").await, "192.0.2.1 192.0.2.1 false");
    }

    #[test]
    fn addresses_are_read_in_every_usual_form() {
        for (text, expected) in [
            (" 192.0.2.1 ", Some("192.0.2.1")),
            ("192.0.2.1:80", Some("192.0.2.1")),
            ("[2001:db8::1]", Some("2001:db8::1")),
            ("[2001:db8::1]:80", Some("2001:db8::1")),
            ("::ffff:192.0.2.1", Some("192.0.2.1")),
            ("localhost", None),
            ("", None),
        ] {
            assert_eq!(
                read_address(text).map(|address| address.to_string()),
                expected.map(str::to_owned),
                "{text}"
            );
        }
    }
}
