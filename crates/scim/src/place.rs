//! The places in a resource that filters, PATCH and the parameters `attributes` and `excludedAttributes` name.
//! <https://www.rfc-editor.org/rfc/rfc7644#section-3.10>

use crate::attribute::{self, Attribute};
use crate::schema::{
    COMMON, ENTERPRISE, GROUP, GROUP_ATTRIBUTES, KEYS_NOT_KEPT, MATRIX_GROUP, MATRIX_GROUP_ATTRIBUTES,
    MATRIX_USER, MATRIX_USER_ATTRIBUTES, NOT_KEPT, USER, USER_ATTRIBUTES,
};

/// A type of resources.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resource {
    User,
    Group,
}

impl Resource {
    /// Returns its name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::Group => "Group",
        }
    }

    /// Returns the path of its resources.
    pub(crate) const fn endpoint(self) -> &'static str {
        match self {
            Self::User => "/Users",
            Self::Group => "/Groups",
        }
    }

    /// Returns the URNs of its schema and of its extension.
    pub(crate) const fn schemas(self) -> [&'static str; 2] {
        match self {
            Self::User => [USER, MATRIX_USER],
            Self::Group => [GROUP, MATRIX_GROUP],
        }
    }

    /// Returns the attributes of its schema and of its extension.
    pub(crate) const fn attributes(self) -> [&'static [Attribute]; 2] {
        match self {
            Self::User => [USER_ATTRIBUTES, MATRIX_USER_ATTRIBUTES],
            Self::Group => [GROUP_ATTRIBUTES, MATRIX_GROUP_ATTRIBUTES],
        }
    }

    /// Returns the attribute of its schema, or of all resources, with a name.
    pub(crate) fn attribute(self, name: &str) -> Option<&'static Attribute> {
        let [own, _] = self.attributes();
        attribute::find(own, name).or_else(|| attribute::find(COMMON, name))
    }
}

/// The names of an attribute, and of a key of its values.
pub(crate) type Name = (&'static str, Option<&'static str>);

/// A place in a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// An attribute, or a key of its values.
    Kept {
        /// The extension that it belongs to.
        extension: Option<&'static str>,
        attribute: &'static Attribute,
        key: Option<&'static Attribute>,
    },
    /// A whole extension.
    Extension(&'static str),
    /// An attribute that RFC 7643 defines and that is not kept.
    NotKept,
}

impl Place {
    /// Returns the place that a text names, such as `emails.value`; `None` if there is none.
    pub(crate) fn parse(resource: Resource, text: &str) -> Option<Self> {
        let [core, extension] = resource.schemas();
        let [own, extended] = resource.attributes();
        if text.eq_ignore_ascii_case(extension) {
            return Some(Self::Extension(extension));
        }
        // A URN has points, too.
        let (urn, rest) = match text.rsplit_once(':') {
            Some((urn, rest)) => (Some(urn), rest),
            None => (None, text),
        };
        let (name, key) = match rest.split_once('.') {
            Some((name, key)) => (name, Some(key)),
            None => (rest, None),
        };
        let is = |known: &str| urn.is_some_and(|urn| urn.eq_ignore_ascii_case(known));
        let is_enterprise = is(ENTERPRISE) || text.eq_ignore_ascii_case(ENTERPRISE);
        if resource == Resource::User && is_enterprise {
            return Some(Self::NotKept);
        }
        if is(extension) {
            return Self::within(Some(extension), attribute::find(extended, name)?, key);
        }
        if urn.is_some() && !is(core) {
            return None;
        }
        if let Some(attribute) = attribute::find(own, name).or_else(|| attribute::find(COMMON, name)) {
            return Self::within(None, attribute, key);
        }
        let is_not_kept = NOT_KEPT.iter().any(|known| known.eq_ignore_ascii_case(name));
        (resource == Resource::User && is_not_kept).then_some(Self::NotKept)
    }

    fn within(
        extension: Option<&'static str>,
        attribute: &'static Attribute,
        key: Option<&str>,
    ) -> Option<Self> {
        let Some(key) = key else { return Some(Self::Kept { extension, attribute, key: None }) };
        match attribute::find(attribute.keys(), key) {
            Some(key) => Some(Self::Kept { extension, attribute, key: Some(key) }),
            None => is_key_not_kept(attribute.name, key).then_some(Self::NotKept),
        }
    }
}

/// Returns true for keys of the values of an attribute that RFC 7643 defines and that are not kept.
pub(crate) fn is_key_not_kept(name: &str, key: &str) -> bool {
    let keys = KEYS_NOT_KEPT.iter().find(|(known, _)| *known == name).map_or(&[][..], |(_, keys)| keys);
    keys.iter().any(|known| known.eq_ignore_ascii_case(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns what a text names, as text.
    fn named(resource: Resource, text: &str) -> Option<String> {
        Place::parse(resource, text).map(|place| match place {
            Place::NotKept => "not kept".to_owned(),
            Place::Extension(urn) => urn.to_owned(),
            Place::Kept { extension, attribute, key } => {
                let key = key.map(|key| format!(".{}", key.name)).unwrap_or_default();
                format!("{}{}{key}", if extension.is_some() { "+" } else { "" }, attribute.name)
            }
        })
    }

    #[test]
    fn names_of_places() {
        let core = format!("{USER}:");
        let own = format!("{MATRIX_USER}:userId");
        for (text, wanted) in [
            ("userName", Some("userName")),
            ("USERNAME", Some("userName")),
            ("emails.VALUE", Some("emails.value")),
            ("meta.created", Some("meta.created")),
            ("externalId", Some("externalId")),
            (&format!("{core}displayName"), Some("displayName")),
            (&format!("{core}name.formatted"), Some("name.formatted")),
            (&own, Some("+userId")),
            (MATRIX_USER, Some(MATRIX_USER)),
            ("name.givenName", Some("not kept")),
            ("title", Some("not kept")),
            (&format!("{ENTERPRISE}:department"), Some("not kept")),
            (&format!("{ENTERPRISE}:manager.displayName"), Some("not kept")),
            (ENTERPRISE, Some("not kept")),
            ("nonsense", None),
            ("userName.x", None),
            ("emails.nonsense", None),
            ("urn:x:y:userName", None),
            ("", None),
        ] {
            assert_eq!(named(Resource::User, text).as_deref(), wanted, "{text}");
        }
        assert_eq!(named(Resource::Group, "members.value").as_deref(), Some("members.value"));
        assert_eq!(named(Resource::Group, "title"), None);
        assert_eq!(named(Resource::Group, ENTERPRISE), None);
    }
}
