//! Who is calling: [`Calling`] for routes that believe the transport's address, [`Requesting`] for requests for work,
//! which may come through proxies that speak for others.

use std::net::IpAddr;

use axum::{
    extract::FromRequestParts,
    http::{StatusCode, request::Parts},
    response::{IntoResponse, Response},
};
use muster_engine::{Call, Proxy, Submission};
use serde::Serialize;

use crate::{
    AppState,
    http::{ApiError, ClientAddress, ClientAgent, EffectiveAddress, Json, MaybeApiKey},
    traces::TraceParent,
};

/// Who is calling and from where, as far as the transport can tell.
pub(crate) struct Calling(pub(crate) Call);

/// Who requests work, for themselves or for somebody behind them.
pub(crate) struct Requesting(Call);

impl Requesting {
    /// The call. Others who call from the address of somebody whom the horde knows may do more from now on.
    pub(crate) async fn admitted(self, state: &AppState) -> Call {
        let Self(call) = self;
        if call.proxy.is_none() && state.engine.vouches_for(&call).await {
            let now = state.engine.clock().now();
            state.privileged.admit(call.address, now);
        }
        call
    }
}

/// The answer to a request for work: accepted, or only its price.
pub(crate) fn answer<A: Serialize>(submission: Submission<A>) -> Response {
    match submission {
        Submission::Accepted(accepted) => (StatusCode::ACCEPTED, Json(accepted)).into_response(),
        Submission::DryRun(price) => Json(price).into_response(),
    }
}

impl FromRequestParts<AppState> for Calling {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let ClientAddress(address) = ClientAddress::from_request_parts(parts, state).await?;
        call(parts, state, address, None).await.map(Self)
    }
}

impl FromRequestParts<AppState> for Requesting {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let EffectiveAddress { address, service } =
            EffectiveAddress::from_request_parts(parts, state).await?;
        let ClientAddress(proxy) = ClientAddress::from_request_parts(parts, state).await?;
        let proxy = service.map(|owner| Proxy {
            address: proxy,
            owner,
        });
        call(parts, state, address, proxy).await.map(Self)
    }
}

async fn call(
    parts: &mut Parts,
    state: &AppState,
    address: IpAddr,
    proxy: Option<Proxy>,
) -> Result<Call, ApiError> {
    let Ok(key) = MaybeApiKey::from_request_parts(parts, state).await;
    let Ok(ClientAgent(client_agent)) = ClientAgent::from_request_parts(parts, state).await;
    let trace = parts.extensions.get::<TraceParent>();
    Ok(Call {
        trace: trace.map(|TraceParent(text)| text.clone()),
        api_key: key.into_sent(),
        client_agent,
        address,
        proxy,
    })
}
