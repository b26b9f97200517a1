//! [`Service`]: what a worker does, by kind of work.

use muster_dispatch::{alchemy::Alchemy, image::Image, text::Text};
use muster_protocol::WorkKind;
use serde_json::Value;

use crate::{
    models::Facts,
    work::{Columns, Work, for_kind},
};

/// What a worker does. A worker does one kind of work for all its life.
#[derive(Debug)]
pub(crate) enum Service {
    Image(Serving<Image>),
    Text(Serving<Text>),
    Alchemy(Serving<Alchemy>),
}

/// What a worker says about itself, and what follows from it.
#[derive(Debug)]
pub(crate) struct Serving<W: Work> {
    pub(crate) settings: W::Settings,
    pub(crate) derived: W::Derived,
}

/// The state of a worker that its owner, a moderator or the horde decides.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing {
    pub(crate) owner_trusted: bool,
    pub(crate) maintenance: bool,
    pub(crate) paused: bool,
    /// Things a second; seconds for a form.
    pub(crate) speed: f64,
}

impl<W: Work> Serving<W> {
    pub(crate) fn new(settings: W::Settings, bridge_agent: &str, facts: &Facts) -> Self {
        Self {
            derived: W::derive(&settings, bridge_agent, facts),
            settings,
        }
    }
}

/// How a kind of work finds itself among the services: a part of its `Work`.
macro_rules! serves {
    ($kind:ident) => {
        fn serving(service: &$crate::workers::Service) -> Option<&$crate::workers::Serving<Self>> {
            match service {
                $crate::workers::Service::$kind(serving) => Some(serving),
                _ => None,
            }
        }

        fn serving_mut(
            service: &mut $crate::workers::Service,
        ) -> Option<&mut $crate::workers::Serving<Self>> {
            match service {
                $crate::workers::Service::$kind(serving) => Some(serving),
                _ => None,
            }
        }

        fn service(serving: $crate::workers::Serving<Self>) -> $crate::workers::Service {
            $crate::workers::Service::$kind(serving)
        }
    };
}

pub(crate) use serves;

/// Does the same with the service of any kind.
macro_rules! with_serving {
    ($service:expr, $serving:ident: $work:ident => $body:expr) => {
        match $service {
            Service::Image($serving) => {
                type $work = Image;
                $body
            }
            Service::Text($serving) => {
                type $work = Text;
                $body
            }
            Service::Alchemy($serving) => {
                type $work = Alchemy;
                $body
            }
        }
    };
}

impl Service {
    /// A service as it is stored. What this version cannot read counts as said nothing.
    pub(crate) fn from_stored(kind: WorkKind, settings: Value, bridge_agent: &str, facts: &Facts) -> Self {
        for_kind!(kind, W => {
            let settings = serde_json::from_value(settings).unwrap_or_default();
            W::service(Serving::new(settings, bridge_agent, facts))
        })
    }

    pub(crate) fn kind(&self) -> WorkKind {
        with_serving!(self, _serving: W => W::KIND)
    }

    pub(crate) fn unmeasured_speed(&self) -> f64 {
        with_serving!(self, _serving: W => W::UNMEASURED_SPEED)
    }

    /// Jobs that such a worker may drop within an hour.
    pub(crate) fn drops_an_hour(&self) -> i32 {
        with_serving!(self, _serving: W => W::DROPS_AN_HOUR)
    }

    pub(crate) fn columns(&self) -> Columns {
        with_serving!(self, serving: W => W::columns(&serving.settings))
    }

    pub(crate) fn to_stored(&self) -> Value {
        with_serving!(self, serving: W => to_stored::<W>(&serving.settings))
    }

    /// Looks again at what follows from the settings, after the facts about models have changed.
    pub(crate) fn review(&mut self, bridge_agent: &str, facts: &Facts) {
        with_serving!(self, serving: W => serving.derived = W::derive(&serving.settings, bridge_agent, facts));
    }
}

/// Settings as they are stored.
pub(crate) fn to_stored<W: Work>(settings: &W::Settings) -> Value {
    serde_json::to_value(settings).expect("settings are plain data")
}
