//! Which style or collection a name means.

use muster_protocol::{UserId, WorkKind};
use muster_store::{Collection, Style};
use uuid::Uuid;

use crate::{Engine, error::Result, names};

/// A style, or a set of them.
#[derive(Clone, Debug)]
pub(super) enum Named {
    Style(Style),
    Collection(Collection),
}

/// What a name can mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    Any,
    Styles,
    Collections,
}

/// A name taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Name<'a> {
    scope: Scope,
    owner: Owner,
    /// The name alone.
    alone: &'a str,
}

/// Whose style or collection a name means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Anybody,
    One(UserId),
    /// The name of the owner is nobody's.
    Nobody,
}

impl<'a> Name<'a> {
    /// Reads `name`, `owner::name`, `style::name`, `style::owner::name` or `owner::style::name`, and the same with
    /// `collection`. A name in which that cannot be seen is taken as it is.
    fn read(text: &'a str, scope: Scope) -> Self {
        let prefix = |part: &str| match part {
            "style" => Some(Scope::Styles),
            "collection" => Some(Scope::Collections),
            _ => None,
        };
        let within = |prefixed: Scope| if scope == Scope::Any { prefixed } else { scope };
        let owner = |alias: &str| {
            names::user_number(alias).map_or(Owner::Nobody, |number| Owner::One(UserId(number)))
        };
        let parts: Vec<&str> = text.split("::").collect();
        match parts[..] {
            [first, second, name] => match (prefix(first), prefix(second)) {
                (Some(prefixed), _) => Self {
                    scope: within(prefixed),
                    owner: owner(second),
                    alone: name,
                },
                (None, Some(prefixed)) => Self {
                    scope: within(prefixed),
                    owner: owner(first),
                    alone: name,
                },
                (None, None) => Self {
                    scope,
                    owner: owner(second),
                    alone: name,
                },
            },
            [first, name] => match prefix(first) {
                Some(prefixed) => Self {
                    scope: within(prefixed),
                    owner: Owner::Anybody,
                    alone: name,
                },
                None => Self {
                    scope,
                    owner: owner(first),
                    alone: name,
                },
            },
            _ => Self {
                scope,
                owner: Owner::Anybody,
                alone: text,
            },
        }
    }
}

impl Engine {
    /// The style or collection with an id or a name.
    pub(super) async fn find_named(&self, text: &str) -> Result<Option<Named>> {
        if let Ok(id) = text.parse::<Uuid>() {
            if let Some(style) = self.store.style(id).await? {
                return Ok(Some(Named::Style(style)));
            }
            if let Some(collection) = self.store.collection(id).await? {
                return Ok(Some(Named::Collection(collection)));
            }
        }
        self.find_by_name(text, Scope::Any).await
    }

    /// The style with an id.
    pub(super) async fn find_style(&self, id: &str) -> Result<Option<Style>> {
        match id.parse() {
            Ok(id) => Ok(self.store.style(id).await?),
            Err(_) => Ok(None),
        }
    }

    /// The style with an id or a name.
    pub(super) async fn find_style_or_name(&self, text: &str) -> Result<Option<Style>> {
        if let Some(style) = self.find_style(text).await? {
            return Ok(Some(style));
        }
        match self.find_by_name(text, Scope::Styles).await? {
            Some(Named::Style(style)) => Ok(Some(style)),
            _ => Ok(None),
        }
    }

    /// The style or collection with a name, as far as `scope` reaches. Styles come first, older ones before newer.
    pub(super) async fn find_by_name(&self, text: &str, scope: Scope) -> Result<Option<Named>> {
        let Name {
            scope,
            owner,
            alone: name,
        } = Name::read(text, scope);
        let owner = match owner {
            Owner::Anybody => None,
            Owner::Nobody => return Ok(None),
            Owner::One(owner) => match self.accounts.get(&self.store, owner).await? {
                Some(_) => Some(owner),
                None => return Ok(None),
            },
        };
        if scope != Scope::Collections
            && let Some(style) = self.store.style_by_name(owner, name).await?
        {
            return Ok(Some(Named::Style(style)));
        }
        if scope == Scope::Styles {
            return Ok(None);
        }
        let collection = self.store.collection_by_name(owner, name).await?;
        Ok(collection.map(Named::Collection))
    }
}

/// Whether an account's styles and collections can have a name: `::` separates its parts.
pub(super) fn can_be_found(name: &str) -> bool {
    !name.contains("::")
}

/// Whether a kind of work has styles.
pub(super) fn style_kind(name: &str) -> Option<WorkKind> {
    match name {
        "image" => Some(WorkKind::Image),
        "text" => Some(WorkKind::Text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANN: Owner = Owner::One(UserId(7));

    #[test]
    fn names_are_taken_apart() {
        let read = |text| {
            let Name { scope, owner, alone } = Name::read(text, Scope::Any);
            (scope, owner, alone)
        };
        assert_eq!(read("noir"), (Scope::Any, Owner::Anybody, "noir"));
        assert_eq!(read("ann#7::noir"), (Scope::Any, ANN, "noir"));
        assert_eq!(read("ann::noir"), (Scope::Any, Owner::Nobody, "noir"));
        assert_eq!(read("style::noir"), (Scope::Styles, Owner::Anybody, "noir"));
        assert_eq!(
            read("collection::noir"),
            (Scope::Collections, Owner::Anybody, "noir")
        );
        assert_eq!(read("style::ann#7::noir"), (Scope::Styles, ANN, "noir"));
        assert_eq!(read("ann#7::style::noir"), (Scope::Styles, ANN, "noir"));
        assert_eq!(read("ann#7::collection::noir"), (Scope::Collections, ANN, "noir"));
        assert_eq!(read("x::ann#7::noir"), (Scope::Any, ANN, "noir"));
        assert_eq!(read("a::b::c::d"), (Scope::Any, Owner::Anybody, "a::b::c::d"));
        assert_eq!(Name::read("collection::noir", Scope::Styles).scope, Scope::Styles);
    }
}
