//! Attributes of resources as data. From them come the published schemas, and the places that filters and PATCH can name.
//! <https://www.rfc-editor.org/rfc/rfc7643#section-7>

use serde_json::{Value, json};

/// The type of the values of an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    String,
    Boolean,
    Integer,
    DateTime,
    /// A URI, of these types of resources.
    Reference(&'static [&'static str]),
    /// An object with these keys.
    Complex(&'static [Attribute]),
}

/// The way in which clients can change an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutability {
    ReadOnly,
    ReadWrite,
    /// Only when the resource is created.
    Immutable,
    WriteOnly,
}

/// The responses that have an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Returned {
    /// All, also if the request asks for other attributes.
    Always,
    /// Those to requests that do not leave it out.
    Default,
    /// Those to requests that ask for it.
    OnRequest,
    Never,
}

/// An attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Attribute {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) is_multi: bool,
    /// True if a resource always has it, so that it cannot be removed.
    pub(crate) is_required: bool,
    /// True if letters in another case make another value.
    pub(crate) is_exact: bool,
    pub(crate) mutability: Mutability,
    /// True if no two resources have the same value.
    pub(crate) is_unique: bool,
    pub(crate) returned: Returned,
    /// The usual values.
    pub(crate) canonical: &'static [&'static str],
    pub(crate) description: &'static str,
}

impl Attribute {
    pub(crate) const fn new(name: &'static str, kind: Kind, description: &'static str) -> Self {
        Self {
            name,
            kind,
            is_multi: false,
            is_required: false,
            is_exact: false,
            mutability: Mutability::ReadWrite,
            is_unique: false,
            returned: Returned::Default,
            canonical: &[],
            description,
        }
    }

    pub(crate) const fn text(name: &'static str, description: &'static str) -> Self {
        Self::new(name, Kind::String, description)
    }

    pub(crate) const fn flag(name: &'static str, description: &'static str) -> Self {
        Self::new(name, Kind::Boolean, description)
    }

    pub(crate) const fn complex(
        name: &'static str,
        keys: &'static [Attribute],
        description: &'static str,
    ) -> Self {
        Self::new(name, Kind::Complex(keys), description)
    }

    pub(crate) const fn multi(mut self) -> Self {
        self.is_multi = true;
        self
    }

    pub(crate) const fn required(mut self) -> Self {
        self.is_required = true;
        self
    }

    pub(crate) const fn exact(mut self) -> Self {
        self.is_exact = true;
        self
    }

    pub(crate) const fn unique(mut self) -> Self {
        self.is_unique = true;
        self
    }

    pub(crate) const fn returned(mut self, returned: Returned) -> Self {
        self.returned = returned;
        self
    }

    pub(crate) const fn with(mut self, mutability: Mutability) -> Self {
        self.mutability = mutability;
        self
    }

    pub(crate) const fn read_only(self) -> Self {
        self.with(Mutability::ReadOnly)
    }

    pub(crate) const fn usually(mut self, canonical: &'static [&'static str]) -> Self {
        self.canonical = canonical;
        self
    }

    /// Returns the keys of its values, if they are objects.
    pub(crate) const fn keys(&self) -> &'static [Self] {
        match self.kind {
            Kind::Complex(keys) => keys,
            Kind::String | Kind::Boolean | Kind::Integer | Kind::DateTime | Kind::Reference(_) => &[],
        }
    }

    /// Returns its definition, as a schema has it.
    pub(crate) fn definition(&self) -> Value {
        let (kind, references) = match self.kind {
            Kind::String => ("string", None),
            Kind::Boolean => ("boolean", None),
            Kind::Integer => ("integer", None),
            Kind::DateTime => ("dateTime", None),
            Kind::Reference(types) => ("reference", Some(types)),
            Kind::Complex(_) => ("complex", None),
        };
        let mutability = match self.mutability {
            Mutability::ReadOnly => "readOnly",
            Mutability::ReadWrite => "readWrite",
            Mutability::Immutable => "immutable",
            Mutability::WriteOnly => "writeOnly",
        };
        let returned = match self.returned {
            Returned::Always => "always",
            Returned::Default => "default",
            Returned::OnRequest => "request",
            Returned::Never => "never",
        };
        let mut definition = json!({
            "name": self.name,
            "type": kind,
            "multiValued": self.is_multi,
            "description": self.description,
            "required": self.is_required,
            "caseExact": self.is_exact,
            "mutability": mutability,
            "returned": returned,
            "uniqueness": if self.is_unique { "server" } else { "none" },
        });
        if let Value::Object(definition) = &mut definition {
            if !self.canonical.is_empty() {
                definition.insert("canonicalValues".to_owned(), json!(self.canonical));
            }
            if let Some(types) = references {
                definition.insert("referenceTypes".to_owned(), json!(types));
            }
            if !self.keys().is_empty() {
                let keys: Vec<Value> = self.keys().iter().map(Self::definition).collect();
                definition.insert("subAttributes".to_owned(), Value::Array(keys));
            }
        }
        definition
    }
}

/// Returns the attribute of a name, in any case of letters.
pub(crate) fn find(attributes: &'static [Attribute], name: &str) -> Option<&'static Attribute> {
    attributes.iter().find(|attribute| attribute.name.eq_ignore_ascii_case(name))
}
