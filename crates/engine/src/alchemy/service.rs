//! [`AlchemySettings`]: what an alchemist says about itself when it pops.

use std::sync::Arc;

use muster_protocol::alchemy::{Form, PopInput};
use serde::{Deserialize, Serialize};

use crate::work::Names;

/// What an alchemist says about itself; stored.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct AlchemySettings {
    /// The forms that it takes, each once.
    pub(crate) forms: Vec<Form>,
    /// The largest picture, in tiles of 512 x 512 pixels.
    pub(crate) max_tiles: u32,
}

impl AlchemySettings {
    pub(crate) fn of(input: &PopInput) -> Self {
        let mut forms: Vec<Form> = Vec::new();
        for form in &input.forms {
            if !forms.contains(form) {
                forms.push(*form);
            }
        }
        Self {
            forms,
            max_tiles: input.max_tiles,
        }
    }
}

/// The forms by name, as the board compares them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Derived {
    pub(crate) forms: Names,
}

impl Derived {
    pub(crate) fn of(settings: &AlchemySettings) -> Self {
        Self {
            forms: settings
                .forms
                .iter()
                .map(|form| Arc::from(form.as_ref()))
                .collect(),
        }
    }
}
